# Postfix with some of the hooks only: mail goes on, what cannot be judged is unverified and
# accepted, and the operator is told what to set.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(next_client);
use MailTest::Message qw(new_message);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

my %dotted = (body => "text\r\n.\r\n");

# Hooks attached; verdicts that a sound and a dotted message may have there; whether the warning
# that says what is missing is due.
my @rows = (
    {hooks => [qw(milter tables policy)], verdicts => ['match', 'dot_stuffed'], warning => 0},
    {hooks => [qw(milter tables ehlo)], verdicts => ['unverified', 'unverified'], warning => 1},
    {hooks => [qw(milter policy ehlo)], verdicts => ['unverified', 'unverified'], warning => 1},
    {hooks => [qw(tables policy ehlo)], verdicts => ['unverified', 'unverified'], warning => 1},
    {hooks => [qw(tables ehlo)], verdicts => ['unverified', 'unverified'], warning => 1},
    {hooks => [qw(milter)], verdicts => ['unverified', 'unverified'], warning => 1},
);
for my $row (@rows) {
    my $name = join '+', @{$row->{hooks}};
    my $stage = MailTest::Session->new(
        postfix => {hooks => $row->{hooks}},
        daemon => {config => {actions => '{ dot_stuffed = "reject"; }'}},
    );
    my $client = $stage->client(from => next_client());
    my @messages = (new_message(), new_message(%dotted), new_message());
    my @replies;
    for my $message (@messages) {
        $client->envelope($message->{sender});
        push @replies, $client->bdat($message->{content}, last => 1);
    }
    like($client->quit, qr/^221 /, "$name: QUIT");
    my $judged = $row->{verdicts}[1] ne 'unverified';
    like($replies[0], qr/^250 /, "$name: a sound message is taken");
    like($replies[1], $judged ? qr/^5\d\d / : qr/^250 /, "$name: a dotted one " . ($judged ? 'judged' : 'taken'));
    like($replies[2], qr/^250 /, "$name: another sound one is taken");
    $stage->delivered_is($messages[0], "$name: delivered whole");
    $stage->delivered_is($messages[2], "$name: delivered whole again");
    my $status = $stage->daemon->status;
    my $count = $status->{transfers}{unverified};
    if ($row->{warning}) {
        wait_until('unverified transfers to be counted', sub { $stage->daemon->status->{transfers}{unverified} >= 3 });
        my @warnings = grep { /warning: .*unverified/ } split /\n/, $stage->daemon->log_text;
        is(scalar @warnings, 1, "$name: one warning, not one a message");
    } else {
        is($count, 0, "$name: nothing is unverified");
    }
    is($stage->daemon->status->{actions}{tempfail}, 0, "$name: no 4xx");
    $stage->daemon->expect_log(qr/unverified/, qr/verdict=dot_stuffed/);
    $stage->finish_quietly;
}

# The policy service is asked at the begin of a message, but not at its end: one line is missing in
# main.cf. The record tells the chunks all the same, and the warning names the line.
{
    my $stage = MailTest::Session->new(postfix => {main => {smtpd_end_of_data_restrictions => ''}});
    my $client = $stage->client(from => next_client());
    my $message = new_message();
    $client->envelope($message->{sender});
    my $first = substr $message->{content}, 0, 40;
    like($client->bdat($first), qr/^250 /, 'no end of data: a chunk');
    like($client->bdat(substr($message->{content}, 40), last => 1), qr/^250 /, 'no end of data: the message is taken');
    my $transfer = $stage->daemon->transfer($message->{sender});
    is($transfer->{verdict}, 'unverified', 'no end of data: unverified');
    is_deeply($transfer->{chunks}, [40, length($message->{content}) - 40], 'no end of data: every chunk is told');
    is($transfer->{declared}, length $message->{content}, 'no end of data: all that was declared');
    ok($transfer->{last}, 'no end of data: and that the last chunk was the last');
    is($transfer->{received}, undef, 'no end of data: but not what came');
    my ($warning) = @{$stage->daemon->status->{warnings}};
    like($warning, qr/no policy request came at its end: .* in smtpd_end_of_data_restrictions,/, 'no end of data: the line is named');
    $client->quit;
    $stage->daemon->expect_log(qr/unverified/);
    $stage->finish_quietly;
}
done_testing();
