# bdatctl against answers of every kind: tables, JSON, exit codes, and words that help.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use JSON::PP      ();
use MailTest::Ctl qw(ctl);
use MailTest::FakeDaemon;
use MailTest::Place qw(new_folder program);
use MailTest::Wait;
use Test::More;
use Time::HiRes qw(sleep time);

my %transfer = (
    time => '2026-11-23T04:15:09.123Z', queue_id   => '4XYZ12abc', client_address => '192.0.2.1',
    client_name        => 'mail.example.com', helo => 'mail.example.com', sender => 'a@example.com',
    size_declared      => 3000,  chunks => [2000, 728], chunk_count => 2,     declared => 2728,
    received           => undef, body   => undef,       drift       => undef, verdict  => 'stalled',
    evidence           => ['foreign_input'], action => 'none', elapsed_ms => 300001, pid   => 17,
    recipients         => 1,      last    => JSON::PP::true,   reply => undef, followed_by => undef,
    since_last_bdat_ms => 300000, strikes => 2,                mode  => 'bdat',
);
my %clean = (
    %transfer, queue_id => '4CLEAN', verdict => 'match', received => 2728, drift => 0,
    body => 2500, evidence => [], action => 'accept', reply => '250 2.0.0 Ok: queued as 4CLEAN'
);
my %client = (
    client => '192.0.2.1',                state        => 'suppressed', strikes        => 2,
    until  => '2026-11-24T04:15:09.000Z', hold_seconds => 86400,        last_verdict   => 'stalled',
    last_seen       => '2026-11-23T04:15:09.123Z', bdat_transfers => 3, data_transfers => 1,
    last_clean => '2026-11-22T04:15:09.123Z', needs_chunking => JSON::PP::false, path_trouble => JSON::PP::false,
    reason          => undef, proven         => JSON::PP::false
);
my %status = (
    version => '0.1.0', mode => 'enforce', uptime_seconds => 3600,
    started => '2026-11-23T03:15:09.123Z',
    config  =>
        {file => '/etc/bdat-milter.conf', loaded => '2026-11-23T03:15:09.123Z', outcome => 'ok'},
    sessions => {
        active => 2, total => 1234567, bdat => 5, data => 4, mixed => 1, none => 3, unverified => 0
    },
    transfers => {match  => 1234, stalled  => 2, lost => 0},
    actions   => {accept => 1234, tempfail => 1},
    chunks => 1300, declared_octets => 5000000, received_octets => 4999000, suppressed_clients => 1,
    hooks  => {
        milter => {connections => 1, sessions => 9, last_seen => '2026-11-23T04:15:09.123Z'},
        tables =>
            {connections => 2, lookups => 99, errors => 3, last_seen => '2026-11-23T04:15:09.123Z'},
        policy => {connections => 0, requests => 0, errors => 0, last_seen => undef},
    },
    store => {
        type => 'sqlite', state => 'degraded', error => 'disk I/O error', queued => 0, dropped => 7
    },
    guard                => {replaced => 1},
    path_trouble_clients => 0,
    warnings             => ["policy was \e[31mnever asked"],
);
my @sessions = (
    {   pid   => 17, client_address => '192.0.2.1', helo => "b\x{fc}cher\x{4e2d}\x{6587}.example",
        since => '2026-11-23T04:15:09.123Z', mode    => 'bdat', state => 'chunks', chunks => 1,
        declared => 5,                       offered => JSON::PP::true
    },
    {   pid   => 4711, client_address => '2001:db8::1', helo => "evil\e]0;title\a\x{9b}31m\x{202e}",
        since => '2026-11-23T04:15:09.123Z', mode    => 'none', state => 'open', chunks => 0,
        declared => 0,                       offered => JSON::PP::false
    }
);
my @options = (
    {   name => 'mode',                  type => 'word', value => 'observe', default => 'enforce',
        file => '/etc/bdat-milter.conf', line => 3,      reloadable => JSON::PP::true, help => 'x'
    },
    {   name => 'socket_mode', type => 'string', value => '0660', default => '0660', file => undef,
        line => 0,             reloadable => JSON::PP::false, help => 'x', in_force => '0660'
    },
    {   name => 'store.path', type => 'string', value => '"/new"', default => '"/old"', file => '/f',
        line => 9,            reloadable => JSON::PP::false, help => 'x', in_force => '"/old"'
    }
);

sub json ($data) { JSON::PP->new->utf8->canonical->encode($data) }

