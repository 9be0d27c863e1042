package ProbeTest::Server;

# A small SMTP server that is sound but for what a test replaces: each fault is a hook.
#
# It serves one session after the other, as bdat-probe opens them, in a process of its own.
# Hooks are code that gets the session:
#
#   greeting       sends the greeting
#   do_starttls    all that STARTTLS does;  starttls: what follows the reply 220
#   ehlo           sends the EHLO reply
#   mail           ($session, $line): all that MAIL does; false leaves it to the server
#   rcpt           ($session, $address): sends the reply to RCPT
#   rset           ($session): the same for RSET;  noop: ($session, $line), for NOOP
#   bdat           ($session, $size, $last): all that BDAT does
#   reply_to_bdat  ($session, $text): sends the reply to a chunk that was read
#   data           ($session): all that DATA does
#   final_dot      ($session): called at the end of a message by DATA, before it is accepted
#   data_octets    ($session, $count): called for each piece of message by DATA

use v5.36;
use Carp qw(croak);
use IO::Select;
use IO::Socket::IP;
use POSIX ();
use Socket ();
use Time::HiRes qw(time);
use MailTest::Place qw(free_port);

my %alive;    # pid => the process that started it

# new(%hooks): starts one. Further keys:
#   keywords   EHLO keywords (default: PIPELINING SIZE 8BITMIME CHUNKING)
#   tls        { cert => FILE, key => FILE, implicit => 0|1 }; STARTTLS is offered unless implicit
#   tls_keywords  EHLO keywords within TLS (default: the same)
#   host, port where to listen (default: a free port of 127.0.0.1)
#   log        file that gets a line for each command and each accepted message
sub new ($class, %opt) {
    my $self = bless {
        keywords => ['PIPELINING', 'SIZE 20000000', '8BITMIME', 'CHUNKING'],
        host => '127.0.0.1',
        %opt,
    }, $class;
    $self->{port} //= free_port();
    my $listener = IO::Socket::IP->new(LocalHost => $self->{host}, LocalPort => $self->{port},
        Listen => 16, ReuseAddr => 1) or croak "listen on $self->{host}:$self->{port}: $@";
    $self->{pid} = fork // croak "fork: $!";
    if ($self->{pid} == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
        $SIG{PIPE} = 'IGNORE';
        serve($self, $listener);
        POSIX::_exit(0);
    }
    $alive{$self->{pid}} = $$;
    return $self;
}

sub port ($self) { $self->{port} }
sub address ($self) { "$self->{host}:$self->{port}" }

sub stop ($self) {
    return if !delete $alive{$self->{pid}};
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
}

