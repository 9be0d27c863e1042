# From a plain Postfix to a watched one and back: attach, check, detach, against the real thing.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Ctl qw(ctl);
use MailTest::Daemon;
use MailTest::Place qw(program read_file);
use MailTest::Postfix;
use Test::More;

$ENV{PATH} = program('milter/bdat-milter') =~ s{/[^/]+$}{}r . ":$ENV{PATH}";
for my $chroot (0, 1) {
    subtest $chroot ? 'chrooted' : 'not chrooted' => sub { try_all($chroot) };
}
done_testing();

sub try_all ($chroot) {
    my $postfix = MailTest::Postfix->new(hooks => [], chroot => $chroot, start => 0);
    my $daemon  = MailTest::Daemon->new(
        postfix => $postfix,
        config  => {store => '{ type = "none"; }'}
    );
    $postfix->start;
    my $main_cf = $postfix->config_folder . '/main.cf';
    my $before  = read_file($main_cf);
    my @where =
        ('-c', $postfix->config_folder, '-f', $daemon->config_file, '-s', $daemon->control_socket);

    # Postfix waits for a file that was written just now to grow older before it believes it.
    my $age = sub { utime time - 10, time - 10, $main_cf };

    my $got = ctl('check', @where, '--to', 'box@example.test');
    is($got->{code}, 1, 'check of a plain Postfix: exit 1');
    like(
        $got->{out},
        qr/^FAIL +main\.cf: smtpd_command_filter does not name bdat-milter\n +-> bdatctl -s \S+ attach -c \S+ -f \S+$/m,
        'each missing hook, and what mends it'
    );

    $age->();
    $got = ctl({input => "n\n"}, 'attach', @where);
    is($got->{code},        1,       'attach asks, and no is no');
    is(read_file($main_cf), $before, 'nothing was written');
    $age->();
    $got = ctl({input => "y\n"}, 'attach', @where);
    is($got->{code}, 0, 'yes is yes') or diag $got->{err}, $got->{out};

    $age->();
    $got = ctl('check', @where, '--to', 'box@example.test');
    is($got->{code}, 0, 'check after attach: exit 0') or diag $got->{out}, $got->{err};
    unlike($got->{out}, qr/^(?:FAIL|warn)/m, 'nothing to mend') or diag $got->{out};
    my $view = $chroot ? ' from inside the chroot' : '';
    like($got->{out}, qr{^ok +socket tables: \S+/tables\.sock answers user postfix$view$}m,
        'the sockets answer');
    like($got->{out}, qr/^ok +live test: $_:/m, "the session shows at the $_ hook")
        for qw(tables policy milter);
    $postfix->wait_empty;
    is($postfix->maildir->count, 0, 'the live test delivered nothing');
    my($mine) = $daemon->transfers(limit => 10);
    is($mine->{verdict}, 'abandoned', 'its transfer is abandoned');
    my $client = $daemon->client('127.0.0.1');
    ok(!$client || !$client->{strikes}, 'and costs no strike');

    $age->();
    $got = ctl('check', @where, '--to', 'unknown@example.test');
    is($got->{code}, 0, 'a refused recipient is a warning');
    like($got->{out}, qr/^warn +live test: RCPT was answered "550.*\n +-> .*--to ADDRESS/m,
        'with advice');

    my $socket = $postfix->socket_folder . '/policy.sock';
    chmod 0600, $socket;
    chown 0, 0, $socket;
    $age->();
    $got = ctl('check', @where, '--no-live');
    is($got->{code}, 1, 'a socket that is shut: exit 1');
    like(
        $got->{out},
        qr/^FAIL +socket policy: \S+policy\.sock may not be opened by user postfix \(mode 0600, owner root:root\)\n +-> \S/m,
        'which, why, and what mends it'
    );
    chmod 0700, $postfix->socket_folder;
    chown 0, 0, $postfix->socket_folder;
    like(
        ctl('check', @where, '--no-live')->{out},
        qr/^FAIL +socket milter: \S+bdat-milter may not be entered by user postfix/m,
        'a folder in the way'
    );
    chmod 0755, $postfix->socket_folder;

    $daemon->stop;
    $age->();
    $got = ctl('check', @where);
    is($got->{code}, 1, 'check without the daemon: exit 1');
    like($got->{out}, qr/^FAIL +daemon: no answer on .*\n +-> systemctl start bdat-milter/m,
        'says so');
    $age->();
    $got = ctl('detach', @where, '--yes');
    is($got->{code},        0,       'detach without the daemon');
    is(read_file($main_cf), $before, 'main.cf is what it was, octet for octet');
    $postfix->stop;
}
