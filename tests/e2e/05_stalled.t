# Octets that were announced and never come: stalls, lost connections, and two messages before.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(run_cases);
use MailTest::Session;
use Test::More;

my $stage = MailTest::Session->new(
    postfix => {main => {smtpd_timeout => '3s'}},
    daemon => {config => {
        limits => '{ stall_seconds = 2; }',
        suppression => '{ enabled = false; }',
    }},
);

# Announces a last chunk, sends `octets` of it, and does what `then` says.
sub play_partial ($octets, $then) {
    return sub ($client, $message, $) {
        $client->envelope($message->{sender});
        $client->raw('BDAT ' . length($message->{content}) . " LAST\r\n", substr $message->{content}, 0, $octets);
        return $then->($client);
    };
}

# One whole chunk, then a second that stays short.
sub play_second_partial ($then) {
    return sub ($client, $message, $) {
        $client->envelope($message->{sender});
        $client->bdat(substr $message->{content}, 0, 100);
        $client->raw("BDAT 100 LAST\r\nhalf");
        return $then->($client);
    };
}

# One whole chunk, and not a word more.
sub play_silence_between ($then) {
    return sub ($client, $message, $) {
        $client->envelope($message->{sender});
        $client->bdat(substr $message->{content}, 0, 100);
        return $then->($client);
    };
}

# Postfix gives up: 421 and the end of the connection.
sub wait_out ($client) {
    my $reply = $client->reply;
    $client->wait_closed;
    return $reply;
}

sub close_at_once ($client) { $client->close; return undef }
sub reset_at_once ($client) { $client->reset; return undef }

my %stalled = (verdict => 'stalled', strikes => 2, action => 'none', received => undef, delivered => 0);
my %lost = (verdict => 'lost', strikes => 1, action => 'none', received => undef, delivered => 0);
my $timeout = qr/^421 |^$/;
run_cases($stage,
    {
        name => 'nothing of a chunk comes',
        ends => 1,
        play => play_partial(0, \&wait_out),
        want => {chunk_count => 1, reply => $timeout, %stalled},
    },
    {
        name => 'half of a chunk comes',
        ends => 1,
        play => play_partial(100, \&wait_out),
        want => {chunk_count => 1, reply => $timeout, %stalled},
    },
    {
        name => 'all but one octet comes',
        ends => 1,
        play => play_partial(-1, \&wait_out),
        want => {chunk_count => 1, reply => $timeout, %stalled},
    },
    {
        name => 'the second chunk stays short',
        ends => 1,
        play => play_second_partial(\&wait_out),
        want => {chunk_count => 2, declared => 200, reply => $timeout, %stalled},
    },
    {
        name => 'silence after a whole chunk',
        ends => 1,
        play => play_silence_between(\&wait_out),
        want => {chunk_count => 1, last => 0, reply => $timeout, %stalled},
    },
    {
        name => 'the connection ends before the first octet',
        ends => 1,
        play => play_partial(0, \&close_at_once),
        want => {chunk_count => 1, %lost},
    },
    {
        name => 'the connection ends inside a chunk',
        ends => 1,
        play => play_partial(100, \&close_at_once),
        want => {chunk_count => 1, %lost},
    },
    {
        name => 'the connection is reset inside a chunk',
        ends => 1,
        play => play_partial(100, \&reset_at_once),
        want => {chunk_count => 1, %lost},
    },
    {
        name => 'the connection ends inside the second chunk',
        ends => 1,
        play => play_second_partial(\&close_at_once),
        want => {chunk_count => 2, %lost},
    },
    {
        name => 'the connection ends between chunks',
        ends => 1,
        play => play_silence_between(\&close_at_once),
        want => {chunk_count => 1, last => 0, %lost},
    },
);
$stage->daemon->expect_log(qr/verdict=(?:stalled|lost)/);
$stage->finish;
