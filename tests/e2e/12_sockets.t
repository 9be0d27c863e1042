# What strangers may say to the daemon's sockets: a clean error and the end of the connection, never
# a crash, never a hang; and mail goes on beside it.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use IO::Socket::UNIX;
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Message qw(new_message);
use MailTest::Place qw(program read_file);
use MailTest::Process;
use MailTest::Session;
use MailTest::Wait;
use Test::More;

my $stage = MailTest::Session->new;
my $sockets = $stage->postfix->socket_folder;

sub netstring ($text) { return length($text) . ":$text," }

sub connect_to ($name) {
    return IO::Socket::UNIX->new(Peer => "$sockets/$name.sock") // die "$name.sock: $!";
}

# Sends octets in pieces of that size and reads what comes back until the end of the connection, or
# until `enough` matches.
sub ask ($socket, $octets, $enough = undef, $piece = length $octets) {
    local $SIG{PIPE} = 'IGNORE';
    for (my $at = 0; $at < length $octets; $at += $piece) {
        defined $socket->syswrite(substr $octets, $at, $piece) or last;
    }
    my $got = '';
    while (IO::Select->new($socket)->can_read($MailTest::Wait::PATIENCE)) {
        my $count = $socket->sysread($got, 65536, length $got) or return ($got, 'closed');
        return ($got, 'open') if defined $enough && $got =~ $enough;
    }
    return ($got, 'hangs');
}

# The tables: octets sent, what is answered, and whether the connection lives on.
my @tables = (
    ['an unknown command', netstring('command NOOP'), qr/^\d+:NOTFOUND ,/, 'open'],
    ['an address never seen', netstring('ehlo 192.0.2.1'), qr/^\d+:NOTFOUND ,/, 'open'],
    ['no address', netstring('ehlo nonsense'), qr/^\d+:(?:NOTFOUND|TEMP|PERM)/, undef],
    ['an unknown table', netstring('nothing x'), qr/^\d+:PERM [^,]+,/, undef],
    ['no table at all', netstring(''), qr/^\d+:PERM [^,]+,/, undef],
    ['a table without a key', netstring('command'), qr/^\d+:(?:PERM|NOTFOUND) ?[^,]*,/, undef],
    ['a key of 90,000 octets', netstring('command ' . 'x' x 90_000), qr/^\d+:NOTFOUND ,/, 'open'],
    ['a key of 200,000 octets', netstring('command ' . 'x' x 200_000), qr/^(?:\d+:PERM [^,]+,)?/, 'closed'],
    ['a length of 20 digits', '99999999999999999999:', qr/^(?:\d+:PERM [^,]+,)?/, 'closed'],
    ['a length with leading zeros', '0005:ehlo ,', qr/^(?:\d+:PERM [^,]+,)?/, undef],
    ['no length', ':command NOOP,', qr/^(?:\d+:PERM [^,]+,)?/, 'closed'],
    ['a negative length', '-5:hello,', qr/^(?:\d+:PERM [^,]+,)?/, 'closed'],
    ['no comma at the end', '12:command NOOP;', qr/^(?:\d+:PERM [^,]+,)?/, 'closed'],
    ['HTTP', "GET / HTTP/1.1\r\nHost: x\r\n\r\n", qr/^(?:\d+:PERM [^,]+,)?/, 'closed'],
    ['octets of every value', join('', map { chr } 0 .. 255), qr/^(?:\d+:PERM [^,]+,)?/, 'closed'],
);
for my $row (@tables) {
    my ($name, $octets, $answer, $state) = @$row;
    for my $piece (length $octets, length $octets > 1000 ? 1000 : 1) {
        my $socket = connect_to('tables');
        my ($got, $is) = ask($socket, $octets, $state && $state eq 'closed' ? undef : qr/,\z/, $piece);
        like($got, $answer, "tables, $name, in pieces of $piece: answer");
        isnt($is, 'hangs', "tables, $name: no hang");
        is($is, $state, "tables, $name: connection") if $state;
        next if $is ne 'open';
        my ($second) = ask($socket, netstring('command NOOP'), qr/,\z/);
        like($second, qr/^\d+:NOTFOUND ,/, "tables, $name: a second question is answered") if $state;
    }
}

# Many questions in one flight.
my ($many) = ask(connect_to('tables'), netstring('command NOOP') x 1000, qr/(?:\d+:NOTFOUND ,){1000}/);
is($many, netstring('NOTFOUND ') x 1000, 'tables: a thousand questions in one flight');

