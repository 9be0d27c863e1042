# top and follow: what stands on the screen of a real terminal, and what happens when the daemon
# goes away or answers slowly.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP      ();
use MailTest::Ctl qw(ctl);
use MailTest::FakeDaemon;
use MailTest::Place qw(find_tool new_folder program read_file);
use MailTest::Process;
use MailTest::Wait qw(wait_until);
use Test::More;
use Time::HiRes qw(sleep);

my $tmux     = find_tool('tmux') // plan skip_all => 'tmux is not installed';
my $folder   = new_folder();
# Each terminal has a server of its own: one that is ending would take a new one with it.
my ($terminal, $terminals) = ('', 0);
my $bdatctl  = program('ctl/bdatctl');

# Runs a command in a terminal of its own of that size.
sub open_terminal ($command, $columns = 100, $rows = 30) {
    $terminal = "$tmux -S $folder/tmux" . ++$terminals . ' -f /dev/null';
    my @locale = ('LC_ALL=C.UTF-8');
    system(
        "env @locale TERM=screen $terminal new-session -d -x $columns -y $rows '$command; echo ended: \$?; cat'"
        ) == 0
        or die "tmux failed\n";
}

sub screen ()              { scalar qx{$terminal capture-pane -p} }
sub screen_with_colours () { scalar qx{$terminal capture-pane -p -e} }
sub press (@keys)          { system("$terminal send-keys @keys") }
sub close_terminal ()      { system("$terminal kill-server 2>/dev/null") }

END { my $keep = $?; close_terminal() if $terminal; $? = $keep }

sub see ($pattern, $name) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $text = '';
    my $seen = eval {
        wait_until($name, sub { ($text = screen()) =~ $pattern });
    };
    ok($seen, $name) or diag $text;
    return $text;
}

# The same of the screen with its colours: one that is being drawn may lack some.
sub see_colours ($pattern, $name) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $text = '';
    ok(eval { wait_until($name, sub { ($text = screen_with_colours()) =~ $pattern }) }, $name)
        or diag $text;
}

# A status whose counters grow with the time, ten matches a second.
my $begin = Time::HiRes::time;

sub status () {
    my $matches = int((Time::HiRes::time - $begin) * 10);
    return JSON::PP::encode_json(
        {   version  => '0.1.0', mode => 'enforce', started => 'a', uptime_seconds => $matches / 10,
            sessions => {active => 2, total => $matches},
            transfers       => {match => $matches, stalled => 3, lost => 0},
            received_octets => $matches * 1000, suppressed_clients => 1,
            warnings        => ["beware of \e[2Jthe dog"]
        }
    );
}

my %answers = (
    'GET /healthy'     => 'ok',
    'GET /v1/status'   => sub ($socket, $) { MailTest::FakeDaemon::answer($socket, 200, status()) },
    'GET /v1/sessions' => JSON::PP::encode_json(
        {   sessions => [
                map {
                    {   pid    => 100 + $_,                   client_address => '192.0.2.9',
                        helo   => "\x{4e2d}\x{6587}.example", mode     => 'bdat', state => 'chunks',
                        chunks => $_,                         declared => 77 * $_
                    }
                } 1 .. 40
            ]
        }
    ),
    'GET /v1/clients' => JSON::PP::encode_json(
        {   clients => [
                {client => '192.0.2.1', state => 'offered', strikes => 0, bdat_transfers => 5},
                {client => '192.0.2.2', state => 'offered', strikes => 1, last_verdict   => 'lost'},
                {   client => '192.0.2.3', state => 'suppressed', strikes => 2,
                    until  => '2026-11-24T04:15:09.000Z', last_verdict => 'stalled'
                }
            ]
        }
    ),
);
my $fake = MailTest::FakeDaemon->new(%answers);
my $path = $fake->path;

# Two streams that take a minute, to be looked at in the end: one on which octets come seldom, but
# come, and one on which nothing comes.
my $quiet = MailTest::FakeDaemon->new(
    'GET /healthy'   => 'ok',
    'GET /v1/follow' => sub ($socket, $query) {
        print {$socket}
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
        $socket->flush;
        return readline $socket if $query =~ /verdict=lost/;
        for my $piece (("\n") x 3, '{"queue_id":"4LATE","verdict":"match"}' . "\n") {
            sleep 22;
            printf {$socket} "%x\r\n%s\r\n", length $piece, $piece;
            $socket->flush;
        }
        readline $socket;
    },
);
my ($patient, $deserted) = map {
    MailTest::Process->start(
        command => [$bdatctl, '-s', $quiet->path, 'follow', '--verdict', $_],
        stdout => "$folder/$_.out", stderr => "$folder/$_.err")
} 'match', 'lost';

