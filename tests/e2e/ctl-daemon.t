# Every command of bdatctl against the real daemon and a real Postfix.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use JSON::PP          ();
use MailTest::Cases   qw(next_client);
use MailTest::Ctl     qw(ctl);
use MailTest::Message qw(new_message);
use MailTest::Place   qw(new_folder program read_file write_file);
use MailTest::Process;
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

my $stage  = MailTest::Session->new(
    # Aborted messages would use up the tokens by which Postfix slows senders down.
    postfix => {main => {in_flow_delay => 0}},
    daemon => {config => {socket_mode => '"0660"'}});
my $daemon = $stage->daemon;
my @socket = ('-s', $daemon->control_socket);
$daemon->expect_log(qr/verdict=overrun|CHUNKING is not offered to it until/);

sub shows ($arguments, $code, $name, @patterns) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $got = ctl(@socket, @$arguments);
    is($got->{code}, $code, "$name: exit $code") or diag $got->{err};
    like($got->{out}, $_, "$name: $_") for @patterns;
    return $got;
}

# Asks again until it shows.
sub soon ($pattern, @arguments) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $out  = '';
    my $seen = eval {
        wait_until("@arguments", sub { ($out = ctl(@socket, @arguments)->{out}) =~ $pattern });
    };
    ok($seen, "@arguments: $pattern") or diag $out;
}

# A message in two chunks, left open after the first: the session shows.
my $address = next_client();
my $client  = $stage->client(from => $address);
my($sound, $second) = (new_message(), new_message());
$client->envelope($sound->{sender});
$client->bdat(substr $sound->{content}, 0, 100);
soon(qr/^ *\d+  \Q$address\E +client\.example\.net  \S+ \S+  bdat .*\b1 +100  offered$/m,
    'sessions');
like($client->bdat(substr($sound->{content}, 100), last => 1), qr/^250 /, 'it goes on');
$client->envelope($second->{sender});
$client->bdat($second->{content}, last => 1);
$client->quit;
my $id   = $daemon->transfer($sound->{sender})->{queue_id};
my $size = length $sound->{content};

shows(
    ['status'], 0, 'status', qr/^bdat-milter \S+, mode enforce, up /, qr/^transfers +2 match$/m,
    qr/^tables +\d+ connections?, \d+ lookups, last 20/m,
    qr/^policy +\d+ connections?, 4 requests, last 20/m
);
shows(['transfers', '--client', $address], 0, 'transfers',
    qr/^\S+ \S+  \Q$id\E +\Q$address\E +2 +$size +$size +0  match    accept /m);
shows(['transfers', '--queue-id', $id], 0, 'one transfer', qr/\A.*\n.*\Q$id\E.*\n\z/);
shows(['transfers', '--verdict',  'stalled'], 0, 'a verdict that none has',
    qr/^No BDAT transfer that fits/);
is(ctl(@socket, 'transfers', '--verdict', 'nonsense')->{code}, 1,
    'a verdict that does not exist: exit 1');
my $rest = $size - 100;
shows(
    ['explain', $id], 0, 'explain a sound one',
    qr/2 chunks with $size octets in all: BDAT 100, BDAT\s+$rest LAST/,
    qr/exactly what was\s+declared/, qr/match\. Every octet/, qr/accepted and delivered/
);

# The broken one: octets beyond LAST. What a stranger reads of it.
my $broken = new_message();
my $other  = next_client();
$client = $stage->client(from => $other);
$client->envelope($broken->{sender});
$client->raw('BDAT ' . (length($broken->{content}) - 20) . " LAST\r\n", $broken->{content});
$client->reply;
$client->reply;
$client->close;
my $overrun = $daemon->judged($broken->{sender}, 'overrun');
shows(
    ['explain', $overrun->{queue_id}], 0, 'explain a broken one',
    qr/overrun\. After the last chunk more octets came/,
    qr/MAY\s+BE MISSING/, qr/The next thing the client sent was: "/, qr/For the sender/
);
soon(qr/overrun/, 'incidents', '--client', $other);
shows(['incidents', '--since', '1h', '--verdict', 'overrun', '--json'], 0, 'incidents',
    qr/"verdict": "overrun"/);
