# What the store keeps: suppression and incidents survive a restart and a kill -9, also a kill in
# the middle of a write.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(next_client);
use MailTest::Message qw(new_message);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

my $stage = MailTest::Session->new(daemon => {config => {
    suppression => '{ threshold = 2; hold = "1h"; }',
}});
my $daemon = $stage->daemon;
$stage->allow_postfix_log(qr/bdat-milter|milter|table|socketmap|policy/);

# A broken transfer: suppresses its client at once. Returns the sender.
sub fail_once ($from) {
    my $client = $stage->client(from => $from);
    my $message = new_message(
        headers => "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n",
        body => "--edge\r\nContent-Type: text/plain\r\n\r\nHello",
    );
    for my $try ($message, new_message()) {
        $client->envelope($try->{sender});
        $client->bdat($try->{content}, last => 1);
    }
    $client->quit;
    wait_until('the client to be suppressed', sub {
        return ($daemon->client($from) // {state => ''})->{state} eq 'suppressed';
    });
    return $message->{sender};
}

sub incidents ($query = '') {
    return @{$daemon->control->get("/v1/incidents$query")->{incidents}};
}

# Waits until nothing is left to be written.
sub wait_stored () {
    wait_until('the store to have written all', sub { $daemon->status->{store}{queued} == 0 });
}

# A transfer that is refused strikes; a sound one behind it in the same session would clear one
# strike, not the suppression.
my %how = (
    'an orderly restart' => sub { $daemon->restart },
    'kill -9' => sub { wait_stored(); $daemon->kill_hard; $daemon->start },
);
for my $name (sort keys %how) {
    my $from = next_client();
    my $sender = fail_once($from);
    $how{$name}->();
    my $entry = $daemon->client($from);
    is($entry->{state}, 'suppressed', "$name: still suppressed");
    my $client = $stage->client(from => $from);
    ok(!$client->offers('CHUNKING'), "$name: CHUNKING is not offered");
    for my $message (new_message(), new_message()) {
        $client->envelope($message->{sender});
        like($client->data($message->{content}), qr/^250 /, "$name: DATA works");
        $stage->delivered_is($message, "$name: delivered whole");
    }
    $client->quit;
    my $other = $stage->client(from => next_client());
    ok($other->offers('CHUNKING'), "$name: others are offered CHUNKING");
    $other->quit;
    my @found = incidents("?client=$from");
    is(scalar @found, 1, "$name: the incident is remembered");
    is("$found[0]{sender} $found[0]{verdict}", "$sender truncated", "$name: with its facts");
}

# Questions about incidents.
my $from = next_client();
fail_once($from);
wait_until('the incident to be stored', sub { incidents("?client=$from") == 1 });
is(scalar incidents('?verdict=truncated'), 3, 'incidents by verdict');
is(scalar incidents('?verdict=stalled'), 0, 'none of another verdict');
is(scalar incidents('?limit=2'), 2, 'a limit');
is((incidents('?limit=1'))[0]{client_address}, $from, 'the newest first');
is(scalar incidents('?since=1h'), 3, 'since an hour ago');
is(scalar incidents('?since=2030-01-01T00:00:00Z'), 0, 'since a time to come');
is(scalar(grep { $_->{verdict} eq 'match' } incidents('?limit=1000')), 0, 'clean transfers are no incidents');

# Killed in the middle of writing, many times: what the daemon said was stored is there.
my $rounds = $ENV{E2E_KILLS} // 100;
my (%suppressed, @bad);
for my $round (1 .. $rounds) {
    my $address = sprintf '198.51.%d.%d', 100 + int($round / 200), 1 + $round % 200;
    $daemon->control->post("/v1/clients/$address/suppress?for=1d&reason=round%20$round");
    my $kept = $round % 4 == 0;
    wait_stored() if $kept;
    # More writes are on their way when the end comes.
    $daemon->control->post("/v1/clients/203.0.113.$_/suppress?for=1h") for 1 .. $round % 5;
    $daemon->kill_hard;
    $suppressed{$address} = 1 if $kept;
    $daemon->start;
}
for my $address (sort keys %suppressed) {
    my $entry = $daemon->client($address);
    push @bad, $address if !$entry || $entry->{state} ne 'suppressed';
}
is_deeply(\@bad, [], "$rounds kills: everything that was stored is there");
is($daemon->status->{store}{state}, 'ok', 'and the store is sound');
is(scalar(glob($stage->postfix->folder . '/state.db.bad-*') // ''), '', 'no file was set aside');
my $check = qx{sqlite3 '@{[$stage->postfix->folder]}/state.db' 'pragma integrity_check'};
like($check, qr/^ok$/, 'SQLite finds nothing wrong with the file');

$daemon->expect_log(qr/verdict=/, qr/CHUNKING is not offered/);
$stage->finish;
