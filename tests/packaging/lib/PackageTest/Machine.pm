package PackageTest::Machine;

# A clean Debian system below a temporary folder, in which the package is installed.
#
# The system is made once by debootstrap(8) and kept below build-root/ in the tree; each test
# works on a copy. Two kinds are made of it: PackageTest::Chroot, where the test itself does
# what systemd would, and PackageTest::Booted, where systemd does.

use v5.36;
use Carp qw(croak);
use Fcntl qw(:flock);
use File::Temp qw(tempdir);
use MailTest::Place qw(source_folder read_file write_file);

# The package, as packaging/build-deb leaves it; undef if it was not built.
sub package_file ($class) {
    my ($newest) = sort { -M $a <=> -M $b } glob(source_folder() . '/build-deb/bdat-milter_*.deb');
    return $newest;
}

# The packages that the system needs for this package, and for what tests do in it.
sub wanted_packages ($class) {
    my $file = $class->package_file;
    my $depends = qx{dpkg-deb -f '$file' Depends};
    my @names = map { /^\s*([a-z0-9][a-z0-9.+-]*)/ ? $1 : () } split /,/, $depends;
    my %all = map { $_ => 1 } @names, qw(dbus jq perl postfix procps systemd-sysv);
    return sort keys %all;
}

# Where this system's own packages come from, as apt knows it, and the release's name.
sub mirror ($class) {
    my ($release) = read_file('/etc/os-release') =~ /^VERSION_CODENAME=(\w+)/m;
    for my $line (split /\n/, qx{apt-get indextargets --format '\$(SITE) \$(CODENAME)' 'Identifier: Packages'}) {
        my ($site, $name) = split / /, $line;
        return ($site, $release) if ($name // '') eq ($release // 'none');
    }
    return;
}

# The folder of the clean system. Makes it if it is not there or was made for other packages;
# undef and the reason if it cannot be had.
sub clean_root ($class) {
    my $place = source_folder() . '/build-root';
    mkdir $place;
    open my $lock, '>', "$place/lock" or croak "$place/lock: $!";
    flock $lock, LOCK_EX or croak "flock: $!";
    my $wanted = join ',', $class->wanted_packages;
    return "$place/root" if -d "$place/root" && read_file("$place/packages") eq $wanted;
    my ($site, $release) = $class->mirror;
    return (undef, 'apt knows no mirror of this release') if !$site;
    return (undef, 'debootstrap is not installed') if !-x '/usr/sbin/debootstrap';
    system 'rm', '-rf', "$place/root";
    system "/usr/sbin/debootstrap --variant=minbase '--include=$wanted' '$release' '$place/root.new'"
        . " '$site' >'$place/debootstrap.log' 2>&1";
    if ($?) {
        my $end = (split /\n/, read_file("$place/debootstrap.log"))[-1] // '';
        system 'rm', '-rf', "$place/root.new";
        return (undef, "debootstrap failed: $end");
    }
    rename "$place/root.new", "$place/root" or croak "rename: $!";
    write_file("$place/packages", $wanted);
    return "$place/root";
}

# new(%options): a copy of the clean system, with Postfix as Debian's package sets it up for
# "Internet Site", mail for "box" going to a Maildir. Its folder goes with the object.
sub new ($class, %opt) {
    my ($clean, $why) = $class->clean_root;
    croak $why if !$clean;
    my $folder = tempdir('bdat-pkg-XXXXXX', TMPDIR => 1, CLEANUP => !$ENV{E2E_KEEP});
    chmod 0755, $folder;
    my $self = bless {folder => $folder, root => "$folder/root", owner => $$, %opt}, $class;
    system('cp', '-a', '--reflink=auto', $clean, $self->{root}) == 0 or croak 'cannot copy the system';
    return $self;
}

sub root ($self) { $self->{root} }

# The path of a file of the system, as we see it.
sub path ($self, $file) { "$self->{root}$file" }

sub read ($self, $file) { read_file($self->path($file)) }

# Runs a command in the system; returns { code, out } with both streams in `out`.
sub run ($self, @command) {
    open my $pipe, '-|', $self->enter('sh', '-c', 'exec "$@" 2>&1 </dev/null', 'sh', @command)
        or croak "$command[0]: $!";
    local $/;
    my $out = <$pipe> // '';
    close $pipe;
    return {code => $? >> 8, out => $out};
}

# The same for a command that must succeed; returns what it wrote.
sub must ($self, @command) {
    my $got = $self->run(@command);
    croak "@command: exit $got->{code}\n$got->{out}" if $got->{code};
    return $got->{out};
}

# The administrator's part: names, a user with a Maildir, and no look-ups outside.
sub configure_postfix ($self, $port) {
    $self->{port} = $port;
    $self->must(qw(useradd -m box));
    $self->must('postconf', '-e',
        'myhostname = mail.example.test', 'mydestination = example.test',
        'inet_interfaces = loopback-only', 'inet_protocols = ipv4',
        'smtpd_peername_lookup = no', 'disable_dns_lookups = yes',
        'home_mailbox = Maildir/', 'maillog_file = /var/log/mail.log',
        'alias_maps =', 'alias_database =', 'smtpd_client_connection_count_limit = 0',
        'default_transport = error:no mail leaves a test');
    $self->must('postconf', '-MX', 'smtp/inet');
    $self->must('postconf', '-Me', "$port/inet=$port inet n - y - - smtpd");
    $self->must(qw(postfix check));
}

sub port ($self) { $self->{port} }

# Texts delivered to box.
sub delivered ($self) {
    return map { read_file($_) } glob($self->path('/home/box/Maildir/new/*'));
}

# True if Postfix has nothing in its queue.
sub queue_is_empty ($self) {
    for my $name (qw(incoming active deferred hold maildrop)) {
        return 0 if $self->run('find', "/var/spool/postfix/$name", '-type', 'f')->{out} ne '';
    }
    return 1;
}

# Everything in the system: path => what it is ("d", "l TARGET", "f DIGEST" for /etc, else "f").
sub listing ($self) {
    my %found;
    my $root = $self->{root};
    open my $find, '-|', 'find', $root, '-xdev', '-printf', '%P\0%y\0%l\0' or croak "find: $!";
    local $/ = "\0";
    while (defined(my $path = <$find>)) {
        chomp(my ($name, $type, $target) = ($path, scalar <$find>, scalar <$find>));
        $found{"/$name"} = $type eq 'l' ? "l $target"
            : $type eq 'f' && $name =~ m{^etc/} ? 'f ' . length(read_file("$root/$name")) . read_file("$root/$name")
            : $type;
    }
    return \%found;
}

1;
