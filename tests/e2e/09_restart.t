# The daemon goes away and comes back: mail goes on, and what was not seen whole is unverified.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Message qw(new_message);
use MailTest::Session;
use Test::More;

my $stage = MailTest::Session->new;
my $daemon = $stage->daemon;
$daemon->expect_log(qr/unverified/, qr/socket.*(?:in use|stale|left)/);
$stage->allow_postfix_log(qr/bdat-milter|milter|table|socketmap|policy/);

# Sends the rest of a message whose first 100 octets were sent before.
sub send_rest ($client, $message) {
    return $client->bdat(substr($message->{content}, 100), last => 1);
}

sub begin ($client, $message) {
    $client->envelope($message->{sender});
    return $client->bdat(substr $message->{content}, 0, 100);
}

for my $how (qw(stop kill)) {
    my $client = $stage->client(from => next_client());
    my ($before, $during, $after) = map { new_message() } 1 .. 3;
    begin($client, $before);
    like(send_rest($client, $before), qr/^250 /, "$how: a message before is taken");
    check_transfer($stage, $before, {verdict => 'match'}, "$how: before");

    begin($client, $during);
    $how eq 'stop' ? $daemon->stop : $daemon->kill_hard;
    $daemon->start;
    like(send_rest($client, $during), qr/^250 /, "$how: a message across it is taken");
    $stage->delivered_is($during, "$how: and delivered whole");

    # Postfix does not reconnect to a milter in mid-session, so that nobody judges the rest of it.
    begin($client, $after);
    my @across = $daemon->transfers;
    is_deeply([map { $_->{verdict} } @across], ['unverified'], "$how: the message across it is unverified");
    is($across[0]{client_address}, $client->from, "$how: with its client");
    like($daemon->log_text, qr/ (?!NOQUEUE)$across[0]{queue_id}: client=\S*\[\Q@{[$client->from]}\E\].* verdict=unverified /,
        "$how: and its queue id");
    like($stage->maildir->wait_for($during->{id}), qr/\bid $across[0]{queue_id}\b/, "$how: which is Postfix's");
    is($daemon->status->{transfers}{unverified}, 1, "$how: counted once");
    like(send_rest($client, $after), qr/^250 /, "$how: a message after it is taken");
    like($client->quit, qr/^221 /, "$how: QUIT");
    check_transfer($stage, $after, {verdict => 'unverified', drift => 0}, "$how: after it");
    $stage->delivered_is($after, "$how: delivered whole");

    my $next = new_message();
    $client = $stage->client(from => next_client());
    begin($client, $next);
    like(send_rest($client, $next), qr/^250 /, "$how: the next session's message is taken");
    check_transfer($stage, $next, {verdict => 'match', drift => 0, action => 'accept'}, "$how: next session");
    $client->quit;
}

# While the daemon is away, a command is answered 421 and the client comes again later: that is
# Postfix's own rule for a table that does not answer. Nothing is lost.
{
    my $client = $stage->client(from => next_client());
    $daemon->stop;
    like($client->command('MAIL FROM:<x@sender.example>'), qr/^4\d\d /, 'away: the client is told to come again');
    $client->close;
    $daemon->start;
    my $again = $stage->client(from => next_client());
    for my $message (new_message(), new_message()) {
        $again->envelope($message->{sender});
        like($again->bdat($message->{content}, last => 1), qr/^250 /, 'back: the message is taken');
        check_transfer($stage, $message, {verdict => 'match'}, 'back');
    }
    $again->quit;
}

# Postfix restarts below the daemon: it notices, and sessions do not stay for ever.
{
    my $client = $stage->client(from => next_client());
    my $message = new_message();
    begin($client, $message);
    $stage->postfix->stop;
    check_transfer($stage, $message, {verdict => 'failed_elsewhere', with_evidence => ['server_gone'], strikes => 0},
        'Postfix gone, no fault of the client');
    $stage->postfix->start;
    my $again = $stage->client(from => next_client());
    $again->envelope($message->{sender} = 'again@sender.example');
    like($again->bdat($message->{content}, last => 1), qr/^250 /, 'Postfix back: the message is taken');
    check_transfer($stage, $message, {verdict => 'match'}, 'Postfix back');
    $again->quit;
}
$stage->finish;
