# alone
# Postfix's side of failures: it is reloaded and restarted under load, and one of the daemon's
# sockets is missing. Each block is a row of doc/failures.md.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Load;
use MailTest::Message qw(new_message);
use MailTest::Session;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{FAULT_SECONDS} // 5;

# Reloads end smtpd processes between two clients, a restart ends them in mid-session: the reply to a
# message may then be lost, and the client sends it again as RFC 5321 (4.5.3.2.6) tells it to.
for my $how (qw(reloaded restarted)) {
    # What a restart leaves in the queue is looked at again soon.
    my $stage = MailTest::Session->new(daemon => {held => 1}, postfix => {wakeup => 1, main => {
        queue_run_delay => '1s', minimal_backoff_time => '1s', maximal_backoff_time => '2s',
        transport_retry_time => '1s', # a delivery agent that a reload ends in its work
    }});
    my $load = MailTest::Load->new(postfix => $stage->postfix, sessions => 6)->start;
    my $until = time + $seconds;
    my $rounds = 0;
    while (time < $until || $rounds < 2) {
        sleep 1;
        $rounds++;
        if ($how eq 'reloaded') {
            $stage->postfix->reload;
        } else {
            $stage->postfix->stop;
            $stage->postfix->start;
        }
    }
    my @results = $load->finish;
    # What the qmgr(8) before it still held is put off for a minute (qmgr_active.c, qmgr_active_feed()).
    $stage->postfix->wait_empty(180);
    cmp_ok(scalar @results, '>', 20, "Postfix $how $rounds times under a load of " . @results);
    my $restarted = $how eq 'restarted';
    my @found = $load->complaints(\@results, $stage->daemon,
        lost_replies => $restarted, agents_end => 1);
    is_deeply(\@found, [], "Postfix $how: nothing lost, doubled, refused for good or struck")
        or diag(join "\n", @found);
    my @put_off = grep { /^4/ } map { @{$_->{replies}} } @results;
    is_deeply(\@put_off, [], 'Postfix reloaded: nobody is told to come again') if !$restarted;
    my $verdicts = $stage->daemon->status->{transfers};
    is($verdicts->{$_}, 0, "Postfix $how: no verdict $_") for qw(mismatch truncated swallowed stalled);
    $stage->daemon->expect_log(qr/verdict=|unverified/);
    # Its own processes lose each other as well; only of ours nothing may be said at a reload.
    $stage->allow_postfix_log($restarted ? qr/./ : qr/^(?!.*bdat-milter)/);
    $stage->finish_quietly;
}

# A transfer in the air when its smtpd process dies is not the client's fault.
{
    my $stage = MailTest::Session->new;
    my $from = next_client();
    for my $round (1 .. 4) {
        # master(8) throttles a service whose process dies with its first client.
        $stage->client(from => next_client())->quit;
        my $client = $stage->client(from => $from);
        my $message = new_message();
        $client->envelope($message->{sender});
        $client->bdat(substr $message->{content}, 0, 50);
        my ($session) = @{$stage->daemon->control->get('/v1/sessions')->{sessions}};
        kill 'KILL', $session->{pid};
        $client->wait_closed;
        my $got = $stage->daemon->transfer($message->{sender});
        ok((grep { $_ eq 'server_gone' } @{$got->{evidence}}), "smtpd gone, round $round: evidence server_gone")
            or diag("verdict=$got->{verdict} evidence=@{$got->{evidence}}");
        is($got->{strikes}, 0, "smtpd gone, round $round: no strike");
    }
    my $known = $stage->daemon->client($from);
    is($known ? $known->{state} : 'offered', 'offered', 'smtpd gone: CHUNKING stays');
    $stage->daemon->expect_log(qr/verdict=/);
    $stage->allow_postfix_log(qr/killed by signal 9/);
    $stage->finish_quietly;
}

# One socket is missing, as after a wrong unlink or a line of main.cf that names another path.
my %missing = (
    milter => {reply => qr/^250 /, verdict => 'unverified', delivered => 1},
    policy => {reply => qr/^250 /, verdict => 'unverified', delivered => 1},
    tables => {reply => qr/^4\d\d /, delivered => 0},
);
for my $socket (sort keys %missing) {
    my $want = $missing{$socket};
    my $stage = MailTest::Session->new;
    my $path = $stage->postfix->socket_folder . "/$socket.sock";
    rename $path, "$path.away" or die "$path: $!";
    my $client = MailTest::Client->new(postfix => $stage->postfix, from => next_client());
    if ($want->{delivered}) {
        $client->ehlo;
        for my $message (new_message(), new_message()) {
            $client->envelope($message->{sender});
            like($client->bdat($message->{content}, last => 1), $want->{reply}, "no $socket socket: the message is taken");
            $stage->delivered_is($message, "no $socket socket: delivered whole");
        }
    } else {
        my $reply = $client->greeting =~ /^4/ ? $client->greeting : $client->command('EHLO x');
        $reply = $client->command('MAIL FROM:<x@sender.example>') if $reply !~ /^4/;
        like($reply, $want->{reply}, "no $socket socket: the client is told to come again");
    }
    $client->close;
    rename "$path.away", $path or die "$path: $!";
    # It heals by itself; smtpd processes that have seen it missing may say so once more.
    my $healed = 0;
    for my $try (1 .. 20) {
        my $again = MailTest::Client->new(postfix => $stage->postfix, from => next_client());
        my $message = new_message();
        $healed = eval {
            $again->ehlo;
            $again->envelope($message->{sender});
            $again->bdat($message->{content}, last => 1) =~ /^250 /;
        };
        $again->close;
        next if !$healed;
        my $got = $stage->daemon->transfer($message->{sender});
        last if ($healed = $got->{verdict} eq 'match');
    }
    ok($healed, "no $socket socket: back again, all is as before");
    $stage->daemon->expect_log(qr/unverified|verdict=/);
    $stage->allow_postfix_log(qr/warning:|fatal: /);
    $stage->finish_quietly;
}

done_testing();
