package MailTest::Shapes;

# Messages in the shapes that real mail has, made the same on every run. "%ID%" stands where a
# test puts its id.

use v5.36;
use Exporter qw(import);
use MIME::Base64 qw(encode_base64);
use MIME::QuotedPrint qw(encode_qp);

our @EXPORT_OK = qw(shapes);

# A small generator of its own, so that every run and every Perl makes the same messages.
my $seed = 1;

sub pick ($below) {
    $seed = ($seed * 1103515245 + 12345) & 0x7fffffff;
    return ($seed >> 8) % $below;
}

my @words = qw(mail server the a of and queue letter tomorrow price offer report table number
    attachment please regards thanks meeting invoice Gruss nova quick brown fox From To data quit);

sub sentence ($count) { return join ' ', map { $words[pick(scalar @words)] } 1 .. $count }
sub lines ($count) { return join '', map { sentence(3 + pick(9)) . "\r\n" } 1 .. $count }
sub octets ($count) { return join '', map { chr pick(256) } 1 .. $count }

sub header (@more) {
    return join('', map { "$_\r\n" } 'X-Test-Id: %ID%', 'From: "A. Sender" <sender@sender.example>',
        'To: user@example.test', 'Subject: ' . sentence(4), 'Date: Mon, 2 Nov 2026 12:00:00 +0000',
        'Message-Id: <%ID%@sender.example>', @more) . "\r\n";
}

# A MIME part: its header lines and its body.
sub part ($type, $encoding, $body) {
    return "Content-Type: $type\r\nContent-Transfer-Encoding: $encoding\r\n\r\n$body";
}

sub multipart_body ($boundary, @parts) {
    return "This is a multi-part message.\r\n\r\n"
        . join('', map { "--$boundary\r\n$_\r\n" } @parts) . "--$boundary--\r\n";
}

sub base64 ($octets) { return encode_base64($octets, "\r\n") }

sub mime ($type, $boundary, @parts) {
    return header('MIME-Version: 1.0', qq(Content-Type: multipart/$type; boundary="$boundary"))
        . multipart_body($boundary, @parts);
}

sub nested ($depth) {
    my $inner = part('text/plain', '7bit', lines(3));
    for my $level (1 .. $depth) {
        my $boundary = "=_level_$level";
        $inner = qq(Content-Type: multipart/mixed; boundary="$boundary"\r\n\r\n)
            . multipart_body($boundary, $inner, part('text/html', 'quoted-printable',
                encode_qp("<p>" . sentence(20) . "</p>\n", "\r\n")));
    }
    return mime('mixed', '=_outer', $inner);
}

my $utf8 = "Gr\xc3\xbc\xc3\x9fe aus K\xc3\xb6ln \xe2\x80\x94 \xd0\xbf\xd0\xb8\xd1\x81\xd1\x8c\xd0\xbc\xd0\xbe \xe6\x96\x87 \xf0\x9f\x93\xa7\r\n";
my $dialog = "S: 220 mail.example.com ESMTP\r\nEHLO a.example.net\r\nMAIL FROM:<a\@example.net>\r\n"
    . "RCPT TO:<b\@example.com>\r\nDATA\r\n354 go ahead\r\nSubject: x\r\n\r\nhi\r\n.\r\n250 ok\r\nBDAT 10 LAST\r\nQUIT\r\n";
my $bounce = "This is the mail system at host mx.example.com.\r\n\r\n<x\@example.com>: host 192.0.2.1 said: 550 no (in reply to\r\n    RCPT TO command)\r\n";
my $ical = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
my $patch = "---\r\n a.c | 2 +-\r\n\r\ndiff --git a/a.c b/a.c\r\n--- a/a.c\r\n+++ b/a.c\r\n@@ -1 +1 @@\r\n-old\r\n+new\r\n-- \r\n2.39.2\r\n";

