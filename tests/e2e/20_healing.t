# Broken clients heal by themselves: the case this program was made for, and its relatives. Each
# fails in its own way with BDAT, is then not offered CHUNKING, and gets its mail through by DATA,
# whole; others are offered CHUNKING all the while.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Message qw(new_message);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

my $stage = MailTest::Session->new(
    postfix => {main => {smtpd_timeout => '3s'}},
    daemon => {config => {limits => '{ stall_seconds = 1; }'}},
);
my $daemon = $stage->daemon;
my $bystander = next_client();

# A message of a few thousand octets.
sub some_message () {
    return new_message(body => "A line of the message that did not arrive.\r\n" x 60);
}

sub announce ($client, $octets) {
    $client->raw("BDAT $octets LAST\r\n");
}

# Waits until Postfix has given the session up.
sub wait_out ($client) {
    $client->wait_closed;
    return undef;
}

# Ways to be broken: code given (client, message), after the envelope; returns the last reply.
my @clients = (
    {
        name => 'announces 2728 octets and sends nothing',
        send => sub ($client, $) { announce($client, 2728); wait_out($client) },
        verdict => 'stalled',
    },
    {
        name => 'counts LF where it sends CRLF',
        send => sub ($client, $message) {
            announce($client, length $message->{content} =~ s/\r\n/\n/gr);
            $client->raw($message->{content}, "QUIT\r\n");
            my $reply = $client->reply;
            $client->wait_closed;
            return $reply;
        },
        verdict => 'overrun',
        reply => qr/^250 /,
    },
    {
        name => 'sends sizes counted with CRLF for text with LF',
        send => sub ($client, $message) {
            announce($client, length $message->{content});
            $client->raw($message->{content} =~ s/\r\n/\n/gr);
            wait_out($client);
        },
        verdict => 'stalled',
    },
    {
        name => 'frames its message as for DATA',
        failures => 2,
        send => sub ($client, $message) {
            my $framed = "$message->{content}.\r\n";
            announce($client, length $framed);
            $client->raw($framed);
            my $reply = $client->reply;
            $client->quit;
            return $reply;
        },
        verdict => 'dot_stuffed',
        reply => qr/^250 /,
    },
    {
        name => 'has a firewall that swallows the payload after 1,400 octets',
        send => sub ($client, $message) {
            announce($client, length $message->{content});
            $client->raw(substr $message->{content}, 0, 1400);
            wait_out($client);
        },
        verdict => 'stalled',
    },
);

for my $row (@clients) {
    my $name = $row->{name};
    my $from = next_client();
    for my $failure (1 .. $row->{failures} // 1) {
        my $client = $stage->client(from => $from);
        ok($client->offers('CHUNKING'), "$name: CHUNKING is offered, try $failure");
        my $message = some_message();
        $client->envelope($message->{sender});
        my $reply = $row->{send}->($client, $message);
        like($reply, $row->{reply}, "$name: reply") if $row->{reply};
        check_transfer($stage, $message, {verdict => $row->{verdict}}, $name);
    }
    my $entry = $daemon->client($from);
    is($entry->{state}, 'suppressed', "$name: suppressed");
    is($entry->{last_verdict}, $row->{verdict}, "$name: for the right reason");

    my $again = $stage->client(from => $from);
    ok(!$again->offers('CHUNKING'), "$name: CHUNKING is no longer offered");
    ok($again->offers('PIPELINING') && $again->offers('SIZE') && $again->offers('8BITMIME'),
        "$name: but everything else is");
    for my $message (some_message(), some_message()) {
        $again->envelope($message->{sender});
        like($again->data($message->{content}), qr/^250 /, "$name: the message goes by DATA");
        $stage->delivered_is($message, "$name: and arrives whole");
    }
    $again->quit;
    is($daemon->client($from)->{state}, 'suppressed', "$name: still suppressed after DATA");

    my $other = $stage->client(from => $bystander);
    ok($other->offers('CHUNKING'), "$name: another client is offered CHUNKING still");
    $other->quit;
}

# A suppressed client that uses BDAT all the same: Postfix refuses and hangs up, no strike.
{
    my $from = next_client();
    my $client = $stage->client(from => $from);
    my $first = some_message();
    $client->envelope($first->{sender});
    announce($client, 500);
    wait_out($client);
    check_transfer($stage, $first, {verdict => 'stalled', strikes => 2}, 'first');
    my $hold = $daemon->client($from)->{hold_seconds};
    my $stubborn = $stage->client(from => $from);
    my $second = some_message();
    $stubborn->envelope($second->{sender});
    like($stubborn->bdat($second->{content}, last => 1), qr/^5\d\d /, 'BDAT without the offer is refused by Postfix');
    $stubborn->wait_closed;
    check_transfer($stage, $second, {verdict => 'not_offered', strikes => 0}, 'not offered');
    is($daemon->client($from)->{hold_seconds}, $hold, 'it costs nothing more');
}

# The path is at fault: what stalls with BDAT stalls with DATA too. Then CHUNKING is given back,
# since taking it away helped nobody, and the client is marked.
{
    my $from = next_client();
    for my $way (qw(BDAT DATA)) {
        my $client = $stage->client(from => $from);
        my $message = some_message();
        $client->envelope($message->{sender});
        if ($way eq 'BDAT') {
            announce($client, length $message->{content});
        } else {
            like($client->command('DATA'), qr/^354 /, 'path: DATA is tried');
        }
        $client->raw(substr $message->{content}, 0, 1400);
        wait_out($client);
    }
    my $entry = wait_until('the client to be marked', sub {
        my $found = $daemon->client($from);
        return $found->{path_trouble} && $found;
    });
    is($entry->{state}, 'path_trouble', 'path: no longer suppressed');
    my $client = $stage->client(from => $from);
    ok($client->offers('CHUNKING'), 'path: CHUNKING is offered again');
    $client->quit;
    cmp_ok($daemon->status->{path_trouble_clients}, '>=', 1, 'path: the status counts it');
}

$daemon->expect_log(qr/verdict=/, qr/suppressed|CHUNKING|path/);
$stage->finish;
