package MailTest::FakeMta;

# The mail server's side of the milter protocol (version 6), octet by octet, for what no real
# server does on demand.

use v5.36;
use Carp qw(croak);
use IO::Select;
use IO::Socket::UNIX;
use MailTest::Wait;

# new(socket => PATH, actions => BITS, steps => BITS): connects and negotiates; offers by default
# what Postfix 3.7 and Sendmail 8.17 offer.
sub new ($class, %opt) {
    my $socket = IO::Socket::UNIX->new(Peer => $opt{socket}) // croak "$opt{socket}: $!";
    my $self = bless {socket => $socket}, $class;
    $self->write('O', pack 'N3', 6, $opt{actions} // 0x1ff, $opt{steps} // 0x1fffff);
    my ($command, $data) = $self->read;
    croak "no answer to the negotiation: $command" if $command ne 'O';
    (undef, @{$self}{qw(actions steps)}) = unpack 'N3', $data;
    $self->{macros} = {unpack '(N Z*)*', substr $data, 12};
    return $self;
}

# What was agreed on; macros() maps a stage's number to the names asked for.
sub actions ($self) { $self->{actions} }
sub steps ($self) { $self->{steps} }
sub macros ($self) { $self->{macros} }

sub write ($self, $command, $data = '') {
    local $SIG{PIPE} = 'IGNORE';
    $self->{socket}->syswrite(pack('N', 1 + length $data) . $command . $data);
}

# One answer: its command and its data; dies if none comes.
sub read ($self) {
    my $length = unpack 'N', $self->octets(4);
    my $answer = $self->octets($length);
    return (substr($answer, 0, 1), substr($answer, 1));
}

sub octets ($self, $count) {
    my $got = '';
    while (length $got < $count) {
        croak 'no answer from the milter' if !IO::Select->new($self->{socket})->can_read($MailTest::Wait::PATIENCE);
        $self->{socket}->sysread($got, $count - length $got, length $got) or croak 'the milter has hung up';
    }
    return $got;
}

# Sends macros for a command, then the command, and returns the answer as "c" or "y421 …"; ''
# where $waived, the bit of "no reply", was agreed on.
sub event ($self, $command, $data, $waived = 0, %macros) {
    $self->write('D', join '', $command, map { "$_\0$macros{$_}\0" } sort keys %macros) if %macros;
    $self->write($command, $data);
    return '' if $self->{steps} & $waived;
    my ($answer, $text) = $self->read;
    return $answer . ($text =~ s/\0\z//r);
}

sub connect ($self, $version, $address = '192.0.2.1') {
    return $self->event('C', "client.example.net\x{0}4" . pack('n', 25) . "$address\0", 0x1000,
        defined $version ? (v => $version) : ());
}

sub helo ($self) { $self->event('H', "client.example.net\0", 0x2000) }

sub mail ($self, @arguments) {
    return $self->event('M', join('', map { "$_\0" } @arguments), 0x4000, i => 'QUEUEID1');
}

sub rcpt ($self) { $self->event('R', "<user\@example.test>\0", 0x8000) }
sub unknown ($self, $line) { $self->event('U', "$line\0", 0x20000) }
sub data ($self) { $self->event('T', '', 0x10000, i => 'QUEUEID1') }
sub header ($self, $name, $value) { $self->event('L', "$name\0$value\0", 0x80) }
sub end_of_header ($self) { $self->event('N', '', 0x40000) }
sub body ($self, $text) { $self->event('B', $text, 0x80000) }
sub end_of_message ($self) { $self->event('E', '') }

sub quit ($self) {
    $self->write('Q');
    $self->{socket}->close;
}

1;
