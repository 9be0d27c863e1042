# alone
# Peers of the daemon's own sockets that do harm: many that say nothing, half a request, another
# protocol; and no descriptor left for any of them. Mail goes on. Each block is a row of
# doc/failures.md.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use IO::Socket::UNIX;
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Load;
use MailTest::Message qw(new_message);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{FAULT_SECONDS} // 5;
my $peers = $ENV{FAULT_PEERS} // 1000;

sub connect_to ($path) {
    return IO::Socket::UNIX->new(Peer => $path, Timeout => 10) // die "$path: $!";
}

# CPU seconds of the daemon so far.
sub cpu_seconds ($daemon) {
    my @fields = split ' ', MailTest::Place::read_file('/proc/' . $daemon->pid . '/stat') =~ s/^.*\) //sr;
    return ($fields[11] + $fields[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# What each of the many peers says, and what it must be told; undef = nothing, and it stays.
my %sayings = (
    'nothing' => ['', undef],
    'half a netstring' => ['14:ehlo 19', undef],
    'a length without an end' => ['99999', undef],
    'HTTP' => ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", qr/PERM/],
    'octets of every kind' => [join('', map { chr } 0 .. 255), qr/PERM/],
    'a table nobody has' => ['13:virtual a@b.c,', qr/PERM/],
);

{
    my $stage = MailTest::Session->new;
    my $daemon = $stage->daemon;
    my $tables = $stage->postfix->socket_folder . '/tables.sock';
    my $before = $daemon->descriptors;
    for my $what (sort keys %sayings) {
        my ($text, $answer) = @{$sayings{$what}};
        my @crowd = map { connect_to($tables) } 1 .. $peers;
        syswrite $_, $text for @crowd;
        my $begun = time;
        my $client = $stage->client(from => next_client());
        for my $message (new_message(), new_message()) {
            $client->envelope($message->{sender});
            like($client->bdat($message->{content}, last => 1), qr/^250 /, "$peers peers that say $what: mail goes on");
            check_transfer($stage, $message, {verdict => 'match'}, $what);
        }
        $client->quit;
        cmp_ok(time - $begun, '<', 10, "$what: in time");
        if ($answer) {
            my ($answered, $closed) = (0, 0);
            for my $peer (@crowd) {
                IO::Select->new($peer)->can_read(10) or last;
                sysread $peer, my $got, 1000;
                $answered++ if $got =~ $answer;
                $closed++ if IO::Select->new($peer)->can_read(10) && !sysread $peer, $got, 1;
            }
            is("$answered $closed", "$peers $peers", "$what: told so, and the connection closed");
        } else {
            cmp_ok($daemon->status->{hooks}{tables}{connections}, '>=', $peers, "$what: they may stay");
        }
        close $_ for @crowd;
        wait_until('their connections to be closed', sub {
            return $daemon->status->{hooks}{tables}{connections} < 20;
        });
    }
    cmp_ok($daemon->descriptors, '<', $before + 20, 'no descriptor is leaked');
    # The other sockets, with what does not belong there.
    for my $socket (qw(policy milter)) {
        my @crowd = map { connect_to($stage->postfix->socket_folder . "/$socket.sock") } 1 .. 50;
        my @texts = ('', "GET / HTTP/1.1\r\n\r\n", "\xff\xff\xff\xff\xff", "\0\0\0\1", '5:hello,');
        syswrite $crowd[$_], $texts[$_ % @texts] for 0 .. $#crowd;
        my $client = $stage->client(from => next_client());
        for my $message (new_message(), new_message()) {
            $client->envelope($message->{sender});
            like($client->bdat($message->{content}, last => 1), qr/^250 /, "odd peers at $socket: mail goes on");
            check_transfer($stage, $message, {verdict => 'match'}, $socket);
        }
        $client->quit;
        close $_ for @crowd;
    }
    $daemon->expect_log(qr/(?:tables|policy): (?:request|connection) of pid/, qr/bdat-milter: .*(?:milter|mi_rd)/);
    $stage->finish_quietly;
}

# Few descriptors, many clients. The daemon says what to raise, turns peers away without spinning,
# and serves again as soon as some have left.
{
    # What Postfix waits for a milter that accepts no connection, before it goes on without.
    my $stage = MailTest::Session->new(
        daemon => {wrap => ['prlimit', '--nofile=40:40']},
        postfix => {main => {milter_connect_timeout => '2s', milter_command_timeout => '2s',
            smtpd_policy_service_timeout => '10s'}},
    );
    my $daemon = $stage->daemon;
    my @clients = map { MailTest::Client->new(postfix => $stage->postfix, from => next_client()) } 1 .. 3;
    $_->ehlo for @clients;
    my $tables = $stage->postfix->socket_folder . '/tables.sock';
    # Longer than the house is full: each of the clients below may wait for a policy service that cannot accept.
    my $load = MailTest::Load->new(postfix => $stage->postfix, sessions => 3, patience => 900)->start;
    my @crowd = map { connect_to($tables) } 1 .. 40;
    my $full = time;
    wait_until('the house to be full', sub { $daemon->log_text =~ /tables: out of file descriptors/ });
    my ($cpu, $begun) = (cpu_seconds($daemon), time);
    sleep $seconds;
    my $share = (cpu_seconds($daemon) - $cpu) / (time - $begun);
    note(sprintf 'with no descriptor left the daemon takes %.0f %% of a CPU', 100 * $share);
    my $told = () = $daemon->log_text =~ /tables: out of file descriptors/g;
    cmp_ok($told, '<', 2 + time - $begun, "descriptors: said $told times, not at each try");
    # Who had a connection before is served all the while.
    for my $client (@clients) {
        my $message = new_message();
        my $reply = eval {
            $client->envelope($message->{sender});
            $client->bdat($message->{content}, last => 1);
        } // $@ =~ s/.*answered //sr;
        like($reply, qr/^250 |^421 |^45\d /, 'descriptors: served, or told to come again');
    }
    close $_ for @crowd;
    note(sprintf 'the house was full for %.0f s', time - $full);
    $_->close for @clients;
    my @results = $load->finish;
    my $message = new_message();
    wait_until('a client to be served again', sub {
        return eval {
            my $client = $stage->client(from => next_client());
            $client->envelope($message->{sender});
            my $reply = $client->bdat($message->{content}, last => 1);
            $client->close;
            $reply =~ /^250 /;
        };
    });
    $stage->postfix->wait_empty;
    my @found = $load->complaints(\@results, $daemon);
    is_deeply(\@found, [], 'descriptors: nothing lost, doubled, refused for good or struck')
        or diag(join "\n", @found);
    $daemon->expect_log(qr/out of file descriptors|unverified|verdict=|libmilter|accept/);
    $stage->allow_postfix_log(qr/warning:|fatal:/);
    $stage->finish_quietly;
}

done_testing();
