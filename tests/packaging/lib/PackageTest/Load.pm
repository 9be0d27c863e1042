package PackageTest::Load;

# BDAT mail from several clients at once while the service is restarted, and what must be true of
# it afterwards.

use v5.36;
use Exporter qw(import);
use FindBin;
use MailTest::Place qw(read_file write_file);
use MailTest::Process;
use MailTest::Wait qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(restart_under_load);

use constant {WORKERS => 4, SESSIONS_BETWEEN => 4};

# restart_under_load($machine, $times): restarts so often, waiting for some sessions in between,
# and tests that no client saw anything, that each message arrived once and that only messages of
# sessions open at a restart went unjudged.
sub restart_under_load ($machine, $times) {
    my $folder = $machine->{folder};
    my $stop = "$folder/stop";
    my @journals = map { "$folder/journal.$_" } 1 .. WORKERS;
    my @workers = map {
        MailTest::Process->start(
            command => [$machine->client_command($^X, "$FindBin::Bin/send-load", $machine->port, $_,
                $journals[$_ - 1], $stop)],
            stderr => "$folder/load.err");
    } 1 .. WORKERS;
    my @restarts;
    for (1 .. $times) {
        wait_for_sessions(\@journals, \@workers, SESSIONS_BETWEEN);
        my $begin = time;
        $machine->restart_service;
        push @restarts, [$begin, time];
    }
    wait_for_sessions(\@journals, \@workers, SESSIONS_BETWEEN);
    write_file($stop, '');
    my @bad = grep { $_->wait_end != 0 } @workers;
    is(scalar @bad, 0, 'every client came to its end') or diag read_file("$folder/load.err");
    wait_until('an empty queue', sub { $machine->queue_is_empty });
    check($machine, \@restarts, read_journals(\@journals));
}

sub wait_for_sessions ($journals, $workers, $more) {
    my $before = count_sessions($journals);
    wait_until("$more more sessions", sub {
        die "a client has died\n" if grep { !$_->running } @$workers;
        return count_sessions($journals) >= $before + $more;
    });
}

sub count_sessions ($journals) {
    return scalar map { read_file($_) =~ /^s /mg } @$journals;
}

# ({ id => [begin, end] of its session }, [replies that should not be])
sub read_journals ($journals) {
    my (%sent, @bad, @ids);
    for my $line (map { split /\n/, read_file($_) } @$journals) {
        if ($line =~ /^m (\S+)/) { push @ids, $1 }
        elsif ($line =~ /^b (.*)/) { push @bad, $1 }
        elsif ($line =~ /^s (\S+) (\S+)/) {
            $sent{$_} = [$1, $2] for @ids;
            @ids = ();
        }
    }
    return (\%sent, \@bad);
}

sub overlaps ($session, $restarts) {
    return scalar grep { $session->[0] <= $_->[1] && $session->[1] >= $_->[0] } @$restarts;
}

sub check ($machine, $restarts, $sent, $bad) {
    my (%arrived, %queue_id, @cut);
    for my $text ($machine->delivered) {
        my ($id) = $text =~ /^X-Test-Id: (\S+)/m or next;
        $arrived{$id}++;
        ($queue_id{$id}) = $text =~ /\bid (\w+)\b/;
        push @cut, $id if (() = $text =~ /^line \d+ of \Q$id\E x{60}$/mg) != 20;
    }
    my %verdict = $machine->service_log =~ /\b(\w+): client=\S+ .*verdict=(\w+)/g;
    my (%count, @unjudged);
    for my $id (keys %queue_id) {
        my $verdict = $verdict{$queue_id{$id} // ''} // 'unverified';
        $count{$verdict}++;
        push @unjudged, "$id $verdict" if $verdict !~ /^(?:match|normalized)$/ && !overlaps($sent->{$id}, $restarts);
    }
    my %others = map { $_ => 1 } grep { !/^(?:match|normalized|unverified)$/ }
        $machine->service_log =~ /client=\S+\[127\.0\.1\.\d+\] .*verdict=(\w+)/g;
    my @lost = grep { !$arrived{$_} } keys %$sent;
    my @doubled = grep { $arrived{$_} > 1 } keys %arrived;
    note sprintf '%d restarts (longest %.2f s), %d messages sent: %s', scalar @$restarts,
        (sort { $b <=> $a } map { $_->[1] - $_->[0] } @$restarts)[0], scalar keys %$sent,
        join ', ', map { "$count{$_} $_" } sort keys %count;
    is_deeply($bad, [], 'no client saw a refusal, a 4xx or an EHLO without CHUNKING');
    is_deeply(\@lost, [], 'no message is lost');
    is_deeply(\@doubled, [], 'none came twice');
    is_deeply(\@cut, [], 'all are whole');
    is_deeply(\@unjudged, [], 'only messages of sessions open at a restart were not judged');
    is_deeply([keys %others], [], 'nothing was held against any client');
    cmp_ok($count{match} // 0, '>', $count{unverified} // 0, 'and most were judged');
}

1;
