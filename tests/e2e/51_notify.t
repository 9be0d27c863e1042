# What the service manager is told (sd_notify(3)): READY, STATUS, RELOADING, STOPPING, WATCHDOG; and
# GET /healthy and /ready.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use IO::Socket::UNIX;
use MailTest::Message qw(new_message);
use MailTest::Place qw(new_folder);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Socket qw(SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(time clock_gettime CLOCK_MONOTONIC);

my $folder = new_folder();
my $manager = IO::Socket::UNIX->new(Local => "$folder/notify", Type => SOCK_DGRAM)
    or die "$folder/notify: $!";
chmod 0777, "$folder/notify";
my @words;    # all that came, one { VARIABLE => value, at => time } a datagram

# Takes in what has come until $test accepts one; returns that one.
sub wait_for ($what, $test, $seconds = $MailTest::Wait::PATIENCE) {
    my $deadline = time + $seconds;
    while (1) {
        for my $word (@words) {
            return $word if !$word->{taken} && $test->($word) && ($word->{taken} = 1);
        }
        my $left = $deadline - time;
        die "waited in vain for $what" if $left <= 0 || !IO::Select->new($manager)->can_read($left);
        $manager->recv(my $text, 8192);
        push @words, {(map { /^(\w+)=(.*)$/ ? ($1 => $2) : () } split /\n/, $text), at => time};
    }
}

my $watchdog_seconds = 2;
my $stage = MailTest::Session->new(daemon => {env => {
    NOTIFY_SOCKET => "$folder/notify",
    WATCHDOG_USEC => $watchdog_seconds * 1_000_000,
}});
my $daemon = $stage->daemon;

subtest 'start' => sub {
    ok(wait_for('READY', sub ($word) { $word->{READY} }), 'READY=1');
    is(scalar(grep { $_->{STOPPING} } @words), 0, 'and nothing of an end');
};

subtest 'status' => sub {
    my $client = $stage->client;
    for my $message (map { new_message() } 1 .. 3) {
        $client->envelope($message->{sender});
        $client->bdat($message->{content}, last => 1);
    }
    my $word = wait_for('a STATUS that counts them', sub ($word) { ($word->{STATUS} // '') =~ / 3 BDAT/ });
    like($word->{STATUS}, qr/^1 session now; 3 BDAT transfers judged, 0 faulty, 0 unverified; 0 clients without CHUNKING$/,
        'one line worth reading');
    $client->quit;
};

subtest 'reload' => sub {
    my $before = clock_gettime(CLOCK_MONOTONIC) * 1_000_000;
    $daemon->reload;
    my $reloading = wait_for('RELOADING', sub ($word) { $word->{RELOADING} });
    cmp_ok($reloading->{MONOTONIC_USEC}, '>=', $before - 1000, 'with the time, as Type=notify-reload wants it');
    cmp_ok($reloading->{MONOTONIC_USEC}, '<=', clock_gettime(CLOCK_MONOTONIC) * 1_000_000, 'which is no later than now');
    my $ready = wait_for('READY again', sub ($word) { $word->{READY} });
    cmp_ok($ready->{at}, '>=', $reloading->{at}, 'READY=1 when it is done');
    $daemon->expect_log(qr/reload: /);
    $daemon->reload(mode => '"nonsense"');
    ok(wait_for('RELOADING', sub ($word) { $word->{RELOADING} }), 'a bad file: RELOADING');
    ok(wait_for('READY', sub ($word) { $word->{READY} }), 'and READY all the same');
    my $status = wait_for('a STATUS of it', sub ($word) { ($word->{STATUS} // '') =~ /reload/ });
    like($status->{STATUS}, qr/the last reload failed/, 'the status says so');
    $daemon->reload(mode => undef);
};

subtest 'watchdog' => sub {
    my @fed = map { wait_for('WATCHDOG', sub ($word) { $word->{WATCHDOG} })->{at} } 1 .. 3;
    cmp_ok($fed[2] - $fed[0], '<', 3 * $watchdog_seconds, 'is fed more often than it bites');
};

sub asks ($path, $status, $name, $text = qr/./) {
    my $answer = $daemon->control->request('GET', $path);
    is($answer->{status}, $status, "$path: $name");
    like($answer->{body}, $text, $answer->{body} =~ s/\n//r);
    is($answer->{headers}{'content-type'}, 'text/plain', 'as plain text');
}

subtest 'healthy and ready' => sub {
    asks('/healthy', 200, 'alive', qr/^ok$/);
    asks('/ready', 200, 'serving', qr/^ready$/);
    for my $hook (qw(milter tables policy)) {
        my $path = $stage->postfix->socket_folder . "/$hook.sock";
        rename $path, "$path.away" or die "$path: $!";
        asks('/ready', 503, "without the $hook socket", qr/^the $hook\S* socket has been removed/);
        my $other = IO::Socket::UNIX->new(Local => $path, Listen => 1) or die "$path: $!";
        asks('/ready', 503, "with another $hook socket");
        $other->close;
        unlink $path;
        asks('/healthy', 200, 'alive all the same', qr/^ok$/);
        rename "$path.away", $path or die "$path: $!";
        asks('/ready', 200, "with its $hook socket again", qr/^ready$/);
    }
};

subtest 'end' => sub {
    $stage->postfix->stop;
    $daemon->process->signal('TERM');
    ok(wait_for('STOPPING', sub ($word) { $word->{STOPPING} }), 'STOPPING=1');
    is($daemon->process->wait_end, 0, 'and it ends in order');
    my ($last) = grep { $words[$_]{STOPPING} } 0 .. $#words;
    is(scalar(grep { $words[$_]{READY} } $last .. $#words), 0, 'no READY after that');
};

# A watchdog that bites somebody else is not ours to feed.
subtest 'not for us' => sub {
    my $other = MailTest::Daemon->new(postfix => $stage->postfix, start => 0, env => {WATCHDOG_PID => 1,
        WATCHDOG_USEC => 200_000, NOTIFY_SOCKET => "$folder/notify"});
    @words = ();
    $other->start;
    ok(wait_for('READY', sub ($word) { $word->{READY} }), 'READY');
    wait_for('STATUS', sub ($word) { $word->{STATUS} });
    $other->stop;
    is(scalar(grep { $_->{WATCHDOG} } @words), 0, 'no WATCHDOG');
};

$stage->finish;