my $fake = MailTest::FakeDaemon->new(
    'GET /healthy'      => [200, 'ok'],
    'GET /v1/status'    => json(\%status),
    'GET /v1/sessions'  => json({sessions => \@sessions}),
    'GET /v1/transfers' => sub ($socket, $query) {
        my @all =
              $query =~ /queue_id=4CLEAN/                   ? \%clean
            : $query =~ /queue_id=|verdict=lost|192.0.2.99/ ? ()
            :                                                 (\%transfer, \%clean);
        MailTest::FakeDaemon::answer($socket, 200, json({transfers => \@all}));
    },
    'GET /v1/incidents'                   => json({incidents => [\%transfer]}),
    'GET /v1/clients'                     => json({clients   => [\%client]}),
    'GET /v1/clients/192.0.2.1'           => json({clients   => [\%client]}),
    'GET /v1/clients/192.0.2.99'          => [404, '{"error":"nothing is known of 192.0.2.99"}'],
    'GET /v1/clients/2001:db8::%2F64'     =>
        json({clients => [{%client, client => '2001:db8::/64'}]}),
    'GET /v1/clients/10.0.0.0%2F8' => [400, '{"error":"10.0.0.0/8 is no single client"}'],
    'POST /v1/clients/192.0.2.1/suppress' => json({clients => [\%client]}),
    'POST /v1/clients/192.0.2.1/release'  => [403, '{"error":"only root may"}'],
    'POST /v1/reload'                     =>
        [400, '{"error":"/etc/bdat-milter.conf:7: unknown key \"modus\", did you mean mode?"}'],
    'GET /v1/config' => json({file => '/etc/bdat-milter.conf', options => \@options}),
);
my @socket = ('-s', $fake->path);

# What a table or a text must say.
sub shows ($arguments, $code, $name, @patterns) {
    my $got = ctl(@socket, @$arguments);
    is($got->{code}, $code, "$name: exit $code") or diag $got->{err};
    like($got->{out}, $_, "$name: $_") for @patterns;
    unlike(
        $got->{out} . $got->{err}, qr/[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]/,
        "$name: no control characters"
    );
    return $got;
}

