# Sound transfers of every shape: nothing is refused, and what is delivered is what was sent.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(run_cases send_chunks);
use MailTest::Message qw(chunks_of);
use MailTest::Session;
use Test::More;

my $stage = MailTest::Session->new;
my $transcript = "220 mail.example.com ESMTP\r\nEHLO me\r\n250 ok\r\nMAIL FROM:<a\@example.com>\r\n"
    . "250 ok\r\nRCPT TO:<b\@example.com>\r\n250 ok\r\n354 go\r\n.\r\n250 queued\r\nRSET\r\nQUIT\r\n";
my $multipart = join "\r\n", 'preamble', '--edge', 'Content-Type: text/plain', '', 'text', '--edge',
    'Content-Type: application/octet-stream', 'Content-Transfer-Encoding: base64', '',
    ('QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=') x 20, '--edge--';
my $mime = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n";
my $long = 'x' x 10_000;

# Postfix delivers a bare CR as a space (cleanup_replace_stray_cr_lf).
sub with_stray_cr_replaced ($message) {
    return $message->{content} =~ s/\r(?!\n)/ /gr;
}

# Position of the n-th CRLF in a content, between its two octets.
sub inside_crlf ($content, $n) {
    my $at = 0;
    $at = index($content, "\r\n", $at) + 2 for 1 .. $n;
    return $at - 1;
}

# Sends chunks that end inside the line ends of lines 3 and 8.
sub play_cut_line_ends ($client, $message, $) {
    my ($first, $second) = map { inside_crlf($message->{content}, $_) } 3, 8;
    $client->envelope($message->{sender});
    return send_chunks($client, $message->{content}, $first, $second - $first);
}

sub play_single_octets ($client, $message, $) {
    $client->envelope($message->{sender});
    my @chunks = chunks_of($message->{content}, (1) x length $message->{content});
    my $last = pop @chunks;
    $client->raw(map { "BDAT 1\r\n$_" } @chunks);
    my @other = grep { !/^250 / } map { $client->reply } @chunks;
    is_deeply(\@other, [], 'each of ' . @chunks . ' chunks is answered 250');
    return $client->bdat($last, last => 1);
}

sub play_ending_in_empty_last ($client, $message, $) {
    $client->envelope($message->{sender});
    $client->bdat($message->{content});
    return $client->bdat('', last => 1);
}

