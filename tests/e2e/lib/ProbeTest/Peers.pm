package ProbeTest::Peers;

# Real mail servers from Debian's packages, unpacked and not installed (they conflict with
# Postfix), each with a configuration, a queue and a port of its own.
#
# They look up their user and their host name in the system's files; so they run in a mount and
# a UTS namespace where those files say what they want to read.

use v5.36;
use Carp qw(croak);
use IO::Socket::IP;
use MailTest::Place qw(find_tool free_port new_folder read_file source_folder write_file);
use MailTest::Process;
use MailTest::Wait qw(wait_until);

# Packages of the programs, and of libraries that they need and a plain system does not have.
my @exim_packages = qw(exim4-daemon-light libidn12 libgnutls-dane0 libunbound8 libnsl2);
my @sendmail_packages = qw(sendmail-bin sendmail-cf libwrap0 libnsl2);

# exim(), sendmail(): start one. They return the object, or a string that says why it cannot be
# had here, for a skip. One that is there but does not start is a failure.
sub exim ($class) {
    my $why = missing(qw(unshare mount));
    return $why if $why;
    my @folders = unpacked(@exim_packages) or return 'the packages of Exim cannot be had here';
    my $self = $class->new_place;
    my $folder = $self->{folder};
    my ($uid, $gid) = (getpwnam 'mail')[2, 3];
    for my $name (qw(spool log mail)) {
        mkdir "$folder/$name" or croak "mkdir: $!";
        chown $uid, $gid, "$folder/$name" or croak "chown: $!";
    }
    write_file("$folder/passwd",
        read_file('/etc/passwd') . "Debian-exim:x:$uid:${gid}::/:/bin/false\n");
    write_file("$folder/group", read_file('/etc/group') . "Debian-exim:x:$gid:\n");
    write_file("$folder/exim.conf", exim_conf($folder, $folders[0]));
    return $self->start_peer({passwd => '/etc/passwd', group => '/etc/group'}, \@folders,
        "$folders[0]/usr/sbin/exim4", '-C', "$folder/exim.conf", '-bdf',
        '-oX', "127.0.0.1.$self->{port}", '-oP', "$folder/pid");
}

sub exim_conf ($folder, $package) {
    return <<"EOF";
exim_path = $package/usr/sbin/exim4
primary_hostname = peer.example.test
qualify_domain = peer.example.test
acl_smtp_rcpt = acl_rcpt
chunking_advertise_hosts = *
tls_advertise_hosts =
host_lookup =
spool_directory = $folder/spool
log_file_path = $folder/log/%s
keep_environment =
begin acl
acl_rcpt:
  accept domains = peer.example.test
  deny message = no relay
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = $folder/mail
  maildir_format
  user = mail
EOF
}

sub sendmail ($class) {
    my $why = missing(qw(unshare mount m4 hostname));
    return $why if $why;
    my @folders = unpacked(@sendmail_packages)
        or return 'the packages of Sendmail cannot be had here';
    my $self = $class->new_place;
    my $folder = $self->{folder};
    mkdir "$folder/queue" or croak "mkdir: $!";
    write_file("$folder/hosts", "127.0.0.1 peer.example.test localhost\n");
    write_file("$folder/switch", "hosts files\naliases files\n");
    write_file("$folder/sendmail.mc", sendmail_mc($folder, $self->{port}));
    system "cd '$folders[1]/usr/share/sendmail/cf/cf' && m4 -D_CF_DIR_=../ ../m4/cf.m4 "
        . "'$folder/sendmail.mc' >'$folder/sendmail.cf'";
    return 'm4 could not make sendmail.cf' if $? || !-s "$folder/sendmail.cf";
    return $self->start_peer({hosts => '/etc/hosts'}, \@folders,
        "$folders[0]/usr/libexec/sendmail/sendmail", '-C', "$folder/sendmail.cf", '-bD');
}

sub sendmail_mc ($folder, $port) {
    return <<"EOF";
divert(0)dnl
VERSIONID(`test')
OSTYPE(`linux')dnl
undefine(`ALIAS_FILE')dnl
define(`QUEUE_DIR', `$folder/queue')dnl
define(`STATUS_FILE', `')dnl
define(`HELP_FILE', `')dnl
define(`confPID_FILE', `$folder/pid')dnl
define(`confDOMAIN_NAME', `peer.example.test')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confTO_IDENT', `0')dnl
define(`confREFUSE_LA', `0')dnl
define(`confSERVICE_SWITCH_FILE', `$folder/switch')dnl
define(`confHOSTS_FILE', `$folder/hosts')dnl
define(`confLOG_LEVEL', `0')dnl
FEATURE(`nocanonify')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`accept_unresolvable_domains')dnl
DAEMON_OPTIONS(`Port=$port, Addr=127.0.0.1, Name=MTA')dnl
LOCAL_CONFIG
Cw peer.example.test
EOF
}

sub new_place ($class) {
    return bless {folder => new_folder(), port => free_port()}, $class;
}

# What stands in the way of a namespace of our own; '' if nothing does.
sub missing (@tools) {
    return 'only root can give a mail server system files of its own' if $> != 0;
    for my $tool (@tools) {
        return "$tool is not installed" if !find_tool($tool);
    }
    return 'namespaces cannot be made here' if system('unshare -m -u true >/dev/null 2>&1') != 0;
    return '';
}

# The folders that the packages are unpacked in; none if one cannot be had.
sub unpacked (@names) {
    my $script = source_folder() . '/scripts/unpack-package';
    chomp(my @folders = qx{'$script' @names 2>/dev/null});
    return @folders == @names ? @folders : ();
}

# Starts the command in its namespaces: `files` are names in our folder that stand for the
# system's; libraries are looked for in the unpacked packages, too.
sub start_peer ($self, $files, $packages, @command) {
    my $folder = $self->{folder};
    my $mounts = join ' && ', map { "mount --bind '$folder/$_' '$files->{$_}'" } sort keys %$files;
    my $path = join ':', map { glob "$_/usr/lib/*-linux-gnu*" } @$packages;
    $self->{process} = MailTest::Process->start(
        command => ['unshare', '-m', '-u', 'sh', '-c', "hostname peer.example.test && $mounts && "
            . "LD_LIBRARY_PATH='$path' exec \"\$@\"", 'sh', @command],
        stderr => "$folder/stderr", stdout => "$folder/stderr");
    my $up = eval {
        wait_until('the peer', sub {
            !$self->{process}->running
                || IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $self->{port});
        });
    };
    return $self if $up && $self->{process}->running;
    $self->{process}->stop;
    croak "$command[0] does not start: " . read_file("$folder/stderr");
}

sub address ($self) { "127.0.0.1:$self->{port}" }

# Messages in Exim's Maildir.
sub delivered ($self) { scalar(() = glob "$self->{folder}/mail/new/*") }

# Messages on their way.
sub queued ($self) { scalar(() = glob "$self->{folder}/spool/input/*-H $self->{folder}/queue/qf*") }

sub stop ($self) { $self->{process}->stop }

1;
