package MailTest::Tables;

# The daemon's tables, asked as Postfix's smtpd asks them, without a Postfix: for tests that need
# many questions, or the time that an answer takes.

use v5.36;
use Carp qw(croak);
use IO::Select;
use IO::Socket::UNIX;
use MailTest::Wait;
use Time::HiRes qw(time);

sub new ($class, $daemon) {
    my $path = $daemon->tables_socket;
    my $socket = IO::Socket::UNIX->new(Peer => $path) // croak "$path: $!";
    return bless {socket => $socket, times => []}, $class;
}

# Asks one question ("command QUIT") and returns the answer ("NOTFOUND "); notes how long it took.
sub ask ($self, $question) {
    my $begun = time;
    my $socket = $self->{socket};
    my $answer = '';
    $socket->syswrite(length($question) . ":$question,");
    while ($answer !~ /^(\d+):/ || length $answer < length($1) + 2 + $1) {
        croak "$question: no answer" if !IO::Select->new($socket)->can_read($MailTest::Wait::PATIENCE);
        $socket->sysread($answer, 4096, length $answer) or croak "$question: the connection was closed";
    }
    push @{$self->{times}}, time - $begun;
    return $answer =~ s/^\d+:(.*),\z/$1/sr;
}

# One session that sends a BDAT transfer which Postfix refuses: the daemon notes it and logs a line.
sub play_refused_transfer ($self, $client, $sender) {
    $self->ask("ehlo $client");
    $self->ask("command $_")
        for 'EHLO client.example', "MAIL FROM:<$sender>", 'RCPT TO:<nobody@example.test>',
        'BDAT 100 LAST', 'QUIT';
}

# The times of all answers since the last call, seconds, ascending.
sub take_times ($self) {
    my @times = sort { $a <=> $b } @{$self->{times}};
    $self->{times} = [];
    return @times;
}

1;
