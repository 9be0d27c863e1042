# The guard: command sequences that harm Postfix never reach it, and clients that keep to the RFCs
# never meet it.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Client;
use MailTest::Message qw(new_message);
use MailTest::Postfix;
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

# A last chunk above message_size_limit is refused with 552; then a command that needs a MAIL.
# Debian 12's smtpd dies of DATA here. Returns the reply to that command.
sub provoke ($client, $command, $payload = '') {
    my $message = new_message(body => "a line of text of forty octets in length\r\n" x 500);
    $client->envelope($message->{sender});
    my $reply = $client->bdat($message->{content}, last => 1);
    like($reply, qr/^552 /, "$command: the chunk before is refused");
    $client->raw("$command\r\n$payload");
    return $client->reply;
}

# Without the daemon: is this Postfix one that dies?
{
    my $bare = MailTest::Postfix->new(hooks => [], main => {message_size_limit => '10000'});
    my $client = MailTest::Client->new(postfix => $bare);
    $client->ehlo;
    my $reply = provoke($client, 'DATA');
    my $died = $reply eq '' && wait_until('master to see it die', sub {
        return $bare->log_text =~ /smtpd pid \d+ killed by signal 11/;
    });
    $bare->stop;
    diag('this Postfix, unguarded, ' . ($died ? 'dies by signal 11' : 'survives'));
    ok($died || $reply =~ /^[45]\d\d /, 'unguarded: dies, or answers with an error');
}

# With it: nobody dies, the client reads an error, and its next message is taken.
my $stage = MailTest::Session->new(
    postfix => {main => {message_size_limit => '10000', smtpd_junk_command_limit => '1000000',
        smtpd_hard_error_limit => '1000000'}},
    daemon => {config => {
        suppression => '{ enabled = false; }',
        limits => '{ max_chunks = 1000; max_message = "64K"; }',
    }},
);
my $daemon = $stage->daemon;

sub sound_message ($client, $name) {
    my $message = new_message();
    $client->envelope($message->{sender});
    like($client->bdat($message->{content}, last => 1), qr/^250 /, "$name: a sound message is taken");
    check_transfer($stage, $message, {verdict => 'match'}, $name);
}

