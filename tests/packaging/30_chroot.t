# The package in a clean Debian: installed, attached to a chrooted Postfix, restarted under load,
# detached, removed and purged.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../e2e/lib";
use PackageTest::Chroot;
use MailTest::Wait qw(wait_until);
use PackageTest::Load qw(restart_under_load);
use Test::More;

plan skip_all => 'must be run as root' if $>;
PackageTest::Chroot->enter_mount_namespace or plan skip_all => 'mounting is not allowed here';
my $package = PackageTest::Chroot->package_file or plan skip_all => 'packaging/build-deb has not run';
my ($clean, $why) = PackageTest::Chroot->clean_root;
plan skip_all => $why if !$clean;

my $machine = PackageTest::Chroot->new;
$machine->start_postfix;
my ($main_cf, $master_cf) = map { $machine->read("/etc/postfix/$_") } qw(main.cf master.cf);
my $before = $machine->listing;

system('cp', $package, $machine->path('/tmp/bdat-milter.deb')) == 0 or die "cp $package: $?\n";
my $got = $machine->run(qw(env DEBIAN_FRONTEND=noninteractive apt-get install -y -o Dpkg::Use-Pty=0 /tmp/bdat-milter.deb));
is($got->{code}, 0, 'the package installs') or BAIL_OUT($got->{out});
unlink $machine->path('/tmp/bdat-milter.deb');
is($machine->read('/etc/postfix/main.cf'), $main_cf, 'main.cf is untouched');

# What an administrator finds.
for my $folder (['/var/spool/postfix/bdat-milter', '0750 root:postfix'], ['/run/bdat-milter', '0755 root:root']) {
    chomp(my $access = $machine->must('stat', '-c', '%a %U:%G', $folder->[0]));
    is("0$access", $folder->[1], "$folder->[0] is there");
}
like($machine->must(qw(bdat-milter -t)), qr/^ok$/, 'the sample configuration is right');
for my $page (qw(man1/bdat-probe.1 man5/bdat-milter.conf.5 man7/bdat-milter.7 man8/bdat-milter.8 man8/bdatctl.8)) {
    ok(-s $machine->path("/usr/share/man/$page.gz"), "manual page $page");
}
ok(-s $machine->path('/etc/apparmor.d/usr.sbin.bdat-milter'), 'AppArmor profile');
ok(-e $machine->path('/etc/apparmor.d/local/usr.sbin.bdat-milter'), 'with its local include');

# The service as systemd would start it, its log where we can read it.
$machine->must('sed', '-i', 's/#target = "syslog"/target = "stderr"/', '/etc/bdat-milter.conf');
$machine->hold_sockets;
$machine->start_service;
like($machine->must(qw(bdatctl status)), qr/0\.1\.0/, 'bdatctl asks the running daemon');

# Local programs hand in mail by sendmail(1), also by SMTP over a pipe.
my $tables = 'socketmap:unix:bdat-milter/tables.sock';
send_locally($machine, 'before attach');
$machine->must(qw(bdatctl attach --yes --tables main));
is(join(' ', speak_locally($machine, 'x')), '220 421', 'attached in main.cf: sendmail -bs is answered 421');
like($machine->run(qw(bdatctl check --no-live))->{out},
    qr/^warn +main\.cf: \S+ is set for all of Postfix, so `sendmail -bs` of ordinary users is answered 421\n +-> bdatctl attach$/m,
    'bdatctl check says so');

$got = $machine->run(qw(bdatctl attach --yes));
is($got->{code}, 0, 'bdatctl attach') or diag $got->{out};
unlike($machine->must(qw(postconf -n)), qr/tables\.sock/, 'main.cf does not name the tables');
like($machine->must(qw(postconf -P)), qr{^\d+/inet/smtpd_command_filter = \Q$tables\E:command$}m, 'the network service does');
send_locally($machine, 'attached');
$got = $machine->run(qw(bdatctl check --to box@example.test));
is($got->{code}, 0, 'bdatctl check is all well') or diag $got->{out};
like($got->{out}, qr/socket tables: .* from inside the chroot/, 'and smtpd runs chrooted');

$got = $machine->run('bdat-probe', '--deliver', 'box@example.test', '127.0.0.1:' . $machine->port);
is($got->{code}, 0, 'bdat-probe finds that CHUNKING works') or diag $got->{out};
like($machine->must(qw(bdatctl transfers --verdict match)), qr/\bmatch +accept\b/, 'and a judged BDAT message is shown');

