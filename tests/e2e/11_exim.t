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

# Two recipients make two transfers in one session.
my @recipients = qw(one@example.test two@example.test);
my @shapes = shapes();
my ($judged, $alarms) = (0, 0);
my %verdicts;
for my $shape (@shapes) {
    my $message = new_message(content => $shape->{content});
    $exim->send($message->{sender}, $message->{content}, @recipients);
    my @got = grep { $_->{sender} eq $message->{sender} } $daemon->transfers(limit => 20);
    $judged += @got;
    $verdicts{$_->{verdict}}++ for @got;
    my @alarms = grep { $_->{verdict} !~ /^(?:match|normalized)$/ || $_->{action} ne 'accept' } @got;
    $alarms += @alarms;
    is(@got . ' transfers, ' . @alarms . ' alarms', '2 transfers, 0 alarms', $shape->{name})
        or diag(join "\n", map { "$_->{verdict} drift=$_->{drift} @{$_->{evidence}}" } @got);
    $stage->maildir->wait_for($message->{id});
}

is_deeply([$exim->failures], [], 'Exim saw no failure');
ok($exim->used_chunking, 'Exim used BDAT for every delivery');
$stage->postfix->wait_empty;
is($stage->maildir->count, 2 * @shapes, 'every message was delivered to each recipient once');
is($daemon->status->{sessions}{total}, scalar @shapes, 'two transfers went through each session');
cmp_ok($judged, '>=', 300, 'a few hundred transfers');
is($alarms, 0, 'no false alarm');
diag("transfers judged: $judged (" . join(', ', map { "$verdicts{$_} $_" } sort keys %verdicts)
    . "), false alarms: $alarms");
$stage->finish;
