# Postfix with some of the hooks only: mail goes on, what cannot be judged is unverified and
# accepted, and the operator is told what to set.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client);
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
    {hooks => [qw(milter tables policy ehlo)], verdicts => ['unverified', 'unverified'], warning => 1,
        less => 'smtpd_data_restrictions', action => 'accept'},
    {hooks => [qw(milter tables policy ehlo)], verdicts => ['unverified', 'unverified'], warning => 1,
        less => 'smtpd_end_of_data_restrictions', action => 'accept'},
);
for my $row (@rows) {
    my $name = join('+', @{$row->{hooks}}) . ($row->{less} ? " without $row->{less}" : '');
    my $stage = MailTest::Session->new(
        postfix => {hooks => $row->{hooks}, main => {$row->{less} ? ($row->{less} => undef) : ()}},
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
        is($stage->daemon->status->{transfers}{unverified}, 3, "$name: each message is counted once");
        is($stage->daemon->status->{sessions}{unverified}, 1, "$name: and so is their session")
            if grep { $_ eq 'tables' } @{$row->{hooks}};
        for my $message ($row->{action} ? @messages : ()) {
            check_transfer($stage, $message, {verdict => 'unverified', action => $row->{action}, strikes => 0,
                client_address => $client->from, queue_id => qr/./}, $name);
        }
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

# The first message a daemon sees is refused, as happens all the time: where the milter is attached
# that is all there is to say, until a message comes to it of which nobody else told.
for my $hooks ([qw(milter tables policy ehlo)], [qw(milter tables ehlo)], [qw(tables ehlo)]) {
    my $name = 'refused first, ' . join '+', @$hooks;
    my $stage = MailTest::Session->new(postfix => {hooks => $hooks});
    my $daemon = $stage->daemon;
    my $refuse = sub ($verdict, $when) {
        my ($client, $message) = ($stage->client(from => next_client()), new_message());
        $client->envelope($message->{sender}, to => ['unknown@example.test']);
        like($client->bdat($message->{content}, last => 1), qr/^554 /, "$name: $when: refused");
        $client->quit;
        check_transfer($stage, $message, {verdict => $verdict, strikes => 0, action => 'none'}, "$name: $when");
    };
    my $attached = grep { $_ eq 'milter' } @$hooks;
    my $whole = grep { $_ eq 'policy' } @$hooks;
    $refuse->($attached ? 'failed_elsewhere' : 'unverified', 'first');
    is_deeply([grep { /verdict=unverified, accepted/ } split /\n/, $daemon->log_text], [], "$name: no hint")
        if $attached;
    my ($client, $message) = ($stage->client(from => next_client()), new_message());
    $client->envelope($message->{sender});
    like($client->bdat($message->{content}, last => 1), qr/^250 /, "$name: the next is taken");
    $client->quit;
    check_transfer($stage, $message, {verdict => $whole ? 'match' : 'unverified'}, "$name: the next");
    $refuse->($whole ? 'failed_elsewhere' : 'unverified', 'afterwards');
    $daemon->expect_log(qr/unverified/) if !$whole;
    $stage->finish_quietly;
}

# Without the ehlo table, nothing but the policy service tells one client from the next of the same
# smtpd: one leaves without QUIT, and the other's fault is its own.
{
    my $stage = MailTest::Session->new(postfix => {hooks => [qw(milter tables policy)]});
    my ($first, $second) = (new_message(), new_message());
    my $client = $stage->client(from => next_client());
    $client->envelope($first->{sender});
    like($client->bdat($first->{content}, last => 1), qr/^250 /, 'no ehlo table: a message is taken');
    like($client->command('NOOP'), qr/^250 /, 'no ehlo table: NOOP');
    $client->close;
    check_transfer($stage, $first, {verdict => 'match', client_address => $client->from}, 'no ehlo table');
    wait_until('smtpd to notice', sub { $stage->postfix->log_text =~ /: disconnect from \S*\[\Q@{[$client->from]}\E\]/ });
    $client = $stage->client(from => next_client());
    $client->envelope($second->{sender});
    $client->raw("BDAT 1000 LAST\r\nhalf");
    $client->close;
    check_transfer($stage, $second, {verdict => 'lost', client_address => $client->from, strikes => 1},
        'no ehlo table: the next client');
    $stage->daemon->expect_log(qr/verdict=lost/);
    $stage->finish_quietly;
}
done_testing();
