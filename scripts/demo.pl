#!/usr/bin/perl
# What scripts/quickstart shows, once everything is built: a private Postfix with the daemon
# attached, a sound message, a broken one, and how the broken client's mail arrives all the same.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/../tests/e2e/lib";
use MailTest::Message qw(new_message);
use MailTest::Place qw(program);
use MailTest::Session;
use Time::HiRes qw(time);

my $SOUND = '127.0.0.2';
my $BROKEN = '127.0.0.3';
my $once = ($ARGV[0] // '') eq '--once';
$| = 1;

my $stage = MailTest::Session->new(
    postfix => {main => {smtpd_timeout => '5s'}},
    daemon => {config => {limits => '{ stall_seconds = 3; }'}},
);
my ($postfix, $daemon) = ($stage->postfix, $stage->daemon);
say '== A private Postfix listens on 127.0.0.1 port ' . $postfix->port . ', bdat-milter is attached.';

say "\n== A sound client ($SOUND) sends a message by BDAT, in two chunks.";
my $sound = $stage->client(from => $SOUND);
my $message = new_message();
$sound->envelope($message->{sender}, size => length $message->{content});
show($sound->bdat(substr $message->{content}, 0, 100));
show($sound->bdat(substr($message->{content}, 100), last => 1));
$sound->quit;

say "\n== A broken client ($BROKEN) announces \"BDAT 2728 LAST\" and sends nothing.";
my $begun = time;
my $lost = new_message(body => "This message was stuck in a queue for days.\r\n");
my $broken = $stage->client(from => $BROKEN);
show('EHLO: CHUNKING is ' . ($broken->offers('CHUNKING') ? 'offered' : 'not offered'));
$broken->envelope('sender@customer.example');
$broken->raw("BDAT 2728 LAST\r\n");
say '   … waiting until Postfix gives up (5 s here, 5 minutes as a rule)';
$broken->wait_closed;
$daemon->transfer('sender@customer.example');

say "\n== What was recorded: bdatctl transfers";
bdatctl('transfers');
say "\n== Why: bdatctl explain $BROKEN";
bdatctl('explain', $BROKEN);

say "\n== The broken client comes back, as mail servers do.";
my $again = $stage->client(from => $BROKEN);
show('EHLO: CHUNKING is ' . ($again->offers('CHUNKING') ? 'offered' : 'not offered')
    . ', so it uses DATA');
$again->envelope($lost->{sender});
show($again->data($lost->{content}));
$again->quit;
my $arrived = $stage->maildir->wait_for($lost->{id}) =~ /stuck in a queue for days/;
printf "   The message has %s, %.1f s after it got stuck.\n", $arrived ? 'arrived' : 'NOT arrived',
    time - $begun;
my $others = $stage->client(from => $SOUND);
say "   Everybody else ($SOUND) is " . ($others->offers('CHUNKING') ? 'still' : 'NO LONGER')
    . ' offered CHUNKING.';
$others->quit;

say "\n== Who is treated specially: bdatctl clients";
bdatctl('clients');
exit($arrived ? 0 : 1) if $once;

say <<"EOF";

== Try it yourself. Talk SMTP to 127.0.0.1 port @{[$postfix->port]} (mail for anyone at example.test is
   delivered below @{[$postfix->folder]}/mail), and ask the daemon:

   @{[program('ctl/bdatctl')]} -s @{[$daemon->control_socket]} status

   Ctrl-C ends it all and removes the temporary folder.
EOF
sleep 3600 while $postfix->running && $daemon->process->running;
die "Postfix or the daemon has ended by itself\n";

sub show ($reply) {
    say '   ' . (split /\n/, $reply)[-1];
}

sub bdatctl (@arguments) {
    system(program('ctl/bdatctl'), '-s', $daemon->control_socket, @arguments) == 0
        or die "bdatctl @arguments failed\n";
}
