package MailTest::Postfix;

# A private Postfix below a temporary folder: own configuration, queue, data folder, log and
# ports. The system's Postfix is not touched.
#
# Mail for any user at example.test is delivered to one Maildir, except for users whose name
# begins with "unknown": those recipients are refused.

use v5.36;
use Carp qw(croak);
use IO::Socket::IP;
use MailTest::Maildir;
use MailTest::Place qw(find_tool free_port new_folder read_file write_file);
use MailTest::Process;
use MailTest::Wait qw(wait_until);

# new(%options): makes and starts one.
#   chroot    1: smtpd runs chrooted in the queue folder, as Debian's does
#   main      { parameter => value } on top of the defaults below; undef takes one away
#   hooks     which of milter, tables, policy, ehlo to attach; default: all of them
#   tls, sasl 1: offer STARTTLS, AUTH (user "tester@example.test", password "open sesame")
#   wakeup    qmgr(8) looks through what has come every so many seconds, not at new mail only (300)
#   start     0: only write the files
sub new ($class, %opt) {
    my $folder = $opt{folder} // new_folder();
    my $self = bless {
        folder => $folder,
        config => "$folder/postfix",
        queue => "$folder/queue",
        log => "$folder/log/mail.log",
        host => '127.0.0.1',
        port => free_port(),
        ipv6 => has_ipv6(),
        chroot => $opt{chroot} ? 'y' : 'n',
        services => $opt{services} // '',
        wakeup => $opt{wakeup} // 300,
    }, $class;
    $self->make_folders;
    $self->{maildir} = MailTest::Maildir->new("$folder/mail/box");
    $self->{main} = {$self->defaults, $self->hook_parameters(@{$opt{hooks} // [qw(milter tables policy ehlo)]})};
    $self->add_tls if $opt{tls};
    $self->add_sasl if $opt{sasl};
    my %main = %{$opt{main} // {}};
    @{$self->{main}}{keys %main} = values %main;
    $self->write_config;
    $self->start if $opt{start} // 1;
    return $self;
}

sub host ($self) { $self->{host} }
sub port ($self) { $self->{port} }
sub folder ($self) { $self->{folder} }
sub config_folder ($self) { $self->{config} }
sub queue_folder ($self) { $self->{queue} }
sub maildir ($self) { $self->{maildir} }
sub log_text ($self) { read_file($self->{log}) }
sub ipv6 ($self) { $self->{ipv6} }

# Where the daemon's sockets stand.
sub socket_folder ($self) { "$self->{queue}/bdat-milter" }

sub has_ipv6 () {
    return defined IO::Socket::IP->new(LocalHost => '::1', LocalPort => 0, Listen => 1);
}

sub make_folders ($self) {
    my $folder = $self->{folder};
    my ($postfix, $postfix_group) = (getpwnam 'postfix')[2, 3];
    my ($nobody, $nogroup) = (getpwnam 'nobody')[2, 3];
    croak 'there is no user "postfix": is Postfix installed?' if !defined $postfix;
    for my $name (qw(postfix queue queue/bdat-milter data log mail)) {
        mkdir "$folder/$name", 0755 or croak "mkdir $folder/$name: $!";
    }
    chown $postfix, $postfix_group, "$folder/data" or croak "chown: $!";
    chown $nobody, $nogroup, "$folder/mail" or croak "chown: $!";
    $self->make_queue;
}

# The queue's folders, as postfix-files lists them. "postfix check" would make them too, and
# take its time over it.
sub make_queue ($self) {
    my $postfix = getpwnam 'postfix';
    my $postdrop = getgrnam 'postdrop';
    my %mode = (pid => 0755, public => 0710, maildrop => 01730);
    my @private = qw(active bounce corrupt defer deferred flush hold incoming private saved trace);
    for my $name (@private, keys %mode) {
        my $path = "$self->{queue}/$name";
        mkdir $path or croak "mkdir $path: $!";
        my ($user, $group) = ($name eq 'pid' ? 0 : $postfix, $mode{$name} ? $postdrop : 0);
        chown $user, $name eq 'pid' ? 0 : $group, $path or croak "chown $path: $!";
        chmod $mode{$name} // 0700, $path or croak "chmod $path: $!";
    }
}

sub defaults ($self) {
    my $folder = $self->{folder};
    my ($nobody, $nogroup) = (getpwnam 'nobody')[2, 3];
    return (
        compatibility_level => '3.6',
        queue_directory => $self->{queue},
        data_directory => "$folder/data",
        mail_owner => 'postfix',
        setgid_group => 'postdrop',
        maillog_file => $self->{log},
        maillog_file_prefixes => "$folder/log",
        myhostname => 'mail.example.test',
        mydestination => '',
        alias_maps => '',
        alias_database => '',
        local_recipient_maps => '',
        inet_interfaces => $self->{ipv6} ? '127.0.0.1, ::1' : '127.0.0.1',
        inet_protocols => $self->{ipv6} ? 'all' : 'ipv4',
        mynetworks => '192.0.2.255/32',
        local_header_rewrite_clients => '',
        smtpd_relay_restrictions => 'reject_unauth_destination',
        smtpd_peername_lookup => 'no',
        smtpd_client_connection_count_limit => '0',
        smtpd_error_sleep_time => '0',
        # Longer than any test waits for something else with a session open.
        smtpd_timeout => '300s',
        # A process that ends right after a lost transfer is taken for a stopped server, in favour
        # of the client: no process of a test ends for its age.
        max_use => 1_000_000,
        default_process_limit => '200',
        virtual_mailbox_domains => 'example.test',
        virtual_mailbox_maps => "regexp:$folder/postfix/mailboxes",
        virtual_mailbox_base => "$folder/mail",
        virtual_uid_maps => "static:$nobody",
        virtual_gid_maps => "static:$nogroup",
        virtual_mailbox_limit => '0',
        default_transport => 'error:no mail leaves a test',
        relay_transport => 'error:no mail leaves a test',
        disable_dns_lookups => 'yes',
    );
}

# The parameters that attach the daemon, as an administrator would set them.
sub hook_parameters ($self, @hooks) {
    my $tables = 'socketmap:unix:bdat-milter/tables.sock';
    my $policy = 'check_policy_service { unix:bdat-milter/policy.sock, default_action=DUNNO }';
    my %parameters = (
        milter => {smtpd_milters => '{ unix:bdat-milter/milter.sock, default_action=accept }'},
        tables => {smtpd_command_filter => "$tables:command"},
        ehlo => {smtpd_discard_ehlo_keyword_address_maps => "$tables:ehlo"},
        policy => {
            smtpd_data_restrictions => $policy,
            smtpd_end_of_data_restrictions => $policy,
        },
    );
    return map { %{$parameters{$_} // croak "no such hook: $_"} } @hooks;
}

# A self-made certificate for STARTTLS.
sub add_tls ($self) {
    my ($key, $cert) = map { "$self->{config}/$_.pem" } qw(key cert);
    my $error = qx{openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \\
        -keyout '$key' -out '$cert' -days 2 -subj /CN=mail.example.test 2>&1};
    croak "openssl: $error" if $?;
    @{$self->{main}}{qw(smtpd_tls_security_level smtpd_tls_key_file smtpd_tls_cert_file)}
        = ('may', $key, $cert);
    $self->{main}{smtpd_tls_loglevel} = 0;
}

# AUTH by Cyrus SASL from a password file of our own. Debian's Postfix looks for smtpd.conf
# below its configuration folder, others where cyrus_sasl_config_path says.
sub add_sasl ($self) {
    my $folder = "$self->{config}/sasl";
    mkdir $folder, 0755 or croak "mkdir $folder: $!";
    my $database = "$self->{folder}/sasldb2";
    write_file("$folder/smtpd.conf", <<"EOF");
pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: PLAIN LOGIN
sasldb_path: $database
EOF
    my $tool = find_tool('saslpasswd2') // croak 'saslpasswd2 is not installed (sasl2-bin)';
    open my $pipe, '|-', $tool, '-p', '-c', '-f', $database, '-u', 'example.test', 'tester'
        or croak "saslpasswd2: $!";
    print {$pipe} 'open sesame';
    close $pipe or croak "saslpasswd2 failed: $?";
    my $postfix = getpwnam 'postfix';
    chown $postfix, -1, $database or croak "chown $database: $!";
    $self->{main}{smtpd_sasl_auth_enable} = 'yes';
    $self->{main}{smtpd_sasl_type} = 'cyrus';
    $self->{main}{smtpd_sasl_path} = 'smtpd';
    $self->{main}{cyrus_sasl_config_path} = $folder;
    $self->{main}{smtpd_sasl_security_options} = 'noanonymous';
}

sub write_config ($self) {
    my %main = %{$self->{main}};
    write_file("$self->{config}/main.cf",
        join '', map { "$_ = $main{$_}\n" } grep { defined $main{$_} } sort keys %main);
    write_file("$self->{config}/mailboxes", "!/^unknown/ box/\n");
    write_file("$self->{config}/master.cf", $self->master_text);
    # Postfix waits for a file that was written just now to grow older before it believes it.
    utime time - 10, time - 10, glob("$self->{config}/*");
}

sub master_text ($self) {
    my ($port, $chroot, $wakeup) = @$self{qw(port chroot wakeup)};
    my $ipv6 = $self->{ipv6} ? "[::1]:$port inet n - $chroot - - smtpd\n" : '';
    return <<"EOF" . $ipv6 . $self->{services};
127.0.0.1:$port inet n - $chroot - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n $wakeup 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
EOF
}

# Starts master(8) as our own child and waits until every listener answers.
sub start ($self) {
    my $before = $self->starts;
    $self->{process} = MailTest::Process->start(
        command => [daemon_folder() . '/master', '-c', $self->{config}],
        leads_session => 1,
        env => {MAIL_CONFIG => $self->{config}},
    );
    # master(8) listens before it takes signals: one that comes too soon ends it (master.c, main()).
    wait_until("Postfix on port $self->{port}", sub {
        croak "Postfix did not start:\n" . $self->log_text if !$self->{process}->running;
        return listening($self->{port}) && $self->starts > $before;
    });
    return $self;
}

# How often it has said that it is ready.
sub starts ($self) {
    return -e $self->{log} ? scalar(() = $self->log_text =~ /daemon started -- version/g) : 0;
}

# True if some process listens on that port. Asked of the kernel, since a connection of ours
# would be a session that the daemon sees.
sub listening ($port) {
    my $local = sprintf '0100007F:%04X 00000000:0000 0A', $port;
    return read_file('/proc/net/tcp') =~ /^ *\d+: \Q$local\E /m;
}

# Where Postfix's own programs stand.
sub daemon_folder () {
    state $folder = do {
        my $postconf = find_tool('postconf') // croak 'Postfix is not installed';
        chomp(my $found = qx{$postconf -dh daemon_directory});
        $found;
    };
    return $folder;
}

# Ends it. Its processes end some time after master(8), and hold the port as long as they live.
sub stop ($self) {
    return if !$self->{process};
    $self->{process}->stop;
    wait_until('Postfix to leave its port', sub { !listening($self->{port}) });
}

sub running ($self) {
    return $self->{process} && $self->{process}->running;
}

# Changes main.cf ({ parameter => value }, undef takes one away) and reloads.
sub reload ($self, %main) {
    @{$self->{main}}{keys %main} = values %main;
    $self->write_config;
    my $before = () = $self->log_text =~ /reload -- version/g;
    $self->{process}->signal('HUP');
    wait_until('Postfix to reload', sub {
        my $now = () = $self->log_text =~ /reload -- version/g;
        return $now > $before;
    });
}

# Names of the messages in the queue.
sub queued ($self) {
    my @found;
    for my $name (qw(incoming active deferred hold)) {
        # Not what a killed cleanup(8) left: a whole queue file is executable (mail_queue.h).
        push @found, grep { -f && (stat _)[2] & 0100 } glob("$self->{queue}/$name/*"),
            glob("$self->{queue}/$name/?/*");
    }
    return @found;
}

# Queue ids (file names) in the hold queue.
sub held ($self) {
    return map { m{([^/]+)$} } grep { -f } glob("$self->{queue}/hold/*"), glob("$self->{queue}/hold/?/*");
}

# Waits until everything accepted has been delivered. What stays is named, and what Postfix says of it.
sub wait_empty ($self, $seconds = $MailTest::Wait::PATIENCE) {
    return if eval { wait_until('an empty queue', sub { !$self->queued }, $seconds) };
    my $why = $@;
    my @files = $self->queued;
    my @words = ('warning:', 'fatal:', 'panic:', map { m{([^/]+)$} } @files);
    my $telling = join '|', map { quotemeta } @words;
    croak join "\n", $why, @files, grep { /$telling/ } split /\n/, $self->log_text;
}

# Log lines that a healthy Postfix with the daemon attached never writes: a process that died,
# or a hook that did not answer.
sub alarming_lines ($self) {
    return grep { /killed by signal|panic:|fatal:|bdat-milter|exit status/
            || /warning: (?:milter|connect to|problem talking|table|read|socketmap|unknown smtp)/i }
        split /\n/, $self->log_text;
}

1;