# Another instance of the same Postfix: sendmail(1) takes users' mail for it where main.cf names it.
{
    my $other = '/etc/postfix-other';
    $machine->must('mkdir', $other);
    $machine->must('sh', '-c', "cp /usr/share/postfix/master.cf.dist $other/master.cf; : >$other/main.cf");
    my @print = (qw(bdatctl attach --print -c), $other);
    like($machine->must(@print), qr/ -e 'smtpd_command_filter = /, 'an instance that main.cf does not name: main.cf');
    for my $list (qw(alternate_config_directories multi_instance_directories)) {
        $machine->must('postconf', '-e', "$list = /etc/none, $other");
        my $out = $machine->must(@print);
        like($out, qr{ -P smtp/inet/smtpd_command_filter=}, "$list names it: the services");
        unlike($out, qr/ -e 'smtpd_command_filter = /, 'and not main.cf');
        $machine->must('postconf', '-X', $list);
    }
    $machine->must('rm', '-r', $other);
}

subtest '20 restarts under load' => sub { restart_under_load($machine, 20) };

# What logcheck would mail to the administrator of all this: warnings, nothing else.
{
    my @lines = map { s/^bdat-milter: (?:info: )?/Nov 23 05:28:28 mail bdat-milter[463]: /r } split /\n/, $machine->service_log;
    MailTest::Place::write_file("$machine->{folder}/lines", join '', map { "$_\n" } @lines);
    my $rules = $machine->path('/etc/logcheck/ignore.d.server/bdat-milter');
    my @left = split /\n/, qx{sed '/^#/d' '$rules' | grep -Evf - '$machine->{folder}/lines'};
    is_deeply([grep { !/\]: (?:warning|error): / } @left], [], 'logcheck is quiet about daily life');
    cmp_ok(scalar @lines, '>', 100, 'of which there was some');
}

# Going away.
$got = $machine->run(qw(dpkg --remove bdat-milter));
isnt($got->{code}, 0, 'the package refuses to go while Postfix asks it');
like($got->{out}, qr/bdatctl detach/, 'and says what to do');
ok(-x $machine->path('/usr/sbin/bdat-milter'), 'all is still there');
$machine->must(qw(bdatctl detach --yes));
is($machine->read('/etc/postfix/main.cf'), $main_cf, 'detach leaves main.cf octet for octet as it was');
is($machine->read('/etc/postfix/master.cf'), $master_cf, 'and master.cf');
send_locally($machine, 'detached');
$machine->stop_service;
$machine->drop_sockets;
$got = $machine->run(qw(dpkg --remove bdat-milter));
is($got->{code}, 0, 'then it goes') or diag $got->{out};
ok(-e $machine->path('/etc/bdat-milter.conf'), 'remove keeps the configuration');
ok(-e $machine->path('/var/lib/bdat-milter/state.db'), 'and the store');
$got = $machine->run(qw(dpkg --purge bdat-milter));
is($got->{code}, 0, 'purge') or diag $got->{out};

# Nothing of ours stays; what dpkg, Postfix and the mail itself left behind is not ours.
my $after = $machine->listing;
my $not_ours = qr{^/(?:var/lib/(?:apt|dpkg)|var/cache|var/log|var/spool/postfix/(?!bdat)[^/]+|var/lib/postfix|home/box|proc)(?:/|$)|^/etc/(?:passwd|group|shadow|gshadow|subuid|subgid)-$|^/etc/\.pwd\.lock$};
my @left = sort grep { !exists $before->{$_} && $_ !~ $not_ours } keys %$after;
my @gone = sort grep { !exists $after->{$_} && $_ !~ $not_ours } keys %$before;
my @changed = sort grep { exists $before->{$_} && $before->{$_} ne $after->{$_} && $_ !~ $not_ours } keys %$after;
is_deeply(\@left, [], 'purge leaves nothing behind');
is_deeply(\@gone, [], 'and takes nothing along');
is_deeply(\@changed, [], 'and leaves everything else as it was');
unlike($machine->read('/var/lib/dpkg/status'), qr/bdat-milter/, 'dpkg has forgotten it');
done_testing();

# The replies to a message that an ordinary user sends by `sendmail -bs`.
sub speak_locally ($machine, $subject) {
    my $dialogue = join '\n', 'EHLO local.example', 'MAIL FROM:<nobody@example.test>',
        'RCPT TO:<box@example.test>', 'DATA', "Subject: $subject", '', 'text', '.', 'QUIT', '';
    my $out = $machine->must('sh', '-c',
        "printf '$dialogue' | setpriv --reuid=nobody --regid=nogroup --clear-groups sendmail -bs");
    return $out =~ /^(\d{3}) /mg;
}

# Tests that such a message is taken and arrives, and so does one without -bs.
sub send_locally ($machine, $name) {
    my @subject = map { "local mail, $name, by $_" } qw(smtp pipe);
    is(join(' ', speak_locally($machine, $subject[0])), '220 250 250 250 354 250 221', "$name: sendmail -bs");
    $machine->must('sh', '-c', "echo 'Subject: $subject[1]\n' | setpriv --reuid=nobody --regid=nogroup"
        . ' --clear-groups sendmail box@example.test');
    for my $subject (@subject) {
        ok(eval { wait_until($subject, sub { grep { /^Subject: \Q$subject\E$/m } $machine->delivered }) },
            "$subject: arrives");
    }
}
