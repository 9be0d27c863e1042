package Bench::Micro;

# The parts measured by themselves, without Postfix: table lookups, body scanning, memory, and
# whether the cost of a transfer stays what it is over a million of them.

use v5.36;
use Bench::Report;
use Carp qw(croak);
use IPC::Open2 qw(open2);
use JSON::PP ();
use List::Util qw(sum0);
use MailTest::Daemon;
use MailTest::Place qw(new_folder program read_file);
use MailTest::Process;
use MailTest::Wait qw(wait_until);

my $IDLE = 5000;
my $MILLION = 1_000_000;

# ---- a daemon of its own, without Postfix ----

package Bench::Folder {

    # What MailTest::Daemon wants to know of a Postfix: where its files go.
    use v5.36;

    sub new ($class) {
        my $folder = MailTest::Place::new_folder();
        mkdir "$folder/sockets" or die "mkdir $folder/sockets: $!";
        return bless {folder => $folder}, $class;
    }

    sub folder ($self) { $self->{folder} }
    sub socket_folder ($self) { "$self->{folder}/sockets" }
}

# A daemon that knows so many suppressed clients; `wrap` is a command that stands in front of it.
sub start_daemon ($suppressed = 0, $wrap = []) {
    my $place = Bench::Folder->new;
    my $file = $place->folder . '/state.db';
    my @fill = (program('bench/fill-store'), $file, $suppressed);
    croak "@fill failed" if $suppressed > 0 && system(@fill) != 0;
    return MailTest::Daemon->new(postfix => $place, wrap => $wrap, config => {mta => '"postfix"'});
}

sub sockets_of ($daemon) {
    my $folder = $daemon->{postfix}->socket_folder;
    return map { "$folder/$_.sock" } qw(tables policy milter);
}

sub tables_of ($daemon) { (sockets_of($daemon))[0] }

sub start_echo () {
    my $socket = new_folder() . '/echo.sock';
    my $process = MailTest::Process->start(command => [program('bench/echo-server'), $socket]);
    wait_until('the echo server', sub { -S $socket });
    return ($process, $socket);
}

sub run_json (@command) {
    my $text = qx{@command};
    croak "@command failed" if $?;
    return JSON::PP::decode_json($text);
}

# Octets of memory of its own that a process holds.
sub memory_of ($pid) {
    my $text = read_file("/proc/$pid/smaps_rollup");
    return 1024 * sum0($text =~ /^Private_(?:Clean|Dirty):\s+(\d+) kB$/mg);
}

# ---- lookups ----

# One client of the tables for all these sockets, which take turns.
sub load_tables ($sockets, %opt) {
    return run_json(program('bench/table-load'), '-c', $opt{connections}, '-n', $opt{lookups},
        '-r', $opt{rounds}, '-k', $opt{kind}, @$sockets);
}

sub lookup_row ($words, $figures) {
    return sprintf "| %s | %.0f | %.1f | %.1f | %.2f |\n", $words,
        @$figures{qw(rate p50_us p99_us p50_ratio)};
}

my $LOOKUP_HEAD = "| | lookups/s | p50, us | p99, us | p50 against the first |\n|---|--:|--:|--:|--:|\n";

sub measure_lookups ($rounds, $bars) {
    my $daemon = start_daemon();
    my ($echo, $socket) = start_echo();
    my $text = "### Table lookups against a bare libevent echo server\n\n$LOOKUP_HEAD";
    for my $connections (1, 500) {
        my ($bare, $ours) = @{load_tables([$socket, tables_of($daemon)], connections => $connections,
            lookups => $connections == 1 ? 20_000 : 50_000, rounds => $rounds, kind => 'command')};
        my $many = $connections == 1 ? 'one connection' : "$connections connections";
        $text .= lookup_row("echo server, $many", $bare);
        $text .= lookup_row("command table, $many", $ours);
        push @$bars, ["lookup round trip p50 / echo server's, $many", $ours->{p50_ratio},
            'at most', 1.15];
    }
    $daemon->stop;
    $echo->stop;
    return $text;
}

# The ehlo table as the number of suppressed clients grows.
sub measure_suppressed ($rounds, $bars) {
    my @counts = (1, 10_000, $MILLION);
    my @daemons = map { start_daemon($_) } @counts;
    my $figures = load_tables([map { tables_of($_) } @daemons], connections => 1, lookups => 20_000,
        rounds => $rounds, kind => 'ehlo');
    my $text = "### The ehlo table\n\n$LOOKUP_HEAD";
    for my $i (0 .. $#counts) {
        $text .= lookup_row("$counts[$i] suppressed clients", $figures->[$i]);
    }
    push @$bars, ['ehlo lookup p50, 10^6 suppressed clients / one', $figures->[2]{p50_ratio},
        'at most', 1.2];
    my $counted = $daemons[2]->control->get('/v1/status')->{suppressed_clients};
    croak "the daemon holds $counted suppressed clients, not $MILLION" if $counted != $MILLION;
    my $octets = (memory_of($daemons[2]->pid) - memory_of($daemons[0]->pid)) / ($counts[2] - $counts[0]);
    push @$bars, ['octets a suppressed client', $octets, 'at most', 150];
    $_->stop for @daemons;
    return $text . sprintf "\nMemory: %.0f octets a suppressed client (private memory of the process).\n", $octets;
}

# ---- idle sessions ----

