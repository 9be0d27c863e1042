# bdat-probe against a Postfix that bdat-milter watches: the guard answers some of the cases in
# Postfix's place, and a probe is no broken client.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use MailTest::Session;
use ProbeTest qw(conclusion_is probe_json statuses);

my $stage = MailTest::Session->new;
my $address = '127.0.0.1:' . $stage->postfix->port;

for my $arguments (['--to', 'user@example.test'], ['--deliver', 'user@example.test']) {
    my $result = probe_json(@$arguments, $address);
    conclusion_is($result, 'works', 0, "conclusion with $arguments->[0]");
    is(statuses($result), 'PASS 22, SKIP 1', "every case with $arguments->[0]");
}
my $client = eval { $stage->daemon->client('127.0.0.1') };
is($client ? $client->{strikes} : 0, 0, 'no strike for the probe');
my $result = probe_json('--to', 'user@example.test', '--only', 'one-chunk', $address);
conclusion_is($result, 'works', 0, 'CHUNKING is still offered to it');
$stage->daemon->expect_log(qr/guard: kept a command/);
$stage->finish;
