package Bench::Server;

# The server under measurement: one private Postfix with a listener for each way of attaching
# something to it, the null filters and the daemon, all of it in control groups.

use v5.36;
use Carp qw(croak);
use JSON::PP ();
use Time::HiRes qw(sleep);
use Bench::Cgroup;
use MailTest::Daemon;
use MailTest::Place qw(free_port program);
use MailTest::Postfix;
use MailTest::Process;
use MailTest::Wait qw(wait_until);

my $POLICY = 'check_policy_service { unix:bdat-milter/policy.sock, default_action=DUNNO }';

# What stands behind each listener: name, words for the reader, null filter's mode, hooks of the
# daemon, further parameters.
my @VARIANTS = (
    {name => 'alone', words => 'Postfix alone'},
    {name => 'null', words => 'null filter, default events', filter => 'default'},
    {name => 'accept', words => 'null filter, accepts at connect', filter => 'accept'},
    {name => 'complete', words => 'bdat-milter, complete', hooks => [qw(milter tables ehlo policy)]},
    {name => 'milter', words => 'bdat-milter, milter only', hooks => ['milter']},
    {name => 'command', words => 'bdat-milter, command table only', hooks => ['tables']},
    {name => 'ehlo', words => 'bdat-milter, ehlo table only', hooks => ['ehlo']},
    {name => 'policy', words => 'bdat-milter, policy requests only', hooks => ['policy']},
    {name => 'policy-data', words => 'policy request at DATA only',
        main => {smtpd_data_restrictions => $POLICY}},
    {name => 'policy-end', words => 'policy request at end of data only',
        main => {smtpd_end_of_data_restrictions => $POLICY}},
    {name => 'lean', words => 'null filter: DATA, body, end of message', filter => 'lean'},
    {name => 'lean-connect', words => 'null filter: connect, DATA, body, end of message',
        filter => 'lean-connect'},
    {name => 'body-only', words => 'null filter: body, end of message', filter => 'body-only'},
    {name => 'at-data', words => 'null filter: DATA, accepted there', filter => 'at-data'},
);

sub variants ($class) { @VARIANTS }

sub words ($class, $name) {
    my ($found) = grep { $_->{name} eq $name } @VARIANTS;
    return ($found // croak "no variant \"$name\"")->{words};
}

# new(@names): starts all that these variants need.
sub new ($class, @names) {
    my %wanted = map { $_ => 1 } @names;
    my @variants = map { {%$_, port => free_port()} } grep { $wanted{$_->{name}} } @VARIANTS;
    my $self = bless {
        variants => \@variants,
        postfix_group => Bench::Cgroup->new('postfix'),
        filter_group => Bench::Cgroup->new('filters'),
    }, $class;
    $self->{postfix} = MailTest::Postfix->new(
        hooks => [],
        start => 0,
        main => $self->main_parameters,
        services => join('', map { $self->listener($_) } @variants),
    );
    $self->{filter_group}->within(sub { $self->start_filters });
    $self->{postfix_group}->within(sub { $self->{postfix}->start });
    return $self;
}

# Beyond what the tests set: nothing is delivered, nothing waits, and smtpd processes live on, so
# that their start is not part of a message's cost.
sub main_parameters ($self) {
    return {
        virtual_transport => 'discard:',
        in_flow_delay => '0',
        message_size_limit => '20000000',
        max_use => '1000000',
        max_idle => '3600s',
        smtpd_client_connection_rate_limit => '0',
    };
}

sub listener ($self, $variant) {
    my %parameters = (
        %{$variant->{main} // {}},
        MailTest::Postfix->hook_parameters(@{$variant->{hooks} // []}),
    );
    $parameters{smtpd_milters} = "{ unix:bdat-milter/null-$variant->{filter}.sock, default_action=tempfail }"
        if $variant->{filter};
    my $options = join '', map { "  -o { $_ = $parameters{$_} }\n" } sort keys %parameters;
    return "127.0.0.1:$variant->{port} inet n - n - - smtpd\n$options";
}

sub start_filters ($self) {
    $self->{daemon} = MailTest::Daemon->new(postfix => $self->{postfix});
    $self->{daemon}->expect_log(qr/one of the lines of main\.cf is missing/); # single hooks
    for my $mode (map { $_->{filter} // () } @{$self->{variants}}) {
        my $socket = $self->{postfix}->socket_folder . "/null-$mode.sock";
        push @{$self->{filters}}, MailTest::Process->start(
            command => [program('bench/null-filter'), $socket, $mode]);
        wait_until("the null filter's socket $socket", sub { -S $socket });
    }
}

sub daemon ($self) { $self->{daemon} }
sub postfix ($self) { $self->{postfix} }

sub used ($self) {
    return map { $_->used_us } @$self{qw(postfix_group filter_group)};
}

# Waits until the queue is empty and nobody computes any more; returns the CPU used so far.
sub settle ($self) {
    $self->{postfix}->wait_empty;
    my @before = $self->used;
    for (1 .. 50) {
        sleep 0.01;
        my @now = $self->used;
        my $grown = $now[0] + $now[1] - $before[0] - $before[1];
        @before = @now;
        last if $grown < 50;
    }
    return @before;
}

# Sends %load (messages, octets, chunks, sessions, per_session) to a variant's listener. Returns
# { cpu_us, postfix_us, filter_us: a message's; rate, p50_us, p99_us }.
sub measure ($self, $name, %load) {
    my ($variant) = grep { $_->{name} eq $name } @{$self->{variants}};
    my @before = $self->settle;
    my @command = (program('bench/bdat-load'), '-p', $variant->{port}, '-n', $load{messages},
        '-b', $load{octets}, '-c', $load{chunks}, '-s', $load{sessions}, '-m', $load{per_session});
    my $text = qx{@command};
    croak "@command failed:\n" . join "\n", (split /\n/, $self->{postfix}->log_text)[-5 .. -1] if $?;
    my $load = JSON::PP::decode_json($text);
    my @after = $self->settle;
    my $count = $load->{messages};
    return {
        cpu_us => ($after[0] + $after[1] - $before[0] - $before[1]) / $count,
        postfix_us => ($after[0] - $before[0]) / $count,
        filter_us => ($after[1] - $before[1]) / $count,
        rate => $count / $load->{seconds},
        p50_us => $load->{p50_us},
        p99_us => $load->{p99_us},
    };
}

# Ends everything; dies if Postfix or the daemon logged what a sound run never does.
sub stop ($self) {
    $self->{postfix}->stop;
    $_->stop for @{$self->{filters} // []};
    $self->{daemon}->stop;
    my @alarming = ($self->{postfix}->alarming_lines, $self->{daemon}->unexpected_log);
    croak join "\n", 'the logs show trouble:', @alarming[0 .. ($#alarming > 9 ? 9 : $#alarming)] if @alarming;
}

1;
