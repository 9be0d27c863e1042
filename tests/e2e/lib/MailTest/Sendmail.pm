package MailTest::Sendmail;

# A private Sendmail from its Debian packages, unpacked beside Postfix: own sendmail.cf, queue, log
# and port, everything below a temporary folder. Mail for any user at example.test is delivered to
# one Maildir; user names that begin with "unknown" are refused.
#
# MailTest::Daemon takes it in place of a Postfix.

use v5.36;
use Carp qw(croak);
use IO::Socket::IP;
use MailTest::Maildir;
use MailTest::Place qw(find_tool free_port new_folder peer read_file write_file);
use MailTest::Process;
use MailTest::Wait qw(wait_until);

my $HOST = 'mail.example.test';

# new(%options): makes and starts one.
#   flags    F= of the input mail filter: "" mail goes on without it (default), "T" tempfail
#   socket   the filter's socket; default: in socket_folder()
#   start    0: only write the files
sub new ($class, %opt) {
    my $folder = $opt{folder} // new_folder();
    my $self = bless {
        folder => $folder,
        config => "$folder/sendmail.cf",
        program => peer('sendmail-bin', 'usr/libexec/sendmail/sendmail'),
        templates => peer('sendmail-cf', 'usr/share/sendmail/cf'),
        host => '127.0.0.1',
        port => free_port(),
        flags => $opt{flags} // '',
        socket => $opt{socket} // "$folder/bdat-milter/milter.sock",
    }, $class;
    $self->make_folders;
    $self->write_config;
    $self->start if $opt{start} // 1;
    return $self;
}

sub host ($self) { $self->{host} }
sub port ($self) { $self->{port} }
sub folder ($self) { $self->{folder} }
sub config_file ($self) { $self->{config} }
sub socket_folder ($self) { "$self->{folder}/bdat-milter" }
sub socket ($self) { $self->{socket} }
sub maildir ($self) { $self->{maildir} }

# What it complains of, what it did with its filters, what it heard and said.
sub log_text ($self) { read_file("$self->{folder}/sendmail.log") }
sub milter_log ($self) { read_file("$self->{folder}/milter.log") }
sub traffic ($self) { read_file("$self->{folder}/traffic.log") }

sub make_folders ($self) {
    my $folder = $self->{folder};
    my ($uid, $gid) = (getpwnam 'mail')[2, 3];
    for my $name (qw(queue bdat-milter box box/tmp box/new box/cur)) {
        mkdir "$folder/$name", 0755 or croak "mkdir $folder/$name: $!";
        chown $uid, $gid, "$folder/$name" or croak "chown: $!";
    }
    chown 0, 0, "$folder/queue" or croak "chown: $!";
    chmod 0700, "$folder/queue" or croak "chmod: $!";
    $self->{maildir} = MailTest::Maildir->new("$folder/box");
    write_file("$folder/hosts", "127.0.0.1 $HOST\n");
    write_file("$folder/switch", "hosts files\naliases files\npasswd files\n");
    write_file("$folder/deliver", <<"EOF");
#!/bin/sh
# Writes standard input into the Maildir.
set -e
cat >"$folder/box/tmp/\$\$"
mv "$folder/box/tmp/\$\$" "$folder/box/new/\$\$.\$(date +%s%N)"
EOF
    chmod 0755, "$folder/deliver" or croak "chmod: $!";
}

# sendmail.mc, with the line that doc/sendmail.md gives.
sub mc_text ($self) {
    my $folder = $self->{folder};
    my $flags = $self->{flags} eq '' ? '' : "F=$self->{flags}, ";
    return <<"EOF" =~ s/^    //gmr;
    divert(0)dnl
    OSTYPE(`linux')dnl
    FEATURE(`nouucp', `reject')dnl
    FEATURE(`accept_unresolvable_domains')dnl
    FEATURE(`accept_unqualified_senders')dnl
    define(`confDOMAIN_NAME', `$HOST')dnl
    define(`confPID_FILE', `$folder/sendmail.pid')dnl
    define(`QUEUE_DIR', `$folder/queue')dnl
    define(`STATUS_FILE', `')dnl
    define(`HELP_FILE', `')dnl
    define(`ALIAS_FILE', `')dnl
    define(`confSERVICE_SWITCH_FILE', `$folder/switch')dnl
    define(`confHOSTS_FILE', `/etc/hosts')dnl
    define(`confCW_FILE', `$folder/no-such-file')dnl
    undefine(`confCW_FILE')dnl
    define(`confTO_IDENT', `0')dnl
    define(`confREFUSE_LA', `1000')dnl
    define(`confQUEUE_LA', `1000')dnl
    define(`confDELIVERY_MODE', `interactive')dnl
    define(`confDONT_PROBE_INTERFACES', `True')dnl
    define(`confDEF_USER_ID', `mail:mail')dnl
    define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl
    define(`confLOG_LEVEL', `14')dnl
    DAEMON_OPTIONS(`Name=MTA, Addr=$self->{host}, Port=$self->{port}')dnl
    INPUT_MAIL_FILTER(`bdat-milter', `S=local:$self->{socket}, ${flags}T=S:30s;R:30s')dnl
    MAILER(`local')dnl
    MAILER(`smtp')dnl
    LOCAL_CONFIG
    Cwexample.test
    LOCAL_RULE_0
    Runknown\$* < \@ \$=w . >\t\$#error \$\@ 5.1.1 \$: "550 User unknown"
    R\$+ < \@ \$=w . >\t\$#box \$: \$1
    MAILER_DEFINITIONS
    Mbox,\tP=$folder/deliver, F=lsDFMPSn, S=EnvFromL/HdrFromL, R=EnvToL/HdrToL, T=DNS/RFC822/X-Unix, A=deliver \$u
EOF
}

sub write_config ($self) {
    my $folder = $self->{folder};
    my $m4 = find_tool('m4') // croak 'there is no m4';
    write_file("$folder/sendmail.mc", $self->mc_text);
    my $status = MailTest::Process->start(
        command => [$m4, "-D_CF_DIR_=$self->{templates}/", "$self->{templates}/m4/cf.m4",
            "$folder/sendmail.mc"],
        stdout => $self->{config},
        stderr => "$folder/m4.log",
    )->wait_end;
    croak "m4: status $status: " . read_file("$folder/m4.log") if $status;
}

# Waits until a whole session has gone by.
sub start ($self) {
    $self->{process} = MailTest::Process->start(
        command => [$self->{program}, '-bD', '-C', $self->{config},
            '-D', "$self->{folder}/milter.log", '-d64.8', '-X', "$self->{folder}/traffic.log"],
        stdout => "$self->{folder}/sendmail.log",
        stderr => "$self->{folder}/sendmail.log",
        # Without a full host name it sleeps a minute at its start.
        env => {
            LD_PRELOAD => 'libnss_wrapper.so',
            NSS_WRAPPER_HOSTNAME => $HOST,
            NSS_WRAPPER_HOSTS => "$self->{folder}/hosts",
        },
    );
    wait_until('Sendmail to listen', sub {
        croak "Sendmail ended at its start:\n" . $self->log_text if !$self->{process}->running;
        my $socket = IO::Socket::IP->new(PeerHost => $self->{host}, PeerPort => $self->{port}) // return 0;
        print {$socket} "QUIT\r\n";
        1 while <$socket>;
        return 1;
    });
    return $self;
}

# Ends it with whatever serves a session still; returns its wait status.
sub stop ($self) {
    return $self->{process}->stop;
}

1;
