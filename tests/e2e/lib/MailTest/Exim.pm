package MailTest::Exim;

# Exim as a client, from its Debian package unpacked beside Postfix, with a configuration, a spool
# and a password file (by nss_wrapper) of its own.

use v5.36;
use Carp qw(croak);
use MailTest::Place qw(new_folder peer read_file write_file);
use MailTest::Process;

my $USER = 'Debian-exim';    # what the package was built for; it need not exist here

# new(host => ..., port => ...): one that sends everything there, with BDAT whenever it may.
sub new ($class, %opt) {
    my $folder = new_folder();
    my $self = bless {
        folder => $folder,
        program => peer('exim4-daemon-light', 'usr/sbin/exim4'),
        config => "$folder/exim.conf",
    }, $class;
    my ($uid, $gid) = (getpwnam 'mail')[2, 3];
    for my $name (qw(spool log)) {
        mkdir "$folder/$name", 0755 or croak "mkdir: $!";
        chown $uid, $gid, "$folder/$name" or croak "chown: $!";
    }
    write_file("$folder/passwd", read_file('/etc/passwd') . "$USER:x:${uid}:${gid}::/nonexistent:/bin/false\n");
    write_file("$folder/group", read_file('/etc/group') . "$USER:x:${gid}:\n");
    write_file($self->{config}, $self->config_text($opt{host}, $opt{port}));
    return $self;
}

sub config_text ($self, $host, $port) {
    return <<"EOF";
primary_hostname = exim.example.net
exim_path = $self->{program}
keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
spool_directory = $self->{folder}/spool
log_file_path = $self->{folder}/log/%slog
log_selector = +smtp_confirmation +delivery_size
acl_not_smtp = accept
never_users =
message_size_limit = 100M
begin acl
begin routers
everything:
  driver = manualroute
  route_list = * $host
  self = send
  transport = postfix
begin transports
postfix:
  driver = smtp
  port = $port
  hosts_try_chunking = *
  message_linelength_limit = 1G
begin retry
* * F,1h,1m
EOF
}

# Hands a message (LF or CRLF line ends) to Exim and waits until it has been delivered or not.
sub send ($self, $sender, $content, @recipients) {
    $self->submit('-odf', $sender, $content, @recipients);
}

# Hands a message to Exim's queue, for run_queue().
sub queue ($self, $sender, $content, @recipients) {
    $self->submit('-odq', $sender, $content, @recipients);
}

# Delivers what is in the queue. Exim routes all of it first, and so knows which messages can go
# through one connection, one after the other.
sub run_queue ($self) {
    $self->run('/dev/null', '-qqff');
}

sub submit ($self, $how, $sender, $content, @recipients) {
    write_file("$self->{folder}/message", $content);
    $self->run("$self->{folder}/message", $how, '-i', '-f', $sender, @recipients);
}

sub run ($self, $input, @arguments) {
    my $folder = $self->{folder};
    my $status = MailTest::Process->start(
        command => [$self->{program}, '-C', $self->{config}, @arguments],
        env => {
            LD_PRELOAD => 'libnss_wrapper.so',
            NSS_WRAPPER_PASSWD => "$folder/passwd",
            NSS_WRAPPER_GROUP => "$folder/group",
        },
        stdin => $input,
        stderr => "$folder/stderr",
    )->wait_end;
    croak "exim ended with status $status: " . read_file("$folder/stderr") if $status;
}

# Deliveries that were confirmed by 250, and log lines of any that were not.
sub delivered_count ($self) {
    return scalar grep { / [=-]> / } split /\n/, read_file("$self->{folder}/log/mainlog");
}

sub failures ($self) {
    return grep { / (?:\*\*|==) |failed|refused|SMTP error|panic/i }
        map { split /\n/, read_file("$self->{folder}/log/$_") } qw(mainlog paniclog rejectlog);
}

# True if every delivery so far went by BDAT (Exim marks them with K).
sub used_chunking ($self) {
    my @lines = grep { / [=-]> / } split /\n/, read_file("$self->{folder}/log/mainlog");
    return @lines && !grep { !/ K / } @lines;
}

1;