subtest 'top on a terminal' => sub {
    open_terminal("$bdatctl -s $path top -d 1");
    see(qr/^match +\d+ +1?\d\.\d/m, 'verdicts with their rate');
    my $text = see(qr/^sessions 2 now, 1?\d\.\d\/s   octets 1?\d{4}\.\d\/s/m,
        'rates of sessions and octets');
    like($text, qr/\Abdat-milter 0\.1\.0  mode enforce  up /, 'a head line');
    like($text, qr/^warning: beware of \?\[2Jthe dog$/m, 'warnings, harmless');
    my($worst) = $text =~ /^WORST CLIENTS\n(.*?)\n\n/ms;
    like($worst, qr/192\.0\.2\.3  suppressed.*192\.0\.2\.2  offered/s, 'the worst client first');
    unlike($worst, qr/192\.0\.2\.1 /, 'a client without strikes is not among them');
    like($text, qr/^SESSIONS NOW \(40\)$/m, 'sessions');
    like($text, qr/every 1 s   q quits/,    'how to leave');
    my($before) = screen() =~ /^match +(\d+)/m;
    wait_until('a later look',
        sub { my($now) = screen() =~ /^match +(\d+)/m; ($now // 0) > $before });
    pass('it looks again and again');
    see_colours(qr/\e\[[\d;]*32m(?:\e\[[\d;]*m)*match/, 'match is green');

    system("$terminal resize-window -x 40 -y 12");
    see(qr/\A(?:.*\n){9,11}every 1 s   q quits/, 'a smaller terminal: the foot line moves up');
    my $small = screen();
    utf8::decode($small);
    is(scalar(grep { length > 40 } split /\n/, $small), 0, 'no line is longer than the screen');
    system("$terminal resize-window -x 120 -y 50");
    see(qr/\A(?:.*\n){30,50}every 1 s   q quits/, 'a larger one: it moves down');

    $fake->stop;
    see(qr/The daemon does not answer; waiting for it/, 'the daemon has gone: said so');
    $fake->start;
    see(qr/^match +\d+/m, 'and back again');
    press('q');
    see(qr/^ended: 0$/m, 'q ends it with exit 0');
    close_terminal();
};

subtest 'top without colours, and Ctrl-C' => sub {
    open_terminal("NO_COLOR=1 $bdatctl -s $path top -d 1");
    see(qr/^match /m, 'it shows');
    unlike(screen_with_colours(), qr/\e\[[\d;]*3[0-7]m/, 'no colours with NO_COLOR');
    press('C-c');
    see(qr/^ended: 0$/m, 'Ctrl-C ends it and leaves the terminal in order');
    close_terminal();
};

subtest 'top on a terminal that nobody knows' => sub {
    open_terminal("TERM=nonsense $bdatctl -s $path top -d 1", 100, 80);
    see(qr/^match +\d+ +\d+\.\d(?:.*\n)*ended: 0$/m, 'as plain text, and exit 0');
    close_terminal();
};

subtest 'top as plain text' => sub {
    for my $options (['-1'], []) {
        my $got = ctl('-s', $path, 'top', '-d', '1', @$options);
        is($got->{code}, 0, "top @$options: exit 0");
        like($got->{out}, qr/^match +\d+ +\d+\.\d$/m, 'with rates');
        unlike($got->{out}, qr/\e/, 'without escapes');
    }
    is(ctl('-s', "$folder/none", 'top', '-1')->{code}, 3, 'no daemon: exit 3');
};

my $line = JSON::PP::encode_json(
    {   time => '2026-11-23T04:15:09.123Z', queue_id    => '4XYZ', client_name => "evil\e[31m",
        client_address => '192.0.2.1',      chunk_count => 2, declared => 100, received => 98,
        drift          => -2,               verdict     => 'mismatch',
        evidence       => ['bare_lf'],      action      => 'tempfail'
    }
);
my $streaming = MailTest::FakeDaemon->new(
    'GET /healthy'   => 'ok',
    'GET /v1/follow' => sub ($socket, $query) {
        print {$socket}
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";

        # A line in two pieces, keep-alives, and the next; then silence.
        for my $piece (substr($line, 0, 20), substr($line, 20) . "\n", "\n", "\n$line\n") {
            printf {$socket} "%x\r\n%s\r\n", length $piece, $piece;
            $socket->flush;
            sleep 0.05;
        }
        readline $socket;
    },
);

subtest 'follow on a terminal' => sub {
    open_terminal(
        "$bdatctl -s @{[$streaming->path]} follow --client 192.0.2.0/24 --verdict mismatch", 160);
    my $want =
        qr/2026-11-23 04:15:09 4XYZ: client=evil\?\[31m\[192\.0\.2\.1\] chunks=2 declared=100 received=98 drift=-2 verdict=mismatch action=tempfail evidence=bare_lf/;
    see(qr/$want\n$want/, 'each transfer as it comes, and nothing for a keep-alive');
    is(($streaming->requests)[0], 'GET /v1/follow?client=192.0.2.0%2F24&verdict=mismatch',
        'asked for once, with its filter');
    $streaming->stop;
    see(qr/the daemon has gone; waiting for it to come back/, 'the daemon goes: said so');
    $streaming->start;
    see(qr/the daemon is back.*\n(?:.*\n)*$want\n$want/, 'and it goes on when it is back');
    close_terminal();
};

subtest 'follow into a file' => sub {
    my $process =
        MailTest::Process->start(command => [$bdatctl, '--json', '-s', $streaming->path, 'follow'],
        stdout => "$folder/out");
    wait_until('two lines', sub { (() = read_file("$folder/out") =~ /\n/g) == 2 });
    my @lines = split /\n/, read_file("$folder/out");
    is($lines[0], $line, 'the daemon\'s JSON, line by line and at once');
    $process->stop;
    is(ctl('-s', "$folder/none", 'follow')->{code}, 3, 'no daemon at the start: exit 3');
    my $refusing = MailTest::FakeDaemon->new(
        'GET /v1/follow' => [400, '{"error":"verdict: no such verdict"}']);
    my $got = ctl('-s', $refusing->path, 'follow', '--verdict', 'x');
    is($got->{code}, 1, 'a filter that is refused: exit 1');
    like($got->{err}, qr/no such verdict/, 'with the daemon\'s words');
};

subtest 'follow where little happens' => sub {
    wait_until('a transfer after more than a minute', sub { read_file("$folder/match.out") =~ /4LATE/ }, 150);
    is(read_file("$folder/match.err"), '', 'keep-alives are signs of life');
    wait_until('silence to be noticed', sub { read_file("$folder/lost.err") =~ /the daemon has gone/ }, 150);
    is(read_file("$folder/lost.out"), '', 'a minute without any is the end of the stream');
    $_->stop for $patient, $deserted;
};

done_testing();
