# bdat-probe against a real Sendmail, which knows no CHUNKING: that is said, and is no failure.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use ProbeTest qw(case_of conclusion_is probe_json run_probe status_of);
use ProbeTest::Peers;

my $sendmail = ProbeTest::Peers->sendmail;
plan(skip_all => $sendmail) if !ref $sendmail;

for my $arguments (['--to', 'root@peer.example.test'], ['--to', 'nobody@elsewhere.test']) {
    my $result = probe_json(@$arguments, $sendmail->address);
    conclusion_is($result, 'not_offered', 0, "conclusion (@$arguments)");
    like($result->{json}{server}{greeting}, qr/Sendmail/, 'it is Sendmail');
    is(status_of($result, 'one-chunk'), 'SKIP', 'BDAT is not tried');
    is(status_of($result, 'data'), $arguments->[1] =~ /root/ ? 'PASS' : 'SKIP',
        'DATA is, where there is a recipient');
}
my $text = run_probe('--to', 'root@peer.example.test', $sendmail->address);
like($text->{out}, qr/CHUNKING +not offered/, 'text: not offered');
like($text->{out}, qr/Senders use DATA here, so BDAT cannot be what goes wrong/,
    'text: what it means');
is($text->{exit}, 0, 'no failure');
is($sendmail->queued, 0, 'nothing was delivered');
$sendmail->stop;
done_testing();
