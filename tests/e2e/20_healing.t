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
    postfix => {main => {smtpd_timeout => '10s'}},
    daemon => {config => {limits => '{ stall_seconds = 5; }'}},
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

# Reads the reply and leaves.
sub read_and_quit ($client) {
    my $reply = $client->reply;
    $client->quit;
    return $reply;
}

# Ways to be broken: what a client sends after the envelope, code given (client, message), and how
# its session ends, code given (client) that returns the last reply. `twice`: once is not enough to
# suppress it.
my @clients = (
    {
        name => 'announces 2728 octets and sends nothing',
        send => sub ($client, $) { announce($client, 2728) },
        end => \&wait_out,
        verdict => 'stalled',
    },
    {
        name => 'counts LF where it sends CRLF',
        send => sub ($client, $message) {
            announce($client, length $message->{content} =~ s/\r\n/\n/gr);
            $client->raw($message->{content}, "QUIT\r\n");
        },
        end => sub ($client) {
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
        },
        end => \&wait_out,
        verdict => 'stalled',
    },
    {
        name => 'frames its message as for DATA',
        send => \&send_framed,
        end => \&read_and_quit,
        verdict => 'dot_stuffed',
        reply => qr/^250 /,
        twice => 1,
    },
    {
        name => 'has a firewall that swallows the payload after 1,400 octets',
        send => \&send_beginning,
        end => \&wait_out,
        verdict => 'stalled',
    },
);

sub send_beginning ($client, $message) {
    announce($client, length $message->{content});
    $client->raw(substr $message->{content}, 0, 1400);
}

sub send_framed ($client, $message) {
    my $framed = "$message->{content}.\r\n";
    announce($client, length $framed);
    $client->raw($framed);
}

# A session of the client up to its failure; end_failure() is to follow.
sub begin_failure ($row) {
    my $client = $row->{client} = $stage->client(from => $row->{from} //= next_client());
    ok($client->offers('CHUNKING'), "$row->{name}: CHUNKING is offered");
    my $message = $row->{message} = some_message();
    $client->envelope($message->{sender});
    $row->{send}->($client, $message);
}

sub end_failure ($row) {
    my $reply = $row->{end}->($row->{client});
    like($reply, $row->{reply}, "$row->{name}: reply") if $row->{reply};
    check_transfer($stage, $row->{message}, {verdict => $row->{verdict}}, $row->{name});
}

# Not offered CHUNKING any more, a broken client gets its mail through by DATA.
sub is_healed ($row) {
    my ($name, $from) = @{$row}{qw(name from)};
    my $entry = $daemon->client($from);
    is($entry->{state}, 'suppressed', "$name: suppressed");
    is($entry->{last_verdict}, $row->{verdict}, "$name: for the right reason");

    my $again = $stage->client(from => $from);
    ok(!$again->offers('CHUNKING'), "$name: CHUNKING is no longer offered");
    ok($again->offers('PIPELINING') && $again->offers('SIZE') && $again->offers('8BITMIME'),
        "$name: but everything else is");
    my @messages = (some_message(), some_message());
    for my $message (@messages) {
        $again->envelope($message->{sender});
        like($again->data($message->{content}), qr/^250 /, "$name: the message goes by DATA");
    }
    $again->quit;
    $stage->delivered_is($_, "$name: and arrives whole") for @messages;
    is($daemon->client($from)->{state}, 'suppressed', "$name: still suppressed after DATA");

    my $other = $stage->client(from => $bystander);
    ok($other->offers('CHUNKING'), "$name: another client is offered CHUNKING still");
    $other->quit;
}

# All fall silent first, these two among them, and are waited for together.
my %silent = (send => \&send_beginning, end => \&wait_out, verdict => 'stalled');
my ($stubborn, $lost) = ({%silent, name => 'stubborn'}, {%silent, name => 'path'});
begin_failure($_) for @clients, $stubborn, $lost;
for my $row (@clients) {
    end_failure($row);
    if ($row->{twice}) {
        is($daemon->client($row->{from})->{state}, 'offered', "$row->{name}: one such message is not enough");
        begin_failure($row);
        end_failure($row);
    }
    is_healed($row);
}

# A suppressed client that uses BDAT all the same: Postfix refuses and hangs up, no strike.
{
    end_failure($stubborn);
    my $from = $stubborn->{from};
    is($daemon->transfer($stubborn->{message}{sender})->{strikes}, 2, 'stubborn: two strikes');
    my $hold = $daemon->client($from)->{hold_seconds};
    my $client = $stage->client(from => $from);
    my $second = some_message();
    $client->envelope($second->{sender});
    like($client->bdat($second->{content}, last => 1), qr/^5\d\d /, 'BDAT without the offer is refused by Postfix');
    $client->wait_closed;
    check_transfer($stage, $second, {verdict => 'not_offered', strikes => 0}, 'not offered');
    is($daemon->client($from)->{hold_seconds}, $hold, 'it costs nothing more');
}

# The path is at fault: what stalls with BDAT stalls with DATA too. Then CHUNKING is given back,
# since taking it away helped nobody, and the client is marked.
{
    end_failure($lost);
    my $from = $lost->{from};
    my $client = $stage->client(from => $from);
    my $message = some_message();
    $client->envelope($message->{sender});
    like($client->command('DATA'), qr/^354 /, 'path: DATA is tried');
    $client->raw(substr $message->{content}, 0, 1400);
    wait_out($client);
    my $entry = wait_until('the client to be marked', sub {
        my $found = $daemon->client($from);
        return $found->{path_trouble} && $found;
    });
    is($entry->{state}, 'path_trouble', 'path: no longer suppressed');
    my $again = $stage->client(from => $from);
    ok($again->offers('CHUNKING'), 'path: CHUNKING is offered again');
    $again->quit;
    cmp_ok($daemon->status->{path_trouble_clients}, '>=', 1, 'path: the status counts it');
}

$daemon->expect_log(qr/verdict=/, qr/suppressed|CHUNKING|path/);
$stage->finish;
