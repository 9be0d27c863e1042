# Sendmail: DATA mail passes, BDAT is answered by what the configuration says and its octets are
# never run as commands after a 421, SIZE is compared, and mail goes on without the milter.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Client;
use MailTest::Daemon;
use MailTest::Message qw(delivered_form new_message);
use MailTest::Sendmail;
use MailTest::Wait qw(wait_until);
use Test::More;

my $reject = '127.0.0.7';
my $accept = '127.0.0.8';
my $strict = '127.0.0.9';
my $sendmail = MailTest::Sendmail->new(start => 0);
my $daemon = MailTest::Daemon->new(postfix => $sendmail, config => {
    limits => '{ size_slack = "1"; }',
    rules => join(' ', '(', join(', ',
        qq({ clients = ["$reject"]; actions = { not_offered = "reject"; }; }),
        qq({ clients = ["$accept"]; actions = { not_offered = "accept"; size_exceeded = "tag"; }; }),
        qq({ clients = ["$strict"]; actions = { size_exceeded = "tempfail"; }; })), ')'),
});
$sendmail->start;
$daemon->expect_log(qr/verdict=not_offered action=(?:tempfail|reject)/, qr/verdict=size_exceeded action=tempfail/);

sub connect_client (%opt) {
    my $client = MailTest::Client->new(host => $sendmail->host, port => $sendmail->port, %opt);
    $client->ehlo;
    return $client;
}

# Everything from our id header on.
sub delivered ($message) {
    return $sendmail->maildir->wait_for($message->{id}) =~ s/\A.*?^(?=X-Test-Id:)//msr;
}

# A sound message by DATA in that session.
sub send_sound ($client, $name, %opt) {
    my $message = new_message();
    $client->envelope($message->{sender}, %opt);
    like($client->data($message->{content}), qr/^250 /, "$name: a DATA message is accepted");
    is(delivered($message), delivered_form($message->{content}), "$name: and delivered whole");
    return $message;
}

# A payload that is a message of its own to whoever reads it as commands.
sub hostile_payload ($evil) {
    return "Subject: x\r\n\r\nRSET\r\nMAIL FROM:<$evil->{sender}>\r\nRCPT TO:<user\@example.test>\r\n"
        . "DATA\r\n$evil->{content}.\r\nQUIT\r\n";
}

# ---- DATA, and what Sendmail does not know ----
{
    my $client = connect_client();
    ok(!$client->offers('CHUNKING'), 'Sendmail offers no CHUNKING');
    my $message = new_message();
    send_sound($client, "message $_ of the first session", size => length $message->{content}) for 1 .. 2;
    like($client->command('MAIL FROM:<binary@sender.example> BODY=BINARYMIME'), qr/^501 5\.5\.4 /,
        'Sendmail itself refuses BODY=BINARYMIME');
    like($client->command('NONSENSE'), qr/^500 /, 'an unknown command gets Sendmail\'s own answer');
    send_sound($client, 'after both');
    $client->quit;
}
wait_until('the session to be counted', sub { $daemon->status->{sessions}{data} == 1 });
is($daemon->status->{data_transfers}, 3, 'DATA messages are counted');
is_deeply([$daemon->transfers], [], 'and not listed');

