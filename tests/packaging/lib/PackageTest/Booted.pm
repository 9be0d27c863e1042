package PackageTest::Booted;

# The system booted with its own systemd in a container (systemd-nspawn), with a network of its
# own: units, sandbox and all are real.

use v5.36;
use parent -norequire, 'PackageTest::Machine';
use Carp qw(croak);
use MailTest::Place qw(find_tool read_file);
use MailTest::Process;
use MailTest::Wait qw(wait_until);
use PackageTest::Machine;

# boot(): starts it; true once it runs. Otherwise false: why_not() says what is missing here.
sub boot ($self) {
    my $tool = find_tool('systemd-nspawn') // return $self->give_up('systemd-nspawn is not installed');
    $self->{console} = "$self->{folder}/console";
    $self->{process} = MailTest::Process->start(
        command => [$tool, '--quiet', "--directory=$self->{root}", '--boot', '--register=no',
            '--keep-unit', '--private-network', '--console=pipe'],
        stdout => $self->{console},
        stderr => $self->{console},
    );
    my $up = eval {
        wait_until('the container', sub {
            die "it ended\n" if !$self->{process}->running;
            return $self->find_leader && $self->run(qw(systemctl is-system-running))->{out} =~ /running|degraded/;
        }, 90);
    };
    return 1 if $up;
    return $self->give_up("no container can be booted here: $@" . substr read_file($self->{console}), -300);
}

sub give_up ($self, $why) {
    $self->{why} = $why =~ s/\s+/ /gr;
    return 0;
}

sub why_not ($self) { $self->{why} }

# The container's first process: the only child of systemd-nspawn.
sub find_leader ($self) {
    my $pid = $self->{process}->pid;
    ($self->{leader}) = read_file("/proc/$pid/task/$pid/children") =~ /^(\d+)/;
    return $self->{leader};
}

sub enter ($self, @command) {
    return ('nsenter', '-t', $self->{leader}, '-a', '/usr/bin/env', '-i',
        'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LC_ALL=C', @command);
}

# A command of ours in the container's network.
sub client_command ($self, @command) {
    return ('nsenter', '-t', $self->{leader}, '-n', @command);
}

sub start_postfix ($self) {
    $self->configure_postfix(25);
    $self->must(qw(systemctl restart postfix));
}

sub restart_service ($self) {
    $self->must(qw(systemctl restart bdat-milter.service));
}

sub service_log ($self) {
    return $self->must(qw(journalctl --no-pager --output=cat -u bdat-milter.service));
}

# One property of a unit.
sub property ($self, $unit, $name) {
    chomp(my $value = $self->must('systemctl', 'show', '--value', "--property=$name", $unit));
    return $value;
}

sub DESTROY ($self) {
    return if $self->{owner} != $$;
    local $?;
    $self->{process}->stop if $self->{process};
}

1;