subtest 'tables' => sub {
    shows(
        ['status'], 0, 'status', qr/^bdat-milter 0\.1\.0, mode enforce, up 60 min$/m,
        qr/^sessions +2 now, 1,234,567 in all \(5 by BDAT, 4 by DATA/m,
        qr/^transfers +1,234 match, 2 stalled$|^transfers +2 stalled, 1,234 match$/m,
        qr/^tables +2 connections, 99 lookups, 3 errors, last 2026-11-23 04:15:09$/m,
        qr/^policy +never asked: .*bdatctl attach/m,
        qr/^store +sqlite, degraded: disk I\/O error, 7 records dropped$/m,
        qr/^warning +policy was \?\[31mnever asked$/m
    );
    my $got   = shows(['sessions'], 0, 'sessions', qr/^ PID  CLIENT/, qr/evil\?\]0;title\?\?31m\?/);
    my @lines = map { utf8::decode($_); $_ } split /\n/, $got->{out};
    my $column = index $lines[0], 'SINCE';
    is(index($lines[1], '2026') + 2, $column, 'wide characters count two columns');
    is(index($lines[2], '2026'),     $column, 'and replaced ones count one');
    shows(
        ['transfers'], 0, 'transfers',
        qr/^2026-11-23 04:15:09  4XYZ12abc  192\.0\.2\.1 +2 +2728 +- +-  stalled  none    foreign_input$/m
    );
    shows(['transfers', '--verdict',  'lost'], 0, 'no transfers', qr/^No BDAT transfer/);
    shows(['transfers', '--queue-id', 'NONE'], 1, 'no such transfer',
        qr/^No transfer of that queue id/);
    shows(['clients'], 0, 'clients',
        qr/^192\.0\.2\.1  suppressed +2  2026-11-24 04:15:09  stalled/m);
    shows(['clients', '192.0.2.1'], 0, 'a client', qr/^192\.0\.2\.1  suppressed/m);
    shows(['incidents', '--since', '2h', '-n3'], 0, 'incidents', qr/4XYZ12abc/);
    shows(
        ['config'], 0, 'config', qr/^mode +observe +enforce +\/etc\/bdat-milter\.conf:3  reload$/m,
        qr/^socket_mode +0660 +\(same\) +default +restart$/m,
        qr{^store\.path +"/new" +"/old" +/f:9 +the next restart; now it is "/old"$}m
    );
    unlike(shows(['config', '--changed'], 0, 'changed config', qr/^mode/m)->{out}, qr/socket_mode/,
        'only what is set');
    shows(['suppress', '192.0.2.1', '--for', '12h', '--reason', 'a b&c'], 0, 'suppress',
        qr/suppressed/);
};

subtest 'what the daemon is asked' => sub {
    my @asked = $fake->requests;
    ok((grep { $_ eq 'GET /v1/incidents?since=2h&limit=3' } @asked), 'options become a query');
    ok( (grep { $_ eq 'POST /v1/clients/192.0.2.1/suppress?for=12h&reason=a%20b%26c' } @asked),
        'values are encoded'
    );
};

subtest 'JSON' => sub {
    for my $command (
        ['status'],            ['sessions'], ['transfers'], ['clients'], ['incidents'], ['config'],
        ['explain', '4CLEAN'], ['explain', '192.0.2.1'], ['top', '-d1']
        )
    {
        my $got = ctl(@socket, @$command, '--json');
        ok(eval { JSON::PP::decode_json($got->{out}); 1 }, "@$command --json is JSON") or diag $@;
        is($got->{code}, 0, "@$command: exit 0");
    }
    is( JSON::PP::decode_json(ctl(@socket, '--json', 'status')->{out})->{sessions}{total}, 1234567,
        'it is the daemon\'s own'
    );
    my $got = ctl(@socket, '--json', 'transfers', '--queue-id', 'NONE');
    is($got->{code}, 1, 'no such transfer: exit 1 as well');
    is_deeply(JSON::PP::decode_json($got->{out}), {transfers => []}, 'and an empty list');
    my $options = JSON::PP::decode_json(ctl(@socket, '--json', 'config', '--changed')->{out})->{options};
    is_deeply([map { $_->{name} } @$options], ['mode', 'store.path'], 'config --changed: only what is set');
};

subtest 'explain' => sub {
    shows(
        ['explain', '4CLEAN'], 0, 'a sound transfer', qr/BDAT 2000, BDAT 728 LAST/,
        qr/Postfix counted 2,728 octets, exactly what was declared/, qr/match\. Every octet/,
        qr/250 2\.0\.0 Ok/, qr/withheld from 192\.0\.2\.1 until/
    );
    shows(
        ['explain', '4XYZ12abc'], 0, 'one from the store',
        qr/stalled\. The client announced octets/,
        qr/Postfix did not report how many octets arrived/, qr/lay 5 min|lay 300 s/,
        qr/For the sender\n.*held back on the way/s, qr/foreign_input: a line came that is no/
    );
    shows(
        ['explain', '192.0.2.1'], 0, 'a client',
        qr/sent 3 by BDAT and 1 by DATA; last seen 2026-11-23 04:15:09 UTC\. Its\s+last\s+clean/,
        qr/Latest trouble/, qr/bdatctl\s+explain\s+4XYZ12abc/
    );
    shows(
        ['explain', '2001:db8::/64'], 0, 'a client by its network', qr/withheld from 2001:db8::\/64 until/,
        qr/bdatctl\s+release\s+2001:db8::\/64/
    );
    is((grep { m{/v1/clients/} } $fake->requests)[-1], 'GET /v1/clients/2001:db8::%2F64', 'asked for by it');
    my $wide = shows(['explain', '10.0.0.0/8'], 1, 'a network that is no client');
    like($wide->{err}, qr/^bdatctl: 10\.0\.0\.0\/8 is no single client/, 'the daemon\'s words');
    is($wide->{out}, '', 'and no story');
    my $got = shows(['explain', 'NOSUCH'], 1, 'an unknown queue id');
    like($got->{err}, qr/nothing is known of queue id NOSUCH/, 'says so');
};

subtest 'the answer is no' => sub {
    my $got = shows(['clients', '192.0.2.99'], 1, 'unknown client');
    like($got->{err}, qr/^bdatctl: nothing is known of 192\.0\.2\.99$/m, 'the daemon\'s words');
    like(shows(['release', '192.0.2.1'], 1, 'release')->{err},
        qr/not allowed: only root may\n.*use sudo/, 'use sudo');
    like(shows(['reload'], 1, 'reload')->{err}, qr/bdat-milter\.conf:7: unknown key "modus"/,
        'file and line');
};

subtest 'a reload that wants a restart' => sub {
    my $waiting = MailTest::FakeDaemon->new(
        'POST /v1/reload' => json({outcome => 'ok', restart_needed => ['store.path', "x\e[31m"]}));
    my $got = ctl('-s', $waiting->path, 'reload');
    is($got->{code}, 0, 'exit 0');
    is($got->{out}, join('', "reloaded: ok\n",
        map { "$_ takes effect after a restart only: systemctl restart bdat-milter\n" } 'store.path', 'x?[31m'),
        'says so');
};

subtest 'completion knows the states that the daemon takes' => sub {
    for my $shell (qw(bash zsh)) {
        my $got = ctl('completion', $shell);
        like($got->{out}, qr/offered suppressed probation path_trouble(?=['")])/, $shell);
        unlike($got->{out}, qr/pinned_/, "$shell: and none that it refuses");
    }
};

subtest 'usage' => sub {
    my @wrong = (
        [], ['statsu'], ['explain'], ['status', 'now'], ['status', '--nonsense'],
        ['transfers',  '-n'],
        ['transfers',  '-n', '0'],
        (map { ['suppress', '192.0.2.1', '--for', $_] } 'soon', '0', '0d', '-1d', '99999d', '1y', ''),
        ['--timeout',  'x',  'status'],
        ['completion', 'fish'], ['top', '-d', '0'], ['transfers', '--json=yes']
    );
    for my $arguments (@wrong) {
        my $got = ctl(@socket, @$arguments);
        is($got->{code}, 2,  "exit 2: bdatctl @$arguments");
        is($got->{out},  '', 'nothing on standard output');
        like($got->{err}, qr/^(?:bdatctl|usage): \S/, 'says what is wrong');
    }
    like(ctl('statsu')->{err}, qr/did you mean "status"/, 'a near miss is recognised');
    is(ctl(@$_)->{code}, 0, "exit 0: bdatctl @$_")
        for ['--help'], ['-h'], ['explain', '--help'], ['-V'];
};

subtest 'colours' => sub {
    unlike(ctl({env => {TERM => 'xterm'}}, @socket, 'transfers')->{out}, qr/\e/,
        'none into a file');
    my($program, $path) = (program('ctl/bdatctl'), $fake->path);
    my $on = qx{TERM=xterm script -qec '$program -s $path transfers' /dev/null};
    like($on, qr/\e\[31mstalled *\e\[0m/, 'colours on a terminal');
    my $off = qx{NO_COLOR=1 TERM=xterm script -qec '$program -s $path transfers' /dev/null};
    unlike($off, qr/\e\[3/, 'not with NO_COLOR');
};

subtest 'sockets that do not work' => sub {
    my $folder = new_folder();
    my $got    = ctl('-s', "$folder/none", 'status');
    is($got->{code}, 3, 'no socket: exit 3');
    like($got->{err}, qr/no such socket\.\nIs the daemon running\? Try: systemctl start/,
        'what to do');
    my $dead = MailTest::FakeDaemon->new;
    $dead->stop;
    $got = ctl('-s', $dead->path, 'status');
    is($got->{code}, 3, 'nobody listens: exit 3');
    like($got->{err}, qr/nobody listens there/, 'says so');
    chmod 0660, $fake->path;
    chown 0, scalar getgrnam('postfix'), $fake->path;
SKIP: {
        skip 'only root can become somebody else', 2 if $> != 0;
        my $copy = "$folder/bdatctl";
        system 'cp', program('ctl/bdatctl'), $copy;
        $got = ctl({user => 'nobody', program => $copy}, @socket, 'status');
        is($got->{code}, 3, 'no permission: exit 3');
        like($got->{err}, qr/permission denied\.\n.*members of group "postfix".*sudo/s,
            'names the group');
    }
    my $other = MailTest::FakeDaemon->new('GET /v1/status' => 'not json');
    $got = ctl('-s', $other->path, 'status');
    is($got->{code}, 1, 'an answer that is no JSON: exit 1');
    like($got->{err}, qr/is not JSON/, 'says so');
    my $mute = MailTest::FakeDaemon->new('GET /v1/status' => sub ($socket, $) { });
    $got = ctl('-s', $mute->path, 'status');
    is($got->{code}, 3, 'closed without an answer: exit 3');
    my $foreign = MailTest::FakeDaemon->new('GET /v1/status' =>
            sub ($socket, $) { print {$socket} "220 mail.example.com ESMTP\r\n"; $socket->flush });
    is(ctl('-s', $foreign->path, 'status')->{code}, 3, 'not HTTP: exit 3');
    my $slow = MailTest::FakeDaemon->new('GET /v1/status' => sub ($socket, $) { readline $socket });
    my $begin = time;
    $got = ctl('-s', $slow->path, '--timeout', '1', 'status');
    is($got->{code}, 3, 'no answer in time: exit 3');
    like($got->{err}, qr/no answer within 1 s/, 'says so');
    cmp_ok(time - $begin, '<', $MailTest::Wait::PATIENCE, 'in bounded time');
    is(ctl('-s', 'x' x 200, 'status')->{code}, 3, 'a path too long for a socket');
    my $full = qx{@{[program('ctl/bdatctl')]} -s @{[$fake->path]} status 2>&1 >/dev/full};
    is($? >> 8, 1, 'a full disk behind standard output is no success');
};

done_testing();
