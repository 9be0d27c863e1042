# bdat-probe with TLS of each kind, keywords that change by it, and AUTH.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use MailTest::Place qw(new_folder read_file write_file);
use ProbeTest qw(conclusion_is probe_json run_probe status_of);
use ProbeTest::Server;

plan(skip_all => 'IO::Socket::SSL is not installed') if !eval { require IO::Socket::SSL; 1 };

my $folder = new_folder();
my ($key, $cert) = map { "$folder/$_.pem" } qw(key cert);
my $error = qx{openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \\
    -keyout '$key' -out '$cert' -days 2 -subj /CN=localhost \\
    -addext subjectAltName=DNS:localhost 2>&1};
plan(skip_all => "openssl cannot make a certificate: $error") if $?;
my %tls = (key => $key, cert => $cert);
my @bare = ('PIPELINING', '8BITMIME');
my @offering = (@bare, 'CHUNKING', 'BINARYMIME');

# Tests one server with several kinds of --tls.
sub probe_server ($name, $hooks, @runs) {
    my $server = ProbeTest::Server->new(%$hooks);
    for my $run (@runs) {
        my ($mode, $kind, $exit, $check) = @$run;
        my $result = probe_json($mode ? ('--tls', $mode) : (), '--timeout', '3s',
            '--only', 'data,one-chunk,binary,large', $server->address);
        conclusion_is($result, $kind, $exit, "$name, --tls " . ($mode || 'not given'));
        my ($seen, $conclusion) = @{$result->{json}}{qw(server conclusion)};
        $check->($result, $seen, $conclusion->{explanation}) if $check;
    }
    $server->stop;
}

probe_server('starttls', {tls => \%tls, keywords => \@offering},
    ['', 'works', 0, sub ($r, $s, $text) {
        like($s->{tls}, qr/^TLSv1/, 'TLS is used where offered');
        is(status_of($r, 'large'), 'PASS', 'a large message through TLS');
        is(status_of($r, 'binary'), 'PASS', 'BINARYMIME through TLS');
    }],
    ['starttls', 'works', 0],
    ['never', 'works', 0, sub ($r, $s, $text) { is($s->{tls}, '', 'no TLS') }],
    ['implicit', 'no_session', 3, sub ($r, $s, $text) {
        like($text, qr/TLS handshake failed/, 'why');
    }]);

probe_server('implicit', {tls => {%tls, implicit => 1}, keywords => \@offering},
    ['implicit', 'works', 0, sub ($r, $s, $text) {
        like($s->{tls}, qr/^TLSv1/, 'TLS from the first octet');
        is(status_of($r, 'large'), 'PASS', 'a large message through implicit TLS');
    }],
    ['', 'no_session', 3]);

probe_server('only-before', {tls => \%tls, keywords => \@offering, tls_keywords => \@bare},
    ['', 'not_offered', 0, sub ($r, $s, $text) {
        ok($s->{offered_before_tls}{chunking} && !$s->{offered}{chunking}, 'the change is seen');
        like($text, qr/offered before STARTTLS but not after/, 'and said');
    }],
    ['never', 'works', 0]);

probe_server('only-after', {tls => \%tls, keywords => \@bare, tls_keywords => \@offering},
    ['', 'works', 0, sub ($r, $s, $text) {
        ok(!$s->{offered_before_tls}{chunking} && $s->{offered}{chunking}, 'the change is seen');
    }],
    ['never', 'not_offered', 0]);
my $change = ProbeTest::Server->new(tls => \%tls, keywords => \@bare, tls_keywords => \@offering);
like(run_probe('--only', 'data', $change->address)->{out},
    qr/CHUNKING +not offered before STARTTLS, offered after/, 'the text says so');
$change->stop;

probe_server('no-starttls', {keywords => \@offering},
    ['starttls', 'no_session', 3, sub ($r, $s, $text) {
        like($text, qr/STARTTLS is not offered/, 'why');
    }],
    ['', 'works', 0]);

probe_server('broken-handshake',
    {tls => \%tls, keywords => \@offering,
        starttls => sub ($s) { $s->reply('no TLS here'); $s->swallow_all }},
    ['', 'works', 0, sub ($r, $s, $text) {
        like($s->{tls_note}, qr/TLS handshake failed|plain text behind/,
            'falls back to plain text, and says so');
    }],
    ['starttls', 'no_session', 3]);

