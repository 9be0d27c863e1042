# Suppression through its states: hold, probation, doubling, release; rules; proven clients and
# such as need CHUNKING; what the operator says.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Message qw(new_message);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

# The shortest hold is over in three seconds at the soonest (it ends with a second of the clock);
# what is to be seen of it takes a small part of that.
my $stage = MailTest::Session->new(daemon => {config => {
    suppression => '{ threshold = 2; proven_threshold = 6; window = "1h"; hold = "4s"; max_hold = "9s"; }',
    rules => '( { clients = ["127.200.0.0/16"]; chunking = "never"; }, '
        . '{ clients = ["127.200.1.0/24", "127.201.0.1"]; chunking = "always"; } )',
}});
my $daemon = $stage->daemon;

# A transfer whose multipart is cut: 2 strikes. Returns the reply.
sub fail_once ($from) {
    my $client = $stage->client(from => $from);
    return undef if !$client->offers('CHUNKING');
    my $message = new_message(
        headers => "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n",
        body => "--edge\r\nContent-Type: text/plain\r\n\r\nHello",
    );
    $client->envelope($message->{sender});
    my $reply = $client->bdat($message->{content}, last => 1);
    $daemon->transfer($message->{sender});
    $client->quit;
    return $reply;
}

# A connection lost in mid-chunk: 1 strike.
sub lose_once ($from) {
    my $client = $stage->client(from => $from);
    my $message = new_message();
    $client->envelope($message->{sender});
    $client->raw("BDAT 500 LAST\r\nhalf");
    $client->close;
    check_transfer($stage, $message, {verdict => 'lost', strikes => 1}, "lost from $from");
}

sub succeed ($from, %message) {
    my $client = $stage->client(from => $from);
    for my $message (new_message(%message), new_message(%message)) {
        $client->envelope($message->{sender});
        like($client->bdat($message->{content}, last => 1), qr/^250 /, "a sound message from $from");
        $daemon->transfer($message->{sender});
    }
    $client->quit;
}

sub is_offered ($from) {
    my $client = $stage->client(from => $from);
    my $offered = $client->offers('CHUNKING');
    $client->quit;
    return $offered;
}

sub state_of ($from) { $daemon->client($from)->{state} }

# offered -> suppressed -> probation -> suppressed for twice as long -> probation -> offered
{
    my $from = next_client();
    like(fail_once($from), qr/^451 /, 'a broken message is refused');
    is(state_of($from), 'suppressed', 'and the client suppressed');
    ok(!is_offered($from), 'CHUNKING is not offered');
    is($daemon->client($from)->{hold_seconds}, 4, 'for the hold');
    wait_until('the hold to pass', sub { is_offered($from) });
    is(state_of($from), 'probation', 'then it is on probation');
    lose_once($from);
    is(state_of($from), 'suppressed', 'one strike on probation suppresses');
    is($daemon->client($from)->{hold_seconds}, 8, 'for twice as long');
    wait_until('the second hold to pass', sub { is_offered($from) });
    lose_once($from);
    is($daemon->client($from)->{hold_seconds}, 9, 'and no longer than max_hold');
    wait_until('the third hold to pass', sub { is_offered($from) });
    succeed($from);
    is(state_of($from), 'offered', 'a clean transfer on probation ends it');
}

# One strike is below the threshold; a clean transfer clears it.
{
    my $from = next_client();
    lose_once($from);
    is(state_of($from), 'offered', 'one strike is not enough');
    is($daemon->client($from)->{strikes}, 1, 'it is counted');
    succeed($from);
    is($daemon->client($from)->{strikes}, 0, 'and cleared by a clean transfer');
    lose_once($from);
    is(state_of($from), 'offered', 'so the next one is the first again');
}

# A client with many clean transfers and three that were lost.
{
    my $from = next_client();
    my $client = $stage->client(from => $from);
    for my $count (1 .. 300) {
        my $message = new_message(body => "$count\r\n");
        $client->raw("MAIL FROM:<$message->{sender}>\r\nRCPT TO:<user\@example.test>\r\nBDAT "
            . length($message->{content}) . " LAST\r\n$message->{content}");
        my @bad = grep { !/^250/ } map { $client->reply } 1 .. 3;
        die "@bad" if @bad;
    }
    $client->quit;
    ok($daemon->client($from)->{proven}, 'a client with clean transfers is proven');
    lose_once($from) for 1 .. 3;
    is(state_of($from), 'offered', 'three strikes do not suppress it');
    is($daemon->client($from)->{bdat_transfers}, 303, 'all are counted');
    lose_once($from) for 1 .. 3;
    is(state_of($from), 'suppressed', 'six do');
}

# A client whose clean transfers carry bare LFs: without CHUNKING it would bounce them.
{
    my $from = next_client();
    succeed($from, body => "one\ntwo\nthree\n");
    ok($daemon->client($from)->{needs_chunking}, 'bare LFs: needs CHUNKING');
    fail_once($from) for 1 .. 4;
    ok(is_offered($from), 'it is never suppressed by itself');
    like(join("\n", @{$daemon->status->{warnings}}) . $daemon->log_text, qr/\Q$from\E.*bare LF/, 'the operator is told');
}

# Rules: the longest prefix decides, whatever the strikes say.
ok(!is_offered('127.200.0.5'), 'never: not offered');
ok(is_offered('127.200.1.5'), 'always inside never: offered');
fail_once('127.201.0.1') for 1 .. 3;
ok(is_offered('127.201.0.1'), 'always: offered whatever happens');
{
    my $stubborn = $stage->client(from => '127.200.0.6');
    my $message = new_message();
    $stubborn->envelope($message->{sender});
    like($stubborn->data($message->{content}), qr/^250 /, 'never: DATA works');
    $stage->delivered_is($message, 'never: delivered');
    $stubborn->quit;
}

# The operator's word.
{
    my $from = next_client();
    my $answer = $daemon->control->post("/v1/clients/$from/suppress?for=1h&reason=they%20asked%20for%20it");
    is($answer->{clients}[0]{state}, 'suppressed', 'suppress: the answer says so');
    is($answer->{clients}[0]{reason}, 'they asked for it', 'suppress: with the reason');
    ok(!is_offered($from), 'suppress: not offered');
    is($daemon->control->post("/v1/clients/$from/release")->{clients}[0]{state}, 'offered', 'release: the answer says so');
    ok(is_offered($from), 'release: offered');
    is($daemon->control->request('GET', '/v1/clients/192.0.2.77')->{status}, 404, 'an unknown client: 404');
    my $bad = $daemon->control->request('POST', '/v1/clients/nonsense/suppress');
    like("$bad->{status} $bad->{body}", qr/^40[04] .*"error"/s, 'no address: an error');
}

# IPv6: a client is its /64.
SKIP: {
    skip 'no IPv6 here', 1 if !$stage->postfix->ipv6;
    fail_once('::1');
    is($daemon->client('::1')->{client}, '::/64', 'IPv6: the /64 is the client');
}

$daemon->expect_log(qr/verdict=/, qr/suppressed|CHUNKING/);
$stage->finish;
