# The log does not hold up the daemon: while nobody reads standard error, the journal or syslog, Postfix
# has its answers at once; and what was said is there afterwards. The journal's fields.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fcntl qw(O_RDONLY O_NONBLOCK);
use IO::Select;
use IO::Socket::UNIX;
use MailTest::Daemon;
use MailTest::Message qw(new_message);
use MailTest::Place qw(new_folder write_file);
use MailTest::Postfix;
use MailTest::Session;
use MailTest::Tables;
use MailTest::Wait qw(wait_until);
use POSIX qw(mkfifo);
use Socket qw(SOCK_DGRAM);
use Test::More;

my $TRANSFERS = 12_000;    # more lines than the log keeps

# Slow builds and busy machines are allowed this, seconds; what it must not be is a wait for a reader.
my $WAIT = 10;

# Sends many transfers past a stalled reader, with the answers timed.
sub answers_come_at_once ($daemon, $count, $name) {
    my $tables = MailTest::Tables->new($daemon);
    $tables->play_refused_transfer('192.0.2.1', "s$_\@sender.example") for 1 .. $count;
    my @times = $tables->take_times;
    cmp_ok($times[-1], '<', $WAIT, "$name: the slowest of " . @times . ' lookups');
    cmp_ok($times[@times / 2], '<', $WAIT / 100, "$name: the one in the middle");
    is($daemon->status->{transfers}{unverified} + $daemon->status->{transfers}{failed_elsewhere}, $count,
        "$name: all were noted");
}

sub log_metric ($daemon, $name) { $daemon->metrics->{"bdat_milter_log_$name"} }

