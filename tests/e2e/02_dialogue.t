# What clients may do around a transfer: pipelining, DATA beside BDAT, refused recipients, giving
# up between chunks, commands that break RFC 3030.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client run_cases);
use MailTest::Message qw(new_message);
use MailTest::Session;
use Test::More;

my $stage = MailTest::Session->new;
my $daemon = $stage->daemon;

# MAIL, RCPT and BDAT of one message as one string.
sub flight ($message, $recipient = 'user@example.test') {
    return "MAIL FROM:<$message->{sender}>\r\nRCPT TO:<$recipient>\r\nBDAT "
        . length($message->{content}) . " LAST\r\n$message->{content}";
}

# All in one flight: two messages and QUIT.
for my $round (1, 2) {
    my $client = $stage->client(from => next_client());
    my @messages = (new_message(), new_message(body => "other\r\n"));
    $client->raw((map { flight($_) } @messages), "QUIT\r\n");
    my @replies = map { $client->reply } 1 .. 7;
    is(join(' ', map { substr $_, 0, 3 } @replies), '250 250 250 250 250 250 221',
        "pipelined, round $round: all replies");
    for my $message (@messages) {
        check_transfer($stage, $message, {verdict => 'match', drift => 0, action => 'accept'}, 'pipelined');
        $stage->delivered_is($message, 'pipelined: delivered whole');
    }
}

# BDAT and DATA by turns in one session. DATA messages are counted, not listed.
{
    my $before = $daemon->status->{sessions};
    my $client = $stage->client(from => next_client());
    my @messages = map { new_message() } 1 .. 4;
    for my $i (0 .. 3) {
        $client->envelope($messages[$i]{sender});
        my $reply = $i % 2 ? $client->data($messages[$i]{content}) : $client->bdat($messages[$i]{content}, last => 1);
        like($reply, qr/^250 /, 'mixed: message ' . ($i + 1) . ($i % 2 ? ' by DATA' : ' by BDAT'));
    }
    $client->quit;
    check_transfer($stage, $_, {verdict => 'match', drift => 0}, 'mixed') for @messages[0, 2];
    $stage->delivered_is($_, 'mixed: delivered whole') for @messages;
    ok(!$daemon->has_transfer($messages[1]{sender}), 'a DATA message is not listed');
    my $after = $daemon->status->{sessions};
    is($after->{mixed} - $before->{mixed}, 1, 'the session counts as mixed');
}

# Every recipient refused, BDAT pipelined behind: the payload is discarded, and it is not the
# client's fault, however often.
{
    my $from = next_client();
    my $client = $stage->client(from => $from);
    for my $round (1 .. 4) {
        my ($refused, $sound) = (new_message(body => "QUIT\r\nRSET\r\nbody\r\n"), new_message());
        $client->raw(flight($refused, 'unknown1@example.test'));
        my @replies = map { $client->reply } 1 .. 3;
        like("@replies", qr/^250 .* 550 .* (?:503|554) /, "recipients refused, round $round: replies");
        $client->envelope($sound->{sender});
        like($client->bdat($sound->{content}, last => 1), qr/^250 /, 'the next message is taken');
        check_transfer($stage, $refused, {verdict => 'failed_elsewhere', action => 'none', strikes => 0}, 'refused');
        check_transfer($stage, $sound, {verdict => 'match', strikes => 0}, 'the next one');
        $stage->not_delivered($refused, 'refused: not delivered');
    }
    $client->quit;
    ok($stage->client(from => $from)->offers('CHUNKING'), 'CHUNKING is offered still');
}

# One recipient refused, one taken.
{
    my $client = $stage->client(from => next_client());
    for my $message (new_message(), new_message()) {
        my @replies = $client->envelope($message->{sender}, to => ['unknown1@example.test', 'user@example.test']);
        like("@replies", qr/550 .* 250 /, 'one recipient of two is refused');
        like($client->bdat($message->{content}, last => 1), qr/^250 /, 'the message is taken');
        check_transfer($stage, $message, {verdict => 'match', drift => 0, recipients => 1}, 'one of two');
    }
    $client->quit;
}

# Sends a first chunk, then a command, then whatever `rest` does; returns that reply.
sub play_between ($command, $reply, $rest = undef) {
    return sub ($client, $message, $) {
        $client->envelope($message->{sender});
        like($client->bdat(substr $message->{content}, 0, 50), qr/^250 /, "before $command: chunk");
        my $got = $client->command($command);
        like($got, $reply, "$command between chunks");
        return $rest ? $rest->($client, $message) : $got;
    };
}

# A BDAT command that breaks the syntax, as the first of a transfer.
sub play_malformed ($command) {
    return sub ($client, $message, $) {
        $client->envelope($message->{sender});
        $client->raw("$command\r\n");
        return $client->reply;
    };
}

