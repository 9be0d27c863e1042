# What main.cf discards for all clients stays discarded for a suppressed one: a hit in
# smtpd_discard_ehlo_keyword_address_maps replaces smtpd_discard_ehlo_keywords.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(next_client);
use MailTest::Message qw(new_message);
use MailTest::Session;
use Test::More;

for my $chroot (0, 1) {
    my $stage = MailTest::Session->new(
        postfix => {chroot => $chroot, main => {smtpd_discard_ehlo_keywords => 'dsn, etrn, silent-discard'}},
        daemon => {config => {
            suppression => '{ keywords = "chunking, silent-discard, dsn, etrn"; }',
            rules => '( { clients = ["127.210.0.0/16"]; chunking = "never"; } )',
        }},
    );
    my %want = (
        next_client() => {CHUNKING => 1, PIPELINING => 1, SIZE => 1, DSN => 0, ETRN => 0},
        '127.210.0.1' => {CHUNKING => 0, PIPELINING => 1, SIZE => 1, DSN => 0, ETRN => 0},
    );
    for my $from (sort keys %want) {
        my $client = $stage->client(from => $from);
        my %got = map { $_ => $client->offers($_) } keys %{$want{$from}};
        is_deeply(\%got, $want{$from}, "chroot $chroot, $from: keywords");
        for my $message (new_message(), new_message()) {
            $client->envelope($message->{sender});
            my $reply = $got{CHUNKING} ? $client->bdat($message->{content}, last => 1) : $client->data($message->{content});
            like($reply, qr/^250 /, "chroot $chroot, $from: a message is taken");
            $stage->delivered_is($message, "chroot $chroot, $from: and delivered");
        }
        $client->quit;
    }
    $stage->finish_quietly;
}
done_testing();
