# bdat-probe against a real Exim, from its Debian package unpacked beside Postfix.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use MailTest::Wait qw(wait_until);
use ProbeTest qw(case_of conclusion_is probe_json status_of);
use ProbeTest::Peers;

my $exim = ProbeTest::Peers->exim;
plan(skip_all => $exim) if !ref $exim;

my $result = probe_json('--timeout', '5s', $exim->address);
conclusion_is($result, 'works', 0, 'sound');
like($result->{json}{server}{greeting}, qr/Exim/, 'it is Exim');
is($result->{json}{server}{recipient}, 'postmaster', 'postmaster is found by itself');
my %want = (binary => 'SKIP', 'malformed-negative' => 'WARN', 'malformed-huge' => 'WARN',
    'malformed-last' => 'WARN');
for my $case (@{$result->{json}{cases}}) {
    is($case->{status}, $want{$case->{name}} // 'PASS', "$case->{name}: $case->{meaning}");
}
is($exim->delivered + $exim->queued, 0, 'nothing was delivered');

$result = probe_json('--deliver', 'user@peer.example.test', '--timeout', '5s',
    '--only', 'data,one-chunk,several-chunks,cut-in-crlf,last-empty,no-final-crlf,8-bit,pipelined,'
    . 'two-messages,bdat-after-last,large', $exim->address);
conclusion_is($result, 'works', 0, 'with --deliver');
is(scalar(grep { $_->{status} eq 'PASS' } @{$result->{json}{cases}}), 11, 'every case passes');
wait_until('12 messages', sub { $exim->delivered >= 12 });
is($exim->delivered, 12, 'all were delivered');
$exim->stop;
done_testing();
