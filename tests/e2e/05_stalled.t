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
);
$stage->daemon->expect_log(qr/verdict=(?:stalled|lost)/);
$stage->finish;
