package MailTest::Message;

# Messages for tests: each with a sender and an id of its own, so that its transfer and its
# delivery can be found, and the cuts that turn one into chunks.

use v5.36;
use Exporter qw(import);

our @EXPORT_OK = qw(new_message chunks_of delivered_form);

my $count = 0;

# new_message(%options) returns { id, sender, content }: content with CRLF line ends.
#   headers  further header text (with CRLF)
#   body     default: three lines
#   content  the whole content; "%ID%" becomes the id. No header is added then
sub new_message (%opt) {
    my $id = sprintf 't%d.%d', $$, ++$count;
    my $content = $opt{content} // header_text() . ($opt{headers} // '') . "\r\n"
        . ($opt{body} // "First line\r\nsecond line\r\nlast line\r\n");
    return {
        id => $id,
        sender => "s$count\@sender.example",
        content => $content =~ s/%ID%/$id/gr,
    };
}

sub header_text () {
    return join '', map { "$_\r\n" }
        'X-Test-Id: %ID%',
        'From: Sender <sender@sender.example>',
        'To: user@example.test',
        'Subject: a test',
        'Date: Mon, 2 Nov 2026 12:00:00 +0000',
        'Message-Id: <%ID%@sender.example>';
}

# chunks_of($content, @sizes): cuts the content into chunks of those sizes; the rest, if there
# is one, makes a last chunk.
sub chunks_of ($content, @sizes) {
    my @chunks;
    my $at = 0;
    for my $size (@sizes) {
        push @chunks, substr $content, $at, $size;
        $at += $size;
    }
    push @chunks, substr $content, $at if $at < length $content;
    return @chunks;
}

# The content as a Maildir holds it: LF line ends, and one at the very end.
sub delivered_form ($content) {
    my $text = $content =~ s/\r*\n/\n/gr;
    $text .= "\n" if $text !~ /\n\z/;
    return $text;
}

1;
