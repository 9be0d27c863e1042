package MailTest::Daemon;

# bdat-milter, attached to a private Postfix, with its log and its control socket in our hands.

use v5.36;
use Carp qw(croak);
use JSON::PP ();
use MailTest::Control;
use MailTest::Held;
use MailTest::Place qw(program read_file replace_file);
use MailTest::Process;
use MailTest::Wait qw(wait_until);

# new(postfix => $postfix, %options): starts the daemon and waits until it is ready.
#   config  { key => libconfig text }: top-level keys on top of the defaults below;
#           undef takes one away
#   env     environment, for instance sanitizer options
#   wrap    what runs it: a command that ends in exec of its arguments
#           (E2E_WRAP in the environment: for all tests)
#   stderr  where standard error goes, if not to the log
#   held    1: the sockets are ours and passed to it, as a service manager does
#   start   0: only write the configuration
sub new ($class, %opt) {
    my $postfix = $opt{postfix};
    my $folder = $postfix->folder;
    my $self = bless {
        postfix => $postfix,
        folder => $folder,
        file => "$folder/bdat-milter.conf",
        log => "$folder/bdat-milter.log",
        socket => "$folder/control.sock",
        config => {},
        env => $opt{env} // {},
        wrap => $opt{wrap} // [split ' ', $ENV{E2E_WRAP} // ''],
        stderr => $opt{stderr} // "$folder/bdat-milter.log",
        expected => [],
    }, $class;
    $self->{control} = MailTest::Control->new($self->{socket});
    $self->configure(%{$opt{config} // {}});
    $self->hold_sockets if $opt{held};
    $self->start if $opt{start} // 1;
    return $self;
}

# From now on the sockets are the test's, as with held => 1; the daemon is not running.
sub hold_sockets ($self) {
    my $sockets = $self->{postfix}->socket_folder;
    $self->{held} = MailTest::Held->new(
        group => 'postfix',
        control => $self->{socket},
        map { $_ => "$sockets/$_.sock" } qw(milter tables policy),
    );
}

sub defaults ($self) {
    my $sockets = $self->{postfix}->socket_folder;
    return (
        milter => qq({ socket = "$sockets/milter.sock"; }),
        tables => qq({ socket = "$sockets/tables.sock"; }),
        policy => qq({ socket = "$sockets/policy.sock"; }),
        control => qq({ socket = "$self->{socket}"; }),
        socket_group => '"postfix"',
        store => qq({ path = "$self->{folder}/state.db"; }),
        log => '{ target = "stderr"; level = "info"; }',
    );
}

# Writes the configuration: defaults, what was set before, and these keys.
sub configure ($self, %config) {
    @{$self->{config}}{keys %config} = values %config;
    my %all = ($self->defaults, %{$self->{config}});
    replace_file($self->{file}, join '', map { "$_ = $all{$_};\n" } grep { defined $all{$_} } sort keys %all);
}

# Adds this text to the file as it is; the next configure() takes it away.
sub append_config ($self, $text) {
    replace_file($self->{file}, read_file($self->{file}) . "$text\n");
}

# True for a build that watches memory, arithmetic or threads: slow, and large.
sub is_sanitized () {
    return scalar read_file(program('milter/bdat-milter')) =~ /__[at]san_init/;
}

# What it takes of the machine now: octets of memory (VmRSS), descriptors.
sub memory ($self) {
    my ($kilobytes) = read_file('/proc/' . $self->pid . '/status') =~ /^VmRSS:\s*(\d+) kB/m;
    return 1024 * ($kilobytes // croak 'the daemon is gone');
}

sub descriptors ($self) {
    my @found = glob '/proc/' . $self->pid . '/fd/*';
    return scalar @found;
}

sub config_file ($self) { $self->{file} }
sub tables_socket ($self) { $self->{postfix}->socket_folder . '/tables.sock' }
sub control_socket ($self) { $self->{socket} }
sub control ($self) { $self->{control} }
sub process ($self) { $self->{process} }
sub pid ($self) { $self->{process}->pid }

sub start ($self) {
    $self->{process} = MailTest::Process->start(
        command => [@{$self->{wrap}}, program('milter/bdat-milter'), '-f', '-c', $self->{file}],
        stderr => $self->{stderr},
        env => $self->{env},
        prepare => $self->{held} && sub { $self->{held}->pass },
    );
    wait_until('the daemon to be ready', sub {
        croak "the daemon ended at its start:\n" . $self->log_text if !$self->{process}->running;
        return $self->ready;
    });
    return $self;
}

# True once the daemon says that it is ready.
sub ready ($self) {
    my $answer = eval { $self->{control}->request('GET', '/ready') };
    return $answer && $answer->{status} == 200;
}

# Ends the daemon in order; returns its wait status.
sub stop ($self) {
    return $self->{process}->stop;
}

# Ends it as a power cut would.
sub kill_hard ($self) {
    $self->{process}->kill_hard;
    $self->{killed} = 1;
}

sub restart ($self) {
    $self->stop;
    $self->start;
}

# SIGHUP, and waits until the daemon has dealt with it: its status names a later load.
sub reload ($self, %config) {
    my $before = $self->{control}->get('/v1/status')->{config}{loaded} // '';
    $self->configure(%config);
    $self->{process}->signal('HUP');
    wait_until('the daemon to reload', sub {
        return ($self->{control}->get('/v1/status')->{config}{loaded} // '') ne $before;
    });
}

# The log; what the daemon has said so far is in it, though a thread of its own writes it.
sub log_text ($self) {
    if ($self->{process} && $self->{process}->running) {
        eval {
            wait_until('the log to be written',
                sub { !$self->metrics->{bdat_milter_log_pending_messages} });
        };
    }
    return read_file($self->{log});
}

# Names log lines of level error or warning that the test means to provoke.
sub expect_log ($self, @patterns) {
    push @{$self->{expected}}, @patterns;
}

# Lines of level error and warning, and sanitizer reports, that nobody expected.
sub unexpected_log ($self) {
    my @found;
    for my $line (split /\n/, $self->log_text) {
        next if $line !~ /\b(?:error|warning|fatal): |Sanitizer|runtime error|\bSUMMARY: /i;
        next if grep { $line =~ $_ } @{$self->{expected}};
        push @found, $line;
    }
    return @found;
}

# What sanitizers have said, whole.
sub sanitizer_reports ($self) {
    return join "\n", $self->log_text =~ /^(.*Sanitizer: .*?)(?:^SUMMARY: |\z)/msg;
}

# One BDAT transfer as the control socket shows it, known by its sender; waits until it is judged.
sub transfer ($self, $sender) {
    return wait_until("the transfer from $sender to be judged", sub {
        my ($found) = grep { $_->{sender} eq $sender } $self->transfers;
        return $found;
    });
}

# The same, but waits for that verdict: an overrun is seen only after the message was judged. If
# another verdict stays, that transfer is returned.
sub judged ($self, $sender, $verdict) {
    my $found = eval {
        wait_until("a transfer from $sender with verdict $verdict", sub {
            return (grep { $_->{sender} eq $sender && $_->{verdict} eq $verdict } $self->transfers)[0];
        });
    };
    return $found // $self->transfer($sender);
}

# All transfers in the ring, newest first; %filter: limit, client, verdict, queue_id.
sub transfers ($self, %filter) {
    $filter{limit} //= 1000;
    my $query = join '&', map { "$_=$filter{$_}" } sort keys %filter;
    return @{$self->{control}->get("/v1/transfers?$query")->{transfers}};
}

# True if that sender's transfer has been judged by now.
sub has_transfer ($self, $sender) {
    return scalar grep { $_->{sender} eq $sender } $self->transfers;
}

sub status ($self) { $self->{control}->get('/v1/status') }

# GET /metrics as text, and as { 'name{labels}' => value }.
sub metrics_text ($self) { $self->{control}->request('GET', '/metrics')->{body} }

sub metrics ($self) {
    return {map { /^([a-z]\S*) (\S+)$/ ? ($1 => $2) : () } split /\n/, $self->metrics_text};
}

# The client's entry, or undef if the daemon does not know it.
sub client ($self, $address) {
    my $answer = $self->{control}->request('GET', "/v1/clients/$address");
    return undef if $answer->{status} == 404;
    croak "GET /v1/clients/$address: $answer->{status} $answer->{body}" if $answer->{status} != 200;
    return JSON::PP::decode_json($answer->{body})->{clients}[0];
}

1;
