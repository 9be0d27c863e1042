package PackageTest::Chroot;

# The system entered by chroot(2); the test itself starts the service as systemd would: it holds
# the sockets that the socket units describe, hands them over by name, becomes the user and runs
# ExecStart.

use v5.36;
use parent -norequire, 'PackageTest::Machine';
use Carp qw(croak);
use Fcntl qw(F_DUPFD);
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOCK_DGRAM SOCK_STREAM);
use MailTest::Place qw(free_port read_file);
use MailTest::Process;
use MailTest::Wait qw(wait_until);
use PackageTest::Machine;

# Tests that use this class must begin with it: mounts are to be gone with the process. Starts the
# test anew; false where nothing can be mounted.
sub enter_mount_namespace ($class) {
    return 1 if ($ENV{BDAT_PACKAGE_TEST} // '') eq 'unshared';
    return 0 if system 'unshare --mount --propagation private -- mount --bind /proc /proc 2>/dev/null';
    local $ENV{BDAT_PACKAGE_TEST} = 'unshared';
    exec 'unshare', '--mount', '--propagation', 'private', '--', $^X, $0, @ARGV
        or croak "unshare: $!";
}

# What is mounted, and by whom. It must be gone before File::Temp removes the folder, whether or
# not the object is: our END comes first, since File::Temp was loaded before.
my %mounted;
END {
    unmount($_) for grep { $mounted{$_} == $$ } keys %mounted;
}

sub unmount ($path) {
    local $?;
    system 'umount', '-l', $path if delete $mounted{$path};
}

sub new ($class, %opt) {
    my $self = $class->SUPER::new(%opt);
    my $path = $self->path('/proc');
    system('mount', '--bind', '/proc', $path) == 0 or croak 'cannot mount /proc';
    $mounted{$path} = $$;
    return $self;
}

sub enter ($self, @command) { ('chroot', $self->{root}, @command) }

sub start_postfix ($self) {
    $self->configure_postfix(free_port());
    $self->must(qw(/usr/lib/postfix/configure-instance.sh -));
    $self->{postfix} = MailTest::Process->start(
        command => ['/usr/sbin/chroot', $self->{root}, '/usr/lib/postfix/sbin/master'],
        leads_session => 1,
    );
    my $local = sprintf '0100007F:%04X 00000000:0000 0A', $self->{port};
    wait_until('Postfix', sub { read_file('/proc/net/tcp') =~ /\Q$local\E/ });
}

sub client_command ($self, @command) { @command }

# { Section => { Key => [values] } } of a unit that the package has installed.
sub unit ($self, $name) {
    my (%unit, $section);
    for my $line (split /\n/, $self->read("/lib/systemd/system/$name")) {
        if ($line =~ /^\[(\w+)\]/) { $section = $1 }
        elsif ($line =~ /^(\w+)=(.*)/) { push @{$unit{$section}{$1}}, $2 }
    }
    croak "no unit $name" if !%unit;
    return \%unit;
}

# Number of a user or group of the system.
sub id_of ($self, $file, $name) {
    my ($id) = $self->read("/etc/$file") =~ /^\Q$name\E:[^:]*:(\d+):/m;
    return $id // croak "no $name in /etc/$file";
}

# Binds and listens as the socket unit says.
sub hold_socket ($self, $name) {
    my $unit = $self->unit($name)->{Socket};
    my $path = $self->path($unit->{ListenStream}[0]);
    my $socket = IO::Socket::UNIX->new(Local => $path, Type => SOCK_STREAM, Listen => $unit->{Backlog}[0])
        // croak "$path: $!";
    chown $self->id_of(passwd => $unit->{SocketUser}[0]), $self->id_of(group => $unit->{SocketGroup}[0]), $path
        or croak "chown $path: $!";
    chmod oct $unit->{SocketMode}[0], $path or croak "chmod $path: $!";
    return {name => $unit->{FileDescriptorName}[0], socket => $socket, path => $path};
}

# Begins to hold the sockets of the service and to listen for its notifications.
sub hold_sockets ($self) {
    my $service = $self->unit('bdat-milter.service')->{Service};
    $self->{held} = [map { $self->hold_socket($_) } split ' ', $service->{Sockets}[0]];
    my $path = $self->path('/run/notify');
    $self->{notify} = IO::Socket::UNIX->new(Local => $path, Type => SOCK_DGRAM) // croak "$path: $!";
    $self->{notify}->blocking(0);
    chmod 0666, $path;
    my $state = $self->path('/var/lib/' . $service->{StateDirectory}[0]);
    mkdir $state;
    chmod oct $service->{StateDirectoryMode}[0], $state;
    chown $self->id_of(passwd => $service->{User}[0]), $self->id_of(group => $service->{Group}[0]), $state
        or croak "chown $state: $!";
}

sub drop_sockets ($self) {
    unlink map { $_->{path} } @{$self->{held}};
    unlink $self->path('/run/notify');
    delete @{$self}{qw(held notify)};
}

# In the child: what systemd does between fork and exec.
sub become_service ($self, $service) {
    my $fd = 3;
    my @high = map { fcntl($_->{socket}, F_DUPFD, 100) // die "dup: $!" } @{$self->{held}};
    POSIX::dup2($_, $fd++) // die "dup2: $!" for @high;
    POSIX::close($_) for @high;
    POSIX::close($_) for $fd .. 99;
    chroot $self->{root} or die "chroot: $!";
    chdir '/';
    my ($uid, $gid) = @{$service}{qw(uid gid)};
    %ENV = (
        PATH => '/usr/sbin:/usr/bin',
        LISTEN_PID => $$,
        LISTEN_FDS => scalar @{$self->{held}},
        LISTEN_FDNAMES => join(':', map { $_->{name} } @{$self->{held}}),
        NOTIFY_SOCKET => '/run/notify',
        WATCHDOG_USEC => 30_000_000,
        WATCHDOG_PID => $$,
    );
    $) = "$gid $gid";
    $( = $gid;
    ($<, $>) = ($uid, $uid);
    die 'cannot drop root' if $> == 0 || $< == 0;
    exec {$service->{command}[0]} @{$service->{command}} or die "exec: $!";
}

# What the service has said to its manager since the last call.
sub notified ($self) {
    my $all = '';
    while (defined $self->{notify}->recv(my $text, 4096)) {
        $all .= "$text\n";
    }
    return $all;
}

# Starts the service and waits until it says that it is ready.
sub start_service ($self) {
    my $unit = $self->unit('bdat-milter.service')->{Service};
    my %service = (
        command => [split ' ', $unit->{ExecStart}[0]],
        uid => $self->id_of(passwd => $unit->{User}[0]),
        gid => $self->id_of(group => $unit->{Group}[0]),
    );
    my $log = "$self->{folder}/service.log";
    my $pid = fork // croak "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $log;
        open STDERR, '>&', \*STDOUT;
        eval { $self->become_service(\%service) };
        print STDERR $@;
        POSIX::_exit(127);
    }
    $self->{service} = $pid;
    my $said = '';
    wait_until('READY=1 of the service', sub {
        croak "the service ended at its start:\n" . $self->service_log
            if waitpid($pid, POSIX::WNOHANG()) == $pid && !($self->{service} = undef);
        return ($said .= $self->notified) =~ /^READY=1$/m;
    });
}

sub stop_service ($self) {
    my $pid = delete $self->{service} // return;
    kill 'TERM', $pid;
    my $ended = eval { wait_until('the service to end', sub { waitpid($pid, POSIX::WNOHANG()) == $pid }) };
    return $? if $ended;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return -1;
}

sub restart_service ($self) {
    my $status = $self->stop_service;
    croak "the service ended with status $status:\n" . $self->service_log if $status;
    $self->start_service;
}

sub service_log ($self) { read_file("$self->{folder}/service.log") }

sub DESTROY ($self) {
    return if $self->{owner} != $$;
    local $?;
    $self->stop_service;
    $self->{postfix}->stop if $self->{postfix};
    unmount($self->path('/proc'));
}

1;