sub DESTROY ($self) {
    local ($?, $!);
    $self->stop if ($alive{$self->{pid} // 0} // 0) == $$;
}

END {
    local $?;
    for my $pid (keys %alive) {
        next if $alive{$pid} != $$;
        kill 'KILL', $pid;
        waitpid $pid, 0;
    }
}

sub serve ($self, $listener) {
    while (my $socket = $listener->accept) {
        my $session = bless {server => $self, socket => $socket, input => '', rcpt => 0,
            mail => 0, begun => 0, tls => 0, open => 1}, 'ProbeTest::Server::Session';
        eval { $session->run; 1 } or $self->note("died: $@");
        $session->{socket}->close;
    }
}

sub note ($self, $text) {
    return if !$self->{log};
    open my $file, '>>', $self->{log} or return;
    syswrite $file, $text =~ s/[\r\n]+\z//r . "\n";
}

package ProbeTest::Server::Session;

use v5.36;
use Time::HiRes qw(time);

# The same for a hook that may decline.
sub try_hook ($self, $name, @arguments) {
    my $code = $self->{server}{$name};
    return $code && $code->($self, @arguments);
}

sub hook ($self, $name, @arguments) {
    my $code = $self->{server}{$name};
    return 0 if !$code;
    $code->($self, @arguments);
    return 1;
}

sub send ($self, $octets) {
    while (length $octets) {
        my $sent = $self->{socket}->syswrite($octets);
        if (!$sent) {
            $self->{open} = 0;
            return 0;
        }
        substr $octets, 0, $sent, '';
    }
    return 1;
}

sub reply ($self, $line) { $self->send("$line\r\n") }

# Reads more; false when the client has gone.
sub fill ($self) {
    my $got = $self->{socket}->sysread($self->{input}, 65536, length $self->{input});
    $self->{open} = 0 if !$got;
    return $got;
}

sub octets ($self, $count) {
    while (length $self->{input} < $count) {
        $self->fill or return undef;
    }
    return substr $self->{input}, 0, $count, '';
}

sub line ($self) {
    my $end;
    while (($end = index $self->{input}, "\n") < 0) {
        $self->fill or return undef;
    }
    return substr($self->{input}, 0, $end + 1, '') =~ s/\r?\n\z//r;
}

# Takes in whatever comes until the client goes.
sub swallow_all ($self) {
    $self->{input} = '';
    while ($self->fill) {
        $self->{input} = '';
    }
}

# Waits for that many seconds, or less if the client goes first.
sub linger ($self, $seconds) {
    my $end = time + $seconds;
    while ((my $left = $end - time) > 0) {
        next if !IO::Select->new($self->{socket})->can_read($left);
        $self->fill or return;
    }
}

# Closes at once, with a reset.
sub slam ($self) {
    setsockopt $self->{socket}, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
    $self->{open} = 0;
}

sub close_now ($self) { $self->{open} = 0 }

sub keywords ($self) {
    my $server = $self->{server};
    my @keywords = @{$self->{tls} && $server->{tls_keywords} || $server->{keywords}};
    push @keywords, 'STARTTLS' if $server->{tls} && !$server->{tls}{implicit} && !$self->{tls};
    return @keywords;
}

sub start_tls ($self) {
    require IO::Socket::SSL;
    my $tls = $self->{server}{tls};
    my $socket = IO::Socket::SSL->start_SSL($self->{socket}, SSL_server => 1,
        SSL_cert_file => $tls->{cert}, SSL_key_file => $tls->{key}) or return 0;
    $self->{socket} = $socket;
    $self->{tls} = 1;
    return 1;
}

sub run ($self) {
    if ($self->{server}{tls} && $self->{server}{tls}{implicit}) {
        $self->start_tls or return;
    }
    $self->hook('greeting') or $self->reply('220 faulty.test ESMTP');
    while ($self->{open}) {
        my $line = $self->line // last;
        $self->{server}->note($line);
        $self->command($line);
    }
}

sub command ($self, $line) {
    my ($verb) = $line =~ /^(\w+)/;
    my $method = 'do_' . lc($verb // '');
    return $self->can($method) ? $self->$method($line) : $self->reply('500 5.5.2 what?');
}

sub forget ($self) { @$self{qw(mail rcpt begun)} = (0, 0, 0) }

sub do_ehlo ($self, $line) {
    $self->forget;
    return if $self->hook('ehlo');
    my @lines = ('faulty.test', $self->keywords);
    my $final = pop @lines;
    $self->send(join '', (map { "250-$_\r\n" } @lines), "250 $final\r\n");
}

sub do_helo ($self, $line) { $self->reply('250 faulty.test') }
sub do_noop ($self, $line) { $self->try_hook('noop', $line) || $self->reply('250 2.0.0 noop') }

sub do_rset ($self, $line) {
    return if $self->try_hook('rset');
    $self->forget;
    $self->reply('250 2.0.0 reset');
}

sub do_quit ($self, $line) {
    $self->reply('221 2.0.0 bye');
    $self->close_now;
}

sub do_starttls ($self, $line) {
    return if $self->hook('do_starttls');
    $self->reply('220 2.0.0 go');
    $self->{input} = '';
    return if $self->hook('starttls');
    $self->start_tls or $self->close_now;
}

sub do_mail ($self, $line) {
    return if $self->try_hook('mail', $line);
    $self->forget;
    $self->{mail} = 1;
    $self->reply('250 2.1.0 sender');
}

sub do_rcpt ($self, $line) {
    my ($address) = $line =~ /<(.*)>/;
    return if $self->hook('rcpt', $address);
    return $self->reply('550 5.7.1 no relay') if $address =~ /\.invalid$/;
    $self->{rcpt}++;
    $self->reply('250 2.1.5 recipient');
}

sub do_bdat ($self, $line) {
    my ($size, $last) = $line =~ /^BDAT (\d{1,15})( LAST)?$/i
        or return $self->reply('501 5.5.4 BDAT size [LAST]');
    $self->hook('bdat', $size, $last // '') or $self->chunk($size, $last);
}

# What a sound server does with a chunk.
sub chunk ($self, $size, $last) {
    defined $self->octets($size) or return;
    if (!$self->{rcpt}) {
        $self->forget if $last;
        return $self->reply_to_bdat('503 5.5.1 no recipient');
    }
    $self->{begun} = 1;
    if ($last) {
        $self->{server}->note('accepted by BDAT');
        $self->forget;
    }
    $self->reply_to_bdat("250 2.0.0 $size octets");
}

sub reply_to_bdat ($self, $text) {
    $self->hook('reply_to_bdat', $text) or $self->reply($text);
}

sub do_data ($self, $line) {
    return $self->reply('503 5.5.1 BDAT has begun') if $self->{begun};
    return $self->reply('503 5.5.1 no recipient') if !$self->{rcpt};
    return if $self->hook('data');
    $self->reply('354 go ahead');
    my $count = 0;
    while (defined(my $text = $self->line)) {
        $count += length $text;
        $self->hook('data_octets', $count);
        return if !$self->{open};
        next if $text ne '.';
        $self->hook('final_dot');
        $self->{server}->note('accepted by DATA');
        $self->forget;
        return $self->reply('250 2.0.0 accepted');
    }
}

# AUTH PLAIN and LOGIN: whatever comes is noted in the log, and taken if the hook says so.
sub do_auth ($self, $line) {
    require MIME::Base64;
    my @given;
    if ($line =~ /^AUTH PLAIN (\S+)/i) {
        (undef, @given) = split /\0/, MIME::Base64::decode_base64($1);
    } else {
        for my $question (qw(VXNlcm5hbWU6 UGFzc3dvcmQ6)) {
            $self->reply("334 $question");
            push @given, MIME::Base64::decode_base64($self->line // '');
        }
    }
    $self->reply("@given" eq "@{$self->{server}{login} // ['', '']}"
        ? '235 2.7.0 welcome' : '535 5.7.8 no');
}

1;
