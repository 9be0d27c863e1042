# What check and attach say of less simple servers, and that the commands they show do what they
# promise: services with values of their own, discarded keywords, local mail, symbolic links,
# users without rights, a daemon that hangs; and the same as JSON.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use JSON::PP qw(decode_json);
use MailTest::Cases   qw(check_transfer);
use MailTest::Configured qw(age run attach detach check value);
use MailTest::Ctl     qw(ctl);
use MailTest::Message qw(new_message);
use MailTest::Place   qw(find_tool free_port new_folder program read_file source_folder write_file);
use MailTest::Session;
use MailTest::Wait    qw(wait_until);
use Test::More;

$ENV{PATH} = program('milter/bdat-milter') =~ s{/[^/]+$}{}r . ":$ENV{PATH}:/usr/sbin";
my $FILTER   = 'smtpd_command_filter';
my $KEYWORDS = 'smtpd_discard_ehlo_keywords';
my @KINDS    = qw(milter tables policy);

# A Postfix that never runs: two services and `more` in main.cf; bdat-milter.conf as installed,
# but for the sockets.
sub configuration ($more = '', $options = '') {
    my $folder = new_folder();
    mkdir "$folder/queue";
    my $conf = read_file(source_folder() . '/doc/bdat-milter.conf');
    for my $kind (@KINDS) {
        $conf =~ s{#socket = "\S+/$kind\.sock"}{socket = "$folder/queue/bdat-milter/$kind.sock"}
            or die "the sample has no $kind socket\n";
    }
    write_file("$folder/main.cf", "compatibility_level = 3.6\nqueue_directory = $folder/queue\n$more");
    write_file("$folder/master.cf",
        "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd$options\n");
    write_file("$folder/bdat.conf", $conf);
    return $folder;
}

sub snapshot ($folder) { [map { read_file("$folder/$_") } qw(main.cf master.cf bdat.conf)] }

# Runs a command line that was shown.
sub shell ($folder, $line) {
    age($folder);
    return system('/bin/sh', '-c', "{ $line; } >/dev/null 2>&1");
}

subtest 'discarded keywords and the installed configuration' => sub {
    my $folder = configuration("$KEYWORDS = etrn, silent-discard\n", " -o $KEYWORDS=\$mua -o syslog_name=x");
    write_file("$folder/main.cf", read_file("$folder/main.cf") . "mua = dsn\n");
    my $before = snapshot($folder);
    my $said   = check($folder);
    like($said, qr/^FAIL +keywords: main\.cf discards "etrn, silent-discard" for all/m, 'of main.cf');
    like($said, qr/^FAIL +keywords: master\.cf: service submission\/inet discards "dsn" for all/m,
        'and of one service');
    my $advice = qr/in the braces of suppression: keywords = "chunking, etrn, dsn, silent-discard";/;
    like($said, qr/ -> in \S+bdat\.conf $advice Then bdatctl -s \S+ reload$/m, 'what to write');
    my $got = attach($folder);
    is($got->{code}, 0, 'attach') or diag $got->{err};
    like(read_file("$folder/bdat.conf"),
        qr/^suppression = \{ keywords = "chunking, etrn, dsn, silent-discard";$/m, 'takes both over');
    like(check($folder), qr/^ok +keywords:/m, 'check is content');
    is(detach($folder)->{code}, 0, 'detach');
    is_deeply(snapshot($folder), $before, 'puts all three files back');

    write_file("$folder/bdat.conf", read_file("$folder/bdat.conf") =~ s/^#(?=\@include)//mr);
    write_file("$folder/bdat-milter.local.conf", '');
    $got = attach($folder);
    is($got->{code}, 1, 'a file that includes another: exit 1');
    like($got->{err}, qr/is attached, but suppression\.keywords must be set by hand.*$advice/s,
        'with the line to write');
    like(value($folder, 'smtpd_milters'), qr/bdat-milter/, 'all else is done');
    write_file("$folder/bdat.conf",
        read_file("$folder/bdat.conf")
            =~ s/^(suppression = \{)/$1 keywords = "chunking, etrn, dsn, silent-discard";/mr);
    is(ctl({program => program('milter/bdat-milter')}, '-t', '-c', "$folder/bdat.conf")->{code}, 0,
        'the line is right there');
    like(check($folder), qr/^ok +keywords:/m, 'and check is content');

    $folder = configuration('', " -o $KEYWORDS=chunking");
    like(check($folder), qr/^note +keywords: master\.cf: service submission\/inet takes CHUNKING away/m,
        'a service without CHUNKING');
};

subtest 'a command filter of one service' => sub {
    my $folder = configuration('', " -o $FILTER=pcre:/etc/postfix/commands");
    attach($folder, '--tables', 'main');
    my $master = read_file("$folder/master.cf");
    my($mend) =
        check($folder) =~ /^warn +master\.cf: service submission\/inet has its own $FILTER = .*\n +-> (.*)/m;
    like($mend, qr/^Postfix takes only one; if that filter is not needed any more: postconf -c \S+ -PX /,
        'is never replaced without a word');
    is(read_file("$folder/master.cf"), $master, 'and stays');
    my $got = attach($folder, '--tables', 'main');
    my($command) = $got->{err} =~ /^  (postconf -c \S+ -PX \S+) && postfix -c \S+ reload$/m;
    is(shell($folder, $command), 0, 'the command of attach');
    is(value($folder, '-P', "submission/inet/$FILTER"), undef, 'removes it');
};

subtest 'symbolic links' => sub {
    my $folder = configuration("$KEYWORDS = dsn\n");
    my @names  = qw(main.cf master.cf bdat.conf);
    mkdir "$folder/real";
    for my $name (@names) {
        rename "$folder/$name", "$folder/real/$name" or die "$name: $!\n";
        symlink "real/$name", "$folder/$name" or die "$name: $!\n";
    }
    my $before = snapshot($folder);
    my $links  = sub ($when) { is(readlink "$folder/$_", "real/$_", "$when: $_ is a link") for @names };
    is(attach($folder, '--tables', 'services')->{code}, 0, 'attach');
    $links->('attached');
    like(read_file("$folder/real/main.cf"), qr/bdat-milter/, 'the file behind it was written');
    is(detach($folder)->{code}, 0, 'detach');
    $links->('detached');
    is_deeply(snapshot($folder), $before, 'octet for octet');
    attach($folder, '--tables', 'services');
    write_file("$folder/real/$_", read_file("$folder/real/$_") . "# edited\n") for @names[0, 1];
    is(detach($folder)->{code}, 0, 'detach after an edit');
    $links->('detached again');
    like(read_file("$folder/real/main.cf"), qr/^# edited$/m, 'the edit stays');
    is(join(' ', sort map {s{.*/}{}r} glob "$folder/*"), 'bdat.conf main.cf master.cf queue real',
        'nothing is left behind');
};

subtest 'as JSON' => sub {
    my $folder = configuration("$KEYWORDS = dsn\nnon_smtpd_milters = \$smtpd_milters\n");
    my $before = snapshot($folder);
    my $json   = sub ($got, $code) {
        is($got->{code}, $code, "exit $code") or diag $got->{err};
        return decode_json($got->{out});
    };
    my $print = $json->(attach($folder, '--json', '--print', '--tables', 'main'), 0);
    is_deeply(snapshot($folder), $before, 'attach --print changes nothing');
    ok(!$print->{written}, 'and says so');
    my($milters) = grep { $_->{parameter} eq 'smtpd_milters' } @{$print->{changes}};
    is_deeply(
        $milters, {
            parameter => 'smtpd_milters',
            file      => "$folder/main.cf",
            before    => undef,
            after     => '{ unix:bdat-milter/milter.sock, default_action=accept }',
            command   =>
                "postconf -c $folder -e 'smtpd_milters = { unix:bdat-milter/milter.sock, default_action=accept }'",
        },
        'a change'
    );
    is($print->{keywords}, 'chunking, dsn, silent-discard', 'the keywords');
    like($print->{notes}[0], qr/non_smtpd_milters hands the mail/, 'a note');
    my $done = $json->(attach($folder, '--json', '--tables', 'main'), 0);
    ok($done->{ok} && $done->{written}, 'attach');
    is_deeply($done->{changes}, $print->{changes}, 'the same changes');
    is_deeply($json->(attach($folder, '--json', '--tables', 'main'), 0)->{changes}, [], 'again: none');
    my $check = $json->(run($folder, 'check', '--no-live', '--json'), 1);
    my %level;
    push @{$level{$_->{level}}}, $_ for @{$check->{findings}};
    is_deeply([sort keys %level], [qw(FAIL note ok)], 'check has its findings');
    ok(!$check->{ok} && !(grep { !defined $_->{mend} } @{$level{FAIL}}), 'with what mends them');
    my $gone = $json->(detach($folder, '--json'), 0);
    is(scalar @{$gone->{changes}}, scalar @{$done->{changes}}, 'detach');
    ok($gone->{written} && !$json->(detach($folder, '--json'), 0)->{written}, 'once');
    is_deeply(snapshot($folder), $before, 'all is as it was');

    my $got = run($folder, 'attach', '--json');
    like($json->($got, 1)->{error}, qr/nobody answers/, 'a refusal is an object too');
    like($got->{err}, qr/^bdatctl: nobody answers/m, 'and text on standard error');
    $got = run($folder, 'attach', '--json', '--force');
    like($json->($got, 1)->{error}, qr/nothing was changed/, 'no answer to the question');
    like($got->{err}, qr/^Set this\? \[y\/N\]/m, 'which stands on standard error');
    like($json->(ctl('status', '--json', '-s', "$folder/none"), 3)->{error}, qr/no such socket/,
        'no daemon');
    like($json->(ctl('status', '--jsn', '--json'), 2)->{error}, qr/takes no option --jsn/, 'usage');
    $check = $json->(ctl('check', '--json', '-c', "$folder/nowhere", '-f', "$folder/bdat.conf",
            '-s', "$folder/none"), 1);
    like($check->{findings}[-1]{finding}, qr/^postfix: could not be looked at: postconf does not work/,
        'a check without Postfix says why');
};

subtest 'a daemon that hangs' => sub {
    my $folder = configuration();
    my $path   = "$folder/control.sock";
    my $hangs  = IO::Socket::UNIX->new(Local => $path, Listen => 5) or die "$path: $!\n";
    age($folder);
    my @arguments = ('check', '--no-live', '-c', $folder, '-f', "$folder/bdat.conf", '-s', $path,
        '--timeout', 1);
    like(ctl(@arguments)->{out},
        qr/^FAIL +daemon: no answer on \S+ within 1 s: it takes the connection, and hangs\n +-> journalctl/m,
        'hangs');
    $hangs->close;
    like(ctl(@arguments)->{out}, qr/^FAIL +daemon: no answer on \S+: nobody listens there\n +-> systemctl start/m,
        'has gone');
    chmod 0755, $folder;
    chmod 0600, $path;
    like(ctl({user => 'nobody'}, @arguments)->{out},
        qr/^FAIL +daemon: \S+ may not be opened by you, so it could not be asked\n +-> run this check as root/m,
        'may not be asked');
};

subtest 'a queue directory that is shut' => sub {
    my $folder = configuration();
    chmod 0755, $folder;
    chmod 0750, "$folder/queue";
    my $said = check($folder);
    like(
        $said,
        qr/^FAIL +socket $_: \S+\/queue may not be entered by user postfix \(mode 0750, owner root:root\)\n +-> chgrp postfix \S+\/queue && chmod g\+x /m,
        $_
    ) for @KINDS;
    chmod 0711, "$folder/queue";
    unlike(check($folder), qr/queue may not be entered/, 'is enough when it can be entered');
};

subtest 'with a private Postfix' => sub {
    my @port  = map { free_port() } 1 .. 2;
    my $stage = MailTest::Session->new(
        postfix => {
            hooks    => [],
            chroot   => 1,
            main     => {non_smtpd_milters => '$smtpd_milters', authorized_submit_users => 'static:all'},
            services => <<"EOT",
127.0.0.1:$port[0] inet n - y - - smtpd
  -o { smtpd_data_restrictions = check_helo_access inline:{ { no.example = REJECT go away } }, permit }
  -o { smtpd_milters = }
127.0.0.1:$port[1] inet n - y - - smtpd -o $FILTER=
EOT
        });
    my($daemon, $postfix) = ($stage->daemon, $stage->postfix);
    my $folder = $postfix->config_folder;
    my @where  = ('-c', $folder, '-f', $daemon->config_file, '-s', $daemon->control_socket);
    my $go     = sub ($command, @options) {
        age($folder);
        return ctl(ref $command ? (shift @$command, @$command) : $command, @where, @options);
    };
    my $send = sub ($port, $verdict, $name) {
        my $client = $stage->client(port => $port);
        for my $count (1, 2) {
            my $message = new_message();
            $client->envelope($message->{sender});
            like($client->bdat($message->{content}, last => 1), qr/^250 /, "$name, message $count");
            check_transfer($stage, $message, {verdict => 'match', drift => 0}, "$name, message $count")
                if $verdict eq 'match';
        }
        $client->quit;
    };
    my $got = $go->('attach', '--yes', '--tables', 'main');
    is($got->{code}, 0, 'attach') or diag $got->{err};
    like($got->{out}, qr/^Postfix is attached\. Now: bdatctl -s \S+ check -c \S+ -f \S+$/m,
        'names the command that goes on');
    my($check) = $got->{out} =~ /Now: bdatctl (.*)/;

    # Local mail is none of ours.
    my $sendmail = find_tool('sendmail');
    my $id       = new_message()->{id};
    is(
        ctl({
                program => $sendmail,
                env     => {MAIL_CONFIG => $folder},
                input   => "X-Test-Id: $id\nSubject: local\n\ntext\n"
            },
            '-C', $folder, '-f', 'local@example.test', 'box@example.test'
        )->{code},
        0,
        'local mail'
    );
    like($stage->maildir->wait_for($id), qr/^Subject: local$/m, 'is delivered');
    cmp_ok($daemon->status->{hooks}{milter}{sessions}, '>', 0, 'by way of the milter');
    is($daemon->status->{transfers}{unverified}, 0, 'and not taken for an unverified message');
    unlike($daemon->log_text, qr/unverified/, 'nor warned of');
    $got = ctl(split ' ', $check);
    my($mend) = $got->{out} =~ /^note +main\.cf: non_smtpd_milters hands .*\n +-> (.*)/m;
    is(shell($folder, $mend), 0, 'the command that spares it') or diag $got->{out};
    is(value($folder, 'non_smtpd_milters'), '', 'takes ours out');

    # A hint has a subject, and fades.
    $daemon->expect_log(qr/unverified/);
    $send->($port[1], 'unverified', 'a service without a command filter');
    my $hint = wait_until('a hint', sub { $daemon->status->{warnings}[0] });
    like($hint, qr/^(?:message \w+ was|\d+ messages were) accepted unverified/, 'status has a hint');
    $send->($postfix->port, 'match', 'a watched service');
    is_deeply($daemon->status->{warnings}, [], 'which newer sessions end');

    # Each service with values of its own, by the commands that check shows.
    $got = $go->('check', '--to', 'box@example.test');
    my %command = $got->{out} =~ /^warn +master\.cf: service 127\.0\.0\.1:(\d+\/inet has its own \w+) = .*\n +-> (.*)/mg;
    is(scalar keys %command, 3, 'three values of services') or diag $got->{out};
    is(shell($folder, $command{$_}), 0, $_) or diag $command{$_} for sort keys %command;
    $got = $go->('check', '--to', 'box@example.test');
    unlike($got->{out}, qr/^warn|^FAIL/m, 'check is content then') or diag $got->{out};
    for my $port (@port) {
        wait_until("port $port to be watched", sub {
            my $client  = $stage->client(port => $port);
            my $message = new_message();
            $client->envelope($message->{sender});
            $client->bdat($message->{content}, last => 1);
            $client->quit;
            my $transfer = $daemon->transfer($message->{sender});
            return $transfer && $transfer->{verdict} eq 'match';
        });
        $send->($port, 'match', "port $port");
    }

    # Nobody but root may ask.
    chmod 0755, $postfix->folder;
    age($folder);
    my $out = ctl({user => 'nobody'}, 'check', @where, '--no-live')->{out};
    like($out, qr/^note +socket $_: \S+ may not be opened by you, so whether it answers user postfix/m,
        "an ordinary user: $_") for @KINDS;
    unlike($out, qr/systemctl/, 'is not told to start anything');
    is($go->('detach', '--yes')->{code}, 0, 'detach');
    $stage->allow_postfix_log(qr/\.sock/);
    $stage->finish_quietly;
};
done_testing();
