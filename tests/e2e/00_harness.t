# The harness itself: a private Postfix delivers, with TLS, SASL, chroot and from several clients.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(encode_base64);
use Test::More;
use MailTest::Client;
use MailTest::Message qw(new_message);
use MailTest::Postfix;

for my $chroot (0, 1) {
    my $postfix = MailTest::Postfix->new(hooks => [], chroot => $chroot, tls => 1, sasl => !$chroot);
    for my $from ('127.0.0.2', '127.0.0.3', $postfix->ipv6 ? '::1' : ()) {
        my $client = MailTest::Client->new(postfix => $postfix, from => $from);
        $client->ehlo;
        ok($client->offers('CHUNKING'), "chroot $chroot: CHUNKING is offered to $from");
        my ($bdat, $data) = (new_message(), new_message(body => ".dots\r\n..\r\nend\r\n"));
        $client->envelope($bdat->{sender});
        like($client->bdat($bdat->{content}, last => 1), qr/^250 /, "BDAT from $from");
        $client->starttls;
        $client->ehlo;
        if (!$chroot) {
            my $secret = encode_base64("\0tester\@example.test\0open sesame", '');
            like($client->command("AUTH PLAIN $secret"), qr/^235 /, "AUTH from $from");
        }
        my (undef, @rcpt) = $client->envelope($data->{sender}, to => ['unknown1@example.test', 'user@example.test']);
        like("@rcpt", qr/^550 .*250 /s, 'unknown users are refused');
        like($client->data($data->{content}), qr/^250 /, "DATA from $from over TLS");
        like($client->quit, qr/^221 /, 'QUIT');
        my $text = $postfix->maildir->wait_for($data->{id});
        like($text, qr/\n\n\.dots\n\.\.\nend\n\z/, 'delivered whole');
        like($text, qr/^Received: from client\.example\.net \(unknown \[(?:IPv6:)?\Q$from\E\]\)/m,
            'the client is seen by its address');
        like($postfix->maildir->wait_for($bdat->{id}), qr/last line\n\z/, 'the other one too');
    }
    $postfix->wait_empty;
    is($postfix->maildir->count, $postfix->ipv6 ? 6 : 4, 'nothing else was delivered');
    $postfix->stop;
    is_deeply([$postfix->alarming_lines], [], 'nothing alarming in the log');
}
done_testing();
