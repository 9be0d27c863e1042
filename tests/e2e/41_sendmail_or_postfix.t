# Which mail server it is: what is asked for in the milter negotiation before and after a
# connection has shown it, and that a wrong guess harms nobody.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Daemon;
use MailTest::FakeMta;
use MailTest::Message qw(new_message);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

# Bits of the steps: events that need not be sent, answers that need not be waited for.
my $EVENTS = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40 | 0x100;    # all but DATA, body and end
my $ALL_EVENTS = $EVENTS | 0x10 | 0x200;
my $UNANSWERED = 0x80 | 0x1000 | 0x2000 | 0x8000 | 0x10000 | 0x40000 | 0x80000;
my $ANSWERS_WANTED = 0x4000 | 0x20000;                           # MAIL, unknown
my $SPACES = 0x100000;

my $stage = MailTest::Session->new;
my $daemon = $stage->daemon;
my $socket = $stage->postfix->socket_folder . '/milter.sock';
$daemon->expect_log(qr/verdict=unverified, accepted/, qr/verdict=not_offered action=(?:tempfail|reject)/);

sub mta (%opt) { MailTest::FakeMta->new(socket => $socket, %opt) }
sub restart (%config) { $daemon->configure(%config); $daemon->restart }

# Which of the three the daemon took the coming server for.
sub expectation ($mta) {
    my $steps = $mta->steps;
    return 'postfix' if ($steps & $ALL_EVENTS) == $EVENTS && ($steps & 0x80000) && !($steps & 0x10000);
    return 'unknown' if !($steps & ($ALL_EVENTS | $UNANSWERED | $ANSWERS_WANTED)) && $steps & $SPACES;
    return 'sendmail' if !($steps & ($ALL_EVENTS | $ANSWERS_WANTED)) && ($steps & $UNANSWERED) == $UNANSWERED
        && $steps & $SPACES;
    return sprintf 'steps %#x', $steps;
}

# One session of a server that says it is of that version; returns what it was taken for.
sub meet ($version, %opt) {
    my $mta = mta(%opt);
    my $taken = expectation($mta);
    like($mta->connect($version), qr/^c?$/, 'connect goes on');
    $mta->mail('<a@example.net>') if $taken eq 'sendmail'; # has an answer, which connect has not
    $mta->quit;
    return $taken;
}

# ---- the real Postfix ----
{
    my $message = new_message();
    my $client = $stage->client;
    $client->envelope($message->{sender});
    like($client->bdat($message->{content}, last => 1), qr/^250 /, 'the first session of Postfix');
    is($daemon->transfer($message->{sender})->{verdict}, 'match', 'which is asked for everything, is judged');
    my $second = new_message();
    $client->envelope($second->{sender});
    like($client->data($second->{content}), qr/^250 /, 'a DATA message in it');
    $client->quit;
    $stage->delivered_is($_, 'delivered whole') for $message, $second;
    is(meet('Postfix 3.7.11'), 'postfix', 'the next session is asked for what Postfix need send');
}

