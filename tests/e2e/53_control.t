# The control socket among rough peers: who may do what, requests of every wrong kind, peers that are
# slow, silent or many; and Postfix has its answers at once all the while.
# alone: it measures times
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP ();
use MailTest::Message qw(new_message);
use MailTest::Place qw(find_tool);
use MailTest::Session;
use MailTest::Tables;
use MailTest::Wait qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

my $stage = MailTest::Session->new;
my $daemon = $stage->daemon;
$daemon->expect_log(qr/NOQUEUE: verdict=unverified, accepted: no policy request was seen/);
my $control = $daemon->control;
my $path = $daemon->control_socket;
my $tables = MailTest::Tables->new($daemon);
my $ring = 2000;    # transfers that the daemon lists at the most

# What a lookup may take while the control socket is busy, seconds: in the middle, and at worst on a
# machine with other things to do. A whole list made in one go would take ten times the first.
my ($USUAL, $WORST) = $ENV{E2E_PATIENCE} ? (0.2, 5) : (0.02, 1);

sub lookups_are_quick ($name, $count = 300) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $tables->take_times;
    $tables->ask('command NOOP') for 1 .. $count;
    my @times = $tables->take_times;
    cmp_ok($times[@times / 2], '<', $USUAL, sprintf '%s: a lookup takes %.2f ms', $name, 1000 * $times[@times / 2]);
    cmp_ok($times[-1], '<', $WORST, sprintf '%s: and %.2f ms at most', $name, 1000 * $times[-1]);
}

sub connect_to_control () {
    return IO::Socket::UNIX->new(Peer => $path) // die "$path: $!";
}

