# scripts/quickstart --once: what a newcomer sees.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Place qw(new_folder program read_file source_folder);
use MailTest::Process;
use MailTest::Wait qw(wait_until);
use Test::More;

my $folder = new_folder();
my $top = source_folder();
my $build = program('milter/bdat-milter') =~ s{/milter/bdat-milter\z}{}r;

sub demo (@arguments) {
    return MailTest::Process->start(
        command => ['perl', "$top/scripts/demo.pl", @arguments],
        stdout => "$folder/output",
        stderr => "$folder/output",
        env => {BUILD_DIR => $build},
    );
}

my $once = demo('--once');
is($once->wait_end, 0, '--once ends by itself');
my $text = read_file("$folder/output");
like($text, qr/listens on 127\.0\.0\.1 port \d+/, 'it says which port to talk to');
like($text, qr/^ .*250 .*queued as/m, 'a sound message is taken');
like($text, qr/bdatctl transfers.*\bmatch\b/s, 'the sound transfer is shown');
like($text, qr/bdatctl transfers.*\bstalled\b/s, 'the broken transfer is shown');
like($text, qr/bdatctl explain 127\.0\.0\.3\n.*2,728/s, 'and explained');
like($text, qr/CHUNKING is not offered, so it uses DATA\n\s+250 /, 'the broken client comes back and uses DATA');
like($text, qr/127\.0\.0\.2\) is still offered CHUNKING/, 'everybody else is offered CHUNKING');
my ($seconds) = $text =~ /The message has arrived, ([\d.]+) s after/;
# The promise is for the program as it is installed; a build with sanitizers is slower.
my $soon = $ENV{E2E_PATIENCE} ? 60 : 15;
cmp_ok($seconds // 999, '<', $soon, "healed in less than $soon seconds");
like($text, qr/bdatctl clients\n.*127\.0\.0\.3 .*suppressed/s, 'the client is shown as suppressed');

# Without --once it stays up, and Ctrl-C ends it.
unlink "$folder/output";
my $up = demo();
wait_until('the last words', sub { read_file("$folder/output") =~ /Ctrl-C ends it all/ });
my ($port) = read_file("$folder/output") =~ /port (\d+)/;
ok(IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port), 'it stays up and listens');
my ($mail) = read_file("$folder/output") =~ m{below (\S+)/mail};
$up->signal('INT');
$up->wait_end;
ok(!IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port), 'after Ctrl-C nobody listens');
ok(!-e $mail, 'and the temporary folder is gone');
done_testing();
