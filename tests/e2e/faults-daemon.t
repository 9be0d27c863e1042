# alone
# The daemon fails under load: killed, stopped, reloaded for ever, its disk full. No sound client
# loses or doubles a message, none is refused for good, none gets a strike. Each block is a row of
# doc/failures.md.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Load;
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;
use Time::HiRes qw(sleep time);

# Seconds of load under each fault.
my $seconds = $ENV{FAULT_SECONDS} // 5;

my $disk;    # a small file system of its own, while it is mounted
END { system "umount '$disk' 2>/dev/null" if $disk }

my %quick = (
    main => {
        smtpd_error_sleep_time => '0',
        # The client comes again at once; Postfix must not hold it back.
        smtpd_client_connection_rate_limit => '0',
    },
);

# Runs the load while `fault` works on the daemon; returns what became of the messages.
sub under_load ($stage, $fault, %load) {
    my $load = MailTest::Load->new(postfix => $stage->postfix, sessions => 6, %load)->start;
    my $ok = eval { $fault->($stage, time + $seconds); 1 };
    my $why = $@;
    my @results = $load->finish;
    die $why if !$ok;
    $stage->postfix->wait_empty;
    return ($load, @results);
}

# The last word on a fault: complaints, and whether clients were told to come again.
sub check ($stage, $name, $load, $results, %want) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    cmp_ok(scalar @$results, '>', 20, "$name: there was a load of " . @$results . ' messages');
    my @found = $load->complaints($results, $stage->daemon, %want);
    is_deeply(\@found, [], "$name: nothing lost, doubled, refused for good or struck")
        or diag(join "\n", @found);
    my @later = grep { /^4/ } map { @{$_->{replies}} } grep { MailTest::Load::is_sound($_) } @$results;
    if ($want{never_4xx}) {
        is_deeply(\@later, [], "$name: nobody was told to come again");
    } else {
        note("$name: told to come again ", scalar @later, ' times');
    }
}

sub quiet ($stage) {
    $stage->daemon->expect_log(qr/verdict=|unverified|socket|reload|\.conf:|store|strikes|CHUNKING/);
    $stage->allow_postfix_log(qr/warning:|bdat-milter|milter/);
}

for my $held (1, 0) {
    my $name = $held ? 'killed each second, sockets held' : 'killed each second, sockets its own';
    my $stage = MailTest::Session->new(postfix => {%quick}, daemon => {held => $held});
    quiet($stage);
    my ($load, @results) = under_load($stage, sub ($stage, $until) {
        while (time < $until) {
            sleep 1;
            $stage->daemon->kill_hard;
            $stage->daemon->start;
        }
    });
    check($stage, $name, $load, \@results, never_4xx => $held);
    $stage->finish_quietly;
}

{
    my $stage = MailTest::Session->new(postfix => {%quick}, daemon => {held => 1});
    quiet($stage);
    my @configs = (
        'limits = { max_chunks = 1000; };', 'mode = "observe";', 'nonsense here;',
        'suppression = { threshold = 3; };', 'log = { level = "loud"; };');
    my $reloads = 0;
    my ($load, @results) = under_load($stage, sub ($stage, $until) {
        my $daemon = $stage->daemon;
        while (time < $until) {
            $daemon->configure;
            $daemon->append_config($configs[$reloads++ % @configs]);
            $daemon->process->signal('HUP');
            sleep 0.1;
        }
        $daemon->reload;
    });
    cmp_ok($reloads, '>', $seconds * 4, "SIGHUP: $reloads of them");
    check($stage, 'SIGHUP all the time', $load, \@results, never_4xx => 1);
    like($stage->daemon->log_text, qr/bdat-milter\.conf:\d+: /, 'SIGHUP: bad files are reported');
    is($stage->daemon->status->{config}{outcome}, 'ok', 'SIGHUP: the last one is in force');
    $stage->finish_quietly;
}

{
    my $stage = MailTest::Session->new(postfix => {%quick}, daemon => {held => 1});
    quiet($stage);
    my $stop = $ENV{FAULT_STOP_SECONDS} // $seconds;
    my ($load, @results) = under_load($stage, sub ($stage, $) {
        sleep 0.5;
        $stage->daemon->process->signal('STOP');
        sleep $stop;
        $stage->daemon->process->signal('CONT');
        sleep 0.5;
    });
    check($stage, "stopped for $stop s", $load, \@results, never_4xx => 0);
    $stage->finish_quietly;
}

SKIP: {
    my $stage = MailTest::Session->new(postfix => {%quick}, daemon => {start => 0});
    $disk = $stage->postfix->folder . '/disk';
    mkdir $disk or die "$disk: $!";
    skip 'no tmpfs may be mounted here', 1 if system("mount -t tmpfs -o size=16m none '$disk' 2>/dev/null");
    my $daemon = $stage->daemon;
    $daemon->configure(store => qq({ path = "$disk/state.db"; }));
    $daemon->start;
    quiet($stage);
    my ($load, @results) = under_load($stage, sub ($stage, $until) {
        open my $file, '>', "$disk/filler" or die "$disk: $!";
        1 while syswrite $file, 'x' x 65536;
        my $degraded = 0;
        while (time < $until || !$degraded) {
            $degraded ||= $stage->daemon->status->{store}{state} eq 'degraded';
            die 'the store never noticed' if time > $until + 60;
            sleep 0.1;
        }
        is($stage->daemon->status->{store}{state}, 'degraded', 'disk full: the status says so');
        unlink "$disk/filler";
    }, faults => 0.4);
    check($stage, 'disk full', $load, \@results, never_4xx => 1);
    wait_until('the store to heal', sub { $stage->daemon->status->{store}{state} eq 'ok' }, 120);
    pass('disk full: the store heals by itself');
    $stage->finish_quietly;
    is(system("umount '$disk'"), 0, 'disk full: nobody holds the disk afterwards');
    $disk = undef;
}

done_testing();
