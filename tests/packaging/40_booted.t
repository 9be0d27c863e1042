# The package in a clean Debian that runs its own systemd: real units, real sandbox.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../e2e/lib";
use MailTest::Wait qw(wait_until);
use PackageTest::Booted;
use PackageTest::Load qw(restart_under_load);
use Test::More;

plan skip_all => 'must be run as root' if $>;
my $package = PackageTest::Booted->package_file or plan skip_all => 'packaging/build-deb has not run';
my ($clean, $why) = PackageTest::Booted->clean_root;
plan skip_all => $why if !$clean;

my $machine = PackageTest::Booted->new;
$machine->boot or plan skip_all => $machine->why_not;
my @sockets = map { "bdat-milter$_.socket" } '', qw(-tables -policy -control);

system('cp', $package, $machine->path('/root/bdat-milter.deb')) == 0 or die "cp $package: $?\n";
my $got = $machine->run(qw(dpkg -i /root/bdat-milter.deb));
is($got->{code}, 0, 'the package installs') or BAIL_OUT($got->{out});
for my $unit (@sockets, 'bdat-milter.service') {
    is($machine->property($unit, 'ActiveState'), 'active', "$unit is active after installation");
    is($machine->property($unit, 'UnitFileState'), 'enabled', "$unit is enabled");
}
like($machine->property('bdat-milter.service', 'StatusText'), qr/sessions now/, 'the service says how it is')
    or diag $machine->service_log;
my $rating = $machine->run(qw(systemd-analyze security --no-pager bdat-milter.service));
my ($exposure) = $rating->{out} =~ /exposure level for \S+: ([\d.]+)/;
cmp_ok($exposure // 10, '<=', 0.5, 'systemd-analyze security: 0.5 or lower') or diag $rating->{out};

# The package's own test, as Debian's machinery would run it.
system('cp', "$FindBin::Bin/../../packaging/debian/tests/chrooted-postfix", $machine->path('/root/autopkgtest')) == 0
    or die "cp: $?\n";
$got = $machine->run(qw(env AUTOPKGTEST_TMP=/root sh /root/autopkgtest));
is($got->{code}, 0, 'the autopkgtest passes') or diag $got->{out};

# From the package to a judged message.
$machine->start_postfix;
$got = $machine->run(qw(bdatctl attach --yes));
is($got->{code}, 0, 'bdatctl attach') or diag $got->{out};
restart_under_load($machine, 5);

# Reload: a bad file is told and changes nothing.
my $file = $machine->read('/etc/bdat-milter.conf');
MailTest::Place::write_file($machine->path('/etc/bdat-milter.conf'), "mood = \"observe\";\n");
isnt($machine->run(qw(systemctl reload bdat-milter))->{code}, 0, 'reload of a bad file fails');
like($machine->service_log, qr/unknown key "mood"/, 'and the log says why');
MailTest::Place::write_file($machine->path('/etc/bdat-milter.conf'), "mode = \"observe\";\n");
is($machine->run(qw(systemctl reload bdat-milter))->{code}, 0, 'reload of a good one');
like($machine->must(qw(bdatctl --json status)), qr/"mode": *"observe"/, 'is in force at once');
MailTest::Place::write_file($machine->path('/etc/bdat-milter.conf'), $file);

# An upgrade: the service is another, the sockets are the same.
my %since = map { $_ => $machine->property($_, 'ActiveEnterTimestampMonotonic') } @sockets;
my $pid = $machine->property('bdat-milter.service', 'MainPID');
$machine->must(qw(dpkg -i /root/bdat-milter.deb));
isnt($machine->property('bdat-milter.service', 'MainPID'), $pid, 'an upgrade starts the service anew');
is_deeply({map { $_ => $machine->property($_, 'ActiveEnterTimestampMonotonic') } @sockets}, \%since,
    'and leaves the sockets as they are');

# kill -9: back at once.
$pid = $machine->property('bdat-milter.service', 'MainPID');
$machine->must('kill', '-9', $pid);
like($machine->must(qw(bdatctl status)), qr/\d/, 'killed, it answers the next request');
isnt($machine->property('bdat-milter.service', 'MainPID'), $pid, 'as another process');

# A daemon that hangs is replaced: the watchdog, with less patience than usual.
$machine->must('sh', '-c', 'mkdir -p /run/systemd/system/bdat-milter.service.d &&'
    . ' printf "[Service]\nWatchdogSec=1s\nTimeoutAbortSec=1s\n" >/run/systemd/system/bdat-milter.service.d/test.conf &&'
    . ' systemctl daemon-reload && systemctl restart bdat-milter.service');
my $fed = $machine->property('bdat-milter.service', 'WatchdogTimestampMonotonic');
$pid = $machine->property('bdat-milter.service', 'MainPID');
for my $time (1 .. 3) {
    my $before = $fed;
    wait_until('word to the watchdog', sub {
        ($fed = $machine->property('bdat-milter.service', 'WatchdogTimestampMonotonic')) ne $before;
    });
}
is($machine->property('bdat-milter.service', 'MainPID'), $pid, 'the daemon feeds the watchdog');
$machine->must('kill', '-STOP', $pid);
wait_until('another daemon', sub { $machine->property('bdat-milter.service', 'MainPID') !~ /^(?:0|$pid)$/ });
like($machine->must(qw(bdatctl status)), qr/\d/, 'and one that hangs is replaced');
$machine->must(qw(rm -r /run/systemd/system/bdat-milter.service.d));
$machine->must(qw(systemctl daemon-reload));

# Going away.
isnt($machine->run(qw(dpkg --purge bdat-milter))->{code}, 0, 'purge is refused while Postfix asks it');
is($machine->property('bdat-milter.service', 'ActiveState'), 'active', 'and the service goes on');
$machine->must(qw(bdatctl detach --yes));
$got = $machine->run(qw(dpkg --purge bdat-milter));
is($got->{code}, 0, 'then purge') or diag $got->{out};
is($machine->run('sh', '-c', 'systemctl list-units --all --no-legend "bdat-milter*"')->{out}, '', 'no unit stays');
is($machine->run(qw(find /etc /run /var /usr /lib -xdev -name *bdat* -not -path /var/log/*))->{out}, '', 'and no file');
isnt($machine->run(qw(getent passwd bdat-milter))->{code}, 0, 'and no user');
done_testing();
