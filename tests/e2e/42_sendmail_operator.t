# What the operator sees of a Sendmail server: bdatctl check, status and transfers.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Client;
use MailTest::Ctl qw(ctl);
use MailTest::Daemon;
use MailTest::Message qw(new_message);
use MailTest::Place qw(program read_file write_file);
use MailTest::Sendmail;
use MailTest::Wait qw(wait_until);
use Test::More;

$ENV{PATH} = program("milter/bdat-milter") =~ s{/[^/]+$}{}r . ":$ENV{PATH}";
my $sendmail = MailTest::Sendmail->new(start => 0);
my $daemon = MailTest::Daemon->new(postfix => $sendmail, config => {mta => '"sendmail"', socket_group => '""'});
my $file = $sendmail->config_file;
my $text = read_file($file);
$daemon->expect_log(qr/verdict=not_offered action=tempfail/);

sub check (%opt) {
    write_file($file, $opt{cf} // $text);
    return ctl('check', '-c', $sendmail->folder, '-f', $opt{conf} // $daemon->config_file, '-s', $daemon->control_socket);
}

# ---- check ----
my $got = check();
is($got->{code}, 0, 'check: exit 0') or diag $got->{out}, $got->{err};
like($got->{out}, qr{^ok +sendmail: \S+/sendmail\.cf names bdat-milter as an input mail filter$}m, 'the filter is named');
unlike($got->{out}, qr/^(?:FAIL|warn)/m, 'nothing to mend') or diag $got->{out};

my $path = quotemeta $sendmail->socket;
for my $row (['without local:', $text =~ s/S=local:/S=/r], ['with unix:', $text =~ s/S=local:/S=unix:/r]) {
    is(check(cf => $row->[1])->{code}, 0, "the socket $row->[0]");
}
for my $row (['no filter', $text =~ s/^Xbdat.*\n//mr], ['another socket', $text =~ s/$path/\/run\/other.sock/r],
             ['a longer path', $text =~ s/$path/$&.d/r], ['not listed', $text =~ s/^O InputMailFilters=.*\n//mr]) {
    $got = check(cf => $row->[1]);
    is($got->{code}, 1, "$row->[0]: exit 1");
    like($got->{out}, qr/^FAIL +sendmail: \S+ names no input mail filter at $path\n +-> in sendmail\.mc: INPUT_MAIL_FILTER\(`bdat-milter', `S=local:$path, /m,
        "$row->[0]: what, and what mends it");
}
for my $flag ('T', 'R', '4') {
    $got = check(cf => $text =~ s/^(Xbdat-milter, S=\S+),/$1, F=$flag,/mr);
    is($got->{code}, 0, "F=$flag: exit 0");
    like($got->{out}, qr/^warn +sendmail: \S+ refuses mail while bdat-milter is away\n +-> leave F= out/m, "F=$flag: a warning");
}
my $lax = $sendmail->folder . '/lax.conf';
write_file($lax, read_file($daemon->config_file) . 'actions = { not_offered = "reject"; };');
like(check(conf => $lax)->{out}, qr/^warn +actions\.not_offered is "reject": Sendmail runs the octets/m,
    'an action that lets the payload run: a warning');

# ---- status and transfers ----
write_file($file, $text);
$sendmail->start;
my $client = MailTest::Client->new(host => $sendmail->host, port => $sendmail->port);
$client->ehlo;
my $message = new_message();
$client->envelope($message->{sender});
like($client->data($message->{content}), qr/^250 /, 'a DATA message');
my $large = new_message(body => "text\r\n" x 20_000);
$client->envelope($large->{sender}, size => 500);
like($client->data($large->{content}), qr/^250 /, 'a DATA message far above its SIZE');
$client->envelope('bdat@sender.example');
like($client->command('BDAT 10'), qr/^421 /, 'a BDAT');
$daemon->transfer('bdat@sender.example');
wait_until('the session to end', sub { $daemon->status->{sessions}{mixed} == 1 });
# MAIL has an answer of the milter's: before, a session may go by unseen.
sub active () { $daemon->status->{sessions}{active} }
ok(wait_until('the session to be over', sub { active() == 0 }), 'no session is alive');
my $second = MailTest::Client->new(host => $sendmail->host, port => $sendmail->port);
$second->ehlo;
$second->command('MAIL FROM:<a@sender.example>');
ok(wait_until('a session to be counted', sub { active() == 1 }), 'one is alive');
my $none = $daemon->status->{sessions}{none};
$second->quit;
ok(wait_until('it to end', sub { active() == 0 && $daemon->status->{sessions}{none} > $none }), 'and is alive no more');
is($daemon->status->{hooks}{milter}{mta}, 'sendmail', 'the status names the server');
my @where = ('-s', $daemon->control_socket);
$got = ctl(@where, 'status');
is($got->{code}, 0, 'bdatctl status') or diag $got->{err};
like($got->{out}, qr/^tables +not used: Sendmail has none$/m, 'no tables at Sendmail') or diag $got->{out};
like($got->{out}, qr/^policy +not used: Sendmail has none$/m, 'no policy service either');
unlike($got->{out}, qr/attach/, 'and nothing to attach');
$got = ctl(@where, 'transfers');
like($got->{out}, qr/not_offered/, 'bdatctl transfers lists the BDAT') or diag $got->{out}, $got->{err};
$got = ctl(@where, 'explain', $daemon->transfer($large->{sender})->{queue_id});
my $told = $got->{out} =~ s/\s+/ /gr;
my $length = length($large->{content}) =~ s/(?<=\d)(?=(\d{3})+$)/,/gr;
like($told, qr/It announced 500 octets by SIZE at MAIL, and sent the message by DATA\./, 'explain tells a DATA message\'s SIZE');
like($told, qr/bdat-milter counted $length octets, /, 'and who counted what') or diag $got->{out};
unlike($told, qr/Postfix/, 'and speaks of no Postfix') or diag $got->{out};
my ($transfer) = $daemon->transfers;
$got = ctl(@where, 'explain', $transfer->{queue_id});
is($got->{code}, 0, 'bdatctl explain knows it') or diag $got->{err};
like($got->{out}, qr/not offered/i, 'and says what it is');
unlike($got->{out}, qr/Postfix|is offered to it/, 'and speaks of no Postfix') or diag $got->{out};

# ---- F=T: mail waits while the daemon is away ----
$sendmail->stop;
is($daemon->stop, 0, 'the daemon ends in order');
is_deeply([$daemon->unexpected_log], [], 'nothing unexpected in the daemon\'s log');
{
    my $strict = MailTest::Sendmail->new(flags => 'T');
    my $waiting = MailTest::Client->new(host => $strict->host, port => $strict->port);
    $waiting->ehlo;
    like($waiting->command('MAIL FROM:<a@sender.example>'), qr/^4\d\d /, 'F=T, no milter: mail is put off');
    $strict->stop;
}
done_testing();
