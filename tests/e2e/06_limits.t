# Each limit: at it, above it in the first chunk, above it later.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(run_cases);
use MailTest::Message qw(chunks_of);
use MailTest::Session;
use Test::More;

my %text = (
    500 => "a line of text of forty octets in length\r\n" x 8,
    2500 => "a line of text of forty octets in length\r\n" x 55,
);

# Sends a first chunk that is refused; the next command settles it.
sub play_first (@sizes) {
    return sub ($client, $message, $) {
        my ($first, $rest) = chunks_of($message->{content}, @sizes);
        $client->envelope($message->{sender});
        my $reply = $client->bdat($first, last => !defined $rest);
        like($client->command('RSET'), qr/^250 /, 'the session is in step');
        return $reply;
    };
}

# Runs rows against a daemon with these limits.
sub with_limits ($limits, @rows) {
    my $stage = MailTest::Session->new(daemon => {config => {
        limits => "{ $limits }",
        suppression => '{ enabled = false; }',
    }});
    run_cases($stage, map { {%$_, name => "$limits $_->{name}"} } @rows);
    $stage->daemon->expect_log(qr/verdict=refused/, qr/max_|min_/);
    $stage->allow_postfix_log(qr/malformed BDAT/);
    $stage->finish_quietly;
}

my %accepted = (verdict => 'match', drift => 0, action => 'accept', strikes => 0);
my %refused = (verdict => 'refused', action => 'reject', strikes => 1, delivered => 0);

with_limits('max_chunks = 3;',
    {
        name => 'three chunks',
        cut => [50, 50],
        want => {chunk_count => 3, %accepted},
    },
    {
        name => 'four chunks',
        ends => 1,
        cut => [50, 50, 50],
        want => {reply => qr/^521 /, verdict => 'refused', strikes => 1, delivered => 0,
            with_evidence => ['max_chunks']},
    },
);
with_limits('max_chunk = "400";',
    {
        name => 'chunks of 400 octets',
        message => {body => $text{500}},
        cut => [400],
        want => \%accepted,
    },
    {
        name => 'a first chunk of more',
        message => {body => $text{500}},
        play => play_first(),
        want => {reply => qr/^552 5\.3\.4 .*\b400\b/, evidence => ['max_chunk'], %refused},
    },
    {
        name => 'a later chunk of more',
        message => {body => $text{500}},
        cut => [10],
        want => {reply => qr/^552 5\.3\.4 .*\b400\b/, evidence => ['max_chunk'], chunk_count => 2, %refused},
    },
);
with_limits('min_chunk = "100";',
    {
        name => 'chunks of 100 octets and a short last one',
        cut => [100, 100],
        want => \%accepted,
    },
    {
        name => 'a first chunk of less',
        play => play_first(99),
        want => {reply => qr/^552 5\.3\.4 .*\b100\b/, evidence => ['min_chunk'], %refused},
    },
    {
        name => 'a later chunk of less',
        cut => [100, 20],
        want => {reply => qr/^552 5\.3\.4 .*\b100\b/, evidence => ['min_chunk'], chunk_count => 3, %refused},
    },
);
with_limits('max_message = "2K";',
    {
        name => 'a message of less',
        message => {body => $text{500}},
        want => \%accepted,
    },
    {
        name => 'a first chunk of more',
        message => {body => $text{2500}},
        play => play_first(),
        want => {reply => qr/^552 5\.3\.4 .*\b2048\b/, evidence => ['max_message'], %refused},
    },
    {
        name => 'more in the second chunk',
        ends => 1,
        message => {body => $text{2500}},
        cut => [100],
        want => {reply => qr/^521 |^552 /, verdict => 'refused', strikes => 1, with_evidence => ['max_message'],
            delivered => 0},
    },
);
done_testing();
