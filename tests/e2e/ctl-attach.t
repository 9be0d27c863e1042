# attach and detach on copies of Debian's own main.cf and master.cf, and on harder ones.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Ctl   qw(ctl);
use MailTest::Place qw(find_tool new_folder read_file write_file);
use Test::More;

my($main_dist) = grep {-r}
    qw(/usr/share/postfix/main.cf.debian /usr/share/postfix/main.cf.dist /etc/postfix/main.cf.proto);
my($master_dist) = grep {-r} qw(/usr/share/postfix/master.cf.dist /etc/postfix/master.cf.proto);
plan skip_all => 'no pristine main.cf and master.cf to copy' if !$main_dist || !$master_dist;
my $postconf = find_tool('postconf');
my %ours     = (
    smtpd_milters        => '{ unix:bdat-milter/milter.sock, default_action=accept }',
    smtpd_command_filter => 'socketmap:unix:bdat-milter/tables.sock:command',
    smtpd_discard_ehlo_keyword_address_maps => 'socketmap:unix:bdat-milter/tables.sock:ehlo',
    smtpd_data_restrictions                 =>
        'check_policy_service { unix:bdat-milter/policy.sock, default_action=DUNNO }',
    smtpd_end_of_data_restrictions =>
        'check_policy_service { unix:bdat-milter/policy.sock, default_action=DUNNO }',
);

# A configuration folder: Debian's files and what stands behind them in main.cf and master.cf.
sub configuration ($more = '', $master = '', $conf = '') {
    my $folder = new_folder();
    mkdir "$folder/queue";
    write_file("$folder/main.cf", read_file($main_dist) . "queue_directory = $folder/queue\n$more");
    write_file("$folder/master.cf", read_file($master_dist) . $master);
    write_file(
        "$folder/bdat.conf",
        join(
            '',
            map {qq($_ = { socket = "$folder/queue/bdat-milter/$_.sock"; };\n)}
                qw(milter tables policy)
            )
            . $conf
    );
    return $folder;
}

# Postfix waits for a file that was written just now to grow older before it believes it.
sub age ($folder) { utime time - 10, time - 10, "$folder/main.cf" }

sub run ($folder, $command, @options) {
    age($folder);
    return ctl($command, '-c', $folder, '-f', "$folder/bdat.conf", '-s', "$folder/none",
        '--no-reload', @options);
}

sub attach ($folder, @options) { run($folder, 'attach', '--yes', '--force', @options) }
sub detach ($folder, @options) { run($folder, 'detach', '--yes', @options) }

sub value ($folder, $name) {
    age($folder);
    chomp(my $value = qx{$postconf -c $folder -h $name 2>&1});
    return $value;
}

sub postconf ($folder, @arguments) {
    age($folder);
    system($postconf, '-c', $folder, @arguments) == 0 or die "postconf @arguments failed\n";
}

sub snapshot ($folder) {
    return {map { $_ => read_file("$folder/$_") . join ' ', (stat "$folder/$_")[2, 4, 5] }
            qw(main.cf master.cf bdat.conf)};
}

sub files ($folder) {
    join ' ', map {s{.*/}{}r} sort glob "$folder/*";
}

subtest 'Debian\'s defaults' => sub {
    my $folder = configuration();
    chmod 0640, "$folder/main.cf";
    my($before, $files) = (snapshot($folder), files($folder));
    my $got = attach($folder);
    is($got->{code},       0,         'attach') or diag $got->{err};
    is(value($folder, $_), $ours{$_}, $_) for sort keys %ours;
    my $attached = snapshot($folder);
    $got = attach($folder);
    is($got->{code}, 0, 'attach again');
    like($got->{out}, qr/attached already/, 'has nothing to do');
    is_deeply(snapshot($folder), $attached, 'and changes nothing');
    is(detach($folder)->{code}, 0, 'detach');
    is_deeply(snapshot($folder), $before, 'octet for octet what it was, modes and owners too');
    is(files($folder), $files, 'and nothing is left behind');
    $got = detach($folder);
    is($got->{code}, 0, 'detach again');
    like($got->{out}, qr/not attached/, 'has nothing to do');
    is_deeply(snapshot($folder), $before, 'and changes nothing');
};

