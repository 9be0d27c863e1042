package Bench::Cgroup;

# CPU time of a whole group of processes, those that have ended among them, as the kernel counts
# it: a control group of our own, version 2 or, where that is not mounted, version 1's cpuacct.

use v5.36;
use Carp qw(croak);
use MailTest::Place qw(read_file write_file);

my @alive;

# new($name): makes one below the group this process is in. Needs root.
sub new ($class, $name) {
    my ($folder, $version) = find_parent();
    my $self = bless {
        home => $folder,
        path => "$folder/bdat-bench-$$-" . @alive . "-$name",
        version => $version,
        owner => $$,
    }, $class;
    mkdir $self->{path} or croak "mkdir $self->{path}: $!";
    push @alive, $self;
    return $self;
}

# Where our own group stands: (folder, version).
sub find_parent () {
    my %group = map { /^\d+:([^:]*):(.*)$/ ? ($1 => $2) : () } split /\n/, read_file('/proc/self/cgroup');
    my %found;
    for my $line (split /\n/, read_file('/proc/self/mounts')) {
        my (undef, $folder, $type, $options) = split / /, $line;
        $found{2} = "$folder$group{''}" if $type eq 'cgroup2' && defined $group{''};
        if ($type eq 'cgroup' && $options =~ /\bcpuacct\b/) {
            my ($name) = grep { /\bcpuacct\b/ } keys %group;
            $found{1} = "$folder$group{$name}" if defined $name;
        }
    }
    for my $version (2, 1) {
        my $folder = ($found{$version} // next) =~ s{/+$}{}r;
        return ($folder, $version) if -w $folder;
    }
    croak 'no control group can be made here: neither cgroup2 nor cpuacct is mounted for writing';
}

# Runs $start->() within the group, so that the processes it starts belong to it.
sub within ($self, $start) {
    write_file("$self->{path}/cgroup.procs", "$$\n");
    my $result = eval { $start->() };
    my $error = $@;
    write_file("$self->{home}/cgroup.procs", "$$\n");
    die $error if $error;
    return $result;
}

# Microseconds of CPU used so far by all that ever ran in it.
sub used_us ($self) {
    if ($self->{version} == 1) {
        return read_file("$self->{path}/cpuacct.usage") / 1000;
    }
    my ($used) = read_file("$self->{path}/cpu.stat") =~ /^usage_usec (\d+)$/m;
    return $used // croak "$self->{path}/cpu.stat: no usage_usec";
}

# Takes empty groups away. The processes must have ended.
END {
    for my $group (@alive) {
        next if $group->{owner} != $$;
        for (1 .. 200) {
            last if rmdir $group->{path} or !-d $group->{path};
            select undef, undef, undef, 0.02;
        }
    }
}

1;