shows(['explain', $other], 0, 'explain the client', qr/Latest trouble\n.*overrun/s,
    qr/CHUNKING is withheld from \Q$other\E/);
shows(['clients', '--state', 'suppressed'], 0, 'clients', qr/^\Q$other\E +suppressed/m);
shows(['clients', $other], 0, 'a client', qr/^\Q$other\E +suppressed/m);
is(ctl(@socket, 'clients', '203.0.113.7')->{code}, 1, 'an unknown client: exit 1');
is(ctl(@socket, 'explain', '203.0.113.7')->{code}, 1, 'nothing to explain: exit 1');
is(ctl(@socket, 'clients', 'nonsense')->{code},    1, 'no address: exit 1');

# One strike: how many more it takes is told as the configuration has it.
my $struck = $stage->client(from => next_client());
my $dotted = new_message(body => "text\r\n.\r\n");
$struck->envelope($dotted->{sender});
like($struck->bdat($dotted->{content}, last => 1), qr/^250 /, 'a message with a dot is taken');
$struck->quit;
$daemon->transfer($dotted->{sender});
$daemon->expect_log(qr/verdict=dot_stuffed/);
soon(qr/has\s+1\s+strike\.\s+2\s+of\s+them\s+within\s+1h\s+withhold\s+it/, 'explain', $struck->from);
like($daemon->log_text, qr/client \Q@{[$struck->from]}\E: 1 strike \(last verdict dot_stuffed\)$/m, 'the log: one strike');

subtest 'suppress and release' => sub {
    shows(['suppress', $address, '--for', '2h', '--reason', 'asked by phone'], 0, 'suppress',
        qr/^\Q$address\E +suppressed .*asked by phone$/m);
    ok(!$stage->client(from => $address)->offers('CHUNKING'), 'the client is not offered CHUNKING');
    shows(['explain', $_], 0, "explain $_", qr/Noted: asked\s+by\s+phone/, qr/the\s+hold\s+is\s+2 h/,
        qr/sent \d+ by BDAT and 0 by DATA; last seen \S+ \S+ UTC\.\s+Its\s+last\s+clean\s+BDAT\s+transfer\s+was/)
        for $address, "$address/32";
    shows(['release', $address], 0, 'release', qr/^\Q$address\E +offered/m);
    ok($stage->client(from => $address)->offers('CHUNKING'), 'and is again');
    is(ctl(@socket, 'suppress', 'nonsense')->{code}, 1, 'no address: exit 1');
    for my $command (['suppress'], ['release'], ['clients'], ['explain']) {
        my $got = ctl(@socket, @$command, '10.0.0.0/8');
        is($got->{code}, 1, "@$command 10.0.0.0/8: exit 1");
        like($got->{err}, qr{10\.0\.0\.0/8 is no single client: .*give one of them or an address}, 'says what to give');
        is($got->{out}, '', 'and nothing else');
    }
    shows(['suppress', '2001:db8:9::1', '--for', '90m'], 0, 'suppress by IPv6', qr{^2001:db8:9::/64 +suppressed}m);
    shows(['explain', '2001:db8:9::/64'], 0, 'explain what the list shows', qr{withheld\s+from\s+2001:db8:9::/64});
    shows(['clients', '2001:db8:9::/64'], 0, 'show it', qr{^2001:db8:9::/64 +suppressed}m);
    shows(['release', '2001:db8:9::/64'], 0, 'release it', qr{^2001:db8:9::/64 +offered}m);
};

