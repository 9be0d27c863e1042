package MailTest::Hooks;

# Speaks to the daemon's sockets as an smtpd process does, without one: socketmap requests, policy
# requests, and the milter protocol (version 6) as far as Postfix uses it with this milter. Each
# answer is that of the daemon, or undef if it closed the connection or said nothing in time, which
# Postfix passes over.

use v5.36;
use IO::Select;
use IO::Socket::UNIX;
use MailTest::Wait;

# new(folder => of the sockets)
sub new ($class, %opt) {
    return bless {folder => $opt{folder}, patience => $opt{patience} // $MailTest::Wait::PATIENCE, sockets => {}}, $class;
}

sub socket ($self, $name) {
    return $self->{sockets}{$name} //= IO::Socket::UNIX->new(Peer => "$self->{folder}/$name.sock");
}

sub write_to ($self, $name, $octets) {
    local $SIG{PIPE} = 'IGNORE';
    my $socket = $self->socket($name) // return 0;
    return defined syswrite $socket, $octets;
}

# Reads until `whole` finds an answer in the buffer; it returns that and the octets used.
sub read_from ($self, $name, $whole) {
    my $socket = $self->{sockets}{$name} // return undef;
    my $buffer = '';
    while (1) {
        my ($answer, $used) = $whole->($buffer);
        return $answer if defined $used;
        last if !IO::Select->new($socket)->can_read($self->{patience});
        last if !sysread $socket, $buffer, 65536, length $buffer;
    }
    delete $self->{sockets}{$name};
    return undef;
}

# look_up('command', 'BDAT 7 LAST')
sub look_up ($self, $table, $key) {
    my $payload = "$table $key";
    $self->write_to('tables', length($payload) . ":$payload,") or return undef;
    return $self->read_from('tables', sub ($buffer) {
        return $buffer =~ /^(\d+):/ && length $buffer >= $+[0] + $1 + 1
            ? (substr($buffer, $+[0], $1), $+[0] + $1 + 1) : ();
    });
}

# ask_policy(protocol_state => 'DATA', ...)
sub ask_policy ($self, %attributes) {
    my $text = join '', "request=smtpd_access_policy\n", map { "$_=$attributes{$_}\n" } sort keys %attributes;
    $self->write_to('policy', "$text\n") or return undef;
    return $self->read_from('policy', sub ($buffer) { $buffer =~ /^action=(.*)\n\n/ ? ($1, 1) : () });
}

# One milter command; returns letter and data of the answer.
sub milter ($self, $command, $data = '', $answered = 1) {
    $self->write_to('milter', pack('N', 1 + length $data) . $command . $data) or return undef;
    return '' if !$answered;
    return $self->read_from('milter', sub ($buffer) {
        return length $buffer >= 4 && length $buffer >= 4 + unpack('N', $buffer)
            ? (substr($buffer, 4, unpack 'N', $buffer), 1) : ();
    });
}

# All that Postfix offers (milter8.c): version, actions, events that may be left out.
sub negotiate ($self) { return $self->milter('O', pack 'NNN', 6, 0x1ff, 0x1fffff) }

# The message as the milter sees it; returns the answers to DATA and to the end of message.
sub milter_begin ($self, $queue_id) {
    $self->milter('D', "Ti\0$queue_id\0", 0);
    return $self->milter('T');
}

sub milter_end ($self, $body) {
    $self->milter('B', $body, 0);
    return $self->milter('E');
}

sub close ($self) {
    $self->milter('Q', '', 0) if $self->{sockets}{milter};
    $_->close for values %{$self->{sockets}};
    $self->{sockets} = {};
}

1;