# Each line of the log is there in order, up to where lines were lost, and their number is told.
sub lines_add_up ($lines, $count, $lost, $name) {
    my @seen = grep { /: client=.* verdict=\w+ action=/ } @$lines;
    my ($told) = map { /log: (\d+) messages were lost/ ? $1 : () } @$lines;
    is(@seen + ($told // 0), $count, "$name: what was written and what was lost make all");
    cmp_ok($told // 0, $lost ? '>' : '==', 0, "$name: lines lost: " . ($told // 0));
    is(scalar(grep { /messages were lost/ } @$lines), $lost ? 1 : 0, "$name: said once");
}

my $postfix = MailTest::Postfix->new(start => 0);

subtest 'standard error that nobody reads' => sub {
    my $fifo = new_folder() . '/stderr';
    mkfifo($fifo, 0600) or die "$fifo: $!";
    sysopen my $reader, $fifo, O_RDONLY | O_NONBLOCK or die "$fifo: $!";
    my $daemon = MailTest::Daemon->new(postfix => $postfix, stderr => $fifo);
    answers_come_at_once($daemon, $TRANSFERS, 'stderr');
    my $lost = log_metric($daemon, 'dropped_messages_total');
    cmp_ok($lost, '>', 0, 'messages were lost, and are counted');
    cmp_ok(log_metric($daemon, 'pending_messages'), '>', 1000, 'many wait');
    is($daemon->control->request('GET', '/ready')->{status}, 200, 'the daemon is ready all the while');
    my $text = '';
    my $take = sub { IO::Select->new($reader)->can_read(0.01); sysread $reader, $text, 1 << 20, length $text };
    wait_until('the log to be written', sub { $take->(); log_metric($daemon, 'pending_messages') == 0 });
    is($daemon->stop, 0, 'it ends in order');
    1 while $take->();
    my @lines = split /\n/, $text;
    lines_add_up(\@lines, $TRANSFERS, 1, 'stderr');
    is((grep { /messages were lost/ } @lines)[0] =~ s/.*log: (\d+) .*/$1/r, $lost, 'the number is the counter\'s');
    is(scalar(grep { !/^bdat-milter: (?:info|warning): / } @lines), 0, 'no line is torn');
};

subtest 'an end while nobody reads' => sub {
    my $fifo = new_folder() . '/stderr';
    mkfifo($fifo, 0600) or die "$fifo: $!";
    sysopen my $reader, $fifo, O_RDONLY | O_NONBLOCK or die "$fifo: $!";
    my $daemon = MailTest::Daemon->new(postfix => $postfix, stderr => $fifo);
    my $tables = MailTest::Tables->new($daemon);
    $tables->play_refused_transfer('192.0.2.1', "s$_\@sender.example") for 1 .. 1000;
    $daemon->process->signal('TERM');
    is($daemon->process->wait_end, 0, 'the daemon ends all the same');
};

# A place of its own for the daemon, in which sockets of ours stand where the journal and syslog have
# theirs. Returns the words to run it by, or undef where no such place can be made.
sub own_place ($journal, $syslog) {
    my $folder = new_folder();
    return undef if $> != 0 || system("unshare -m true 2>'$folder/error'") != 0;
    write_file("$folder/enter", <<"EOF");
set -e
mkdir -p '$folder/dev'
mount -t tmpfs tmpfs '$folder/dev'
for name in null zero random urandom; do
    touch "$folder/dev/\$name"
    mount --bind "/dev/\$name" "$folder/dev/\$name"
done
touch '$folder/dev/log'
mount --bind '$syslog' '$folder/dev/log'
mount --rbind '$folder/dev' /dev
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
touch /run/systemd/journal/socket
mount --bind '$journal' /run/systemd/journal/socket
exec "\$@"
EOF
    return ['unshare', '-m', 'sh', "$folder/enter"];
}

sub datagram_socket ($path) {
    my $socket = IO::Socket::UNIX->new(Local => $path, Type => SOCK_DGRAM) or die "$path: $!";
    chmod 0666, $path;
    return $socket;
}

# All datagrams, until nothing comes any more.
sub take_all ($socket, $into) {
    while (IO::Select->new($socket)->can_read(0.01)) {
        $socket->recv(my $text, 65536);
        push @$into, $text;
    }
}

# A journal entry's fields (systemd.io, "Native Journal Protocol"); none of ours holds a line end.
sub fields_of ($entry) {
    return {map { split /=/, $_, 2 } split /\n/, $entry};
}

SKIP: {
    my $folder = new_folder();
    my $journal = datagram_socket("$folder/journal");
    my $syslog = datagram_socket("$folder/syslog");
    my $place = own_place("$folder/journal", "$folder/syslog");
    skip 'mounts of our own need root and a mount namespace', 3 if !$place;

    subtest 'the journal' => sub {
        my $stage = MailTest::Session->new(daemon => {wrap => $place,
            config => {log => '{ target = "journal"; level = "info"; }'}});
        my $client = $stage->client(from => '127.0.0.3');
        my $message = new_message();
        $client->envelope($message->{sender});
        like($client->bdat($message->{content}, last => 1), qr/^250 /, 'mail goes through');
        my $transfer = $stage->daemon->transfer($message->{sender});
        my (@entries, $found);
        wait_until('the journal to have it', sub {
            take_all($journal, \@entries);
            ($found) = grep { ($_->{BDAT_QUEUE_ID} // '') eq $transfer->{queue_id} } map { fields_of($_) } @entries;
        });
        is($found->{BDAT_VERDICT}, 'match', 'BDAT_VERDICT');
        like($found->{BDAT_CLIENT}, qr/^\S+\[127\.0\.0\.3\]$/, 'BDAT_CLIENT');
        is($found->{PRIORITY}, 6, 'PRIORITY');
        is($found->{SYSLOG_IDENTIFIER}, 'bdat-milter', 'SYSLOG_IDENTIFIER');
        is($found->{SYSLOG_FACILITY}, 2, 'SYSLOG_FACILITY: mail');
        like($found->{MESSAGE}, qr/^\Q$transfer->{queue_id}\E: client=\S+ helo=<\S+> mode=bdat .* verdict=match/, 'MESSAGE');
        my @plain = grep { !$_->{BDAT_QUEUE_ID} } map { fields_of($_) } @entries;
        cmp_ok(scalar @plain, '>', 0, 'other messages go without these fields');
        $client->quit;
        $stage->finish_quietly;
    };

    for my $target (qw(journal syslog)) {
        my $socket = $target eq 'journal' ? $journal : $syslog;
        subtest "$target that nobody reads" => sub {
            my $daemon = MailTest::Daemon->new(postfix => $postfix, wrap => $place,
                config => {log => qq({ target = "$target"; level = "info"; })});
            my $count = 3000;
            my @entries;
            answers_come_at_once($daemon, $count, $target);
            cmp_ok(log_metric($daemon, 'pending_messages'), '>', 100, 'many wait');
            wait_until('the log to be written',
                sub { take_all($socket, \@entries); log_metric($daemon, 'pending_messages') == 0 });
            is($daemon->stop, 0, 'it ends in order');
            take_all($socket, \@entries);
            lines_add_up(\@entries, $count, 0, $target);
            like($entries[0], qr/^<22>\w{3} .* bdat-milter\[\d+\]: /, 'facility mail, level info') if $target eq 'syslog';
        };
    }
}

done_testing();