subtest 'who may do what' => sub {
    plan skip_all => 'only root can become somebody else' if $> != 0;
    my $copy = new_folder() . '/bdatctl';
    system 'cp', program('ctl/bdatctl'), $copy;
    my $got = ctl({user => 'nobody', program => $copy}, @socket, 'status');
    is($got->{code}, 3, 'nobody may not open the socket: exit 3');
    like($got->{err}, qr/permission denied/, 'says so');
    chmod 0666, $daemon->control_socket;
    is(ctl({user => 'nobody', program => $copy}, @socket, 'status')->{code}, 0,
        'who may open it may look');
    $got = ctl({user => 'nobody', program => $copy}, @socket, 'suppress', '192.0.2.1');
    is($got->{code}, 1, 'but not change anything: exit 1');
    like($got->{err}, qr/not allowed: .*\n.*use sudo/, 'and is told who may');
    chmod 0660, $daemon->control_socket;
};

subtest 'configuration' => sub {
    shows(
        ['config'], 0, 'config',
        qr{^milter\.socket +"\S+/milter\.sock" +"/var/spool/\S+ +\S+bdat-milter\.conf:\d+  restart$}m,
        qr/^limits\.max_chunks +100000 +\(same\) +default +reload$/m
    );
    unlike(shows(['config', '--changed'], 0, 'what is set')->{out}, qr/max_chunks/,
        'defaults are left out');
    $daemon->configure(mode => '"observe"');
    shows(['reload'], 0, 'reload',     qr/^reloaded: ok$/m);
    shows(['status'], 0, 'and status', qr/mode observe/);
    $daemon->configure(mode => '"obsrve"');
    my $got = shows(['reload'], 1, 'a bad file');
    like($got->{err}, qr/bdat-milter\.conf:\d+: .*observe/, 'file, line, and what was meant');
    shows(['status'], 0, 'the running configuration stays', qr/mode observe/);
    $daemon->expect_log(qr/obsrve/);
    $daemon->configure(mode => '"enforce"');
    shows(['reload'], 0, 'and mended');
};

# Messages that are begun and given up, in one session.
sub give_up ($count) {
    my $client = $stage->client(from => next_client());
    $client->raw(
        "MAIL FROM:<a\@example.com>\r\nRCPT TO:<user\@example.test>\r\nBDAT 1\r\nxRSET\r\n" x $count);
    $client->reply for 1 .. 4 * $count;
    $client->quit;
}

subtest 'follow' => sub {
    my $file = new_folder() . '/follow';
    my $process = MailTest::Process->start(
        stdout => $file,
        command =>
            [program('ctl/bdatctl'), @socket, '--json', 'follow', '--verdict', 'abandoned']
    );
    # When it has connected only its first line shows.
    wait_until('a line', sub { give_up(1); read_file($file) ne '' });
    my $lines = () = read_file($file) =~ /\n/g;
    give_up(3);
    wait_until('three more', sub { (() = read_file($file) =~ /\n/g) >= $lines + 3 });
    my @seen = map { JSON::PP::decode_json($_)->{verdict} } split /\n/, read_file($file);
    is_deeply([grep { $_ ne 'abandoned' } @seen], [], 'each transfer as it is judged');
    $process->stop;
};

subtest 'a client that never reads' => sub {
    my $mute = IO::Socket::UNIX->new(Peer => $daemon->control_socket);
    print {$mute} "GET /v1/follow HTTP/1.1\r\nHost: x\r\n\r\n";
    $mute->flush;
    my $before = $daemon->status->{transfers}{abandoned};
    give_up(60) for 1 .. 8;
    wait_until('all of them judged', sub { ($daemon->status->{transfers}{abandoned}) >= $before + 480 });
    shows(['top', '-1', '-d', '1'], 0, 'the daemon is unharmed', qr/^abandoned +\d+ +0\.0$/m);
    shows(['status'], 0, 'and answers');
};

$daemon->process->signal('STOP');
my $got = ctl(@socket, '--timeout', '1', 'status');
$daemon->process->signal('CONT');
is($got->{code}, 3, 'a daemon that hangs: exit 3');
like($got->{err}, qr/no answer within 1 s/, 'says so');
$stage->finish;