# ---- BDAT ends the session ----
my @closing = (
    ['in a session of its own', sub ($client, $message, $payload) {
        $client->envelope($message->{sender}, size => 5000);
        $client->raw(sprintf("BDAT %d LAST\r\n", length $payload), $payload);
    }],
    ['all in one flight', sub ($client, $message, $payload) {
        $client->raw("MAIL FROM:<$message->{sender}> SIZE=5000\r\nRCPT TO:<user\@example.test>\r\n",
            sprintf("BDAT %d LAST\r\n", length $payload), $payload);
        $client->reply for 1 .. 2;
    }],
    ['behind a DATA message', sub ($client, $message, $payload) {
        send_sound($client, 'before BDAT');
        $client->envelope($message->{sender}, size => 5000);
        $client->raw(sprintf("bdat %d last\r\n", length $payload), $payload);
    }],
);
for my $row (@closing) {
    my ($name, $play) = @$row;
    my ($message, $evil) = (new_message(), new_message());
    my $payload = hostile_payload($evil);
    my $client = connect_client();
    $play->($client, $message, $payload);
    is($client->reply, '421 4.5.1 CHUNKING was not offered; use DATA', "$name: BDAT is answered 421");
    is($client->reply, '', "$name: nothing follows, and the session is over");
    my $got = $daemon->transfer($message->{sender});
    is("$got->{verdict} $got->{action} $got->{chunk_count} $got->{mode}", 'not_offered tempfail 1 bdat', "$name: recorded");
    is_deeply([$got->{declared}, $got->{chunks}, $got->{last}], [length $payload, [length $payload], JSON::PP::true],
        "$name: with its declared size");
    is_deeply([@{$got}{qw(client_address helo size_declared received strikes)}],
        ['127.0.0.2', 'client.example.net', 5000, undef, 0], "$name: and its client");
    like($got->{queue_id}, qr/^\w{10,}$/, "$name: and its queue id");
    send_sound(connect_client(), "$name: the next session");
    is(scalar $sendmail->maildir->messages($evil->{id}), 0, "$name: the payload was not run as commands");
}
like($daemon->log_text, qr/\w{10,}: client=\S+\[127\.0\.0\.2\] helo=<client\.example\.net> mode=bdat chunks=1 declared=\d+ received=unknown drift=unknown verdict=not_offered action=tempfail$/m,
    'a line in the log');
{
    my $before = () = $daemon->transfers;
    my $client = connect_client();
    is($client->command('BDAT 0 LAST'), '421 4.5.1 CHUNKING was not offered; use DATA', 'BDAT without MAIL is answered');
    is($client->reply, '', 'and ends the session');
    wait_until('its record', sub { (() = $daemon->transfers) == $before + 1 });
    is(($daemon->transfers)[0]{sender}, '', 'and is recorded without a sender');
}