my %given_up = (verdict => 'abandoned', action => 'none', strikes => 0, delivered => 0);
my %malformed = (verdict => 'failed_elsewhere', action => 'none', strikes => 0, delivered => 0);
run_cases($stage,
    {
        name => 'RSET between chunks',
        play => play_between('RSET', qr/^250 /),
        want => {chunk_count => 1, declared => 50, %given_up},
    },
    {
        name => 'EHLO between chunks',
        play => play_between('EHLO again.example.net', qr/^250.CHUNKING|^250-/),
        want => {reply => qr/^250/, %given_up},
    },
    {
        name => 'QUIT between chunks',
        ends => 1,
        play => play_between('QUIT', qr/^221 /),
        want => {reply => qr/^221 /, %given_up},
    },
    {
        name => 'MAIL between chunks, then RSET',
        play => play_between('MAIL FROM:<other@sender.example>', qr/^503 /, sub ($client, $) { $client->command('RSET') }),
        want => {strikes => 0, action => 'none', verdict => 'abandoned', delivered => 0},
    },
    {
        name => 'NOOP between chunks',
        play => play_between('NOOP', qr/^250 |^503 /, sub ($client, $message) {
            $client->bdat(substr($message->{content}, 50), last => 1);
        }),
        want => {verdict => 'match', drift => 0, action => 'accept', chunk_count => 2},
    },
    {
        name => 'BDAT without a size',
        ends => 1,
        play => play_malformed('BDAT'),
        want => {reply => qr/^5\d\d /, %malformed},
    },
    {
        name => 'BDAT with a negative size',
        ends => 1,
        play => play_malformed('BDAT -5 LAST'),
        want => {reply => qr/^5\d\d /, %malformed},
    },
    {
        name => 'BDAT of 2^64 octets',
        ends => 1,
        play => play_malformed('BDAT 18446744073709551616 LAST'),
        want => {reply => qr/^5\d\d /, %malformed},
    },
    {
        name => 'BDAT with LAST misspelt',
        ends => 1,
        play => play_malformed('BDAT 5 LAST!'),
        want => {reply => qr/^5\d\d /, %malformed},
    },
    {
        name => 'BDAT with words behind LAST',
        ends => 1,
        play => play_malformed('BDAT 5 LAST please'),
        want => {reply => qr/^5\d\d /, %malformed},
    },
    {
        name => 'BDAT with LAST in small letters',
        play => sub ($client, $message, $) {
            $client->envelope($message->{sender});
            $client->raw('bdat ' . length($message->{content}) . " last\r\n", $message->{content});
            return $client->reply;
        },
        want => {verdict => 'match', drift => 0, action => 'accept'},
    },
);

# BDAT that no MAIL came before.
{
    my $client = $stage->client(from => next_client());
    like($client->bdat("QUIT\r\n", last => 1), qr/^503 /, 'BDAT without MAIL is refused');
    like($client->command('NOOP'), qr/^250 /, 'and its payload was not run');
    my $message = new_message();
    $client->envelope($message->{sender});
    like($client->bdat($message->{content}, last => 1), qr/^250 /, 'a message behind it is taken');
    check_transfer($stage, $message, {verdict => 'match', drift => 0}, 'behind it');
    $client->quit;
}

# Whatever a client says behind a finished transfer, if only it is a command: no octets too many,
# whether Postfix knows the verb or not, and no strike.
{
    my $from = next_client();
    for my $command ('NOOP', 'NOOP some text', 'HELP', 'HELP MAIL', 'VRFY user', 'EXPN staff',
        'ETRN example.test', 'TURN', 'ATRN', 'SEND FROM:<a@sender.example>', 'STARTTLS', 'VERB', 'ONEX',
        'CLIENTID UUID 23bf83be-aad7-46aa-9e0f-39191ccd402f', 'BURL imap://a@b.example/c LAST',
        'XCLIENT ADDR=192.0.2.1', 'XFORWARD NAME=a.example', 'XEXCH50 100 2', 'X-EXPS GSSAPI',
        'X-ANONYMOUSTLS', 'X-LINK2STATE LAST CHUNK={00000001}', 'XSHADOWREQUEST', 'RSET now', 'QUIT ') {
        my ($message, $next) = (new_message(), new_message());
        my $client = $stage->client(from => $from);
        $client->raw(flight($message), "$command\r\n");
        like((map { $client->reply } 1 .. 3)[2], qr/^250 /, "$command: the message before it is taken");
        like($client->reply, qr/^[245]\d\d /, "$command: answered");
        check_transfer($stage, $message, {verdict => 'match', strikes => 0, evidence => []}, $command);
        if ($command !~ /^QUIT/) {
            $client->command('RSET');
            $client->envelope($next->{sender});
            like($client->bdat($next->{content}, last => 1), qr/^250 /, "$command: and the one behind it");
            check_transfer($stage, $next, {verdict => 'match', strikes => 0}, "behind $command");
            $client->quit;
        }
        my $known = $daemon->client($from);
        is($known ? $known->{strikes} : 0, 0, "$command: no strike");
    }
}

# BODY=BINARYMIME, which Postfix does not offer.
{
    my $client = $stage->client(from => next_client());
    my ($binary, $sound) = (new_message(), new_message());
    like($client->command("MAIL FROM:<$binary->{sender}> BODY=BINARYMIME"), qr/^5\d\d /, 'BINARYMIME is refused');
    $client->command('RCPT TO:<user@example.test>');
    like($client->bdat($binary->{content}, last => 1), qr/^5\d\d /, 'and so is its BDAT');
    $client->envelope($sound->{sender});
    like($client->bdat($sound->{content}, last => 1), qr/^250 /, 'a message behind it is taken');
    check_transfer($stage, $binary, {verdict => 'refused', with_evidence => ['binarymime']}, 'BINARYMIME');
    check_transfer($stage, $sound, {verdict => 'match', drift => 0}, 'behind BINARYMIME');
    $stage->not_delivered($binary, 'BINARYMIME: not delivered');
    $client->quit;
}

$daemon->expect_log(qr/verdict=refused .*binarymime/);
$stage->finish;
