# bdat-probe's command line: what it takes, and what it says to what it does not.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use MailTest::Place qw(free_port new_folder program read_file source_folder);
use ProbeTest qw(probe_json run_probe);
use ProbeTest::Server;

my @wrong = (
    [[], qr/HOST\[:PORT\] is missing/],
    [['one', 'two'], qr/one server at a time/],
    [['--nonsense', 'host'], qr/unrecognized option/],
    [['--timeout', 'soon', 'host'], qr/--timeout wants a time/],
    [['--timeout', '2h', 'host'], qr/--timeout wants a time/],
    [['--timeout', '0', 'host'], qr/--timeout wants a time/],
    [['--pause', '-1', 'host'], qr/--pause wants a time/],
    [['--tls', 'maybe', 'host'], qr/--tls wants auto, never, starttls or implicit/],
    [['--only', 'no-such-case', 'host'], qr/there is no case no-such-case/],
    [['--only', ',', 'host'], qr/--only wants the name of a case/],
    [['--json', '--tap', 'host'], qr/exclude each other/],
    [['--to', '', 'host'], qr/--to wants a mail address/],
    [['--to', "a\@b>\r\nDATA", 'host'], qr/--to: this is no mail address/],
    [['--from', 'a b@c', 'host'], qr/--from: this is no mail address/],
    [['--deliver', 'a@b', '--to', 'c@d', 'host'], qr/leave out --to/],
    [['--helo', 'a b', 'host'], qr/--helo: this is no host name/],
    [['--auth', 'user:password', 'host'], qr/--auth wants file:PATH or env:NAME/],
    [['--auth', 'file:/no/such/file', 'host'], qr/No such file/],
    [['--auth', 'env:NO_SUCH_VARIABLE', 'host'], qr/no environment variable NO_SUCH_VARIABLE/],
    [['host:0'], qr/a number from 1 to 65535/],
    [['host:65536'], qr/a number from 1 to 65535/],
    [['host:smtp'], qr/a number from 1 to 65535/],
    [['[::1'], qr/closing \]/],
    [['[host]:25'], qr/between \[ and \]/],
    [['user@host'], qr/no host name/],
    [['1:2:3'], qr/no IPv6 address/],
);
for my $row (@wrong) {
    my ($arguments, $message) = @$row;
    my $result = run_probe(@$arguments);
    my $name = join(' ', @$arguments) =~ s/[^ -~]+/ /gr;
    is($result->{exit}, 2, "exit for: $name");
    like($result->{err}, $message, "message for: $name");
    is($result->{out}, '', "nothing on standard output for: $name");
}

my $help = run_probe('--help');
is($help->{exit}, 0, '--help');
my $list = run_probe('--list');
is($list->{exit}, 0, '--list');
my @names = $list->{out} =~ /^(\S+)/mg;
cmp_ok(scalar @names, '>=', 23, '--list names the cases');
like(run_probe('--version')->{out}, qr/^bdat-probe \d+\.\d+/, '--version');

# The manual names every option and every case.
my $manual = read_file(source_folder() . '/doc/bdat-probe.1');
for my $option ($help->{out} =~ /--([a-z-]+)/g) {
    like($manual, qr/Fl -\Q$option\E(?![a-z-])/, "the manual has --$option");
}
for my $name (@names) {
    like($manual, qr/^\.It Cm \Q$name\E$/m, "the manual has the case $name");
}

# Nobody there.
my $result = probe_json('127.0.0.1:' . free_port());
is($result->{exit}, 3, 'connection refused');
is($result->{json}{conclusion}{kind}, 'no_session', 'and its conclusion');
like($result->{json}{conclusion}{explanation}, qr/Connection refused/, 'and why');
$result = run_probe('--no-mx', 'no-such-host.invalid');
is($result->{exit}, 3, 'a host that does not exist');
like($result->{err}, qr/no-such-host\.invalid: /, 'is named');
is($result->{out}, '', 'on standard error');
for my $host ('no-such-host.invalid', 'no-such-host.invalid:25') {
    $result = probe_json('--no-mx', $host);
    is($result->{exit}, 3, "--json $host");
    is($result->{json}{conclusion}{kind}, 'no_session', "--json $host: an object all the same");
    like($result->{json}{conclusion}{explanation}, qr/no-such-host\.invalid: /, 'that says why');
    is($result->{json}{server}{host}, 'no-such-host.invalid', 'and of whom');
}
$result = run_probe('--tap', '--no-mx', 'no-such-host.invalid');
is($result->{exit}, 3, '--tap and a host that does not exist');
like($result->{out}, qr/^TAP version 13\nBail out!  no-such-host\.invalid: /, 'bails out');
$result = run_probe('--tap', '127.0.0.1:' . free_port());
like($result->{out}, qr/^Bail out!  .*\n#   -: \S+: Connection refused$/m,
    '--tap shows how far it came');
unlike($result->{out}, qr/above/, 'and points to nothing that is not there');

# What is sent is what was asked for.
my $log = new_folder() . '/log';
my $server = ProbeTest::Server->new(log => $log);
$result = run_probe('--from', 'me@here.test', '--to', 'you@there.test', '--helo', 'probe.here.test',
    '--only', 'one-chunk,two-messages', '--only', 'data', $server->address);
is($result->{exit}, 0, '--only twice');
my @ran = $result->{out} =~ /^PASS +(\S+)/mg;
is("@ran", 'data one-chunk two-messages', 'just those cases, in their order');
my $sent = read_file($log);
like($sent, qr/^EHLO probe\.here\.test$/m, '--helo');
like($sent, qr/^MAIL FROM:<me\@here\.test>/m, '--from');
like($sent, qr/^RCPT TO:<you\@there\.test>$/m, '--to');
unlike($sent, qr/LAST/, 'no LAST without --deliver');
$result = run_probe('--from', '<>', '--only', 'data', $server->address);
like(read_file($log), qr/^MAIL FROM:<>/m, 'the null sender');
$result = run_probe('--verbose', '--only', 'one-chunk', $server->address);
like($result->{out}, qr/^PASS  one-chunk.*C: BDAT \d+.*C: QUIT/ms, '--verbose shows the dialog');

# A report that cannot be written is no success.
my $full = system('sh', '-c', 'exec "$@" >/dev/full 2>/dev/null', 'sh', program('probe/bdat-probe'),
    '--pause', '0', '--only', 'data,one-chunk', $server->address) >> 8;
isnt($full, 0, 'a report that cannot be written');
for my $option (qw(--list --help --version)) {
    $full = system('sh', '-c', 'exec "$@" >/dev/full 2>/dev/null', 'sh',
        program('probe/bdat-probe'), $option) >> 8;
    is($full, 1, "$option that cannot be written");
}
done_testing();
