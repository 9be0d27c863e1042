# Exim, whose way with BDAT nobody here wrote, delivers mail in every shape that mail has: all of
# it is match or normalized, nothing is refused. A false alarm is the worst this program can do.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Exim;
use MailTest::Message qw(new_message);
use MailTest::Session;
use MailTest::Shapes qw(shapes);
use Test::More;

my $stage = MailTest::Session->new(postfix => {main => {message_size_limit => '100000000'}});
my $exim = MailTest::Exim->new(host => $stage->postfix->host, port => $stage->postfix->port);
my $daemon = $stage->daemon;

my @shapes = shapes();
my (%judged, %verdicts);

# Tests what became of one message, which is among these transfers.
sub check_one ($message, $name, @transfers) {
    my @got = grep { $_->{sender} eq $message->{sender} } @transfers;
    my @alarms = grep { $_->{verdict} !~ /^(?:match|normalized)$/ || $_->{action} ne 'accept' } @got;
    $judged{transfers} += @got;
    $judged{alarms} += @alarms;
    $verdicts{$_->{verdict}}++ for @got;
    is(@got . ' transfer, ' . @alarms . ' alarms', '1 transfer, 0 alarms', $name)
        or diag(join "\n", map { "$_->{verdict} drift=$_->{drift} @{$_->{evidence}}" } @got);
    $stage->maildir->wait_for($message->{id});
}

# Each in a session of its own.
for my $shape (@shapes) {
    my $message = new_message(content => $shape->{content});
    $exim->send($message->{sender}, $message->{content}, 'user@example.test');
    check_one($message, $shape->{name}, $daemon->transfers(limit => 5));
}

# All of them once more from the queue, many messages a session.
my $before = $daemon->status->{sessions}{total};
my @queued = map { {name => $_->{name}, message => new_message(content => $_->{content})} } @shapes;
$exim->queue($_->{message}{sender}, $_->{message}{content}, 'user@example.test') for @queued;
$exim->run_queue;
my @transfers = $daemon->transfers;
check_one($_->{message}, "$_->{name}, from the queue", @transfers) for @queued;
my $sessions = $daemon->status->{sessions}{total} - $before;
cmp_ok($sessions, '<=', @queued / 2, "two messages a session at least ($sessions sessions)");

is_deeply([$exim->failures], [], 'Exim saw no failure');
ok($exim->used_chunking, 'Exim used BDAT for every delivery');
$stage->postfix->wait_empty;
is($stage->maildir->count, 2 * @shapes, 'every message was delivered, once');
cmp_ok($judged{transfers}, '>=', 300, 'a few hundred transfers');
is($judged{alarms}, 0, 'no false alarm');
diag("transfers judged: $judged{transfers} (" . join(', ', map { "$verdicts{$_} $_" } sort keys %verdicts)
    . "), false alarms: $judged{alarms}");
$stage->finish;