# The policy service: requests and their answers.
my @policy = (
    ['an empty request', "\n", qr/^action=/, undef],
    ['attributes nobody knows', "request=smtpd_access_policy\nfoo=bar\nx=y=z\n\n", qr/^action=dunno\n\n/i, 'open'],
    ['another state', "request=smtpd_access_policy\nprotocol_state=RCPT\ninstance=1.2\n\n", qr/^action=dunno\n\n/i, 'open'],
    ['a size that is no number', "request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\nsize=lots\n\n", qr/^action=dunno\n\n/i, undef],
    ['a line without "="', "request=smtpd_access_policy\nnonsense\n\n", qr/^(?:action=dunno\n\n)?/i, undef],
    ['a line of a megabyte', 'a=' . 'x' x 1_000_000 . "\n\n", qr/^(?:action=dunno\n\n)?/i, 'closed'],
    ['a request without end', "a=b\n" x 100_000, qr/^(?:action=dunno\n\n)?/i, 'closed'],
);
for my $row (@policy) {
    my ($name, $octets, $answer, $state) = @$row;
    my ($got, $is) = ask(connect_to('policy'), $octets, $state && $state eq 'closed' ? undef : qr/\n\n\z/);
    like($got, $answer, "policy, $name: answer");
    isnt($is, 'hangs', "policy, $name: no hang");
    is($is, $state, "policy, $name: connection") if $state;
}

# The control socket: requests that must not pass.
for my $row (
    ['GET', '/nothing', 404], ['POST', '/v1/status', 405], ['GET', '/v1/transfers?limit=abc', 400],
    ['GET', '/v1/transfers?verdict=nonsense', 400], ['GET', '/v1/transfers?client=300.1.1.1', 400],
    ['GET', '/v1/clients/' . 'x' x 3000, 400], ['POST', '/v1/clients/192.0.2.1/suppress?for=never', 400],
    ['GET', '/v1/clients/192.0.2.1%00', 400], ['PUT', '/v1/status', 405],
) {
    my ($method, $target, $status) = @$row;
    my $answer = $stage->daemon->control->request($method, $target);
    my $name = "$method " . substr $target, 0, 50;
    ok($answer->{status} == $status || $status == 400 && $answer->{status} == 404
        || $method eq 'PUT' && $answer->{status} >= 400, "$name: $answer->{status}");
    like($answer->{body}, qr/"error"/, "$name: says what is wrong") if $method ne 'PUT';
}

# A thousand connections that say nothing, half a netstring, or HTTP, beside mail.
my @idle = map { my $socket = connect_to('tables'); $socket->syswrite(('', '12:comm', "GET /\r\n")[$_ % 3]); $socket } 1 .. 500;
push @idle, map { connect_to('policy') } 1 .. 500;
my $client = $stage->client(from => next_client());
for my $message (new_message(), new_message()) {
    $client->envelope($message->{sender});
    like($client->bdat($message->{content}, last => 1), qr/^250 /, 'mail goes on beside a thousand idle connections');
    check_transfer($stage, $message, {verdict => 'match', drift => 0}, 'beside them');
}
$client->quit;
$_->close for @idle;
# A policy request tells of messages that nobody else knows of.
$stage->daemon->expect_log(qr/tables|policy|netstring|request/, qr/NOQUEUE: verdict=unverified, accepted/);
$stage->finish_quietly;

# Who owns a socket's path, by whoever ends first.
my $daemon = $stage->daemon;
my %path = (control => $daemon->control_socket, map { $_ => "$sockets/$_.sock" } qw(milter tables policy));

sub paths_there () { return [grep { -S $path{$_} } sort keys %path] }

is_deeply(paths_there(), [], 'a daemon that has ended leaves no socket behind');
$daemon->start;
is_deeply(paths_there(), [sort keys %path], 'one that is started again has them all');

# A second daemon on the same paths does not start, and takes nothing along when it ends.
my $output = "$path{control}.second";
my $second = MailTest::Process->start(
    command => [program('milter/bdat-milter'), '-f', '-c', $daemon->config_file],
    stderr => $output);
is($second->wait_end >> 8, 1, 'a second daemon does not start');
like(read_file($output), qr/another daemon answers there/, 'and says why');
is_deeply(paths_there(), [sort keys %path], 'the sockets of the first stay');
like((ask(connect_to('tables'), netstring('command NOOP'), qr/,\z/))[0], qr/^\d+:NOTFOUND ,/, 'and are served');

# Other sockets stand there meanwhile, as after a daemon that took the paths over.
my %taken;
for my $name (sort keys %path) {
    $taken{$name} = IO::Socket::UNIX->new(Local => "$path{$name}.other", Listen => 5) // die "$name: $!";
    rename "$path{$name}.other", $path{$name} or die "$name: $!";
}
is($daemon->process->stop, 0, 'a daemon whose paths were taken over ends in order');
is_deeply(paths_there(), [sort keys %path], 'and leaves them to the other');
ok(IO::Socket::UNIX->new(Peer => $path{$_}), "$_: is the other's") for sort keys %path;
$_->close for values %taken;
unlink values %path;

# A service manager's sockets stay in its hands.
$daemon->hold_sockets;
for my $round (1, 2) {
    $daemon->start;
    is($daemon->stop, 0, "passed sockets, round $round: the daemon ends in order");
    is_deeply(paths_there(), [sort keys %path], "passed sockets, round $round: they stay");
}
is_deeply([$daemon->unexpected_log], [], 'nothing unexpected in the log of all of them');
done_testing();
