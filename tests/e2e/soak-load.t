# alone
# Many messages from many clients at once, a third of them broken in every way: each sound message
# is delivered exactly once, each verdict is right, no sound client has a strike, and the daemon
# grows neither in memory nor in descriptors.
#
# SOAK_MESSAGES (1500) and SOAK_SESSIONS (20) say how many; scripts/soak asks for 100,000 from 100.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use JSON::PP ();
use List::Util qw(sum max);
use MailTest::Load;
use MailTest::Place qw(new_folder);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $messages = $ENV{SOAK_MESSAGES} // 1500;
my $sessions = $ENV{SOAK_SESSIONS} // 20;
my $each = POSIX::ceil($messages / $sessions);

# Rules pin the broken clients: they are to be broken in every way to the end, not healed.
my $stage = MailTest::Session->new(
    postfix => {main => {default_process_limit => $sessions + 100, smtpd_timeout => '100s'}},
    daemon => {config => {
        rules => '( { clients = ["127.64.0.0/10"]; chunking = "always"; } )',
        log => '{ target = "stderr"; level = "error"; }',
    }},
);
my $daemon = $stage->daemon;
my $followed = new_folder() . '/follow';
my $follower = follow($daemon->control_socket, $followed);
my $before = $daemon->descriptors;

my $begun = time;
my $load = MailTest::Load->new(
    postfix => $stage->postfix, sessions => $sessions, messages => $each, faults => 1 / 3, seed => 7,
)->start;
my @samples = watch($load);
my @results = $load->finish;
$stage->postfix->wait_empty;
my $took = time - $begun;
my @sound = grep { MailTest::Load::is_sound($_) } @results;
note(sprintf '%d messages, %d of them sound, %d sessions at once, %.0f s, %.0f messages a second',
    scalar @results, scalar @sound, $sessions, $took, @results / $took);
is(scalar @results, $each * $sessions, 'every message was sent');

my @found = $load->complaints(\@results, $daemon);
is_deeply(\@found, [], 'sound messages: none lost, doubled or refused, no strike') or diag(join "\n", @found);
is((sum map { $_->{tries} } @sound), scalar @sound, 'none was told to come again');
check_verdicts(@results);

# Memory: what it has at a tenth of the way (10,000 messages) it has at the end, but for what an
# allocator's arenas of libmilter's threads make of it.
my $early = max map { $_->{memory} } grep { $_->{transfers} <= max(10000, @results / 10) } @samples;
my $late = $samples[-1]{memory};
note(sprintf 'memory: %.1f MB at first, %.1f MB early, %.1f MB at the end; descriptors %d, at most %d',
    $samples[0]{memory} / 1e6, $early / 1e6, $late / 1e6, $before, max map { $_->{descriptors} } @samples);
cmp_ok($late, '<', 1.05 * $early + 2e6, 'memory is flat') if !MailTest::Daemon::is_sanitized();
$stage->postfix->stop;
wait_until('Postfix to let go of its connections', sub { $daemon->descriptors <= $before });
pass('no descriptor is leaked');
kill 'KILL', $follower;
waitpid $follower, 0;
$stage->finish;

# Samples of memory and descriptors until the load has ended.
sub watch ($load) {
    my @samples;
    while (1) {
        my $status = $daemon->status;
        push @samples, {
            memory => $daemon->memory,
            descriptors => $daemon->descriptors,
            transfers => $status->{data_transfers} + sum values %{$status->{transfers}},
        };
        return @samples if !$load->working;
        sleep 0.5;
    }
}

# A process that writes down each decision as it comes; returns its pid.
sub follow ($path, $file) {
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my $socket = IO::Socket::UNIX->new(Peer => $path) // POSIX::_exit(1);
        print {$socket} "GET /v1/follow HTTP/1.0\r\n\r\n";
        $socket->flush;
        open my $out, '>', $file or POSIX::_exit(1);
        syswrite $out, $_ while sysread $socket, $_, 65536;
        POSIX::_exit(0);
    }
    wait_until('the follower to be connected', sub { -s $file });
    return $pid;
}

# Each message's last verdict is the one its kind calls for; DATA messages have none.
sub check_verdicts (@results) {
    my ($wrong, %verdict, %kinds) = (0);
    my $complete = eval { wait_until('the last decision', sub {
        %verdict = ();
        open my $file, '<', $followed or die "$followed: $!";
        while (my $line = <$file>) {
            next if $line !~ /^\{.*\}$/;
            my $record = JSON::PP::decode_json($line);
            $verdict{$record->{sender} =~ s/\@.*//r} = $record->{verdict};
        }
        return !grep { MailTest::Load::wanted_verdict($_) && !$verdict{$_->{id}} } @results;
    }); 1 };
    ok($complete, 'every decision was told');
    for my $result (@results) {
        my $want = MailTest::Load::wanted_verdict($result) // 'none';
        my $got = $verdict{$result->{id}} // 'none';
        $kinds{"$result->{kind}: $got"}++;
        next if $got eq $want;
        diag("$result->{id}: $result->{kind} is $got instead of $want; @{$result->{replies}}") if ++$wrong <= 20;
    }
    note(join ', ', map { "$_ $kinds{$_}" } sort keys %kinds);
    is($wrong, 0, 'every verdict is right');
}