# Each entry: name => code that makes the content; `variants` times each.
my @kinds = (
    [plain => 12, sub ($n) { header() . lines(1 + 7 * $n) }],
    [utf8 => 6, sub ($n) { header('MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8',
        'Content-Transfer-Encoding: 8bit') . $utf8 x (1 + 40 * $n) }],
    [quoted_printable => 4, sub ($n) { header('MIME-Version: 1.0', 'Content-Transfer-Encoding: quoted-printable')
        . encode_qp($utf8 x (3 + 20 * $n), "\r\n") }],
    [attachment => 10, sub ($n) { mime('mixed', "=_att_$n", part('text/plain', '7bit', lines(4)),
        part('application/pdf; name=a.pdf', 'base64', base64(octets(200 + 4000 * $n)))) }],
    [large_attachment => 3, sub ($n) { mime('mixed', "=_big_$n", part('text/plain', '7bit', lines(4)),
        part('application/zip', 'base64', base64(octets(1000) x (150 * (1 + $n))))) }],
    [alternative => 5, sub ($n) { mime('alternative', "----=_Part_$n.1234567890", part('text/plain', '7bit', lines(5)),
        part('text/html', '7bit', '<html>' . lines(10 + 30 * $n) . "</html>\r\n")) }],
    [nested => 5, sub ($n) { nested(1 + $n) }],
    [boundary_prefix => 3, sub ($n) { mime('mixed', 'b', part('multipart/alternative; boundary=bb', '7bit',
        multipart_body('bb', part('text/plain', '7bit', lines(2)))), part('text/plain', '7bit', lines($n))) }],
    [preamble_epilogue => 3, sub ($n) { mime('mixed', "=_pe_$n", part('text/plain', '7bit', lines(2))) . lines(1 + $n) }],
    [no_final_line_end => 6, sub ($n) { header() . lines(2 + $n) . 'no line end here' }],
    [mime_no_final_line_end => 4, sub ($n) { mime('mixed', "=_nf_$n", part('text/plain', '7bit', lines(2))) =~ s/\r\n\z//r }],
    [signed => 3, sub ($n) { mime('signed', "=_sig_$n", part('text/plain', '7bit', lines(2 + $n)),
        part('application/pgp-signature', '7bit', "-----BEGIN PGP SIGNATURE-----\r\n\r\nabc=\r\n-----END PGP SIGNATURE-----\r\n")) }],
    [unclosed_multipart => 3, sub ($n) { mime('mixed', "=_un_$n", part('text/plain', '7bit', lines(2 + $n)))
        =~ s/--=_un_$n--\r\n\z//r }],
    [headers_only => 3, sub ($n) { header("X-Note: $n") =~ s/\r\n\z//r }],
    [empty_body => 2, sub ($n) { header("X-Note: $n") }],
    [one_line => 3, sub ($n) { header() . 'x' x (1 + $n) . "\r\n" }],
    [huge_header => 4, sub ($n) { header(map { "X-Filler-$_: " . sentence(40) } 1 .. 20 * (1 + $n)) . lines(2) }],
    [folded_header => 3, sub ($n) { header('References:' . join '', map { "\r\n <$_.$n\@example.net>" } 1 .. 30) . lines(2) }],
    [lines_near_998 => 9, sub ($n) { header() . 'l' x (994 + $n) . "\r\n" . lines(2) }],
    [lines_above_2048 => 8, sub ($n) { header() . lines(1) . 'm' x (2044 + $n) . "\r\n" . 'n' x (4095 + $n) . "\r\n" . lines(1) }],
    [one_long_line => 4, sub ($n) { header() . 'o' x (20_000 * (1 + $n)) . "\r\n" }],
    [html_in_one_line => 3, sub ($n) { header('MIME-Version: 1.0', 'Content-Type: text/html')
        . '<html><body>' . '<p>text</p>' x (500 * (1 + $n)) . '</body></html>' }],
    [dots => 5, sub ($n) { header() . ".\r\n" x (1 + $n) . "..\r\n.x\r\n" . lines(1) }],
    [two_dots_at_end => 2, sub ($n) { header() . lines(1 + $n) . ".\r\n.\r\n" }],
    [dotted_lines_and_dot_at_end => 2, sub ($n) { header() . ".profile\r\n" . lines(1 + $n) . ".\r\n" }],
    [transcript => 5, sub ($n) { header() . lines($n) . $dialog }],
    [transcript_inside => 4, sub ($n) { header() . $dialog x (1 + $n) . lines(3) }],
    [command_words => 4, sub ($n) { header() . lines(1) . (("QUIT\r\n", "RSET\r\n", "Data\r\n", "bdat 5 last\r\n")[$n]) }],
    [forwarded => 3, sub ($n) { mime('mixed', "=_fw_$n", part('text/plain', '7bit', lines(2)),
        "Content-Type: message/rfc822\r\n\r\n" . header() =~ s/X-Test-Id:.*\r\n//r . lines(4 + $n)) }],
    [bounce => 3, sub ($n) { mime('report', "D1$n.1234/mx.example.com", part('text/plain', '7bit', $bounce),
        "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\nAction: failed\r\n",
        "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n" . lines(2 + $n)) }],
    [calendar => 2, sub ($n) { mime('alternative', "=_cal_$n", part('text/plain', '7bit', lines(1 + $n)),
        part('text/calendar; method=REQUEST', '7bit', $ical)) }],
    [patch => 3, sub ($n) { header() . lines(2 + $n) . $patch }],
    [blank_lines => 3, sub ($n) { header() . "\r\n" x (1 + 10 * $n) . 'x' . "\r\n" x (3 + $n) }],
    [trailing_blanks => 3, sub ($n) { header() . "text   \r\n\t \r\n" x (1 + $n) }],
    [latin1 => 3, sub ($n) { header('Content-Type: text/plain; charset=iso-8859-1') . "caf\xe9 \xa9 \xff\r\n" x (1 + 30 * $n) }],
    [control_characters => 2, sub ($n) { header() . "bell \a tab \t esc \e[1m vt \x0b ff \x0c end\r\n" x (1 + $n) }],
    [mbox_from => 2, sub ($n) { header() . "From here on\r\n>From there\r\n" . lines(1 + $n) }],
    [dash_lines => 4, sub ($n) { header() . "-- \r\nsignature\r\n--\r\n---\r\n" . '-' x (60 + 10 * $n) . "\r\n--- Original Message ---\r\nContent-free: yes\r\n" }],
    [chunk_edges => 16, sub ($n) { my $head = header(); $head . 'c' x 70 . "\r\n" . 'd' x (8192 - 8 + $n - 72 - length $head) . "\r\n" . lines(3) }],
);

# All of them: ({ name, content }, …), contents with CRLF line ends.
sub shapes () {
    $seed = 1;
    return map {
        my ($name, $variants, $make) = @$_;
        map { {name => "$name $_", content => $make->($_)} } 0 .. $variants - 1;
    } @kinds;
}

1;
