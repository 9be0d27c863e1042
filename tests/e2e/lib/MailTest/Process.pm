package MailTest::Process;

# A child process of ours, ended by its pid whatever happens to the test.

use v5.36;
use Carp qw(croak);
use POSIX qw(WNOHANG);
use MailTest::Wait qw(wait_until);

my %alive;    # pid => object; what END has to end

# start(command => [...], stdin => FILE, stdout => FILE, stderr => FILE, env => {...}, stop_signal => "TERM",
# prepare => CODE, leads_session => 1): runs the command in a process group of its own. A program that calls
# setsid(2) itself, as master(8) does, must not lead a group before: leads_session.
sub start ($class, %opt) {
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        setpgrp 0, 0 if !$opt{leads_session};
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);
        for my $name (keys %{$opt{env} // {}}) {
            $ENV{$name} = $opt{env}{$name};
        }
        open STDIN, '<', $opt{stdin} // '/dev/null' or die "stdin: $!";
        open STDOUT, '>>', $opt{stdout} // '/dev/null' or die "stdout: $!";
        open STDERR, '>>', $opt{stderr} // '/dev/null' or die "stderr: $!";
        $opt{prepare}->() if $opt{prepare};
        exec { $opt{command}[0] } @{$opt{command}} or POSIX::_exit(127);
    }
    my $self = bless {pid => $pid, owner => $$, stop_signal => $opt{stop_signal} // 'TERM'}, $class;
    $alive{$pid} = $self;
    return $self;
}

sub pid ($self) { $self->{pid} }

sub signal ($self, $name) {
    kill $name, $self->{pid} or croak "kill $name $self->{pid}: $!";
}

# True while the process runs; once it has ended, its wait status is in status().
sub running ($self) {
    return 0 if defined $self->{status};
    my $got = waitpid $self->{pid}, WNOHANG;
    return 1 if $got == 0;
    $self->{status} = $got == $self->{pid} ? $? : 0;
    delete $alive{$self->{pid}};
    return 0;
}

sub status ($self) { $self->{status} }

# Waits until it has ended by itself, a minute at least; returns its wait status.
sub wait_end ($self) {
    my $patience = $MailTest::Wait::PATIENCE > 60 ? $MailTest::Wait::PATIENCE : 60;
    wait_until("process $self->{pid} to end by itself", sub { !$self->running }, $patience);
    return $self->{status};
}

# Ends the process (SIGKILL if it does not obey in time) and returns its wait status.
sub stop ($self) {
    return $self->{status} if !$self->running;
    kill $self->{stop_signal}, $self->{pid};
    if (!eval { wait_until("end of process $self->{pid}", sub { !$self->running }); 1 }) {
        kill 'KILL', $self->{pid};
        wait_until("end of killed process $self->{pid}", sub { !$self->running });
    }
    return $self->{status};
}

# Ends the process as a power cut would.
sub kill_hard ($self) {
    return if !$self->running;
    kill 'KILL', $self->{pid};
    wait_until("end of killed process $self->{pid}", sub { !$self->running });
}

END {
    my $keep = $?;
    for my $process (values %alive) {
        next if $process->{owner} != $$;
        $process->stop;
    }
    $? = $keep;
}

# A test that is interrupted cleans up all the same: exit runs the END blocks.
$SIG{$_} //= sub { exit 1 } for qw(INT TERM HUP);

1;