for my $case (['DATA'], ['RCPT TO:<user@example.test>'], ['BDAT 5 LAST', 'hello', 'ends']) {
    my ($command, $payload, $ends) = @$case;
    my $client = $stage->client(from => next_client());
    my $before = $daemon->status->{guard}{replaced};
    like(provoke($client, $command, $payload // ''), qr/^5\d\d /, "$command: answered by an error");
    is($daemon->status->{guard}{replaced}, $before + 1, "$command: counted");
    my $address = $client->from;
    my $line = qr/^bdat-milter: warning: (?:NOQUEUE|\w+): client=\S+\[\Q$address\E\] helo=<\S+> guard: kept a \w+ from Postfix: ".*" instead \(process \d+\)$/m;
    wait_until('the log to name the client', sub { $daemon->log_text =~ $line });
    pass("$command: the log names the client");
    if ($ends) {
        $client->wait_closed;
        $client = $stage->client(from => $client->from);
    }
    sound_message($client, "$command, after it");
    $client->quit;
}

# After a transfer that succeeded, the same commands never reach Postfix either.
for my $command ('DATA', 'RCPT TO:<user@example.test>') {
    my $client = $stage->client(from => next_client());
    sound_message($client, "$command after success");
    my $before = $daemon->status->{guard}{replaced};
    like($client->command($command), qr/^5\d\d /, "$command after success: answered by an error");
    is($daemon->status->{guard}{replaced}, $before + 1, "$command after success: counted");
    sound_message($client, "$command after success, and after that");
    $client->quit;
}

# All by the RFCs: a message is refused, by Postfix for message_size_limit or by us for max_message;
# the next one's only recipient is refused, too, and DATA or BDAT was pipelined behind it. The
# refused message's recipients are still counted in smtpd, which has no queue file any more.
for my $octets (20_000, 1_100_000) {
    for my $command ("DATA\r\n", "BDAT 5 LAST\r\nhello") {
        my $name = "$octets octets refused, then " . substr($command, 0, 4);
        my $client = $stage->client(from => next_client());
        $client->envelope(new_message()->{sender});
        like($client->bdat('y' x $octets, last => 1), qr/^552 /, "$name: the first is refused");
        $client->raw('MAIL FROM:<' . new_message()->{sender} . ">\r\n"
            . "RCPT TO:<unknown1\@example.test>\r\n$command");
        like($client->reply, qr/^250 /, "$name: MAIL is taken");
        like($client->reply, qr/^5\d\d /, "$name: the recipient is refused");
        like($client->reply, qr/^5\d\d /, "$name: and so is what was pipelined");
        like($client->command('RSET'), qr/^250 /, "$name: the session goes on");
        sound_message($client, $name);
        $client->quit;
    }
}

# The same, and the next one's recipients cannot even be read: Postfix itself answers, and reads
# what was pipelined behind them.
for my $refused (0, 1) {
    my $name = 'malformed recipients after a message ' . ($refused ? 'refused' : 'taken');
    my $client = $stage->client(from => next_client());
    if ($refused) {
        $client->envelope(new_message()->{sender});
        like($client->bdat('y' x 20_000, last => 1), qr/^552 /, "$name: the first is refused");
    } else {
        sound_message($client, "$name: the first");
    }
    my $before = $daemon->status->{guard}{replaced};
    $client->raw('MAIL FROM:<' . new_message()->{sender} . ">\r\n"
        . "RCPT TO <user\@example.test>\r\nRCPT\r\nBDAT 11 LAST\r\nQUIT\r\nRSET\r");
    like($client->reply, qr/^250 /, "$name: MAIL is taken");
    like($client->reply, qr/^501 /, "$name: RCPT is malformed") for 1, 2;
    like($client->reply, qr/^5(?:03|54) /, "$name: BDAT is refused");
    # Only the policy service steps in, where recipients are left over.
    is($daemon->status->{guard}{replaced}, $before + $refused, "$name: counted");
    like($client->command('RSET'), qr/^250 /, "$name: the payload was read");
    sound_message($client, $name);
    $client->quit;
}

# An empty chunk begins a transfer: Postfix refuses it without asking the policy service, and keeps
# the recipients.
for my $command ("DATA\r\n", "BDAT 5 LAST\r\nhello") {
    my $name = 'an empty chunk, then ' . substr($command, 0, 4);
    my $client = $stage->client(from => next_client());
    $client->envelope(new_message()->{sender});
    like($client->bdat(''), qr/^551 /, "$name: refused");
    like($client->bdat('hello', last => 1), qr/^551 /, "$name: and so is the rest");
    $client->raw('MAIL FROM:<' . new_message()->{sender} . ">\r\n"
        . "RCPT TO:<unknown1\@example.test>\r\n$command");
    like($client->reply, qr/^250 /, "$name: MAIL is taken");
    like($client->reply, qr/^550 /, "$name: the recipient is refused");
    like($client->reply, qr/^503 /, "$name: and so is what was pipelined");
    like($client->command('RSET'), qr/^250 /, "$name: the session goes on");
    sound_message($client, $name);
    $client->quit;
}

# 200,000 chunks of one octet in one transfer are cut at max_chunks.
{
    my $from = next_client();
    my $client = $stage->client(from => $from);
    my $message = new_message();
    $client->envelope($message->{sender});
    my ($taken, $last) = (0, '');
    while ($taken < 200_000) {
        last if !$client->raw("BDAT 1\r\nx" x 500);
        for (1 .. 500) {
            $last = $client->reply;
            last if $last !~ /^250 /;
            $taken++;
        }
        last if $last !~ /^250 /;
    }
    is($taken, 1000, '200,000 chunks: cut at max_chunks');
    like($last, qr/^521 /, '200,000 chunks: answered by an error');
    check_transfer($stage, $message, {verdict => 'refused', strikes => 1, chunk_count => 1000,
        with_evidence => ['max_chunks']}, '200,000 chunks');
    sound_message($stage->client(from => $from), 'after them');
}

# BDAT and RSET by turns, for ever: what is declared in vain counts together.
{
    my $client = $stage->client(from => next_client());
    my ($rounds, $reply) = (0, '');
    while ($rounds++ < 2000) {
        my $message = new_message();
        $client->envelope($message->{sender});
        $reply = $client->bdat('y' x 9000);
        last if $reply !~ /^250 /;
        $reply = $client->command('RSET');
        last if $reply !~ /^250 /;
    }
    like($reply, qr/^521 /, "BDAT and RSET by turns: cut after $rounds rounds");
    cmp_ok($rounds, '<', 2000, 'and not for ever');
}

# A transfer that declares more than max_message, chunk by chunk.
{
    my $client = $stage->client(from => next_client());
    my $message = new_message();
    $client->envelope($message->{sender}, to => ['unknown1@example.test']);
    my ($declared, $reply) = (0, '');
    while ($declared < 100_000_000) {
        $reply = $client->bdat('z' x 8000);
        $declared += 8000;
        last if $reply =~ /^521 |^$/;
    }
    like($reply, qr/^521 |^$/, 'refused payload is not read without bound');
    cmp_ok($declared, '<', 20_000_000, 'and the session ends');
}

$daemon->expect_log(qr/verdict=/, qr/guard/);
$stage->allow_postfix_log(qr/malformed BDAT|BDAT_GUARD/);
$stage->postfix->stop;
unlike($stage->postfix->log_text, qr/killed by signal/, 'no smtpd died');
$stage->finish;
