# bdat-probe against a real Postfix: sound, and with its switches turned.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use MailTest::Place qw(free_port);
use MailTest::Postfix;
use ProbeTest qw(case_of conclusion_is probe_json run_probe status_of statuses);

# Beside the sound listener one with a small limit, and one without CHUNKING as the advice says.
my ($small, $without) = (free_port(), free_port());
my $postfix = MailTest::Postfix->new(hooks => [], tls => 1, services => <<"END");
127.0.0.1:$small inet n - n - - smtpd
  -o message_size_limit=200000
127.0.0.1:$without inet n - n - - smtpd
  -o { smtpd_discard_ehlo_keywords = chunking, silent-discard }
END
my $address = '127.0.0.1:' . $postfix->port;
my @to = ('--to', 'user@example.test');

# Nothing is delivered.
my $result = probe_json(@to, $address);
conclusion_is($result, 'works', 0, 'sound');
is(statuses($result), 'PASS 22, SKIP 1', 'every case passes but BINARYMIME, which is not offered');
is(case_of($result, 'binary')->{meaning}, 'Not run: BINARYMIME is not offered.', 'and it is said');
my $server = $result->{json}{server};
like($server->{tls}, qr/^TLSv1\.[23] .*certificate not verified: /, 'TLS, since it is offered');
ok($server->{offered}{chunking} && $server->{offered_before_tls}{chunking},
    'CHUNKING is offered before and after STARTTLS');
ok(!$server->{offered}{binarymime}, 'BINARYMIME is not');
is($server->{recipient}, 'user@example.test', 'the recipient');
like(case_of($result, 'refused-pipelined')->{meaning}, qr/^The recipient was refused/,
    'a real recipient is refused in the pipelined case');
$postfix->wait_empty;
is($postfix->maildir->count, 0, 'nothing was delivered');

# Everything is delivered.
$result = probe_json('--deliver', 'user@example.test', $address);
conclusion_is($result, 'works', 0, 'with --deliver');
is(statuses($result), 'PASS 22, SKIP 1', 'every case passes');
my @delivering = grep { $_->{status} eq 'PASS' && $_->{meaning} =~ /delivered|after LAST/ }
    @{$result->{json}{cases}};
$postfix->wait_empty;
# two-messages sends two.
is($postfix->maildir->count, @delivering + 1, 'as many messages as the cases say');
cmp_ok($postfix->maildir->count, '>=', 13, 'and that is more than a few');

# By IPv6, without TLS, and by a name.
if ($postfix->ipv6) {
    $result = probe_json(@to, '--tls', 'never', '--only', 'data,one-chunk',
        '[::1]:' . $postfix->port);
    conclusion_is($result, 'works', 0, 'IPv6, plain text');
    is($result->{json}{server}{tls}, '', 'no TLS');
    is($result->{json}{server}{address}, '[::1]:' . $postfix->port, 'the address is said');
}
$result = probe_json(@to, '--only', 'data,one-chunk', 'localhost:' . $postfix->port);
conclusion_is($result, 'works', 0, 'by name');

# The recipient is unknown here.
$result = probe_json('--to', 'unknown@example.test', $address);
conclusion_is($result, 'incomplete', 1, 'no recipient');
is(status_of($result, 'refused'), 'PASS', 'what needs no recipient is tried');
is(status_of($result, 'one-chunk'), 'SKIP', 'what needs one is not');

# Output for test harnesses.
my $tap = run_probe('--tap', @to, $address);
like($tap->{out}, qr/^TAP version 13\n1\.\.23\nok 1 - data: /, 'TAP');
is(scalar(() = $tap->{out} =~ /^ok \d+ - .*$/mg), 23, 'TAP: a line for each case');
like($tap->{out}, qr/^ok \d+ - binary: .* # SKIP Not run: BINARYMIME/m, 'TAP: skipped case');
is($tap->{exit}, 0, 'TAP: exit');

$result = probe_json(@to, "127.0.0.1:$small");
conclusion_is($result, 'works', 0, 'a small message_size_limit is respected');
is(status_of($result, 'large'), 'PASS', 'the large message is made smaller');

$result = probe_json(@to, "127.0.0.1:$without");
conclusion_is($result, 'not_offered', 0, 'smtpd_discard_ehlo_keywords = chunking');
is(status_of($result, 'data'), 'PASS', 'DATA is tried all the same');
is(status_of($result, 'one-chunk'), 'SKIP', 'BDAT is not');

# No smtpd has crashed; malformed BDAT commands are what Postfix warns of.
is_deeply([grep { !/malformed BDAT/ } $postfix->alarming_lines], [], 'nothing alarming in the log');
$postfix->stop;
done_testing();
