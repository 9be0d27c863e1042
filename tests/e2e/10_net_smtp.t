# Perl's own Net::SMTP, bdat() and bdatlast(): a client nobody here wrote.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer);
use MailTest::Message qw(chunks_of new_message);
use MailTest::Session;
use MailTest::Wait;
use Net::SMTP;
use Test::More;

my $stage = MailTest::Session->new;
my $postfix = $stage->postfix;

for my $from ('127.0.0.2', $postfix->ipv6 ? '::1' : '127.0.0.3') {
    my $smtp = Net::SMTP->new($from =~ /:/ ? '::1' : $postfix->host,
        Port => $postfix->port, LocalAddr => $from, Hello => 'perl.example.net', Timeout => $MailTest::Wait::PATIENCE);
    ok($smtp && defined $smtp->supports('CHUNKING'), "connected from $from, CHUNKING is offered");
    for my $sizes ([], [10, 200], [(7) x 40], [50, 1, 50]) {
        my $message = new_message(body => "Gr\xc3\xbc\xc3\x9fe\r\n.\r\n..\r\n" . "a line\r\n" x 50);
        my @chunks = chunks_of($message->{content}, @$sizes);
        my $last = pop @chunks;
        ok($smtp->mail($message->{sender}, Bits => 8, Size => length $message->{content}), 'mail()');
        # Net::SMTP wants BINARYMIME beside CHUNKING before it lets bdat() be called.
        ${*$smtp}{net_smtp_chunking} = 1;
        ok($smtp->to('user@example.test'), 'to()');
        is(scalar(grep { !$smtp->bdat($_) } @chunks), 0, 'bdat() ' . @chunks . ' times');
        ok($smtp->bdatlast($last), 'bdatlast()') or diag($smtp->message);
        check_transfer($stage, $message, {verdict => 'match', drift => 0, action => 'accept', evidence => [],
            chunk_count => 1 + @chunks, helo => 'perl.example.net'}, scalar(@$sizes) . ' cuts');
        $stage->delivered_is($message, 'delivered whole');
    }
    ok($smtp->quit, 'quit()');
}
$stage->finish;