sub send_request ($socket, $target, $method = 'GET') {
    local $SIG{PIPE} = 'IGNORE';
    $socket->syswrite("$method $target HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    return $socket;
}

# All that comes until the peer closes; undef if it does not.
sub read_to_end ($socket, $seconds = $MailTest::Wait::PATIENCE) {
    my $got = '';
    while (IO::Select->new($socket)->can_read($seconds)) {
        my $count = $socket->sysread($got, 1 << 20, length $got);
        return $got if !$count;
    }
    return undef;
}

sub is_error ($answer, $status, $name) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($answer->{status}, $status, "$name: $status");
    my $error = eval { JSON::PP::decode_json($answer->{body})->{error} };
    ok(length($error // ''), "$name: " . ($error // $answer->{body}));
}

$tables->play_refused_transfer('192.0.2.' . (1 + $_ % 250), "s$_\@sender.example") for 1 .. $ring + 50;

subtest 'who may do what' => sub {
    plan skip_all => 'only root can become somebody else' if $> != 0;
    my $setpriv = find_tool('setpriv') // plan skip_all => 'setpriv is not installed';
    my $curl = find_tool('curl') // plan skip_all => 'curl is not installed';
    my $as = sub ($group, $method, $target) {
        my $got = qx{'$setpriv' --reuid nobody --regid $group --clear-groups '$curl' -sS -m 20 -X $method \\
            -w '\\n%{http_code}' --unix-socket '$path' 'http://localhost$target' 2>&1};
        my ($body, $status) = $got =~ /\A(.*)\n(\d{3})\z/s;
        return {body => $body, status => $status, exit => $? >> 8};
    };
    is($as->('postfix', 'GET', '/v1/status')->{status}, 200, 'a member of the group reads');
    is($as->('postfix', 'GET', '/metrics')->{status}, 200, 'metrics as well');
    for my $target ('/v1/reload', '/v1/clients/192.0.2.1/suppress?for=1d', '/v1/clients/192.0.2.1/release') {
        is_error($as->('postfix', 'POST', $target), 403, "a member of the group: POST $target");
    }
    is($daemon->client('192.0.2.1'), undef, 'and nothing has changed');
    is($as->('nogroup', 'GET', '/v1/status')->{exit}, 7, 'nobody else gets in');
    is($control->request('POST', '/v1/clients/192.0.2.1/suppress?for=1d')->{status}, 200, 'root may');
    $daemon->expect_log(qr/client 192\.0\.2\.1: CHUNKING is not offered to it until/);
    is($daemon->client('192.0.2.1')->{state}, 'suppressed', 'and it is done');
    is($control->request('POST', '/v1/clients/192.0.2.1/release')->{status}, 200, 'and undone');
};

subtest 'methods' => sub {
    for my $method (qw(PUT DELETE OPTIONS PATCH)) {
        my $answer = $control->request($method, '/v1/status');
        is_error($answer, 405, "$method /v1/status");
        is($answer->{headers}{allow}, 'GET, HEAD', 'Allow: GET, HEAD');
    }
    for my $path (qw(/v1/status /v1/transfers /v1/sessions /v1/clients /v1/incidents /v1/config /v1/follow
        /metrics /healthy /ready))
    {
        my $head = $control->request('HEAD', $path);
        is($head->{status}, 200, "HEAD $path: 200");
        is($head->{body} // '', '', "HEAD $path: no body");
        next if $path eq '/v1/follow';
        is($head->{headers}{'content-type'}, $control->request('GET', $path)->{headers}{'content-type'},
            "HEAD $path: the type is GET's");
    }
    is($control->request('HEAD', '/healthy')->{headers}{'content-length'}, 3, 'and so is the length where it is known');
    is($control->request('HEAD', '/v1/nothing')->{status}, 404, 'HEAD of nothing: 404');
    is($control->request('HEAD', '/v1/transfers?limit=0')->{status}, 400, 'HEAD with a bad query: 400');
    my $reload_head = $control->request('HEAD', '/v1/reload');
    is($reload_head->{status}, 405, 'HEAD /v1/reload: 405');
    is($reload_head->{body} // '', '', 'without a body');
    my $kept = connect_to_control();
    $kept->syswrite("HEAD $_ HTTP/1.1\r\nHost: x\r\n\r\n") for '/v1/transfers', '/v1/status';
    send_request($kept, '/healthy');
    is(scalar(() = (read_to_end($kept) // '') =~ m{^HTTP/1\.1 200 }mg), 3, 'HEAD keeps the connection in step');
    is_error($control->request('POST', '/v1/transfers'), 405, 'POST /v1/transfers');
    my $reload = $control->request('GET', '/v1/reload');
    is_error($reload, 405, 'GET /v1/reload');
    is($reload->{headers}{allow}, 'POST', 'Allow: POST');
    is_error($control->request('GET', '/v1/clients/192.0.2.1/suppress'), 405, 'GET …/suppress');
    like(read_to_end(send_request(connect_to_control(), '/v1/status', 'BREW')), qr{^HTTP/1\.1 (?:405|501) }, 'a method of nobody');
};

subtest 'queries' => sub {
    my @bad = ((map { "/v1/transfers?$_" } qw(limit=0 limit=-1 limit=x limit= limit=5x verdict=nonsense
        verdict= client=nonsense client=192.0.2.0/99 client=2001:db8::/129 limit)),
        '/v1/clients?state=gone', '/v1/clients?limit=0', '/v1/clients/nonsense', '/v1/clients/192.0.2.300',
        '/v1/incidents?since=yesterday', '/v1/incidents?since=2026-13-01T00:00:00Z', '/v1/follow?verdict=none-such');
    is_error($control->request('GET', $_), 400, "GET $_") for @bad;
    is_error($control->request('POST', "/v1/clients/192.0.2.9/suppress?for=$_"), 400, "POST …/suppress?for=$_") for qw(soon -1 1y 0 0d 3661d 99999d 99999999999999999999d);
    for my $network (qw(10.0.0.0/8 192.0.2.0/24 2001:db8::/32 2001:db8::/128 2001:db8::1/64 192.0.2.9/33 192.0.2.9/)) {
        my $segment = $network =~ s{/}{%2F}r;
        is_error($control->request('GET', "/v1/clients/$segment"), 400, "GET …/$network");
        is_error($control->request('POST', "/v1/clients/$segment/suppress"), 400, "POST …/$network/suppress");
    }
    is_error($control->request('POST', '/v1/clients/nonsense/release'), 400, 'POST …/nonsense/release');
    is_error($control->request('GET', $_), 404, "GET $_") for qw(/ /v1 /v1/ /v1/nothing /v1/status/ /v1/clients/ /v1/clients/198.51.100.1
        /v1/clients/192.0.2.1/nothing /METRICS);
    my $many = $control->get('/v1/transfers?limit=99999999999999999999');
    is(scalar @{$many->{transfers}}, $ring, 'a limit beyond all is all there is');
    my ($few) = $control->get('/v1/transfers?limit=3&client=192.0.2.7&verdict=' . $many->{transfers}[0]{verdict});
    is_deeply([map { $_->{client_address} } @{$few->{transfers}}], [('192.0.2.7') x 3], 'filters and limit work together');
};

# What lists show as a client is taken for a client.
subtest 'a client by its network' => sub {
    $daemon->expect_log(qr/client 2001:db8:7::\/64: CHUNKING is not offered to it until/,
        qr/client 192\.0\.2\.77: CHUNKING is not offered/);
    for my $row (['2001:db8:7::1', '2001:db8:7::/64', '2001:db8:7::%2F64'], ['192.0.2.77', '192.0.2.77', '192.0.2.77%2F32']) {
        my ($address, $shown, $segment) = @$row;
        my $client = $control->post("/v1/clients/$segment/suppress?for=3660d")->{clients}[0];
        is_deeply([@$client{qw(client state hold_seconds)}], [$shown, 'suppressed', 3660 * 86400], "$segment: suppressed");
        is_deeply($control->get("/v1/clients/$_"), $control->get("/v1/clients/$address"), "$_ is $address")
            for $segment, $segment =~ s{%2F}{/}r;
        is($control->post('/v1/clients/' . ($segment =~ s{%2F}{/}r) . '/release')->{clients}[0]{state}, 'offered',
            "$segment: released");
    }
};

subtest 'lists' => sub {
    my @transfers = @{$control->get("/v1/transfers?limit=$ring")->{transfers}};
    is(scalar @transfers, $ring, 'the whole ring');
    is_deeply([map { $_->{sender} } @transfers], [map { "s$_\@sender.example" } reverse 51 .. $ring + 50], 'newest first, each once');
    my $incidents = $control->get('/v1/incidents?limit=1000')->{incidents};
    cmp_ok(scalar @$incidents, '>', 0, 'incidents');
    is(ref $control->get('/v1/clients?limit=1000')->{clients}, 'ARRAY', 'clients');
    my @sessions = map { MailTest::Tables->new($daemon) } 1 .. 3;
    $_->ask('ehlo 192.0.2.50') for @sessions;
    my $alive = $control->get('/v1/sessions')->{sessions};
    is_deeply([map { $_->{pid} } @$alive], [$$], 'sessions: one a process');
};

subtest 'large answers that nobody reads' => sub {
    my @silent = map { send_request(connect_to_control(), "/v1/transfers?limit=$ring") } 1 .. 20;
    lookups_are_quick('20 lists in the making');
    my @gone = map { send_request(connect_to_control(), "/v1/transfers?limit=$ring") } 1 .. 20;
    $_->close for @gone;
    lookups_are_quick('20 peers gone before their answer');
    lookups_are_quick('20 answers that are not read');
    is($control->request('GET', '/healthy')->{status}, 200, 'others are answered');
    my ($head, $body) = split /\r\n\r\n/, read_to_end($silent[0]), 2;
    like($head, qr{^HTTP/1\.1 200 }, 'whoever reads at last has it');
    is(scalar @{JSON::PP::decode_json($body)->{transfers}}, $ring, 'whole');
};

subtest 'transfers judged while they are listed' => sub {
    my @lists = map { send_request(connect_to_control(), "/v1/transfers?limit=$ring") } 1 .. 5;
    $tables->play_refused_transfer('198.51.100.9', "new$_\@sender.example") for 1 .. 100;
    for my $list (@lists) {
        my $body = (split /\r\n\r\n/, read_to_end($list), 2)[1];
        my @senders = map { $_->{sender} } @{JSON::PP::decode_json($body)->{transfers}};
        my %once = map { $_ => 1 } @senders;
        is(scalar keys %once, scalar @senders, 'none is listed twice');
        cmp_ok(scalar @senders, '>=', $ring - 100, scalar(@senders) . ' are listed');
    }
};

subtest 'half, slow and broken requests' => sub {
    my @half = map { my $socket = connect_to_control(); $socket->syswrite($_); $socket }
        'G', "GET /v1/status HTTP/1.1\r\n", "GET /v1/status HTTP/1.1\r\nHost: x", "POST /v1/reload HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf";
    lookups_are_quick('half requests');
    my $slow = connect_to_control();
    for my $octet (split //, "GET /healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") {
        $slow->syswrite($octet);
        $tables->ask('command NOOP');
    }
    like(read_to_end($slow), qr{^HTTP/1\.1 200 .*ok\n\z}s, 'a request octet by octet is answered');
    $half[1]->syswrite("Host: x\r\nConnection: close\r\n\r\n");
    like(read_to_end($half[1]), qr{^HTTP/1\.1 200 }, 'and a half one that is ended at last');
    my @broken = (
        ['no HTTP', "hello\r\n\r\n"],
        ['octets of every value', join('', map { chr } 0 .. 255) . "\r\n\r\n"],
        ['headers without end', "GET / HTTP/1.1\r\n" . "X-Header: y\r\n" x 5000],
        ['a line without end', 'GET /' . 'x' x 100_000],
        ['a body too large', "POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"],
        ['a length that is none', "POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n"],
        ['a netstring', '14:command NOOP 1,'],
    );
    for my $row (@broken) {
        my ($name, $octets) = @$row;
        my $socket = connect_to_control();
        local $SIG{PIPE} = 'IGNORE';
        $socket->syswrite($octets);
        $socket->shutdown(1);
        my $got = read_to_end($socket);
        ok(defined $got, "$name: the connection ends");
        like($got // '', qr{^(?:HTTP/1\.[01] [45]\d\d |\z)}, "$name: an error or nothing");
    }
    is($control->request('GET', '/healthy')->{status}, 200, 'the daemon is well');
};

subtest 'many connections' => sub {
    my @idle = map { connect_to_control() } 1 .. 200;
    lookups_are_quick('200 idle connections');
    send_request($_, '/v1/status') for @idle;
    lookups_are_quick('200 requests at once');
    my @answers = map { read_to_end($_) } @idle;
    is(scalar(grep { ($_ // '') =~ m{^HTTP/1\.1 200 } } @answers), 200, 'each is answered');
    @idle = ();
    wait_until('the descriptors to be given back', sub { open_files($daemon->pid) < 100 });
};

sub open_files ($pid) {
    opendir my $folder, "/proc/$pid/fd" or die "/proc/$pid/fd: $!";
    return scalar grep { !/^\./ } readdir $folder;
}

# Takes lines off a follower until it has seen $count transfers.
sub read_followed ($socket, $count) {
    my ($text, @seen) = ('');
    while (@seen < $count && IO::Select->new($socket)->can_read($MailTest::Wait::PATIENCE)) {
        $socket->sysread($text, 65536, length $text) or last;
        while ($text =~ s/^([^\n]*)\n//) {
            my $line = $1;
            push @seen, JSON::PP::decode_json($line) if $line =~ /^\{/;
        }
    }
    return @seen;
}

subtest 'follow' => sub {
    my $followers = sub { $daemon->metrics->{bdat_milter_followers} };
    my $all = send_request(connect_to_control(), '/v1/follow');
    my $some = send_request(connect_to_control(), '/v1/follow?client=198.51.100.0/24');
    my $silent = send_request(connect_to_control(), '/v1/follow');
    wait_until('three followers', sub { $followers->() == 3 });
    $tables->take_times;
    my $count = 4000;
    my @seen;
    for my $i (1 .. $count) {
        $tables->play_refused_transfer($i % 100 ? '192.0.2.1' : '198.51.100.1', "f$i\@sender.example");
        push @seen, read_followed($all, 100) if $i % 100 == 0;
    }
    my @times = $tables->take_times;
    cmp_ok($times[@times / 2], '<', $USUAL, 'lookups are quick beside a follower that does not read');
    cmp_ok($times[-1], '<', $WORST, sprintf 'the slowest of %d takes %.1f ms', scalar @times, 1000 * $times[-1]);
    is_deeply([map { $_->{sender} } @seen], [map { "f$_\@sender.example" } 1 .. $count], 'a reader sees all, in order');
    my @filtered = read_followed($some, $count / 100);
    is_deeply([map { $_->{client_address} } @filtered], [('198.51.100.1') x ($count / 100)], 'a filter shows its own');
    my $message = new_message();
    my $client = $stage->client;
    $client->envelope($message->{sender});
    $client->bdat($message->{content}, last => 1);
    my ($transfer) = read_followed($all, 1);
    is($transfer->{verdict}, 'match', 'real mail is followed as it is judged');
    is_deeply($transfer, $daemon->transfer($message->{sender}), 'as the list shows it');
    $client->quit;
    $_->close for $all, $some, $silent;
    wait_until('no followers', sub {
        $tables->play_refused_transfer('192.0.2.1', 'last@sender.example');
        return $followers->() == 0;
    });
    pass('followers that go are forgotten');
};

# Everything at once, and an end in the middle of it.
my @left = map { send_request(connect_to_control(), $_) } ("/v1/transfers?limit=$ring", '/v1/follow', '/v1/incidents?limit=1000') x 10;
$left[$_]->close for 0 .. 5;
$stage->finish;
