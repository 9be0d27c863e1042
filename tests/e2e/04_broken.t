# Clients whose count and octets disagree: every way to be wrong has its verdict, and nothing that
# Postfix has not accepted yet is accepted.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(run_cases);
use MailTest::Message qw(chunks_of);
use MailTest::Session;
use Test::More;

my $stage = MailTest::Session->new(
    daemon => {config => {suppression => '{ enabled = false; }'}},
);
my $mime = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n";
my $part = "--edge\r\nContent-Type: text/plain\r\n\r\nHello\r\n";

# The content in two pieces, cut at the first line end behind the octet `near`.
sub cut_at_line_end ($content, $near) {
    return chunks_of($content, 2 + index $content, "\r\n", $near);
}

# The whole content and then `swallowed`, which the client means as a command, all declared as one
# last chunk; `size` says how SIZE is given.
sub play_short ($swallowed, $size) {
    return sub ($client, $message, $) {
        $client->envelope($message->{sender}, size => $size->(length $message->{content}));
        my $declared = length($message->{content}) + length $swallowed;
        $client->raw("BDAT $declared LAST\r\n$message->{content}$swallowed");
        return $client->reply;
    };
}

# The first of two chunks is announced too long by exactly the BDAT line behind it, which Postfix
# then takes for message text; it reads the second chunk's text as commands.
sub play_short_between ($client, $message, $stage) {
    my ($first, $second) = cut_at_line_end($message->{content}, 300);
    my $line = 'BDAT ' . length($second) . " LAST\r\n";
    $client->envelope($message->{sender});
    $client->raw('BDAT ' . (length($first) + length $line) . "\r\n$first$line$second");
    like($client->reply, qr/^250 /, 'the first chunk swallows the second BDAT');
    my $reply = $client->reply;
    $client->close;
    return $reply;
}

# The same, and it is the end: the last chunk is short of its declared size by a command that is
# sent behind the chunk before it.
sub play_swallowed_boundary ($size) {
    return sub ($client, $message, $) {
        my ($first, $second) = cut_at_line_end($message->{content}, 300);
        my $line = 'BDAT ' . length($second) . " LAST\r\n";
        my $size_given = $size ? length $message->{content} : undef;
        $client->envelope($message->{sender}, size => $size_given);
        $client->raw('BDAT ' . (length($first) + length $line) . "\r\n$first$line");
        $client->reply;
        $client->raw('BDAT ' . length($second) . " LAST\r\n$second");
        return $client->reply;
    };
}

# A chunk of a transfer is announced too small: its rest is read as a command.
sub play_long_between ($near, $missing) {
    return sub ($client, $message, $) {
        my ($first, $second) = cut_at_line_end($message->{content}, $near);
        $client->envelope($message->{sender});
        $client->raw('BDAT ' . (length($first) - $missing) . "\r\n$first");
        like($client->reply, qr/^250 /, 'the chunk announced too small is taken');
        my $error = $client->reply;
        return $error if $error =~ /^221/;
        return $client->bdat($second, last => 1);
    };
}

# More octets are sent than the last chunk declares.
sub play_long_end ($missing) {
    return sub ($client, $message, $) {
        my $declared = length($message->{content}) - $missing;
        $client->envelope($message->{sender});
        $client->raw("BDAT $declared LAST\r\n$message->{content}");
        my $reply = $client->reply;
        $client->reply;    # the error for the octets left over
        return $reply;
    };
}

sub exactly ($octets) { return $octets }
sub unsaid ($) { return undef }

