# Octets that were announced and never come: stalls, lost connections, and two messages before.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client run_cases);
use MailTest::Message qw(new_message);
use MailTest::Session;
use Test::More;

# A session is lost within the first five seconds of a silence, and stalled from then on.
my $stage = MailTest::Session->new(
    postfix => {main => {smtpd_timeout => '10s'}},
    daemon => {config => {
        limits => '{ stall_seconds = 5; }',
        suppression => '{ enabled = false; }',
    }},
);

# Announces a last chunk and sends `octets` of it.
sub send_partial ($octets) {
    return sub ($client, $message) {
        $client->raw('BDAT ' . length($message->{content}) . " LAST\r\n", substr $message->{content}, 0, $octets);
    };
}

# One whole chunk, then a second that stays short.
sub send_second_partial ($client, $message) {
    $client->bdat(substr $message->{content}, 0, 100);
    $client->raw("BDAT 100 LAST\r\nhalf");
}

# One whole chunk, and not a word more.
sub send_one_of_two ($client, $message) {
    $client->bdat(substr $message->{content}, 0, 100);
}

# Postfix's default for message_size_limit, and what is beyond it.
my $SIZE_LIMIT = 10_240_000;
my $oversize = ('x' x 30 . "\r\n") x 320_100;

# A last chunk beyond message_size_limit, which Postfix reads and drops.
sub send_oversize ($client, $) {
    like($client->bdat($oversize, last => 1), qr/^552 /, 'a last chunk beyond message_size_limit: reply');
}

sub send_oversize_in_two ($client, $) {
    $client->bdat(substr $oversize, 0, 40_000);
    like($client->bdat(substr($oversize, 40_000)), qr/^552 /, 'a later chunk beyond message_size_limit: reply');
}

# An empty chunk in the midst of others, which Postfix refuses.
sub send_null_chunk ($client, $message) {
    $client->bdat(substr $message->{content}, 0, 100);
    like($client->bdat(''), qr/^551 /, 'an empty chunk: reply');
}

# Sends as `send` says, and leaves as `then` says.
sub play ($send, $then) {
    return sub ($client, $message, $) {
        $client->envelope($message->{sender});
        $send->($client, $message);
        return $then->($client);
    };
}

sub close_at_once ($client) { $client->close; return undef }
sub reset_at_once ($client) { $client->reset; return undef }

# What is announced never comes, and Postfix gives up: 421 and the end of the connection. The clients
# fall silent one after the other and are waited for together.
my @silent = (
    {name => 'nothing of a chunk comes', send => send_partial(0), want => {chunk_count => 1}},
    {name => 'half of a chunk comes', send => send_partial(100), want => {chunk_count => 1}},
    {name => 'all but one octet comes', send => send_partial(-1), want => {chunk_count => 1}},
    {name => 'the second chunk stays short', send => \&send_second_partial,
        want => {chunk_count => 2, declared => 200}},
    {name => 'silence after a whole chunk', send => \&send_one_of_two, want => {chunk_count => 1, last => 0}},
    {name => 'silence after 552', send => \&send_oversize, want => {chunk_count => 1,
        verdict => 'failed_elsewhere', strikes => 0, evidence => ['size_unknown']}},
    {name => 'silence after 551', send => \&send_null_chunk, want => {chunk_count => 2, last => 0,
        verdict => 'failed_elsewhere', strikes => 0, evidence => []}},
);
for my $row (@silent) {
    my $client = $row->{client} = $stage->client(from => next_client());
    my ($sound, $message) = (new_message(), new_message());
    @{$row}{qw(sound message)} = ($sound, $message);
    $client->envelope($sound->{sender});
    like($client->bdat($sound->{content}, last => 1), qr/^250 /, "$row->{name}: before it: reply");
    $client->envelope($message->{sender});
    $row->{send}->($client, $message);
}
for my $row (@silent) {
    my ($client, $name) = @{$row}{qw(client name)};
    like($client->reply, qr/^421 |^$/, "$name: reply");
    ok($client->wait_closed, "$name: the connection is closed");
    check_transfer($stage, $row->{sound}, {verdict => 'match', drift => 0, action => 'accept'}, "$name: before it");
    $stage->delivered_is($row->{sound}, "$name: before it: delivered whole");
    check_transfer($stage, $row->{message}, {verdict => 'stalled', strikes => 2, action => 'none',
        received => undef, %{$row->{want}}}, $name);
}
$stage->not_delivered($_->{message}, "$_->{name}: not delivered") for @silent;