# ---- reject and accept, by rules: the session goes on ----
for my $row ([$reject, qr/^502 5\.5\.1 CHUNKING was not offered; use DATA$/, 'reject'],
             [$accept, qr/^500 5\.5\.1 Command unrecognized: "BDAT /, 'accept']) {
    my ($from, $reply, $action) = @$row;
    my $client = connect_client(from => $from);
    my $message = new_message();
    $client->envelope($message->{sender});
    like($client->command('BDAT 5'), $reply, "$action: the answer to the first BDAT");
    like($client->command('BDAT 6'), $reply, "$action: and to the second");
    like($client->data($message->{content}), qr/^250 /, "$action: the client goes on with DATA");
    is(delivered($message), delivered_form($message->{content}), "$action: which is delivered whole");
    my $got = $daemon->transfer($message->{sender});
    is_deeply([@{$got}{qw(verdict action chunks declared)}], ['not_offered', $action, [5, 6], 11],
        "$action: both chunks are one record");
    send_sound($client, "$action: a second message");
    $client->envelope('again@sender.example');
    like($client->command('BDAT x'), $reply, "$action: a malformed BDAT");
    $client->command('RSET');
    is_deeply($daemon->transfer('again@sender.example')->{evidence}, ['malformed'], "$action: is recorded at RSET");
    $client->quit;
}
wait_until('the sessions to be counted', sub { $daemon->status->{sessions}{mixed} == 3 });

# ---- SIZE ----
my $odd = "Bcc: someone\@example.net\r\nReturn-Path: <other\@example.net>\r\nContent-Length: 12\r\n"
    . "X-Folded: a\r\n b\r\n\tc\r\nX-Spaces:   three  \r\nX-None:none\r\nX-Empty:\r\nX-Latin1: \xe9\r\n";
my $body = "one\r\n.dots\r\n..\r\n\r\nNUL \0, 8-bit \xe9\r\n" . "a line\r\n" x 300 . "end\r\n";
for my $row (['127.0.0.2', 'accept', qr/^250 /, 1], [$accept, 'tag', qr/^250 /, 1],
             [$strict, 'tempfail', qr/^451 4\.5\.0 message of \d+ octets, but SIZE announced \d+$/, 0]) {
    my ($from, $action, $reply, $delivered) = @$row;
    my $client = connect_client(from => $from);
    for my $less (0, 1) {
        my $message = new_message(headers => $odd, body => $body);
        $client->envelope($message->{sender}, size => length($message->{content}) - $less);
        like($client->data($message->{content}), qr/^250 /, "$action: $less octets above SIZE are within the slack");
        $sendmail->maildir->wait_for($message->{id});
        ok(!$daemon->has_transfer($message->{sender}), "$action: and not listed");
    }
    my $message = new_message(headers => $odd, body => $body);
    my $length = length $message->{content};
    $client->envelope($message->{sender}, size => $length - 2);
    like($client->data($message->{content}), $reply, "$action: the answer to two octets more");
    my $got = $daemon->transfer($message->{sender});
    is_deeply([@{$got}{qw(verdict action mode size_declared declared received drift chunk_count evidence)}],
        ['size_exceeded', $action, 'data', $length - 2, $length - 2, $length, 2, 0, ['size_exceeded']],
        "$action: recorded, octets counted exactly");
    send_sound($client, "$action: afterwards");
    is(scalar $sendmail->maildir->messages($message->{id}), $delivered, "$action: delivered or not");
    like(($sendmail->maildir->messages($message->{id}))[0], qr/^X-BDAT-Transfer: size_exceeded; /m, 'the header')
        if $action eq 'tag';
    $client->quit;
}
my ($declared, $chunks) = (0, 0);
for my $bdat (grep { $_->{mode} eq 'bdat' } $daemon->transfers) {
    $declared += $bdat->{declared};
    $chunks += $bdat->{chunk_count};
}
my $status = $daemon->status;
is_deeply([@{$status}{qw(declared_octets chunks received_octets)}], [$declared, $chunks, 0], 'the sums are those of BDAT');

# ---- configuration ----
$daemon->reload(rules => undef, replies => '{ not_offered = "450 4.7.1 no %d octets by BDAT, please"; }');
{
    my $client = connect_client();
    my $evil = new_message();
    my $payload = hostile_payload($evil);
    $client->raw(sprintf("BDAT %d LAST\r\n", length $payload), $payload);
    is($client->reply, sprintf('421 4.7.1 no %d octets by BDAT, please', length $payload), 'a reply of one\'s own is 421 all the same');
    is($client->reply, '', 'which ends the session');
    send_sound(connect_client(), 'afterwards');
    is(scalar $sendmail->maildir->messages($evil->{id}), 0, 'and nothing of it was run');
}
$daemon->reload(mode => '"observe"');
{
    my $client = connect_client();
    $client->envelope('observed@sender.example');
    like($client->command('BDAT 3 LAST'), qr/^500 5\.5\.1 Command unrecognized/, 'observe: Sendmail\'s own answer');
    my $got = $daemon->transfer('observed@sender.example');
    is_deeply([@{$got}{qw(verdict action observed)}], ['not_offered', 'accept', JSON::PP::true], 'observe: recorded');
    $client->command('RSET');
    send_sound($client, 'observe');
    $client->quit;
}
$daemon->reload(mode => '"enforce"');

# ---- the milter gone ----
{
    my $client = connect_client();
    send_sound($client, 'before the milter is gone');
    $daemon->kill_hard;
    send_sound($client, 'the milter gone in mid-session');
    $client->quit;
    $client = connect_client();
    send_sound($client, "without a milter, message $_") for 1 .. 2;
    like($client->command('BDAT 3 LAST'), qr/^500 /, 'and BDAT gets Sendmail\'s own answer');
    $client->quit;
    $daemon->start;
    $client = connect_client();
    send_sound($client, 'the milter back again');
    like($client->command('BDAT 3 LAST'), qr/^500 /, 'Sendmail asks no filter between a message and the next MAIL');
    $client->envelope('back@sender.example');
    like($client->command('BDAT 3 LAST'), qr/^421 4\.7\.1 no 3 octets/, 'and answers');
}

# ---- mta ----
for my $row (['"sendmail"', qr/^421 /], ['"postfix"', qr/^500 /], ['"auto"', qr/^421 /]) {
    my ($mta, $reply) = @$row;
    $daemon->configure(mta => $mta);
    $daemon->restart;
    my $client = connect_client();
    send_sound($client, "mta = $mta, message $_") for 1 .. 2;
    $client->envelope('mta@sender.example');
    like($client->command('BDAT 3 LAST'), $reply, "mta = $mta: the answer to BDAT");
    $client->close;
    $daemon->expect_log(qr/verdict=unverified, accepted/) if $mta eq '"postfix"';
}

$sendmail->stop;
is($daemon->stop, 0, 'the daemon ends in order');
is_deeply([$daemon->unexpected_log], [], 'nothing unexpected in the daemon\'s log');
unlike($sendmail->milter_log, qr/bogus|bad response|lied/i, 'Sendmail understood every answer');
is($sendmail->log_text, '', 'and had nothing to complain of');
done_testing();