my %refused = (reply => qr/^451 4\.\d\.\d /, action => 'tempfail', delivered => 0);
my %accepted = (reply => qr/^250 /, action => 'accept');
run_cases($stage,
    {
        name => 'QUIT swallowed at the end, SIZE given',
        play => play_short("QUIT\r\n", \&exactly),
        want => {verdict => 'swallowed', strikes => 2, drift => 0, with_evidence => ['command_tail'], %refused},
    },
    {
        name => 'QUIT swallowed at the end, no SIZE',
        play => play_short("QUIT\r\n", \&unsaid),
        want => {verdict => 'match', strikes => 0, evidence => ['command_tail'], %accepted,
            delivered => sub ($message) { "$message->{content}QUIT\r\n" }},
    },
    {
        name => 'BDAT 0 LAST swallowed at the end, SIZE given',
        play => play_short("BDAT 0 LAST\r\n", \&exactly),
        want => {verdict => 'swallowed', strikes => 2, %refused},
    },
    {
        name => 'RSET, MAIL and RCPT swallowed, SIZE given',
        play => play_short("RSET\r\nMAIL FROM:<a\@example.net>\r\nRCPT TO:<b\@example.net>\r\n", \&exactly),
        want => {verdict => 'swallowed', strikes => 2, %refused},
    },
    {
        name => 'QUIT swallowed without its line end, SIZE given',
        message => {body => "text\r\nlast\r\n"},
        play => play_short('QUIT', \&exactly),
        want => {verdict => 'swallowed', strikes => 2, drift => 2, %refused},
    },
    {
        name => 'QUIT swallowed, SIZE says something else',
        play => play_short("QUIT\r\n", sub ($octets) { $octets - 40 }),
        want => {verdict => 'match', strikes => 0, evidence => ['command_tail'], %accepted,
            delivered => sub ($message) { "$message->{content}QUIT\r\n" }},
    },
    {
        name => 'the second BDAT swallowed by the first chunk',
        ends => 1,
        message => {body => "a line of text\r\n" x 30},
        play => \&play_short_between,
        want => {reply => qr/^500 /, verdict => 'desynchronized', strikes => 2, action => 'none',
            with_evidence => ['foreign_input'], followed_by => qr/line of text/, delivered => 0},
    },
    {
        name => 'a BDAT line in the text where a chunk ends, SIZE given',
        message => {body => "a line of text\r\n" x 30},
        play => play_swallowed_boundary(1),
        want => {verdict => 'swallowed', strikes => 2, %refused},
    },
    {
        name => 'a BDAT line in the text where a chunk ends, no SIZE',
        message => {body => "a line of text\r\n" x 30},
        play => play_swallowed_boundary(0),
        want => {verdict => 'match', strikes => 0, evidence => ['command_tail'], %accepted,
            delivered => sub ($message) {
                my ($first, $second) = cut_at_line_end($message->{content}, 300);
                return $first . 'BDAT ' . length($second) . " LAST\r\n" . $second;
            }},
    },
    {
        name => 'a chunk announced too small, cut in a line',
        message => {body => "a line of text\r\n" x 30},
        play => play_long_between(400, 8),
        want => {verdict => 'desynchronized', strikes => 2, with_evidence => ['foreign_input'], %refused},
    },
    {
        name => 'a chunk announced too small by a whole header line',
        ends => 1,
        play => play_long_between(100, 60),
        want => {reply => qr/^221 /, verdict => 'desynchronized', strikes => 2, action => 'none',
            with_evidence => ['foreign_input'], delivered => 0},
    },
    {
        name => 'more octets than declared, cut in a line',
        play => play_long_end(5),
        want => {reply => qr/^250 /, verdict => 'overrun', strikes => 2, with_evidence => ['foreign_input'], followed_by => 'ine',
            delivered => sub ($message) { substr $message->{content}, 0, -5 }},
    },
    {
        name => 'more octets than declared, cut at a line end',
        play => play_long_end(11),
        want => {reply => qr/^250 /, verdict => 'overrun', strikes => 2, with_evidence => ['foreign_input'], followed_by => 'last line',
            delivered => sub ($message) { substr $message->{content}, 0, -11 }},
    },
    {
        name => 'more octets than declared, a sentence that begins with a verb',
        message => {body => "First line\r\nrset the device\r\n"},
        play => play_long_end(17),
        want => {reply => qr/^250 /, verdict => 'overrun', strikes => 2,
            with_evidence => ['foreign_input'], followed_by => 'rset the device',
            delivered => sub ($message) { substr $message->{content}, 0, -17 }},
    },
    {
        name => 'more octets than declared, and Postfix takes leave',
        message => {body => "First line\r\nQuit smoking now\r\n"},
        ends => 1,
        play => play_long_end(18),
        want => {reply => qr/^250 /, verdict => 'overrun', strikes => 2,
            with_evidence => ['foreign_input'], followed_by => 'Quit smoking now',
            delivered => sub ($message) { substr $message->{content}, 0, -18 }},
    },
    {
        name => 'a multipart cut in its last line',
        message => {headers => $mime, body => "$part$part--ed"},
        want => {verdict => 'truncated', strikes => 2, with_evidence => [qw(unterminated open_multipart)], %refused},
    },
    {
        name => 'a multipart cut at a line end',
        message => {headers => $mime, body => "$part$part"},
        want => {verdict => 'match', strikes => 0, evidence => ['open_multipart'], %accepted},
    },
    {
        name => 'a multipart cut, and octets left over',
        message => {headers => $mime, body => "$part$part--edge--\r\n"},
        play => sub ($client, $message, $) {
            $client->envelope($message->{sender});
            my $declared = length($message->{content}) - 5;
            $client->raw("BDAT $declared LAST\r\n$message->{content}");
            my $reply = $client->reply;
            $client->reply;
            return $reply;
        },
        want => {verdict => 'truncated', reply => qr/^451 /, delivered => 0},
    },
    {
        name => 'a lone dot at the end',
        message => {body => "text\r\nmore\r\n.\r\n"},
        want => {verdict => 'dot_stuffed', strikes => 1, evidence => ['lone_dot'], %accepted},
    },
    {
        name => 'a lone dot at the end, other dots stuffed',
        message => {body => "text\r\n..dots\r\n...\r\n.\r\n"},
        want => {verdict => 'dot_stuffed', strikes => 1, evidence => ['lone_dot'], %accepted},
    },
    {
        name => 'a lone dot at the end of a text with plain dots',
        message => {body => "text\r\n.dots\r\n.\r\n"},
        want => {verdict => 'match', strikes => 0, evidence => [], %accepted},
    },
    {
        name => 'SIZE exceeded by more than the slack',
        message => {body => "a line of text of forty octets in length\r\n" x 2000},
        envelope => {size => 10},
        want => {verdict => 'size_exceeded', strikes => 0, evidence => ['size_exceeded'], %accepted},
    },
);
$stage->daemon->expect_log(qr/verdict=/);
$stage->finish;
