# The clock is set an hour forward and back while the daemon works: no sound client suffers, a
# transfer in the air is not taken for stalled, what is suppressed stays so. A row of
# doc/failures.md.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Load;
use MailTest::Message qw(new_message);
use MailTest::Place qw(new_folder replace_file);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';
plan skip_all => 'libfaketime is not installed' if !$library;
plan skip_all => 'a sanitizer must be loaded first' if MailTest::Daemon::is_sanitized();

my $clock = new_folder() . '/clock';
replace_file($clock, "+0\n");
my $pinned = '127.7.0.1';
my $stage = MailTest::Session->new(daemon => {
    config => {rules => "( { clients = [\"$pinned\"]; chunking = \"always\"; } )"},
    env => {
        LD_PRELOAD => $library,
        FAKETIME_TIMESTAMP_FILE => $clock,
        FAKETIME_NO_CACHE => 1,
        FAKETIME_DONT_FAKE_MONOTONIC => 1,
    },
});
my $daemon = $stage->daemon;

# The daemon's idea of the time, seconds ahead of ours.
sub ahead () {
    my $sender = new_message();
    my $client = $stage->client(from => next_client());
    $client->envelope($sender->{sender});
    $client->bdat($sender->{content}, last => 1);
    $client->quit;
    my ($hours, $minutes) = $daemon->transfer($sender->{sender})->{time} =~ /T(\d\d):(\d\d)/;
    my @now = gmtime;
    return (($hours * 60 + $minutes) - ($now[2] * 60 + $now[1]) + 720) % 1440 - 720;
}

my $suppressed = '192.0.2.50';
$daemon->control->post("/v1/clients/$suppressed/suppress?for=1d");
my $load = MailTest::Load->new(postfix => $stage->postfix, sessions => 4)->start;
for my $step ('+3600', '+0', '-3600', '+0') {
    my $client = $stage->client(from => next_client());
    my $message = new_message();
    $client->envelope($message->{sender});
    $client->bdat(substr $message->{content}, 0, 50);
    replace_file($clock, "$step\n");
    like($client->bdat(substr($message->{content}, 50), last => 1), qr/^250 /, "$step: a message across it is taken");
    check_transfer($stage, $message, {verdict => 'match', action => 'accept'}, $step);
    cmp_ok($daemon->transfer($message->{sender})->{elapsed_ms}, '<', 60_000, "$step: took no hour");
    $client->quit;
    my $minutes = ahead();
    cmp_ok(abs($minutes - $step / 60), '<=', 1, "$step: the daemon's clock is $minutes minutes ahead");
    is($daemon->client($suppressed)->{state}, 'suppressed', "$step: who is suppressed stays so");
}
my @results = $load->finish;
$stage->postfix->wait_empty;
my @found = $load->complaints(\@results, $daemon);
is_deeply(\@found, [], 'nothing lost, doubled, refused for good or struck in ' . @results . ' messages')
    or diag(join "\n", @found);
is((grep { /^4/ } map { @{$_->{replies}} } @results), 0, 'nobody was told to come again');

# A hold of two minutes is over when the clock has passed it, and not before.
my $short = '192.0.2.51';
$daemon->control->post("/v1/clients/$short/suppress?for=2m");
replace_file($clock, "-3600\n");
is($daemon->client($short)->{state}, 'suppressed', 'a clock set back: the hold lasts');
replace_file($clock, "+3600\n");
wait_until('the hold to be over', sub { $daemon->client($short)->{state} ne 'suppressed' });
pass('a clock set forward: the hold is over');

# A message that comes again and again just as it was is let in with a header: its client keeps
# CHUNKING by a rule, so that nothing leads it to DATA. A burst is no coming again.
my $cut = new_message(
    headers => "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n",
    body => "--edge\r\nContent-Type: text/plain\r\n\r\nHello",
);
for my $try (['+0', 451], ['+0', 451], ['+600', 451], ['+601', 451], ['+1200', 451], ['+1800', 250]) {
    my ($step, $code) = @$try;
    replace_file($clock, "$step\n");
    my $client = $stage->client(from => $pinned);
    $client->envelope($cut->{sender});
    like($client->bdat($cut->{content}, last => 1), qr/^$code /, "the same cut message at $step: $code");
    $client->quit;
}
my $octets = length $cut->{content};
my ($delivered) = $stage->postfix->maildir->wait_for($cut->{id});
like($delivered, qr/^X-BDAT-Transfer: truncated; declared=$octets; received=\d+$/m, 'it has the header');
my $got = $daemon->transfer($cut->{sender});
is("$got->{verdict} $got->{action}", 'truncated tag', 'it is recorded as truncated and tagged');
ok((grep { $_ eq 'insisted' } @{$got->{evidence}}), 'with the evidence insisted');

$daemon->expect_log(qr/CHUNKING is not offered|verdict=truncated/);
$stage->finish;