probe_server('silent-handshake',
    {tls => \%tls, keywords => \@offering, starttls => sub ($s) { $s->swallow_all }},
    ['starttls', 'no_session', 3, sub ($r, $s, $text) {
        like($text, qr/no answer in the TLS handshake/, 'why');
        cmp_ok($r->{seconds}, '<', 10, 'in bounded time');
    }]);

# Octets in plain text behind the reply to STARTTLS must not be taken for replies within TLS.
probe_server('injection',
    {tls => \%tls, keywords => \@offering,
        do_starttls => sub ($s) { $s->send("220 2.0.0 go\r\n250 injected\r\n"); $s->swallow_all }},
    ['starttls', 'no_session', 3, sub ($r, $s, $text) {
        like($text, qr/plain text behind/, 'why');
    }]);

# A certificate that can be verified is called so.
my $server = ProbeTest::Server->new(tls => \%tls, keywords => \@offering);
my $result = probe_json({env => {SSL_CERT_FILE => $cert}}, '--only', 'one-chunk',
    'localhost:' . $server->port);
like($result->{json}{server}{tls}, qr/certificate verified$/, 'a certificate that is right');
$server->stop;

# AUTH: by file and environment, PLAIN and LOGIN; the secret is never shown.
for my $mechanism ('PLAIN LOGIN', 'LOGIN') {
    my $auth = ProbeTest::Server->new(tls => \%tls, keywords => [@offering],
        tls_keywords => [@offering, "AUTH $mechanism"], login => ['tester', 'open:sesame']);
    my $secret = "$folder/secret";
    write_file($secret, "tester:open:sesame\n");
    chmod 0600, $secret;
    my @run = ('--only', 'one-chunk', '--verbose', $auth->address);
    my %sources = ("file:$secret" => {}, 'env:PROBE_AUTH' => {PROBE_AUTH => 'tester:open:sesame'});
    for my $source (sort keys %sources) {
        my $name = $source =~ s/:.*//r;
        my $text = run_probe({env => $sources{$source}}, '--auth', $source, @run);
        is($text->{exit}, 0, "AUTH $mechanism from $name") or diag($text->{out});
        like($text->{out}, qr/S: 235 2\.7\.0 welcome/, 'accepted');
        unlike($text->{out}, qr/sesame|b3BlbjpzZXNhbWU|dGVzdGVy/, 'the secret is not shown');
    }
    my $wrong = run_probe({env => {PROBE_AUTH => 'tester:wrong'}}, '--auth', 'env:PROBE_AUTH',
        @run);
    is($wrong->{exit}, 3, 'a wrong password');
    like($wrong->{out}, qr/AUTH failed: 535/, 'is said');
    my $plain = run_probe({env => {PROBE_AUTH => 'tester:x'}}, '--auth', 'env:PROBE_AUTH',
        '--tls', 'never', @run);
    like($plain->{out} =~ s/\s+/ /gr, qr/neither AUTH PLAIN nor AUTH LOGIN is offered/,
        'AUTH is not offered without TLS');
    chmod 0644, $secret;
    my $open = run_probe('--auth', "file:$secret", @run);
    is($open->{exit}, 2, 'a file that others can read');
    like($open->{err}, qr/chmod 600/, 'is refused with the remedy');
    $auth->stop;
}
my $log = "$folder/log-bare";
my $bare = ProbeTest::Server->new(keywords => [@offering, 'AUTH PLAIN'], login => ['tester', 'x'],
    log => $log);
my %with_secret = (env => {PROBE_AUTH => 'tester:x'});
my $refused = run_probe(\%with_secret, '--auth', 'env:PROBE_AUTH', $bare->address);
is($refused->{exit}, 3, 'no TLS, no AUTH');
like($refused->{out} =~ s/\s+/ /gr, qr/no TLS, so the password is not sent/, 'and why');
unlike(read_file($log), qr/^AUTH/m, 'the password was not sent');
is(run_probe(\%with_secret, '--auth', 'env:PROBE_AUTH', '--tls', 'never', '--only', 'one-chunk',
    $bare->address)->{exit}, 0, 'unless it is insisted on');
$bare->stop;

done_testing();