# ---- what a connection shows ----
for my $row (['8.17.1.9', 'sendmail'], ['8.18.1', 'sendmail'], ['Postfix 3.12-20260801', 'postfix'],
             ['Mail 3.9', 'postfix'], ['8', 'postfix'], ['8.x', 'postfix'], [undef, 'postfix']) {
    my ($version, $want) = @$row;
    restart();
    is(meet($version), 'unknown', 'a fresh daemon asks for everything');
    is(meet($version), $want, sprintf '"%s" is taken for %s', $version // '(no version)', $want);
}
restart();
meet('8.17.1.9');
is(meet('Postfix 3.7.11'), 'sendmail', 'Postfix where Sendmail was expected');
is(meet('Postfix 3.7.11'), 'postfix', 'is known at once');

# The macros asked for, by stage.
restart();
is_deeply(mta()->macros, {0 => 'v', 1 => '{bdat_milter_none}', 2 => 'i', 3 => '{bdat_milter_none}', 4 => 'i {client_connections}',
    5 => '{bdat_milter_none}', 6 => '{bdat_milter_none}'}, 'unknown: version and queue id');
meet('Postfix 3.7.11');
is_deeply(mta()->macros, {map({ $_ => '{bdat_milter_none}' } 0 .. 3, 5, 6), 4 => 'i {client_connections}'}, 'Postfix: the queue id at DATA');

# ---- a message of a Postfix that was taken for Sendmail ----
restart();
meet('8.17.1.9');
for my $pass (1, 2) {
    my $mta = mta();
    $mta->connect('Postfix 3.7.11');
    $mta->helo;
    is($mta->mail('<a@example.net>'), 'c', "pass $pass: MAIL goes on");
    is($mta->unknown('BDAT 5'), 'c', 'no command of Postfix\'s is answered') if $pass == 1;
    $mta->rcpt;
    like($mta->data, qr/^[ac]?$/, 'DATA goes on');
    $mta->header('Subject', ' x');
    $mta->end_of_header;
    $mta->body("text\r\n");
    like($mta->end_of_message, qr/^[ac]$/, 'the message is accepted');
    $mta->quit;
}

# ---- BODY=BINARYMIME at MAIL, from a server that tells its filters of it ----
for my $row (['tempfail', 'y421 4.5.1 CHUNKING was not offered; use DATA'],
             ['reject', 'y502 5.5.1 CHUNKING was not offered; use DATA'], ['accept', 'c']) {
    my ($action, $answer) = @$row;
    restart(mta => '"sendmail"', actions => qq({ not_offered = "$action"; }));
    my $mta = mta();
    is(expectation($mta), 'sendmail', 'mta = "sendmail" guesses nothing');
    $mta->connect(undef, '198.51.100.9');
    $mta->helo;
    is($mta->mail("<$action\@example.net>", 'SIZE=100', 'BODY=BINARYMIME'), $answer, "BINARYMIME, $action");
    $mta->quit;
    my $got = $daemon->transfer("$action\@example.net");
    is_deeply([@{$got}{qw(verdict action evidence chunk_count size_declared client_address queue_id)}],
        ['not_offered', $action, ['binarymime'], 0, 100, '198.51.100.9', 'QUEUEID1'], 'recorded');
}

# ---- servers that offer little ----
restart(mta => '"sendmail"', actions => '{ size_exceeded = "tag"; }', limits => '{ size_slack = "1"; }');
for my $size (7, 50) {
    my $mta = mta(actions => 0x01, steps => 0x7f);
    is($mta->steps, 0, 'nothing is asked for that is not offered');
    $mta->connect(undef);
    $mta->helo;
    $mta->mail("<size$size\@example.net>", "SIZE=$size");
    $mta->rcpt;
    $mta->header('Subject', "a\n b");
    $mta->header('X-Empty', '');
    $mta->end_of_header;
    $mta->body("text\r\n");
    my $answer = $mta->end_of_message;
    # Without DATA events: Subject: a CRLF b CRLF (16), X-Empty: CRLF (10), CRLF (2), text CRLF (6).
    is($answer, $size == 7 ? "hX-BDAT-Transfer\0size_exceeded; declared=7; received=34" : 'c', 'the answer')
        or diag($answer);
    $mta->quit;
}
is_deeply([@{$daemon->transfer('size7@example.net')}{qw(mode received)}], ['data', 34], 'octets counted as they were sent');

# ---- mta = "postfix" ----
restart(mta => '"postfix"');
is(expectation(mta()), 'postfix', 'mta = "postfix" guesses nothing');
{
    my $message = new_message();
    my $client = $stage->client;
    $client->envelope($message->{sender});
    like($client->bdat($message->{content}, last => 1), qr/^250 /, 'and BDAT');
    is($daemon->transfer($message->{sender})->{verdict}, 'match', 'is judged');
    $client->quit;
}

$stage->finish;
