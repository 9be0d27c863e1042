package MailTest::Control;

# The daemon's control socket: HTTP over a Unix socket, as curl --unix-socket would speak it.

use v5.36;
use Carp qw(croak);
use IO::Socket::UNIX;
use JSON::PP ();
use MailTest::Wait;

sub new ($class, $path) {
    return bless {path => $path}, $class;
}

# One request; returns { status, headers, body }, or dies if the socket does not answer.
# HTTP/1.0, so that the answer ends where the connection does.
sub request ($self, $method, $target) {
    my $socket = IO::Socket::UNIX->new(Peer => $self->{path}, Timeout => $MailTest::Wait::PATIENCE)
        // croak "$self->{path}: $!";
    local $SIG{PIPE} = 'IGNORE';
    local $SIG{ALRM} = sub { croak "$method $target: no answer in $MailTest::Wait::PATIENCE s" };
    alarm $MailTest::Wait::PATIENCE;
    print {$socket} "$method $target HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    $socket->flush;
    local $/;
    my $answer = <$socket> // '';
    alarm 0;
    my ($head, $body) = split /\r\n\r\n/, $answer, 2;
    croak "$method $target: no HTTP answer" if ($head // '') !~ m{^HTTP/1\.[01] (\d{3})};
    my $status = $1;
    my %headers = map { lc($_->[0]) => $_->[1] } map { [split /:\s*/, $_, 2] }
        grep { /:/ } split /\r\n/, $head;
    return {status => $status, headers => \%headers, body => $body};
}

# The JSON answer of a GET that must succeed.
sub get ($self, $target) {
    return $self->json('GET', $target);
}

sub post ($self, $target) {
    return $self->json('POST', $target);
}

sub json ($self, $method, $target) {
    my $answer = $self->request($method, $target);
    croak "$method $target: $answer->{status} $answer->{body}" if $answer->{status} != 200;
    return JSON::PP::decode_json($answer->{body});
}

1;
