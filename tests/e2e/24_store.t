# The store fails in every way: mail goes on, decisions come from memory, one warning is logged,
# and the status says what is wrong.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Message qw(new_message);
use MailTest::Place qw(find_tool new_folder write_file);
use MailTest::Process;
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

# Two sound messages, then one that suppresses its client: all of it from memory.
sub mail_goes_on ($stage, $name) {
    my $from = next_client();
    my $client = $stage->client(from => $from);
    for my $message (new_message(), new_message()) {
        $client->envelope($message->{sender});
        like($client->bdat($message->{content}, last => 1), qr/^250 /, "$name: a message is taken");
        check_transfer($stage, $message, {verdict => 'match'}, $name);
        $stage->delivered_is($message, "$name: and delivered whole");
    }
    $client->quit;
    $from = next_client();
    $client = $stage->client(from => $from);
    my $cut = new_message(headers => "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n",
        body => "--edge\r\nContent-Type: text/plain\r\n\r\nHello");
    $client->envelope($cut->{sender});
    like($client->bdat($cut->{content}, last => 1), qr/^451 /, "$name: a broken message is refused");
    $client->quit;
    my $again = $stage->client(from => $from);
    ok(!$again->offers('CHUNKING'), "$name: and its client suppressed");
    $again->quit;
}

sub store_of ($stage) { $stage->daemon->status->{store} }

# Waits until the store says it is in that state.
sub wait_store ($stage, $state) {
    return wait_until("the store to be $state", sub {
        my $store = store_of($stage);
        return $store->{state} eq $state && $store;
    });
}

sub degraded ($stage, $name) {
    my $store = wait_store($stage, 'degraded');
    ok($store->{error}, "$name: the status says why: " . ($store->{error} // ''));
    my @warnings = grep { /(?:warning|error): .*store/ } split /\n/, $stage->daemon->log_text;
    is(scalar @warnings, 1, "$name: one line in the log") or diag(join "\n", @warnings);
}

# A stage whose store is at that path; `first` is done before the daemon starts.
sub stage_with ($path, $first) {
    my $postfix = MailTest::Postfix->new(start => 0);
    my $file = ref $path ? $path->($postfix->folder) : $path;
    $first->($file);
    my $daemon = MailTest::Daemon->new(postfix => $postfix, config => {store => qq({ path = "$file"; })});
    $postfix->start;
    my $stage = bless {postfix => $postfix, daemon => $daemon, allowed => []}, 'MailTest::Session';
    $daemon->expect_log(qr/verdict=/, qr/CHUNKING is not offered/, qr/store/);
    return ($stage, $file);
}

# A folder that cannot be written: root may write anywhere but on a read-only file system, and
# not inside what is no folder.
{
    my ($stage, $file) = stage_with(sub ($folder) { "$folder/is-a-file/state.db" },
        sub ($file) { write_file($file =~ s{/state\.db\z}{}r, 'no folder') });
    degraded($stage, 'no folder');
    mail_goes_on($stage, 'no folder');
    unlink $file =~ s{/state\.db\z}{}r;
    mkdir $file =~ s{/state\.db\z}{}r;
    wait_store($stage, 'ok');
    pass('no folder: once there is one, the store comes back by itself');
    $stage->daemon->restart;
    is(scalar(grep { $_->{state} eq 'suppressed' } @{$stage->daemon->control->get('/v1/clients?limit=100')->{clients}}), 1,
        'no folder: and what was learnt meanwhile has been written');
    $stage->finish_quietly;
}

# A file of zeros, a text, a cut database: set aside at start, and a new one begun.
my %garbage = (
    'zeros' => "\0" x 65536,
    'text' => "This is no database.\n" x 100,
    'a cut database' => "SQLite format 3\0" . "\x10\0\1\1\0\x40\x20\x20" . 'x' x 5000,
);
for my $name (sort keys %garbage) {
    my ($stage, $file) = stage_with(sub ($folder) { "$folder/garbage.db" }, sub ($file) { write_file($file, $garbage{$name}) });
    wait_store($stage, 'ok');
    my @aside = glob "$file.bad-*";
    is(scalar @aside, 1, "$name: the bad file was set aside");
    mail_goes_on($stage, $name);
    $stage->finish_quietly;
}

# A database that somebody else has locked.
SKIP: {
    my $sqlite = find_tool('sqlite3') or skip 'sqlite3 is not installed', 1;
    my ($stage, $file) = stage_with(sub ($folder) { "$folder/state.db" }, sub ($) { });
    mail_goes_on($stage, 'before the lock');
    wait_until('the store to have written', sub { store_of($stage)->{queued} == 0 });
    my $folder = new_folder();
    open my $pipe, '|-', "$sqlite '$file' > '$folder/said' 2>&1" or die "sqlite3: $!";
    $pipe->autoflush(1);
    print {$pipe} ".timeout 5000\nBEGIN IMMEDIATE;\nSELECT 'locked';\n";
    wait_until('the lock', sub { MailTest::Place::read_file("$folder/said") =~ /locked/ });
    mail_goes_on($stage, 'locked');
    degraded($stage, 'locked');
    print {$pipe} "ROLLBACK;\n.quit\n";
    close $pipe;
    wait_store($stage, 'ok');
    wait_until('the store to have caught up', sub { store_of($stage)->{queued} == 0 });
    is(scalar @{$stage->daemon->control->get('/v1/incidents?verdict=truncated')->{incidents}}, 2,
        'locked: what happened meanwhile was written afterwards');
    $stage->finish_quietly;
}

# A disk that is full, and then is not; and a file system that is read-only.
SKIP: {
    my $disk = new_folder();
    system("mount -t tmpfs -o size=256k tmpfs '$disk' 2>/dev/null") == 0 or skip 'no right to mount a tmpfs', 1;
    my $cleanup = MailTest::Unmount->new($disk);
    my ($stage, $file) = stage_with("$disk/state.db", sub ($) { });
    mail_goes_on($stage, 'before the disk is full');
    open my $filler, '>', "$disk/filler" or die "filler: $!";
    $filler->autoflush(1);
    1 while print {$filler} 'f' x 4096;
    $stage->daemon->control->post("/v1/clients/192.0.2.$_/suppress?for=1h&reason=" . 'r' x 100) for 1 .. 200;
    degraded($stage, 'full disk');
    mail_goes_on($stage, 'full disk');
    close $filler;
    unlink "$disk/filler";
    wait_store($stage, 'ok');
    wait_until('the store to have caught up', sub { store_of($stage)->{queued} == 0 });
    is($stage->daemon->client('192.0.2.200')->{state}, 'suppressed', 'full disk: nothing was forgotten');
    $stage->daemon->restart;
    is($stage->daemon->client('192.0.2.200')->{state}, 'suppressed', 'full disk: nor after a restart');
    $stage->daemon->stop;

    system("mount -o remount,ro '$disk'") == 0 or die 'remount failed';
    $stage->daemon->start;
    mail_goes_on($stage, 'read-only');
    wait_store($stage, 'degraded');
    system("mount -o remount,rw '$disk'") == 0 or die 'remount failed';
    wait_store($stage, 'ok');
    wait_until('what was stored to be known', sub {
        return ($stage->daemon->client('192.0.2.200') // {state => ''})->{state} eq 'suppressed';
    });
    pass('read-only: once it is writable, everything is known again');
    $stage->finish_quietly;
}
done_testing();

package MailTest::Unmount;

sub new ($class, $folder) { return bless {folder => $folder}, $class }
sub DESTROY ($self) { system 'umount', '-l', $self->{folder} }