subtest 'only printing' => sub {
    my $folder = configuration(
        "smtpd_milters = inet:127.0.0.1:8891, { inet:rspamd:11332, default_action=tempfail }\n");
    my($before, $files) = (snapshot($folder), files($folder));
    my $got = run($folder, 'attach', '--print');
    is($got->{code}, 0, 'attach --print');
    is_deeply(snapshot($folder), $before, 'changes nothing');
    is(files($folder), $files, 'leaves nothing');
    my @lines = split /\n/, $got->{out};
    is(scalar(grep { !/^postconf -c \S+ -e / } @lines), 0, 'only postconf commands');

    for my $line (@lines) {
        system('/bin/sh', '-c', "PATH=/usr/sbin:\$PATH; $line") == 0
            or fail("a shell takes: $line");
    }
    is( value($folder, 'smtpd_milters'),
        "$ours{smtpd_milters}, inet:127.0.0.1:8891, { inet:rspamd:11332, default_action=tempfail }",
        'a shell that runs them attaches'
    );
    like(attach($folder)->{out}, qr/attached already/, 'so that nothing is left to do');
    is(detach($folder, '--print')->{code}, 0, 'detach --print');
};

subtest 'what stands there stays' => sub {
    my $folder = configuration(
        <<'EOT', "submission inet n - y - - smtpd\n  -o smtpd_milters=inet:127.0.0.1:9999\n  -o smtpd_data_restrictions=\n");
smtpd_milters =
    inet:127.0.0.1:8891,
    # a comment within
    { inet:[::1]:11332, connect_timeout=5s,
      default_action=tempfail }
smtpd_discard_ehlo_keyword_address_maps = cidr:/etc/postfix/ehlo.cidr
smtpd_data_restrictions = reject_unauth_pipelining, check_policy_service { inet:127.0.0.1:10023, timeout=3s }, permit
smtpd_end_of_data_restrictions = $my_end
my_end = check_policy_service unix:private/size
EOT
    my $before = snapshot($folder);
    my $got    = attach($folder);
    is($got->{code}, 0, 'attach') or diag $got->{err};
    is(value($folder, 'smtpd_milters'),
        "$ours{smtpd_milters}, inet:127.0.0.1:8891, { inet:[::1]:11332, connect_timeout=5s, default_action=tempfail }",
        'milters: ours in front');
    is(value($folder, 'smtpd_discard_ehlo_keyword_address_maps'),
        "cidr:/etc/postfix/ehlo.cidr, $ours{smtpd_discard_ehlo_keyword_address_maps}",
        'maps: ours behind');
    is(value($folder, 'smtpd_data_restrictions'),
        "$ours{smtpd_data_restrictions}, reject_unauth_pipelining, check_policy_service { inet:127.0.0.1:10023, timeout=3s }, permit",
        'restrictions: ours in front');
    is(value($folder, 'smtpd_end_of_data_restrictions'),
        "$ours{smtpd_end_of_data_restrictions}, \$my_end", 'a variable stays one');
    like($got->{out}, qr/^# first, since a filter before it/m, 'the order is explained');
    like(
        $got->{err},
        qr{master\.cf sets smtpd_milters = inet:127\.0\.0\.1:9999 for submission/inet.*postconf -c \S+ -P 'submission/inet/smtpd_milters=\{unix:bdat-milter/milter\.sock,default_action=accept\},inet:127\.0\.0\.1:9999'}s,
        'overrides in master.cf are reported with the command that attaches them too'
    );
    is(detach($folder)->{code}, 0, 'detach');
    is_deeply(snapshot($folder), $before, 'octet for octet, comments and all');

    attach($folder);
    postconf($folder, '-e', 'smtpd_banner = changed meanwhile');
    is(detach($folder)->{code}, 0, 'detach after somebody has edited main.cf');
    is(value($folder, 'smtpd_banner'), 'changed meanwhile', 'keeps the edit');
    is(value($folder, 'smtpd_milters'),
        'inet:127.0.0.1:8891, { inet:[::1]:11332, connect_timeout=5s, default_action=tempfail }',
        'milters as before');
    is(value($folder, 'smtpd_end_of_data_restrictions'), '$my_end', 'restrictions as before');
    is(value($folder, 'smtpd_command_filter'),           '',        'no command filter');
    unlike(read_file("$folder/main.cf"), qr/bdat-milter|smtpd_command_filter/,
        'nothing of ours is left');
};

subtest 'attached twice with edits between' => sub {
    my $folder = configuration();
    attach($folder);
    postconf($folder, '-X', 'smtpd_milters');
    is(attach($folder)->{code},         0,                    'attach mends what was taken out');
    is(value($folder, 'smtpd_milters'), $ours{smtpd_milters}, 'it is back');
    is(detach($folder)->{code},         0,                    'detach');
    unlike(read_file("$folder/main.cf"), qr/bdat-milter/, 'takes out all of it');
    is(files($folder), 'bdat.conf main.cf master.cf queue', 'no copy is left');
};

subtest 'a command filter is set' => sub {
    my $folder = configuration("smtpd_command_filter = pcre:/etc/postfix/commands\n");
    my $before = snapshot($folder);
    my $got    = attach($folder);
    is($got->{code}, 1, 'attach refuses');
    like($got->{err},
        qr/smtpd_command_filter is set to "pcre:\/etc\/postfix\/commands" already.*postconf -c \S+ -X smtpd_command_filter/s,
        'with a clear text');
    is_deeply(snapshot($folder), $before, 'nothing was written');
};

subtest 'sockets elsewhere' => sub {
    my $folder = configuration();
    write_file("$folder/bdat.conf", join '',
        map {qq($_ = { socket = "/run/bdat-test/$_.sock"; };\n)} qw(milter tables policy));
    my $got = attach($folder);
    is($got->{code}, 1, 'a chrooted smtpd could not reach them: refused');
    like($got->{err}, qr/runs chrooted there.*Move the sockets below/s, 'with a clear text');
    write_file("$folder/master.cf",
        read_file("$folder/master.cf") =~ s/^(\S+ +inet +\S+ +\S+ +)y/$1n/gmr);
    is(attach($folder)->{code}, 0, 'not chrooted: attached');
    is(value($folder, 'smtpd_milters'),
        '{ unix:/run/bdat-test/milter.sock, default_action=accept }', 'by the whole path');
    detach($folder);
};

subtest 'the same socket by its whole path' => sub {
    my $folder = configuration();
    my $path   = "$folder/queue/bdat-milter";
    postconf(
        $folder, '-e', "smtpd_milters = { local:$path/milter.sock, default_action=accept }",
        "smtpd_command_filter = socketmap:unix:$path/tables.sock:command"
    );
    my $got = run($folder, 'attach', '--print');
    unlike($got->{out}, qr/smtpd_milters|smtpd_command_filter/, 'is known for ours');
};

subtest 'keywords that main.cf discards for all' => sub {
    my $conf = "# our settings\nsuppression = { threshold = 3; // strikes\n};\n";
    my $folder =
        configuration("smtpd_discard_ehlo_keywords = dsn, ETRN, silent-discard\n", '', $conf);
    my $before = snapshot($folder);
    my $got    = attach($folder);
    is($got->{code}, 0, 'attach') or diag $got->{err};
    like(
        read_file("$folder/bdat.conf"),
        qr/suppression = \{ keywords = "chunking, dsn, ETRN, silent-discard"; threshold = 3; \/\/ strikes/,
        'are taken over into suppression.keywords'
    );
    like(attach($folder)->{out}, qr/attached already/, 'once');
    is(detach($folder)->{code}, 0, 'detach');
    is_deeply(snapshot($folder), $before, 'puts the configuration back as well');
    my $got_chunking = attach(configuration("smtpd_discard_ehlo_keywords = chunking\n"));
    like($got_chunking->{err}, qr/takes CHUNKING away from all clients/,
        'CHUNKING off for the world is pointed out');
};

subtest 'postscreen' => sub {
    my $folder = configuration(
        "smtpd_discard_ehlo_keyword_address_maps = cidr:/etc/postfix/ehlo.cidr\n",
        "2525 inet n - y - 1 postscreen\n"
    );
    my $before = snapshot($folder);
    is(attach($folder)->{code}, 0, 'attach');
    is(value($folder, 'postscreen_discard_ehlo_keyword_address_maps'),
        'cidr:/etc/postfix/ehlo.cidr', 'keeps the maps it had');
    postconf($folder, '-e', 'smtpd_banner = x');
    is(detach($folder)->{code}, 0, 'detach');
    unlike(read_file("$folder/main.cf"), qr/^postscreen_discard/m, 'unsets it again');
};

subtest 'what is refused' => sub {
    my $folder = configuration();
    my $before = snapshot($folder);
    my $got    = run($folder, 'attach', '--yes');
    is($got->{code}, 1, 'no daemon: attach refuses');
    like($got->{err}, qr/would answer all mail with 421.*systemctl start bdat-milter/s,
        'and says why');
    $got = run($folder, 'attach', '--force');
    is($got->{code}, 1, 'no answer to its question: nothing is done');
    write_file("$folder/bdat.conf", "tresholt = 3;\n");
    $got = attach($folder);
    is($got->{code}, 1, 'a bad configuration');
    like($got->{err}, qr/bdat\.conf:1: /, 'file and line');
    is(read_file("$folder/main.cf") . join(' ', (stat "$folder/main.cf")[2, 4, 5]),
        $before->{'main.cf'}, 'main.cf is untouched');
    is(ctl('attach', '-c', "$folder/nowhere", '-f', '/dev/null', '--yes')->{code}, 1,
        'no such folder');
};

done_testing();
