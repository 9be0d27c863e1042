# Sessions at the same time: the chunks of one are never counted for another, and /v1/sessions
# shows each as it stands.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Message qw(chunks_of new_message);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

my $stage = MailTest::Session->new;
my $daemon = $stage->daemon;

# Two sessions take turns, chunk by chunk; the second is broken in its last chunk.
my $from = next_client();
my @clients = map { $stage->client(from => $from) } 1 .. 2;
for my $round (1, 2) {
    my @messages = map { new_message(body => "session $_, a line of text\r\n" x (10 * $_)) } 1 .. 2;
    my @chunks = map { [chunks_of($_->{content}, 70, 70, 70)] } @messages;
    for my $i (0, 1) {
        $clients[$i]->envelope($messages[$i]{sender}, size => length $messages[$i]{content});
    }
    for my $turn (0 .. 2) {
        for my $i (0, 1) {
            like($clients[$i]->bdat($chunks[$i][$turn]), qr/^250 /, "round $round, session $i, chunk $turn");
        }
    }
    my @live = wait_until('two sessions in chunks', sub {
        my @found = grep { $_->{client_address} eq $from && $_->{state} eq 'chunks' }
            @{$daemon->control->get('/v1/sessions')->{sessions}};
        return @found == 2 && \@found;
    })->@*;
    isnt($live[0]{pid}, $live[1]{pid}, 'two processes serve them');
    is($live[0]{mode}, 'bdat', 'mode');
    ok($live[0]{offered}, 'CHUNKING was offered');
    my $swallowed = $chunks[1][3] . "QUIT\r\n";
    like($clients[1]->bdat($swallowed, last => 1), qr/^451 /, "round $round: the broken one is refused");
    like($clients[0]->bdat($chunks[0][3], last => 1), qr/^250 /, "round $round: the sound one is taken");
    check_transfer($stage, $messages[0], {verdict => 'match', drift => 0, chunk_count => 4,
        declared => length $messages[0]{content}}, 'the sound one');
    check_transfer($stage, $messages[1], {verdict => 'swallowed', chunk_count => 4,
        declared => 6 + length $messages[1]{content}}, 'the broken one');
    $stage->delivered_is($messages[0], 'the sound one is delivered whole');
    $stage->not_delivered($messages[1], 'the broken one is not');
}
$_->quit for @clients;
wait_until('both sessions to be gone', sub {
    return !grep { $_->{client_address} eq $from } @{$daemon->control->get('/v1/sessions')->{sessions}};
});
pass('sessions that are over are not shown');

# Twenty sessions, every one a client of its own, all in the middle of a transfer at once.
my @many = map { {client => $stage->client(from => next_client()), messages => [map { new_message() } 1 .. 2]} } 1 .. 20;
for my $count (0, 1) {
    $_->{client}->envelope($_->{messages}[$count]{sender}) for @many;
    for my $at (0, 40, 80, 120) {
        $_->{client}->raw("BDAT 40\r\n", substr $_->{messages}[$count]{content}, $at, 40) for @many;
    }
    for my $one (@many) {
        my $rest = substr $one->{messages}[$count]{content}, 160;
        $one->{client}->raw('BDAT ' . length($rest) . " LAST\r\n$rest");
    }
    for my $one (@many) {
        my @replies = map { $one->{client}->reply } 1 .. 5;
        is(scalar(grep { /^250 / } @replies), 5, 'all five chunks are taken');
        check_transfer($stage, $one->{messages}[$count], {verdict => 'match', drift => 0, chunk_count => 5,
            client_address => $one->{client}->from}, $one->{client}->from);
    }
}
$_->{client}->quit for @many;
$daemon->expect_log(qr/verdict=swallowed/);
$stage->finish;