# Opens idle sessions, calls $during->(), ends them.
sub with_idle ($paths, $during) {
    my $pid = open2(my $out, my $in, program('bench/idle-sessions'), $IDLE, @$paths);
    my $line = <$out> // '';
    croak 'idle-sessions failed' if $line ne "ready\n";
    my $result = $during->();
    close $in;
    waitpid $pid, 0;
    return $result;
}

# Private memory that idle sessions add to a fresh daemon, octets each.
sub weigh_idle ($sockets_wanted) {
    my $daemon = start_daemon();
    my @paths = (sockets_of($daemon))[0 .. $sockets_wanted - 1];
    my $before = memory_of($daemon->pid);
    my $octets = with_idle(\@paths, sub { (memory_of($daemon->pid) - $before) / $IDLE });
    $daemon->stop;
    return $octets;
}

sub measure_idle ($rounds, $bars) {
    my ($crowded, $quiet) = (start_daemon(), start_daemon());
    my $figures = with_idle([sockets_of($crowded)], sub {
        return load_tables([map { tables_of($_) } $quiet, $crowded], connections => 50, lookups => 50_000,
            rounds => $rounds, kind => 'command');
    });
    $_->stop for $crowded, $quiet;
    my ($tables, $all) = (weigh_idle(1), weigh_idle(3));
    push @$bars, ['octets an idle session (tables, policy, milter)', $all, 'at most', 4096];
    my $text = "### $IDLE idle sessions\n\n$LOOKUP_HEAD";
    $text .= lookup_row('50 busy sessions', $figures->[0]);
    $text .= lookup_row("50 busy sessions beside $IDLE idle ones", $figures->[1]);
    return $text . sprintf "\nMemory of the daemon: %.0f octets an idle session with its tables connection, %.0f "
        . "with policy and milter connections as well (libmilter's own included).\n", $tables, $all;
}

# ---- body scanning ----

sub measure_scanning ($bars) {
    my $program = program('bench/bench_content');
    my $output = qx{$program};
    croak "$program failed" if $?;
    push @$bars, map { ["body scanning / memchr, $_->[0]", $_->[1], 'at least', 0.5] } scanning_ratios($output);
    return "### Body scanning against memchr()\n\n```\n$output```\n";
}

# Rows of bench_content: a body's name first, the ratio last.
sub scanning_ratios ($output) {
    return map { /^(\w[\w ,-]*?)\s{2,}.*?([\d.]+)\s*$/ ? [$1, $2] : () } split /\n/, $output;
}

sub measure ($rounds) {
    my @bars;
    my @texts = (
        measure_lookups($rounds, \@bars),
        measure_suppressed($rounds, \@bars),
        measure_idle($rounds, \@bars),
        measure_scanning(\@bars),
    );
    my $text = join "\n", @texts;
    print $text;
    return {text => $text, bars => \@bars};
}

# ---- a million transfers ----

my $ROUNDS = 15;
my $ROUND_TRANSFERS = 4000;

# All on one processor: by where its threads happen to wake up one daemon costs a quarter more than its twin, which
# hides what is asked here.
my @PINNED = qw(taskset -c 0);

sub start_pinned () { start_daemon(0, \@PINNED) }

sub replay ($daemon, @options) {
    return run_json(@PINNED, program('bench/hook-replay'), @options, '-P', $daemon->pid, sockets_of($daemon));
}

# CPU of the daemon a transfer, microseconds.
sub cost_of ($daemon) {
    return replay($daemon, '-n', $ROUND_TRANSFERS)->{slices}[0]{cpu_us};
}

# The daemon that has seen it all against one that has just begun, and that one against another of
# its age, which shows what chance does. They take turns, each round beginning with the next one.
sub compare_ages ($old) {
    my @daemons = ($old, start_pinned(), start_pinned());
    cost_of($_) for @daemons[1, 2]; # fills their caches
    my (@aged, @alike);
    for my $round (1 .. $ROUNDS) {
        my @cost;
        $cost[$_] = cost_of($daemons[$_]) for map { ($_ + $round) % 3 } 0 .. 2;
        push @aged, $cost[0] / $cost[1];
        push @alike, $cost[2] / $cost[1];
    }
    $_->stop for @daemons[1, 2];
    return map { Bench::Report::median(@$_) } \@aged, \@alike;
}

# Every twentieth session is lost in mid-transfer, from an address of its own.
sub measure_slope ($transfers) {
    my $daemon = start_pinned();
    my $result = replay($daemon, '-n', $transfers, '-k', 20, '-f', 20);
    my ($ratio, $chance) = compare_ages($daemon);
    my $lost = $daemon->status->{transfers}{lost};
    croak 'not one strike in all those sessions' if !$lost;
    $daemon->stop;
    my @cpu = map { $_->{cpu_us} } @{$result->{slices}};
    my $text = "$transfers transfers in $result->{sessions} sessions through one daemon, every twentieth "
        . "session lost in mid-transfer from an address of its own ($lost strikes), all on one processor. CPU of the "
        . "daemon a transfer, microseconds, in twenty slices (the machine's drift is in them):\n\n"
        . join(', ', map { sprintf '%.1f', $_ } @cpu) . "\n\n"
        . sprintf "After them it takes %.2f of the CPU a transfer that a daemon takes which has just begun; a second one "
        . "that has just begun takes %.2f (%d rounds by turns, %d transfers each).\n",
        $ratio, $chance, $ROUNDS, $ROUND_TRANSFERS;
    print $text;
    return {text => $text, bars => [['CPU a transfer after a million / at the begin', $ratio, 'at most', 1.1]]};
}

1;
