# The tables set for each network service, so that `sendmail -bs` of ordinary users does not ask
# them: attach, check, detach, on files and with a private Postfix.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases   qw(check_transfer);
use MailTest::Client;
use MailTest::Configured qw(age run attach detach check postconf value);
use MailTest::Ctl     qw(ctl);
use MailTest::Message qw(new_message);
use MailTest::Place   qw(find_tool free_port new_folder program read_file write_file);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

my($main_dist) = grep {-r}
    qw(/usr/share/postfix/main.cf.debian /usr/share/postfix/main.cf.dist /etc/postfix/main.cf.proto);
my($master_dist) = grep {-r} qw(/usr/share/postfix/master.cf.dist /etc/postfix/master.cf.proto);
plan skip_all => 'no pristine main.cf and master.cf to copy' if !$main_dist || !$master_dist;
$ENV{PATH} = program('milter/bdat-milter') =~ s{/[^/]+$}{}r . ":$ENV{PATH}:/usr/sbin";
my $sendmail = find_tool('sendmail');
my $filter   = 'socketmap:unix:bdat-milter/tables.sock:command';
my $map      = 'socketmap:unix:bdat-milter/tables.sock:ehlo';
my $FILTER   = 'smtpd_command_filter';
my $MAPS     = 'smtpd_discard_ehlo_keyword_address_maps';

# Services beside Debian's own "smtp inet": submission, one behind postscreen, one behind a
# content filter, and one that takes no mail from a network.
my $services = <<'EOT';
# a comment of the administrator's
submission inet n - y - - smtpd
  -o syslog_name=postfix/submission
  -o { smtpd_milters = inet:127.0.0.1:1, inet:127.0.0.1:2 }
smtpd pass - - y - - smtpd
127.0.0.1:10025 inet n - y - - smtpd -o smtpd_tls_security_level=none
inside unix n - y - - smtpd
EOT
my @smtpd = qw(smtp/inet submission/inet smtpd/pass 127.0.0.1:10025/inet);

sub configuration ($more = '', $master = $services) {
    my $folder = new_folder();
    mkdir "$folder/queue";
    write_file("$folder/main.cf", read_file($main_dist) . "queue_directory = $folder/queue\n$more");
    write_file("$folder/master.cf", read_file($master_dist) . $master);
    write_file("$folder/bdat.conf", join '',
        map {qq($_ = { socket = "$folder/queue/bdat-milter/$_.sock"; };\n)} qw(milter tables policy));
    return $folder;
}

sub snapshot ($folder)        { [map { read_file("$folder/$_") } qw(main.cf master.cf)] }

# { service/type/parameter => value } of master.cf.
sub overrides ($folder) {
    return {map { /^(\S+) = ?(.*)/ ? ($1 => $2) : () } postconf($folder, '-P')};
}

# What the services have of a parameter, in order.
sub of_services ($folder, $parameter, @services) {
    my $all = overrides($folder);
    return [map { $all->{"$_/$parameter"} } @services ? @services : @smtpd];
}

# Tests that the tables are set for the services and for nothing else.
sub set_for_services ($folder, $name) {
    is(value($folder, $_), '', "$name: main.cf has no $_") for $FILTER, $MAPS;
    is_deeply(of_services($folder, $FILTER), [($filter) x @smtpd], "$name: filter of each service");
    is_deeply(of_services($folder, $MAPS),   [($map) x @smtpd],    "$name: maps of each service");
    ok(!exists overrides($folder)->{"inside/unix/$FILTER"}, "$name: only those of a network");
}

