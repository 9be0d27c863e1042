# bdatctl check for Sendmail: does sendmail.cf name the daemon's milter socket?
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use MailTest::Ctl qw(ctl);
use MailTest::FakeDaemon;
use MailTest::Place qw(new_folder program write_file);
use Test::More;

$ENV{PATH} = program('milter/bdat-milter') =~ s{/[^/]+$}{}r . ":$ENV{PATH}";
my $folder = new_folder();
my $socket = "$folder/milter.sock";
my $fake = MailTest::FakeDaemon->new(
    'GET /v1/status' => '{"version":"0.1.0","mode":"enforce","config":{"outcome":"ok"},"warnings":[]}');
write_file("$folder/bdat.conf",
    qq(mta = "sendmail";\nmilter = { socket = "$socket"; };\nstore = { type = "none"; };\n));

sub check () { ctl('check', '-c', $folder, '-f', "$folder/bdat.conf", '-s', $fake->path) }

my $got = check();
is($got->{code}, 1, 'no sendmail.cf: exit 1');
like($got->{out}, qr{^FAIL +sendmail: \Q$folder\E/sendmail\.cf cannot be read}m, 'says so');

for my $text ('', "Xother, S=local:$socket.old, F=T\nO InputMailFilters=other\n",
    "Xbdat-milter, S=local:$socket, T=S:30s\n",
    "Xbdat-milter, S=local:$socket, T=S:30s\nO InputMailFilters=bdat-milters\n") {
    write_file("$folder/sendmail.cf", "# sendmail.cf\nDmx\n$text");
    $got = check();
    is($got->{code}, 1, 'not named or not listed: exit 1');
    like(
        $got->{out},
        qr/names no input mail filter at \Q$socket\E\n +-> .*INPUT_MAIL_FILTER\(`bdat-milter', `S=local:\Q$socket\E/,
        'and the line that mends it'
    );
}

for my $line ("Xbdat, S=local:$socket, T=S:30s", "Xbdat, S=unix:$socket") {
    write_file("$folder/sendmail.cf", "# sendmail.cf\n$line\nO InputMailFilters=a, bdat\n");
    my $listener = IO::Socket::UNIX->new(Local => $socket, Listen => 5);
    $got = check();
    is($got->{code}, 0, 'named, listed, and it answers') or diag $got->{out}, $got->{err};
    like($got->{out}, qr/^ok +sendmail: \S+ names bdat as an input mail filter$/m, 'ok');
    unlike($got->{out}, qr/main\.cf/, 'Postfix is not looked at');
    close $listener;
    $got = check();
    is($got->{code}, 1, 'nobody answers on the socket: exit 1');
    like($got->{out}, qr/^FAIL +socket milter: nobody answers on \Q$socket\E/m, 'says so');
    unlink $socket;
}

done_testing();
