# What stands in doc/threat-model.md, claim by claim: client text can do no harm in log, JSON or
# terminal, addresses cost bounded memory and time, sockets have the modes they should, and a
# daemon started as root does not stay root.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use JSON::PP ();
use List::Util qw(max);
use MailTest::Cases qw(next_client);
use MailTest::Ctl qw(ctl);
use MailTest::Message qw(new_message);
use MailTest::Place qw(read_file source_folder);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use POSIX ();
use Test::More;

# Octets that a terminal or a reader of logs would obey.
my %texts = (
    'terminal escapes' => "\e]0;owned\a\e[2J\e[31m",
    'C1 controls' => "\xc2\x9b31m\x9b2J",
    'invalid UTF-8' => "\xff\xfe\xc0\x80\xed\xa0\x80",
    'a bare CR and a forged line' => "a\rFORGED: client=x[1.2.3.4] verdict=match",
    'a format' => '%s%n%s%n%99999999d',
    'SQL' => q{'); DROP TABLE incidents; --},
    'HTML and JSON' => q("}],"<script>"),
    'bidirectional overrides' => "\xe2\x80\xae\xe2\x80\xa6",
);

{
    my $stage = MailTest::Session->new;
    my $daemon = $stage->daemon;
    for my $what (sort keys %texts) {
        my $text = $texts{$what};
        my $from = next_client();
        my $client = MailTest::Client->new(postfix => $stage->postfix, from => $from);
        $client->command("EHLO $text");
        $client->command("EHLO x$text");
        # In a sender's address, and as a line that is no command, behind a chunk.
        my $id = 'h' . unpack('H*', $what) . '@load.example';
        my $reply = $client->command("MAIL FROM:<$id>");
        next if $reply !~ /^250/;
        $client->command('RCPT TO:<user@example.test>');
        $client->raw("BDAT 6\r\nA: b\r\n$text\r\n");
        eval { $client->reply; $client->reply };
        $client->close;
        my $strange = MailTest::Client->new(postfix => $stage->postfix, from => $from);
        $strange->command('EHLO y');
        $strange->command(qq(MAIL FROM:<"$text"\@load.example>));
        $strange->command("$text");
        $strange->close;
        my $record = $daemon->transfer($id);
        # Postfix looks no line up that is no UTF-8: all that is seen then is the end.
        like($record->{verdict}, qr/^(?:desynchronized|lost)$/, "$what: recorded as what it is");
    }
    # Everything that shows client text, looked at octet by octet.
    my %shown = map { $_ => $daemon->control->request('GET', $_)->{body} }
        qw(/v1/transfers?limit=1000 /v1/sessions /v1/clients /v1/incidents /v1/status /metrics);
    for my $command (['transfers'], ['clients'], ['incidents'], ['sessions'], ['status'], ['top', '-1'],
            map { ['explain', $_->{client_address}] } $daemon->transfers(limit => 8)) {
        my $run = ctl('-s', $daemon->control_socket, @$command);
        $shown{"bdatctl @$command"} = $run->{out} . $run->{err};
    }
    $shown{log} = $daemon->log_text;
    for my $name (sort keys %shown) {
        my ($bad) = $shown{$name} =~ /([^\n]{0,20}(?:[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f])[^\n]{0,20})/;
        is($bad, undef, "$name: no control character");
        ok(utf8::decode(my $copy = $shown{$name}), "$name: UTF-8");
        unlike($shown{$name}, qr/^FORGED/m, "$name: no line is forged") if $name eq 'log';
    }
    is(scalar @{JSON::PP::decode_json($shown{'/v1/incidents'})->{incidents}}, scalar keys %texts,
        'the incidents are all there');
    # The operator's own text is shown likewise.
    $daemon->control->post('/v1/clients/192.0.2.9/suppress?reason=%1b%5b2J%ff' . 'x' x 300);
    my $listed = $daemon->control->get('/v1/clients?client=192.0.2.9')->{clients}[0];
    like($listed->{reason}, qr/^\?\[2J\?x+$/, 'a reason is made printable');
    my $wrong = $daemon->control->request('GET', '/v1/clients/%ff%1b');
    like("$wrong->{status} $wrong->{body}", qr/^400 .*is no IP address/, 'so is an error');
    $daemon->expect_log(qr/verdict=|strikes|CHUNKING/);
    $stage->allow_postfix_log(qr/warning:/);
    $stage->finish_quietly;
}

# One round trip at the ehlo table.
sub ask ($socket, @keys) {
    syswrite $socket, join '', map { my $key = "ehlo $_"; length($key) . ":$key," } @keys;
    my $answer = '';
    while (($answer =~ tr/,//) < @keys) {
        sysread $socket, $answer, 65536, length $answer or die 'the table has gone';
    }
    return $answer;
}

# CPU seconds of the daemon so far: what else the machine has to do does not count.
sub cpu_seconds ($daemon) {
    my @fields = split ' ', read_file('/proc/' . $daemon->pid . '/stat') =~ s/^.*\) //sr;
    return ($fields[11] + $fields[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# Addresses are what an attacker has most of: each looks one up, with and without strikes.
{
    my $addresses = MailTest::Daemon::is_sanitized() ? 50_000 : $ENV{HOSTILE_ADDRESSES} // 1_000_000;
    my $stage = MailTest::Session->new;
    my $daemon = $stage->daemon;
    my $socket = IO::Socket::UNIX->new(Peer => $stage->postfix->socket_folder . '/tables.sock') // die $!;
    my @kinds = (
        ['one IPv4 /32 asked for again and again' => sub ($n) { '192.0.2.1' }],
        ['one IPv6 /32' => sub ($n) { sprintf '2001:db8:%x:%x::1', $n >> 16, $n & 0xffff }],
        ['all of IPv4' => sub ($n) { join '.', unpack 'C4', pack 'N', 0x01000000 + $n * 3571 }],
    );
    ask($socket, map { "198.51.100.$_" } 1 .. 200);
    for my $kind (@kinds) {
        my ($name, $make) = @$kind;
        my $memory = $daemon->memory;
        my @taken = cpu_seconds($daemon);
        for my $half (0, 1) {
            for (my $n = $half * $addresses / 2; $n < ($half + 1) * $addresses / 2; $n += 500) {
                ask($socket, map { $make->($n + $_) } 0 .. 499);
            }
            push @taken, cpu_seconds($daemon);
        }
        my ($early, $late) = ($taken[1] - $taken[0], $taken[2] - $taken[1]);
        my $grown = ($daemon->memory - $memory) / 1e6;
        note(sprintf '%s: %d lookups, %.1f then %.1f us each, memory grew by %.1f MB',
            $name, $addresses, map({ 2e6 * $_ / $addresses } $early, $late), $grown);
        cmp_ok($grown, '<', 4, "$name: addresses that did nothing cost no memory")
            if !MailTest::Daemon::is_sanitized();
        cmp_ok($late, '<', 3 * $early + 0.1, "$name: a lookup takes no longer");
    }
    close $socket;
    $stage->finish_quietly;
}

# Sockets, and who the daemon is.
{
    my $stage = MailTest::Session->new(daemon => {start => 0});
    my $daemon = $stage->daemon;
    my $sockets = $stage->postfix->socket_folder;
    my ($uid, $gid) = (getpwnam 'nobody')[2, 3];
    chown $uid, $gid, $stage->postfix->folder;
    $daemon->configure(user => '"nobody"');
    $daemon->start;
    my $status = read_file('/proc/' . $daemon->pid . '/status');
    like($status, qr/^Uid:\s+$uid\s+$uid\s+$uid\s+$uid$/m, 'started as root it becomes its user, for good');
    like($status, qr/^Gid:\s+$gid\s+$gid\s+$gid\s+$gid$/m, 'and its group');
    unlike($status, qr/^Groups:.*\b0\b/m, 'and keeps no group of root');
    like($status, qr/^CapEff:\s+0+$/m, 'and no capability');
    my $group = getgrnam 'postfix';
    for my $name (qw(milter tables policy)) {
        my @stat = stat "$sockets/$name.sock";
        is(sprintf('%o', $stat[2] & 07777), '660', "$name.sock: mode 0660");
        is($stat[5], $group, "$name.sock: group postfix");
    }
    is(sprintf('%o', (stat $daemon->control_socket)[2] & 07777), '660', 'control.sock: mode 0660');
    my $denied = ctl({user => 'games'}, '-s', $daemon->control_socket, 'status');
    isnt($denied->{code}, 0, 'another user cannot talk to it');
    $stage->finish_quietly;
}
{
    my $stage = MailTest::Session->new(daemon => {config => {user => undef}});
    chmod 0777, $stage->postfix->socket_folder;
    $stage->daemon->restart;
    like($stage->daemon->log_text, qr/everybody can write to this folder/, 'a folder open to all is reported');
    $stage->daemon->expect_log(qr/everybody can write/);
    $stage->allow_postfix_log(qr/warning:/);
    $stage->finish_quietly;
}

# In the source: no format and no SQL is made from input.
{
    my @formats = grep { /\b(?:printf|fprintf|snprintf|syslog|log_write)\s*\((?:[^,"()]*,\s*)*[a-z_>.\[\]-]+\)\s*;/ }
        map { split /\n/, read_file($_) } glob source_folder() . '/milter/*.c';
    @formats = grep { !/"/ } @formats;
    is_deeply(\@formats, [], 'no format that is not a literal');
    my @sql = grep { /sqlite3_(?:mprintf|snprintf|vmprintf)|sqlite3_exec\([^,]*,\s*[a-z_]+\[/ }
        map { split /\n/, read_file($_) } glob source_folder() . '/milter/store*.c';
    is_deeply(\@sql, [], 'no SQL that is put together from texts');
    my @unsafe = grep { /\b(?:strcat|gets|vsprintf|alloca)\s*\(/ }
        map { split /\n/, read_file($_) } glob source_folder() . '/milter/*.c';
    is_deeply(\@unsafe, [], 'no function that cannot be told a length');
}

done_testing();
