package MailTest::Client;

# An SMTP client that sends exactly the octets it is told to: no rule of the protocol is kept
# unless the test keeps it.

use v5.36;
use Carp qw(croak);
use IO::Select;
use IO::Socket::IP;
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use MailTest::Wait;

# new(postfix => $postfix | host => ..., port => ..., %options): connects and reads the greeting.
#   from   source address: each 127.0.0.x is a client of its own
#   helo   name for ehlo() (default client.example.net)
sub new ($class, %opt) {
    my $postfix = $opt{postfix};
    my $from = $opt{from} // '127.0.0.2';
    my $host = $opt{host} // ($from =~ /:/ ? '::1' : $postfix->host);
    my $socket = IO::Socket::IP->new(
        PeerHost => $host,
        PeerPort => $opt{port} // $postfix->port,
        LocalHost => $from,
        Timeout => $MailTest::Wait::PATIENCE,
    ) // croak "connect to $host: $@";
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    my $self = bless {
        socket => $socket,
        buffer => '',
        from => $from,
        helo => $opt{helo} // 'client.example.net',
    }, $class;
    $self->{greeting} = $self->reply;
    return $self;
}

sub greeting ($self) { $self->{greeting} }
sub from ($self) { $self->{from} }

# Sends these octets as they are; false if the server has gone.
sub raw ($self, @octets) {
    local $SIG{PIPE} = 'IGNORE';
    my $data = join '', @octets;
    my $sent = 0;
    while ($sent < length $data) {
        my $count = $self->{socket}->syswrite($data, 65536, $sent);
        return 0 if !defined $count;
        $sent += $count;
    }
    return 1;
}

# Reads one whole reply (all its lines, without CRs); '' if the server has closed the connection.
sub reply ($self, $seconds = $MailTest::Wait::PATIENCE) {
    my @lines;
    while (1) {
        while ($self->{buffer} =~ s/^([^\n]*)\n//) {
            my $line = $1 =~ s/\r$//r;
            push @lines, $line;
            return join "\n", @lines if $line =~ /^\d{3}(?: |$)/;
        }
        return join "\n", @lines if !$self->fill($seconds);
    }
}

# Reads more octets; false at the end of the connection.
sub fill ($self, $seconds) {
    my $socket = $self->{socket};
    if (!($socket->can('pending') && $socket->pending)) {
        croak "no reply from the server in $seconds s" if !IO::Select->new($socket)->can_read($seconds);
    }
    return $socket->sysread($self->{buffer}, 65536, length $self->{buffer});
}

# True once the server has closed the connection; unread replies are thrown away.
sub wait_closed ($self, $seconds = $MailTest::Wait::PATIENCE) {
    1 while $self->fill($seconds);
    return 1;
}

# True if a reply is there to be read within that time.
sub has_reply ($self, $seconds) {
    return $self->{buffer} =~ /\n/ || IO::Select->new($self->{socket})->can_read($seconds);
}

# Sends a line and returns the reply to it.
sub command ($self, $line) {
    $self->raw("$line\r\n");
    return $self->reply;
}

# EHLO; keeps the keywords, see offers().
sub ehlo ($self) {
    my $reply = $self->command("EHLO $self->{helo}");
    $self->{keywords} = {map { /^250[- ](\S+)/ ? (uc $1 => 1) : () } split /\n/, $reply};
    return $reply;
}

# True if the last EHLO reply had that keyword.
sub offers ($self, $keyword) {
    return $self->{keywords}{uc $keyword} // 0;
}

# MAIL and RCPT for one message; %opt: size, to (list), mail (further parameters). Returns the
# replies. Dies unless MAIL was accepted.
sub envelope ($self, $sender, %opt) {
    my $line = "MAIL FROM:<$sender>";
    $line .= " SIZE=$opt{size}" if defined $opt{size};
    $line .= " $opt{mail}" if defined $opt{mail};
    my $reply = $self->command($line);
    croak "MAIL was answered $reply" if $reply !~ /^250/;
    return ($reply, map { $self->command("RCPT TO:<$_>") } @{$opt{to} // ['user@example.test']});
}

# Sends one chunk and returns the reply; `announce` replaces the declared size.
sub bdat ($self, $octets, %opt) {
    my $size = $opt{announce} // length $octets;
    $self->raw("BDAT $size" . ($opt{last} ? ' LAST' : '') . "\r\n", $octets);
    return $self->reply;
}

# Sends a message by DATA, dots stuffed, and returns the final reply.
sub data ($self, $content) {
    my $reply = $self->command('DATA');
    return $reply if $reply !~ /^354/;
    my $text = $content =~ s/^\./../gmr;
    $text .= "\r\n" if $text !~ /\r\n\z/;
    $self->raw($text);
    return $self->command('.');
}

sub quit ($self) {
    my $reply = $self->command('QUIT');
    $self->close;
    return $reply;
}

# Closes with FIN.
sub close ($self) {
    $self->{socket}->close if $self->{socket};
}

# Closes our half for writing; replies can still be read.
sub shutdown ($self) {
    $self->{socket}->shutdown(1);
}

# Closes with RST, as a machine that died or a firewall that lost its table would.
sub reset ($self) {
    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    $self->{socket}->close;
}

# STARTTLS; dies if it fails.
sub starttls ($self) {
    my $reply = $self->command('STARTTLS');
    croak "STARTTLS was answered $reply" if $reply !~ /^220/;
    require IO::Socket::SSL;
    $self->{socket}->blocking(1);
    IO::Socket::SSL->start_SSL($self->{socket}, SSL_verify_mode => 0)
        or croak 'TLS: ' . IO::Socket::SSL::errstr();
    return $reply;
}

1;
