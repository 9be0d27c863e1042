# bdat-probe given a mail domain: its mail exchangers, from a name server of this test's own.
# The resolver is told of it in a mount namespace, where /etc/resolv.conf names it.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::IP;
use Test::More;
use MailTest::Place qw(new_folder write_file);
use ProbeTest qw(conclusion_is probe_json run_probe);
use ProbeTest::Server;

plan(skip_all => 'only root can bind ports 25 and 53') if $> != 0;
plan(skip_all => 'namespaces cannot be made here')
    if system('unshare -m true >/dev/null 2>&1') != 0;

# Addresses of our own in 127/8, so that other tests may do the same.
my ($good, $deaf) = map { sprintf '127.77.%d.%d', $$ / 250 % 250 + 1, $$ % 125 * 2 + $_ } 1, 2;

my %records = (
    # name => { type => [data, ...] }
    'two.test' => {MX => [[20, 'good.two.test'], [10, 'deaf.two.test']]},
    'good.two.test' => {A => [$good]},
    'deaf.two.test' => {A => [$deaf]},
    'plain.test' => {A => [$good]},
    'null.test' => {MX => [[0, '']], A => [$good]},
    'lost.test' => {MX => [[10, 'nowhere.test']]},
);

my $dns = IO::Socket::IP->new(LocalHost => $good, LocalPort => 53, Proto => 'udp')
    or plan(skip_all => "port 53 of $good cannot be had: $@");
my $dns_pid = fork // die "fork: $!";
if ($dns_pid == 0) {
    serve_names();
    POSIX::_exit(0);
}
END {
    local $?;
    kill 'KILL', $dns_pid if $dns_pid;
    waitpid $dns_pid, 0 if $dns_pid;
}

my $folder = new_folder();
write_file("$folder/resolv.conf", "nameserver $good\noptions timeout:2 attempts:1\n");
my %inside = (wrap => ['unshare', '-m', 'sh', '-c',
    "mount --bind '$folder/resolv.conf' /etc/resolv.conf && exec \"\$@\"", 'sh']);
my $server = ProbeTest::Server->new(host => $good, port => 25);

my @only = ('--only', 'data,one-chunk', '--timeout', '5s');
my $result = probe_json(\%inside, @only, 'two.test');
conclusion_is($result, 'works', 0, 'a domain with two mail exchangers');
is($result->{json}{server}{host}, 'good.two.test', 'the one that can be reached is probed');
is($result->{json}{server}{address}, "$good:25", 'at port 25');
is($result->{json}{server}{route}, 'mail exchanger of two.test', 'and that is said');
is($result->{json}{server}{recipient}, 'postmaster@two.test', "the domain's postmaster is named");
like(run_probe(\%inside, @only, 'two.test')->{out} =~ s/\s+/ /gr,
    qr/good\.two\.test at \Q$good\E:25, mail exchanger of two\.test/, 'in the text, too');

$result = probe_json(\%inside, @only, 'plain.test');
conclusion_is($result, 'works', 0, 'a domain without MX records is its own mail exchanger');
is($result->{json}{server}{route}, '', 'no route');

$result = run_probe(\%inside, @only, 'null.test');
is($result->{exit}, 3, 'a domain that takes no mail');
like($result->{err}, qr/takes no mail at all: it has a null MX/, 'is said to be one');
$result = probe_json(\%inside, @only, '--no-mx', 'null.test');
conclusion_is($result, 'works', 0, 'its host can be probed all the same with --no-mx');
$result = probe_json(\%inside, @only, 'null.test:25');
conclusion_is($result, 'works', 0, 'or with a port');

$result = run_probe(\%inside, @only, 'lost.test');
is($result->{exit}, 3, 'a mail exchanger without an address');
like($result->{err}, qr/nowhere\.test: /, 'is named');
$result = run_probe(\%inside, @only, 'missing.test');
is($result->{exit}, 3, 'a domain that does not exist');
like($result->{err}, qr/missing\.test: /, 'is named');

kill 'KILL', $dns_pid;
waitpid $dns_pid, 0;
$dns_pid = 0;
$result = run_probe(\%inside, @only, 'two.test');
is($result->{exit}, 3, 'no name server');
cmp_ok($result->{seconds}, '<', 30, 'in bounded time');

$server->stop;
done_testing();

sub encode_name ($name) {
    return join('', map { pack 'C/a', $_ } split /\./, $name) . "\0";
}

# The records of one type as they stand in an answer.
sub encode_records ($name, $type) {
    my %number = (A => 1, MX => 15);
    my @answers;
    for my $data (@{$records{$name}{$type} // []}) {
        my $octets = $type eq 'A' ? pack('C4', split /\./, $data)
            : pack('n', $data->[0]) . encode_name($data->[1]);
        push @answers, pack 'n n n N n/a', 0xc00c, $number{$type}, 1, 60, $octets;
    }
    return @answers;
}

sub serve_names () {
    my %type_name = (1 => 'A', 15 => 'MX');
    while (defined(my $peer = $dns->recv(my $query, 4096))) {
        my $position = 12;
        my @labels;
        while (my $length = ord substr $query, $position, 1) {
            push @labels, lc substr $query, $position + 1, $length;
            $position += $length + 1;
        }
        my $name = join '.', @labels;
        my $question = substr $query, 12, $position + 5 - 12;
        my $type = $type_name{unpack 'n', substr $query, $position + 1, 2} // '';
        my @answers = encode_records($name, $type);
        my $code = $records{$name} ? 0 : 3;
        my $id = unpack 'n', $query;
        $dns->send(pack('n6', $id, 0x8580 | $code, 1, scalar @answers, 0, 0) . $question
            . join('', @answers), 0, $peer);
    }
}
