# A message that a restriction of smtpd_end_of_data_restrictions refuses: Postfix before August 2026
# stays in its mail transaction without a queue file. BDAT, DATA or RCPT out of order then never
# reach it; after RSET or EHLO all is well; where cleanup(8) refused the message, nothing is amiss.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Client;
use MailTest::Message qw(new_message);
use MailTest::Place qw(write_file);
use MailTest::Postfix;
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

my $refusing = 'check_sender_access inline:{{refused@sender.example = REJECT not today}}';
my $policy = 'check_policy_service { unix:bdat-milter/policy.sock, default_action=DUNNO }';

sub bdat ($content) { return 'BDAT ' . length($content) . " LAST\r\n$content" }
sub envelope ($sender, @to) {
    return ("MAIL FROM:<$sender>\r\n", map { "RCPT TO:<$_\@example.test>\r\n" } @to);
}

# Sends the message that is refused, and says what the reply was. %opt: by => 'DATA', behind =>
# what is sent in the same flight.
sub be_refused ($client, %opt) {
    my $by_data = ($opt{by} // 'BDAT') eq 'DATA';
    my $content = new_message()->{content};
    $client->envelope('refused@sender.example');
    $client->command('DATA') if $by_data;
    $client->raw($by_data ? "$content.\r\n" : bdat($content), @{$opt{behind} // []});
    my $reply = $client->reply;
    like($reply, qr/^554 /, "$opt{name}: refused at its end") if $reply ne '';
    return $reply;
}

# The replies to so many commands, fewer if the session ends.
sub replies ($client, $count) {
    my @replies;
    while (@replies < $count) {
        my $reply = $client->reply;
        last if $reply eq '';
        push @replies, $reply;
    }
    return @replies;
}

# Without the daemon: does this Postfix stay in the transaction, and die of it?
my $stays;
{
    my $bare = MailTest::Postfix->new(hooks => [], main => {
        smtpd_end_of_data_restrictions => $refusing, service_throttle_time => '1s',
    });
    my $client = MailTest::Client->new(postfix => $bare);
    $client->ehlo;
    be_refused($client, name => 'unguarded');
    my $reply = $client->command('MAIL FROM:<next@sender.example>');
    $stays = $reply =~ /^503 /;
    like($reply, qr/^(?:250|503) /, 'unguarded: MAIL after the refusal');
    $client->raw("RCPT TO:<user\@example.test>\r\n", bdat(new_message()->{content}));
    my @replies = replies($client, 2);
    my $died = @replies < 2 && wait_until('master to see it die', sub {
        return $bare->log_text =~ /smtpd pid \d+ killed by signal 11/;
    });
    $bare->stop;
    diag('this Postfix, unguarded, ' . ($died ? 'dies by signal 11' : 'survives'));
    is($died ? 1 : 0, $stays ? 1 : 0, 'unguarded: it dies if it stays in the transaction');
}

# Behind our policy service, and before it.
for my $order (['behind', "$policy, $refusing"], ['before', "$refusing, $policy"]) {
    my ($place, $restrictions) = @$order;
    my $stage = MailTest::Session->new(postfix => {main => {
        smtpd_end_of_data_restrictions => $restrictions,
        smtpd_hard_error_limit => '1000',
    }});
    my $daemon = $stage->daemon;

    my $guarded = sub { $daemon->status->{guard}{replaced} };
    my $sound = sub ($client, $name) {
        my $message = new_message();
        $client->raw(envelope($message->{sender}, 'user'), bdat($message->{content}));
        my @replies = replies($client, 3);
        like($replies[2] // '', qr/^250 /, "$name: a sound message is taken");
        $stage->delivered_is($message, "$name: and delivered");
        check_transfer($stage, $message, {verdict => 'match', strikes => 0}, $name);
    };

    # RSET and EHLO end the transaction: not a word.
    for my $command ('RSET', 'EHLO client.example.net') {
        for my $flight (0, 1) {
            my $name = "$place, $command" . ($flight ? ' in one flight' : '');
            my $client = $stage->client(from => next_client());
            my $before = $guarded->();
            be_refused($client, name => $name, behind => $flight ? ["$command\r\n"] : []);
            $client->raw("$command\r\n") if !$flight;
            like($client->reply, qr/^250/, $name);
            $sound->($client, $name);
            is($guarded->(), $before, "$name: no guard");
            like($client->quit, qr/^221 /, "$name: QUIT");
        }
    }

    # Without a new MAIL.
    my $chunk = bdat("To: x\r\n\r\nhello\r\n");
    for my $command ($chunk, "DATA\r\n", "RCPT TO:<user\@example.test>\r\n") {
        for my $flight (0, 1) {
            my $name = "$place, " . substr($command, 0, 4) . ($flight ? ' in one flight' : '');
            my $client = $stage->client(from => next_client());
            my $before = $guarded->();
            be_refused($client, name => $name, behind => $flight ? [$command] : []);
            $client->raw($command) if !$flight;
            like($client->reply, qr/^5\d\d /, "$name: answered by an error");
            is($guarded->(), $before + 1, "$name: counted");
            $client->close;
        }
    }

    # Refused by DATA, all recipients of the next one refused: DATA or BDAT behind them kills it. Only
    # a policy service that stands first has seen the message's end.
    my @commands = $place eq 'before' ? () : ("DATA\r\n", $chunk);
    for my $command (@commands) {
        for my $between ([], [envelope('next@sender.example', 'unknown1')]) {
            for my $flight (0, 1) {
                my $name = sprintf '%s, by DATA, then %d commands and %s%s', $place,
                    scalar @$between, substr($command, 0, 4), $flight ? ' in one flight' : '';
                my $client = $stage->client(from => next_client());
                my @next = (@$between, $command);
                be_refused($client, by => 'DATA', name => $name, behind => $flight ? \@next : []);
                $client->raw(@next) if !$flight;
                my @replies = replies($client, scalar @next);
                is(scalar @replies, scalar @next, "$name: every command is answered");
                like($replies[-1], qr/^5\d\d /, "$name: by an error");
                like($client->command('RSET'), qr/^250 /, "$name: the session goes on");
                $sound->($client, $name);
            }
        }
    }

    $daemon->expect_log(qr/verdict=/, qr/guard/);
    $stage->allow_postfix_log(qr/malformed BDAT|BDAT_GUARD/);
    $stage->postfix->stop;
    unlike($stage->postfix->log_text, qr/killed by signal/, "$place: no smtpd died");
    $stage->finish_quietly;
}

# Refused by cleanup(8), or for its size, before our milter sees the end: Postfix is in order, and
# whoever goes on with MAIL, in one flight or not, never meets the guard.
{
    my $stage = MailTest::Session->new(postfix => {main => {
        smtpd_end_of_data_restrictions => "$policy, $refusing",
        message_size_limit => '20000',
    }});
    my $checks = $stage->postfix->folder . '/postfix/header_checks';
    write_file($checks, "/^Subject: never/ REJECT not that\n");
    $stage->postfix->reload(header_checks => "regexp:$checks");
    my $daemon = $stage->daemon;
    my %refused = (
        'a header' => "Subject: never\r\n\r\nhello\r\n",
        'the size' => "Subject: much\r\n\r\n" . "x" x 30000 . "\r\n",
    );
    for my $what (sort keys %refused) {
        my $client = $stage->client(from => next_client());
        for my $round (1 .. 30) {
            my $name = "refused for $what, round $round";
            my $next = new_message();
            my @next = (envelope($next->{sender}, 'user'), bdat($next->{content}));
            my $flight = $round % 2;
            $client->envelope(new_message()->{sender});
            $client->raw(bdat($refused{$what}), $flight ? @next : ());
            like($client->reply, qr/^55\d /, $name);
            $client->raw(@next) if !$flight;
            my @replies = replies($client, 3);
            is(scalar(grep { /^250 / } @replies), 3, "$name: the next message is taken")
                or diag(join "\n", @replies);
            last if @replies < 3;
        }
        $client->quit;
    }
    is($daemon->status->{guard}{replaced}, 0, 'no guard');
    $daemon->expect_log(qr/verdict=/);
    $stage->finish;
}
