package ProbeTest;

# Runs bdat-probe and looks at what it says.

use v5.36;
use Exporter qw(import);
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(time);
use MailTest::Place qw(new_folder program read_file);
use MailTest::Process;
use MailTest::Wait qw(wait_until);

our @EXPORT_OK = qw(run_probe probe_json case_of status_of conclusion_is statuses);

# run_probe(@arguments) or run_probe({env => {...}, wrap => [...]}, @arguments): runs it to its
# end. Returns { exit, out, err, seconds, kilobytes }: kilobytes is the most memory it was seen
# to have. `wrap` is a command that stands in front. Sanitizer reports fail the test.
sub run_probe (@arguments) {
    my $opt = ref $arguments[0] ? shift @arguments : {};
    state $folder = new_folder();
    state $number = 0;
    my $files = sprintf '%s/%03d', $folder, ++$number;
    my $start = time;
    my $process = MailTest::Process->start(
        command => [@{$opt->{wrap} // []}, program('probe/bdat-probe'), '--pause', '0', @arguments],
        stdout => "$files.out", stderr => "$files.err", env => $opt->{env});
    my $kilobytes = 0;
    wait_until("end of bdat-probe @arguments", sub {
        my ($now) = read_file('/proc/' . $process->pid . '/status') =~ /^VmHWM:\s*(\d+)/m;
        $kilobytes = $now if $now && $now > $kilobytes;
        return !$process->running;
    }, 120);
    my %result = (
        exit => $process->status >> 8,
        signal => $process->status & 127,
        out => read_file("$files.out"),
        err => read_file("$files.err"),
        seconds => time - $start,
        kilobytes => $kilobytes,
    );
    if ($result{signal} || $result{err} =~ /Sanitizer|runtime error/) {
        fail("bdat-probe @arguments ended by signal $result{signal}");
        diag($result{err});
    }
    return \%result;
}

# The same with --json; the decoded report is in {json}.
sub probe_json (@arguments) {
    my $opt = ref $arguments[0] ? shift @arguments : {};
    my $result = run_probe($opt, '--json', @arguments);
    $result->{json} = eval { decode_json($result->{out}) }
        // diag("no JSON: $result->{out}$result->{err}") && {};
    return $result;
}

# One case of a JSON report, by its name.
sub case_of ($result, $name) {
    my ($case) = grep { $_->{name} eq $name } @{$result->{json}{cases}};
    return $case // {status => 'missing', finding => 'missing', meaning => ''};
}

sub status_of ($result, $name) { case_of($result, $name)->{status} }

# "PASS 20, WARN 1": how many cases ended how.
sub statuses ($result) {
    my %count;
    $count{$_->{status}}++ for @{$result->{json}{cases}};
    return join ', ', map { "$_ $count{$_}" } sort keys %count;
}

# Tests kind and exit status of the conclusion.
sub conclusion_is ($result, $kind, $exit, $name) {
    my $good = is("$result->{json}{conclusion}{kind} $result->{exit}", "$kind $exit", $name);
    if (!$good) {
        diag("$_->{status} $_->{name}: $_->{meaning}") for @{$result->{json}{cases}};
        diag($result->{json}{conclusion}{explanation});
        diag($result->{err});
    }
    return $good;
}

1;