my %lost = (verdict => 'lost', strikes => 1, action => 'none', received => undef, delivered => 0);
my %refused = (%lost, verdict => 'failed_elsewhere', strikes => 0);
run_cases($stage,
    {
        name => 'the connection ends before the first octet',
        ends => 1,
        play => play(send_partial(0), \&close_at_once),
        want => {chunk_count => 1, %lost},
    },
    {
        name => 'the connection ends inside a chunk',
        ends => 1,
        play => play(send_partial(100), \&close_at_once),
        want => {chunk_count => 1, %lost},
    },
    {
        name => 'the connection is reset inside a chunk',
        ends => 1,
        play => play(send_partial(100), \&reset_at_once),
        want => {chunk_count => 1, %lost},
    },
    {
        name => 'the connection ends inside the second chunk',
        ends => 1,
        play => play(\&send_second_partial, \&close_at_once),
        want => {chunk_count => 2, %lost},
    },
    {
        name => 'the connection ends between chunks',
        ends => 1,
        play => play(\&send_one_of_two, \&close_at_once),
        want => {chunk_count => 1, last => 0, %lost},
    },
    {
        name => 'a last chunk is refused for its size, and the client leaves',
        ends => 1,
        play => play(\&send_oversize, \&close_at_once),
        want => {chunk_count => 1, evidence => ['size_unknown'], %refused},
    },
    {
        name => 'a later chunk is refused for its size, and the client leaves',
        ends => 1,
        play => play(\&send_oversize_in_two, \&close_at_once),
        want => {chunk_count => 2, last => 0, evidence => ['size_unknown'], %refused},
    },
    {
        name => 'an empty chunk is refused, and the client leaves',
        ends => 1,
        play => play(\&send_null_chunk, \&close_at_once),
        want => {chunk_count => 2, last => 0, evidence => [], %refused},
    },
    {
        name => 'just as much as Postfix takes by default is lost',
        ends => 1,
        play => play(sub ($client, $) { $client->raw("BDAT $SIZE_LIMIT LAST\r\nhalf") }, \&close_at_once),
        want => {chunk_count => 1, evidence => [], %lost},
    },
);

# Where larger messages are taken, more may be lost: MAIL is taken with that SIZE, or such a message
# has been received.
{
    my $large = MailTest::Session->new(
        postfix => {main => {message_size_limit => 20_000_000}},
        daemon => {config => {suppression => '{ enabled = false; }'}},
    );
    my $octets = length $oversize;
    my $lose = sub ($name, $want, %envelope) {
        my ($client, $message) = ($large->client(from => next_client()), new_message());
        $client->envelope($message->{sender}, %envelope);
        $client->raw("BDAT $octets LAST\r\nhalf");
        $client->close;
        check_transfer($large, $message, $want, $name);
    };
    my %unknown = (%refused, evidence => ['size_unknown']);
    $lose->('never seen so large', \%unknown);
    $lose->('MAIL was taken with that SIZE', {%lost, evidence => []}, size => $octets);
    $lose->('MAIL was taken with a smaller SIZE', \%unknown, size => $octets - 1);
    my ($client, $message) = ($large->client(from => next_client()), new_message(body => $oversize));
    for my $sound (new_message(), $message) {
        $client->envelope($sound->{sender});
        like($client->bdat($sound->{content}, last => 1), qr/^250 /, 'a large message is taken');
        check_transfer($large, $sound, {verdict => 'match', drift => 0}, 'a large message');
    }
    $client->quit;
    $lose->('as large as one that was received', {%lost, evidence => []});
    $large->daemon->expect_log(qr/verdict=lost/);
    $large->finish_quietly;
}
$stage->daemon->expect_log(qr/verdict=(?:stalled|lost)/);
$stage->finish;