my %clean = (action => 'accept');
run_cases($stage,
    {
        name => 'one chunk',
        want => {verdict => 'match', drift => 0, chunk_count => 1, evidence => [], %clean},
    },
    {
        name => 'three chunks cut inside CRLF',
        play => \&play_cut_line_ends,
        want => {verdict => 'match', drift => 0, chunk_count => 3, evidence => [], %clean},
    },
    {
        name => '1,000 chunks of one octet',
        message => {body => 'y' x 58 . "\r\n" . "and one more line\r\n" x 45},
        play => \&play_single_octets,
        want => {verdict => 'match', drift => 0, chunk_count => qr/^1\d\d\d$/, evidence => [], %clean},
    },
    {
        name => 'BDAT 0 LAST at the end',
        play => \&play_ending_in_empty_last,
        want => {verdict => 'match', drift => 0, chunk_count => 2, chunks => qr/^\d+ 0$/, %clean},
    },
    {
        name => 'no line end at the end',
        message => {body => "one\r\ntwo"},
        want => {verdict => 'normalized', drift => 2, evidence => ['unterminated'], %clean},
    },
    {
        name => 'bare LF line ends',
        message => {body => "one\ntwo\nthree\n"},
        want => {verdict => 'normalized', drift => 3, evidence => ['bare_lf'], %clean},
    },
    {
        name => 'bare LF in header and body',
        message => {content => "X-Test-Id: %ID%\nFrom: a\@example.net\nSubject: x\n"
            . "Date: Mon, 2 Nov 2026 12:00:00 +0000\nMessage-Id: <%ID%\@x>\nTo: b\@example.net\n\n" . "text\n" x 40},
        want => {verdict => 'normalized', drift => 47, evidence => ['bare_lf'], %clean},
    },
    {
        name => 'CR CR LF',
        message => {body => "one\r\r\ntwo\r\r\nthree\r\n"},
        want => {verdict => 'normalized', drift => -2, evidence => ['extra_cr'], %clean},
    },
    {
        name => 'NUL, bare CR and 8-bit octets',
        message => {body => "nul \0 cr \r x latin1 \xe9\xff utf-8 \xc3\xa9\r\n" . join('', map { chr } 128 .. 255) . "\r\n"},
        envelope => {mail => 'BODY=8BITMIME'},
        want => {verdict => 'match', drift => 0, evidence => [], delivered => \&with_stray_cr_replaced, %clean},
    },
    {
        name => 'a line of 10,000 octets',
        message => {body => "short\r\n$long\r\nshort\r\n"},
        want => {verdict => 'normalized', drift => 8, evidence => ['long_lines'], %clean},
    },
    {
        name => 'a line of 10,000 octets without line end',
        message => {body => "short\r\n$long"},
        want => {verdict => 'normalized', drift => 10, with_evidence => ['long_lines'], %clean},
    },
    {
        name => 'a long folded header',
        message => {headers => 'References:' . join('', map { "\r\n <folded.$_.abcdefghijklmnop\@example.net>" } 1 .. 200) . "\r\n"},
        want => {verdict => 'match', drift => 0, evidence => [], %clean},
    },
    {
        name => 'headers only',
        message => {content => "X-Test-Id: %ID%\r\nFrom: a\@example.net\r\nTo: b\@example.net\r\n"
            . "Date: Mon, 2 Nov 2026 12:00:00 +0000\r\nMessage-Id: <%ID%\@x>\r\n"},
        want => {verdict => 'match', drift => 0, evidence => [], %clean},
    },
    {
        name => 'lines that begin with dots',
        message => {body => ".\r\n..\r\n.text\r\n...\r\nend\r\n"},
        want => {verdict => 'match', drift => 0, evidence => [], %clean},
    },
    {
        name => 'a transcript of SMTP at the end',
        message => {body => "Here is what my server said:\r\n$transcript"},
        want => {verdict => 'match', drift => 0, evidence => ['command_tail'], %clean},
    },
    {
        name => 'a transcript at the end, SIZE exact',
        message => {body => $transcript},
        envelope => {size => sub ($message) { length $message->{content} }},
        want => {verdict => 'match', drift => 0, evidence => ['command_tail'], %clean},
    },
    {
        name => 'a transcript at the end, SIZE generous',
        message => {body => $transcript},
        envelope => {size => sub ($message) { 1024 + length $message->{content} }},
        want => {verdict => 'match', drift => 0, evidence => ['command_tail'], %clean},
    },
    {
        name => 'a whole multipart',
        message => {headers => $mime, body => "$multipart\r\n"},
        want => {verdict => 'match', drift => 0, evidence => [], %clean},
    },
    {
        name => 'a whole multipart without line end',
        message => {headers => $mime, body => $multipart},
        want => {verdict => 'normalized', drift => 2, evidence => ['unterminated'], %clean},
    },
    {
        name => 'a text that quotes MIME, no line end',
        message => {body => "How does one write it?\r\n\r\n--edge\r\nContent-Type: text/plain\r\n\r\nhello\r\n\r\nRegards"},
        want => {verdict => 'normalized', drift => 2, evidence => ['unterminated'], %clean},
    },
    {
        name => 'a multipart that quotes another, no line end',
        message => {
            headers => $mime,
            body => $multipart =~ s/\r\ntext\r\n/\r\n--other\r\nContent-Type: text\/plain\r\n\r\ntext\r\n/r,
        },
        want => {verdict => 'normalized', drift => 2, evidence => ['unterminated'], %clean},
    },
    {
        name => 'SIZE counted with LF line ends',
        message => {body => "line\r\n" x 70},
        envelope => {size => sub ($message) { length $message->{content} =~ s/\r\n/\n/gr }},
        want => {verdict => 'match', drift => 0, evidence => [], %clean},
    },
    {
        name => 'SIZE above the truth',
        envelope => {size => sub ($message) { 100_000 + length $message->{content} }},
        want => {verdict => 'match', drift => 0, evidence => [], size_declared => qr{^100}, %clean},
    },
    {
        name => 'SIZE far below the truth',
        message => {body => "a line of this text has 40 octets or so\r\n" x 4000},
        envelope => {size => 500},
        want => {verdict => 'size_exceeded', drift => 0, evidence => ['size_exceeded'], size_declared => 500, %clean},
    },
    {
        name => 'from ::1',
        client => {from => $stage->postfix->ipv6 ? '::1' : '127.0.0.9'},
        want => {verdict => 'match', client_address => $stage->postfix->ipv6 ? '::1' : '127.0.0.9', %clean},
    },
);

# An empty message has no header that could bear an id; its sender names it.
{
    my $client = $stage->client;
    for my $sender ('empty1@sender.example', 'empty2@sender.example') {
        $client->envelope($sender);
        like($client->bdat('', last => 1), qr/^250 /, 'an empty message is taken');
        my $got = $stage->daemon->transfer($sender);
        is("$got->{verdict} $got->{declared} $got->{received}", 'match 0 0', 'and matches');
        like($stage->maildir->wait_for($sender), qr/^Received: /m, 'and is delivered');
    }
    $client->quit;
}

$stage->daemon->expect_log(qr/sends bare LFs, which only BDAT can carry/);
my $status = $stage->daemon->status;
is($status->{transfers}{match} + $status->{transfers}{normalized} + $status->{transfers}{size_exceeded},
    $status->{actions}{accept}, 'every one was accepted');
is($status->{actions}{tempfail} + $status->{actions}{reject}, 0, 'no false alarm');
$stage->finish;
