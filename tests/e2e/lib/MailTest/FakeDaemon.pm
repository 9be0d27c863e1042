package MailTest::FakeDaemon;

# A control socket that gives the answers a test wants, right or wrong, without a daemon.
#
# Answers: { 'GET /v1/status' => $answer, … } by method and path without query. An answer is
# a JSON text (status 200), [STATUS, TEXT], or a sub that is given the socket and the query and
# writes by itself. What was asked is read by requests().

use v5.36;
use Carp qw(croak);
use IO::Socket::UNIX;
use MailTest::Place qw(new_folder read_file);
use POSIX           ();

sub new ($class, %answers) {
    my $folder = new_folder();
    my $self   = bless {
        path    => "$folder/control.sock", log => "$folder/requests",
        answers => \%answers
    }, $class;
    return $self->start;
}

sub path ($self) { $self->{path} }

# Everything asked so far: "GET /v1/transfers?limit=5" ...
sub requests ($self) { split /\n/, read_file($self->{log}) }

# Starts (again); the socket's old file is replaced.
sub start ($self) {
    unlink $self->{path};
    my $listener = IO::Socket::UNIX->new(Local => $self->{path}, Listen => 16)
        // croak "$self->{path}: $!";
    my $pid = fork // croak "fork: $!";
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
        $SIG{CHLD} = 'IGNORE';
        setpgrp 0, 0;
        while (1) {
            my $socket = $listener->accept // next;
            my $child  = fork              // next;
            next if $child;
            $self->serve($socket);
            POSIX::_exit(0);
        }
    }
    setpgrp $pid, $pid;    # in both, since either may run first
    $self->{pid}   = $pid;
    $self->{owner} = $$;
    return $self;
}

sub serve ($self, $socket) {
    $SIG{PIPE} = 'IGNORE';
    my $line = <$socket> // return;
    my($method, $path, $query) = $line =~ m{^(\S+) ([^ ?]+)(?:\?(\S+))? } or return;
    while (my $header = <$socket>) {
        last if $header eq "\r\n";
    }
    open my $log, '>>', $self->{log} or return;
    syswrite $log, "$method $path" . (defined $query ? "?$query" : '') . "\n";
    my $answer = $self->{answers}{"$method $path"} // [404, '{"error":"no such path"}'];
    return $answer->($socket, $query // '') if ref $answer eq 'CODE';
    my($status, $text) = ref $answer ? @$answer : (200, $answer);
    answer($socket, $status, $text);
}

# Writes one whole answer.
sub answer ($socket, $status, $text) {
    print {$socket} "HTTP/1.1 $status x\r\nContent-Type: application/json\r\nContent-Length: "
        . length($text)
        . "\r\nConnection: close\r\n\r\n$text";
    $socket->flush;
}

# Ends it, with every connection; the socket's file stays, as after a crash.
sub stop ($self) {
    my $pid = delete $self->{pid} // return;
    return if $self->{owner} != $$;
    kill 'TERM', -$pid;
    waitpid $pid, 0;
}

sub DESTROY ($self) {
    local ($?, $!);
    $self->stop;
}

1;
