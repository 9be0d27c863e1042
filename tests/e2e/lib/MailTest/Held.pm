package MailTest::Held;

# Listening sockets held by the test and passed to the daemon at each start, as systemd does
# (sd_listen_fds(3)): while the daemon is away, connections wait instead of failing.

use v5.36;
use Carp qw(croak);
use Fcntl qw(F_DUPFD);
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM SOMAXCONN pack_sockaddr_un);

# new(group => NAME, name => path, ...): binds and listens.
sub new ($class, %opt) {
    my $group = getgrnam delete $opt{group};
    my @sockets;
    for my $name (sort keys %opt) {
        socket my $socket, AF_UNIX, SOCK_STREAM, 0 or croak "socket: $!";
        bind $socket, pack_sockaddr_un($opt{$name}) or croak "bind $opt{$name}: $!";
        listen $socket, SOMAXCONN or croak "listen $opt{$name}: $!";
        chown -1, $group, $opt{$name} or croak "chown $opt{$name}: $!";
        chmod 0660, $opt{$name} or croak "chmod $opt{$name}: $!";
        push @sockets, {name => $name, socket => $socket};
    }
    return bless {sockets => \@sockets}, $class;
}

# In the child, before exec: descriptors 3 and up, and their names in the environment.
sub pass ($self) {
    my @sockets = @{$self->{sockets}};
    my @high = map { fcntl $_->{socket}, F_DUPFD, 64 } @sockets;
    for my $index (0 .. $#high) {
        POSIX::dup2($high[$index], 3 + $index) // POSIX::_exit(126);
        POSIX::close($high[$index]);
    }
    @ENV{qw(LISTEN_PID LISTEN_FDS LISTEN_FDNAMES)}
        = ($$, scalar @sockets, join ':', map { $_->{name} } @sockets);
}

1;