subtest 'attach and detach' => sub {
    my $folder = configuration();
    my($before, $had) = (snapshot($folder), overrides($folder));
    my @table = sort +postconf($folder, '-M');
    my $got   = attach($folder, '--tables', 'services');
    is($got->{code}, 0, 'attach') or diag $got->{err};
    set_for_services($folder, 'attached');
    like(value($folder, 'smtpd_milters'), qr/bdat-milter/, 'the milter stays in main.cf');
    like(value($folder, $_), qr/^check_policy_service/, "so does $_")
        for qw(smtpd_data_restrictions smtpd_end_of_data_restrictions);
    my $left = overrides($folder);
    delete $left->{$_} for grep {/\/(?:$FILTER|$MAPS)$/} keys %$left;
    is_deeply($left, $had, 'nothing else of master.cf has changed: parameters');
    is_deeply([sort map { s/ -o (?:$FILTER|$MAPS)=\S+//gr } postconf($folder, '-M')],
        \@table, 'services');
    is(join("\n", sort grep {/^#/} split /\n/, read_file("$folder/master.cf")),
        join("\n", sort grep {/^#/} split /\n/, $before->[1]), 'comments');

    my $attached = snapshot($folder);
    for my $again (['--tables', 'services'], []) {
        like(attach($folder, @$again)->{out}, qr/attached already/, "attach @$again: nothing to do");
    }
    is_deeply(snapshot($folder), $attached, 'and nothing was done');
    my $said = check($folder);
    like($said, qr/^ok +master\.cf: $_, 4 services$/m, "check: $_") for $FILTER, $MAPS;
    unlike($said, qr/sendmail -bs/, 'and nothing about sendmail');

    is(detach($folder)->{code}, 0, 'detach');
    is_deeply(snapshot($folder), $before, 'both files are what they were, octet for octet');
    is(join(' ', sort map {s{.*/}{}r} glob "$folder/*"),
        'bdat.conf main.cf master.cf queue', 'nothing is left behind');
    like(detach($folder)->{out}, qr/not attached/, 'detach again: nothing to do');
};

subtest 'from main.cf to the services and back' => sub {
    my $folder = configuration("$MAPS =\n");
    my $before = snapshot($folder);
    attach($folder);
    is(value($folder, $FILTER), $filter, 'another configuration than Postfix\'s own: main.cf');
    is_deeply(overrides($folder), overrides(configuration()), 'and not master.cf');
    my $got = attach($folder, '--tables', 'services');
    is($got->{code}, 0, 'attach --tables services') or diag $got->{err};
    like($got->{out}, qr/^# set for each network service instead: .*sendmail -bs/m, 'says why');
    set_for_services($folder, 'moved');
    is(detach($folder)->{code}, 0, 'detach');
    is_deeply(snapshot($folder), $before, 'both files are what they were, octet for octet');

    attach($folder, '--tables', 'services');
    is(attach($folder, '--tables', 'main')->{code}, 0,       'attach --tables main');
    is(value($folder, $FILTER),                     $filter, 'main.cf has the filter');
    is(value($folder, $MAPS),                       $map,    'and the maps');
    is_deeply(overrides($folder), overrides(configuration()), 'master.cf has them no more');
    is(detach($folder)->{code}, 0, 'detach');
    is_deeply(snapshot($folder), $before, 'both files are what they were, octet for octet');
};

subtest 'from lines of main.cf set by hand' => sub {
    my $folder = configuration("$FILTER = $filter\n$MAPS = cidr:/etc/postfix/ehlo.cidr $map\n");
    is(attach($folder, '--tables', 'services')->{code}, 0, 'attach');
    is(value($folder, $FILTER), '', 'the filter is taken out');
    is(value($folder, $MAPS), 'cidr:/etc/postfix/ehlo.cidr', 'so is our map');
    is(of_services($folder, $MAPS)->[0], "cidr:/etc/postfix/ehlo.cidr,$map",
        'the services have both');
    is(detach($folder)->{code}, 0, 'detach');
    unlike(join('', @{snapshot($folder)}), qr/bdat-milter/, 'nothing of ours is left');
    is(value($folder, $MAPS), 'cidr:/etc/postfix/ehlo.cidr', 'the other map is');
};

subtest 'edited since' => sub {
    my $folder = configuration();
    my $had    = overrides($folder);
    attach($folder, '--tables', 'services');
    postconf($folder, '-P', 'submission/inet/smtpd_banner=changed');
    postconf($folder, '-e', 'mail_name = changed');
    is(detach($folder)->{code}, 0, 'detach');
    is_deeply(overrides($folder), {%$had, 'submission/inet/smtpd_banner' => 'changed'},
        'the edit of master.cf stays, nothing of ours');
    is(value($folder, 'mail_name'), 'changed', 'the edit of main.cf as well');
    unlike(join('', @{snapshot($folder)}), qr/bdat-milter/, 'and nothing of ours');
};

subtest 'a new service' => sub {
    my $folder = configuration();
    attach($folder, '--tables', 'services');
    write_file("$folder/master.cf", read_file("$folder/master.cf") . "2587 inet n - y - - smtpd\n");
    my $said = check($folder);
    like(
        $said,
        qr/^warn +master\.cf: service 2587\/inet has no $_, so its mail is not watched\n +-> bdatctl -s \Q$folder\E\/none attach -c \Q$folder\E -f \Q$folder\E\/bdat\.conf$/m,
        "check names it: $_"
    ) for $FILTER, $MAPS;
    like($said, qr/^ok +master\.cf: $FILTER, 4 services$/m, 'beside those that are right');
    is(attach($folder)->{code}, 0, 'attach');
    is_deeply(of_services($folder, $FILTER, '2587/inet'), [$filter], 'gives it the filter');
    like(check($folder), qr/^ok +master\.cf: $FILTER, 5 services$/m, 'check is content');
    detach($folder);
    unlike(join('', @{snapshot($folder)}), qr/bdat-milter/, 'detach: nothing of ours is left');
};

subtest 'maps of the administrator\'s own' => sub {
    my $folder = configuration("$MAPS = cidr:/etc/postfix/a\n  \$my_maps\nmy_maps = cidr:/b\n");
    my $before = snapshot($folder);
    attach($folder, '--tables', 'services');
    is(value($folder, $MAPS), 'cidr:/etc/postfix/a $my_maps', 'main.cf keeps them');
    is(of_services($folder, $MAPS)->[1],
        "cidr:/etc/postfix/a,\$my_maps,$map", 'the services have them in front of ours');
    unlike(check($folder), qr/^(?:warn|FAIL) .*(?:$FILTER|$MAPS)/m, 'check is content');
    postconf($folder, '-e', "$MAPS = cidr:/etc/postfix/new, \$my_maps");
    like(
        check($folder),
        qr/^warn +master\.cf: service smtp\/inet: its own $MAPS lacks cidr:\/etc\/postfix\/new of main\.cf\n +-> bdatctl \S+ \S+ attach/m,
        'check sees when main.cf has got another'
    );
    attach($folder);
    is(of_services($folder, $MAPS)->[1],
        "cidr:/etc/postfix/new,\$my_maps,$map", 'and attach takes it over');
    detach($folder);
    is(read_file("$folder/master.cf") =~ s/^smtp .*\n//mr, $before->[1] =~ s/^smtp .*\n//mr,
        'detach puts master.cf back');

    $folder = configuration("$MAPS = pcre:{ {/^192/ dsn} }\n");
    $before = snapshot($folder);
    my $got = attach($folder, '--tables', 'services');
    is($got->{code}, 1, 'an inline table with white space: refused');
    like($got->{err}, qr/postconf -c \S+ -e 'my_ehlo_maps = …' '$MAPS = \$my_ehlo_maps'/, 'with the way out');
    is_deeply(snapshot($folder), $before, 'nothing was written');

    $folder = configuration("$MAPS = static:dsn\n");
    attach($folder, '--tables', 'services');
    like(check($folder), qr/^FAIL +master\.cf: service smtp\/inet: static:dsn in $MAPS answers/m,
        'a map that answers for all is found in a service as well');
};

subtest 'another filter' => sub {
    my $folder = configuration("$FILTER = pcre:/etc/postfix/commands\n");
    my $before = snapshot($folder);
    my $got    = attach($folder, '--tables', 'services');
    is($got->{code}, 1, 'in main.cf: refused');
    like($got->{err}, qr/is set to "pcre:\S+" already.*postconf -c \S+ -X $FILTER/s, 'with a clear text');
    is_deeply(snapshot($folder), $before, 'nothing was written');

    $folder = configuration('', "$services  -o $FILTER=x:y\nlast inet n - y - - smtpd -o $FILTER=pcre:/c\n");
    $before = snapshot($folder);
    $got    = attach($folder, '--tables', 'services');
    is($got->{code}, 1, 'of a service: refused');
    like($got->{err},
        qr/sets $FILTER to "pcre:\/c" for last\/inet already.*postconf -c \S+ -PX last\/inet\/$FILTER/s,
        'with a clear text');
    is_deeply(snapshot($folder), $before, 'nothing was written');

    $folder = configuration('', "$services" . "last inet n - y - - smtpd -o $FILTER= -o $MAPS=cidr:/x\n");
    $got    = attach($folder, '--tables', 'services');
    is($got->{code}, 0, 'a service with an empty one of its own') or diag $got->{err};
    is_deeply(of_services($folder, $FILTER, 'last/inet'), [''],        'keeps it');
    is_deeply(of_services($folder, $MAPS,   'last/inet'), ['cidr:/x'], 'and its maps');
    like($got->{err}, qr/^bdatctl: note: master\.cf sets $_ = .* for last\/inet/m, "and is named: $_")
        for $FILTER, $MAPS;
    my($command) = $got->{err} =~ /^  (postconf \S+ \S+ -P \S*last\/inet\/$MAPS=\S*) && postfix -c \S+ reload$/m;
    is(system('/bin/sh', '-c', $command), 0, 'with a command');
    is_deeply(of_services($folder, $MAPS, 'last/inet'), ["cidr:/x,$map"], 'that attaches it');
    detach($folder);
    is_deeply(of_services($folder, $MAPS, 'last/inet'), ['cidr:/x'], 'detach leaves its own map');
};

subtest 'commands that are shown' => sub {
    my $folder = configuration();
    my $before = snapshot($folder);
    my $got    = run($folder, 'attach', '--print', '--tables', 'services');
    is_deeply(snapshot($folder), $before, 'attach --print changes nothing');
    is(scalar(grep { !/^postconf -c \S+ -[eP] / } split /\n/, $got->{out}), 0, 'only commands');
    is(system('/bin/sh', '-e', '-c', $got->{out}), 0, 'a shell runs them');
    set_for_services($folder, 'run by a shell');
    like(attach($folder, '--tables', 'services')->{out}, qr/attached already/, 'nothing is left to do');
    $got = run($folder, 'attach', '--force');
    my($command) = $got->{err} =~ /^  (postconf \S+ \S+ -P \S*submission\/inet\/smtpd_milters=\S*) && postfix -c \S+ reload$/m;
    is(system('/bin/sh', '-c', $command), 0, 'the command for a service with milters of its own');
    is(overrides($folder)->{'submission/inet/smtpd_milters'},
        '{unix:bdat-milter/milter.sock,default_action=accept},inet:127.0.0.1:1,inet:127.0.0.1:2',
        'attaches it');
    is(system('/bin/sh', '-e', '-c', run($folder, 'detach', '--print')->{out}), 0,
        'a shell runs those of detach');
    unlike(join('', @{snapshot($folder)}), qr/bdat-milter/, 'and nothing of ours is left');
    is(overrides($folder)->{'submission/inet/smtpd_milters'},
        'inet:127.0.0.1:1,inet:127.0.0.1:2', 'the milters of its own are');

    attach($folder);
    $got = run($folder, 'attach', '--print', '--tables', 'services');
    is(system('/bin/sh', '-e', '-c', $got->{out}), 0, 'a shell runs those that move the tables');
    set_for_services($folder, 'moved by a shell');
    $got = attach($folder, '--tables', 'nowhere');
    is($got->{code}, 2, 'another place');
    like($got->{err}, qr/--tables wants main or services/, 'is none');
};

subtest 'postscreen' => sub {
    my $folder = configuration('', $services . "2525 inet n - y - 1 postscreen\n");
    my $before = snapshot($folder);
    attach($folder);
    is(value($folder, "postscreen_$_"), '', 'attached in main.cf: it is kept from our map')
        for $MAPS =~ s/^smtpd_//r;
    attach($folder, '--tables', 'services');
    unlike(read_file("$folder/main.cf"), qr/^postscreen_/m, 'for the services: it needs not be');
    is(value($folder, $MAPS), '', 'since main.cf has no map that it would inherit');
    detach($folder);
    is_deeply(snapshot($folder), $before, 'detach: octet for octet');
};

# What an ordinary user gets from `sendmail -bs`.
sub greet_sendmail ($folder) {
    my $got = ctl({program => $sendmail, user => 'nobody', env => {MAIL_CONFIG => $folder},
        input => "EHLO local.example\r\nQUIT\r\n"}, '-bs');
    my @replies = $got->{out} =~ /^(\d{3}) /mg;
    return "@replies";
}

subtest 'a private Postfix' => sub {
    my($second, $screened) = (free_port(), free_port());
    my $stage = MailTest::Session->new(
        postfix => {
            hooks    => [],
            chroot   => 1,
            main     => {postscreen_access_list => 'static:permit'},
            services => <<"EOT",
127.0.0.1:$second inet n - y - - smtpd
127.0.0.1:$screened inet n - n - 1 postscreen
smtpd pass - - y - - smtpd
EOT
        });
    my $daemon = $stage->daemon;
    my $folder = $stage->postfix->config_folder;
    my @where  = ('-c', $folder, '-f', $daemon->config_file, '-s', $daemon->control_socket);
    my $go     = sub ($command, @options) {
        my @arguments = ($command, $command eq 'suppress' ? @where[4, 5] : @where, @options);
        age($folder);
        my $got = ctl(@arguments);
        is($got->{code}, 0, "@arguments") or diag $got->{out}, $got->{err};
        return $got->{out};
    };

    is(greet_sendmail($folder), '220 250 221', 'sendmail -bs before');
    $go->('attach', '--yes');
    is(greet_sendmail($folder), '220 421', 'with the tables in main.cf');
    $go->('attach', '--yes', '--tables', 'services');
    is(greet_sendmail($folder), '220 250 221', 'with the tables of the services');
    like($go->('check', '--to', 'box@example.test'), qr/^ok +live test: tables/m, 'is content');

    for my $port ($stage->postfix->port, $second, $screened) {
        my $client = $stage->client(port => $port, from => '127.0.0.9');
        for my $count (1, 2) {
            my $message = new_message();
            $client->envelope($message->{sender});
            like($client->bdat($message->{content}, last => 1), qr/^250 /, "port $port, message $count");
            check_transfer($stage, $message, {verdict => 'match', drift => 0}, "port $port, message $count");
        }
        $client->quit;
    }
    $daemon->expect_log(qr/client 127\.0\.0\.9: CHUNKING is not offered/);
    $go->('suppress', '127.0.0.9');
    ok(!$stage->client(from => '127.0.0.9')->offers('CHUNKING'), 'the ehlo table is asked');

    $go->('detach', '--yes');
    # A process of before the reload may still take a client.
    my $client = wait_until('CHUNKING to be offered', sub {
        my $next = $stage->client(from => '127.0.0.9');
        return $next if $next->offers('CHUNKING');
        $next->quit;
        return;
    });
    ok($client, 'detached: it is not');
    my $seen = $daemon->status->{sessions}{total};
    $client->quit;
    is($daemon->status->{sessions}{total}, $seen, 'and no command is shown');
    is(greet_sendmail($folder), '220 250 221', 'sendmail -bs afterwards');
    $stage->allow_postfix_log(qr/tables\.sock/);
    $stage->finish_quietly;
};
done_testing();
