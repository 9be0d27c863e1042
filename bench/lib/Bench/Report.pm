package Bench::Report;

# Tables of the figures, the bars they are held against, and bench/RESULTS.md.

use v5.36;
use Carp qw(croak);
use MailTest::Place qw(read_file write_file);
use Bench::Plot;
use Bench::Server;

sub median (@values) {
    my @sorted = sort { $a <=> $b } @values;
    return undef if !@sorted;
    return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}

# What kind of machine this is; no names.
sub machine () {
    my ($model) = read_file('/proc/cpuinfo') =~ /^model name\s*: (.*)$/m;
    my $cores = () = read_file('/proc/cpuinfo') =~ /^processor\s*:/mg;
    my ($memory) = read_file('/proc/meminfo') =~ /^MemTotal:\s+(\d+)/m;
    my ($system) = read_file('/etc/os-release') =~ /^PRETTY_NAME="?([^"\n]*)/m;
    chomp(my $kernel = qx{uname -sr});
    chomp(my $postfix = qx{postconf -dh mail_version});
    my $virtual = read_file('/proc/cpuinfo') =~ /^flags.*\bhypervisor\b/m ? 'virtual machine, ' : '';
    return sprintf '%s%d cores (%s), %.0f GB, %s, %s, Postfix %s', $virtual, $cores, $model // 'unknown',
        $memory / 1048576, $system // 'unknown system', $kernel =~ s/^(\S+ \d+\.\d+).*/$1/r, $postfix;
}

sub size_words ($octets) {
    return $octets >= 1048576 ? $octets / 1048576 . ' MB' : $octets / 1024 . ' KB';
}

sub way_words ($chunks) {
    return $chunks == 0 ? 'DATA' : $chunks == 1 ? 'BDAT, 1 chunk' : "BDAT, $chunks chunks";
}

sub point_words ($point) {
    return sprintf '%s, %s, %d session%s', way_words($point->{chunks}), size_words($point->{octets}),
        $point->{sessions}, $point->{sessions} == 1 ? '' : 's';
}

sub values_of ($point, $name, $key) {
    return map { $_->{$key} } @{$point->{figures}{$name} // []};
}

sub median_of ($point, $name, $key) {
    return median(values_of($point, $name, $key));
}

# CPU beyond Postfix alone, microseconds a message: round by round, then the median.
sub overhead ($point, $name) {
    my @own = values_of($point, $name, 'cpu_us');
    my @alone = values_of($point, 'alone', 'cpu_us');
    return median(map { $own[$_] - $alone[$_] } 0 .. $#own);
}

# The quotient of two variants' figures, round by round, then the median.
sub ratio ($point, $name, $other, $key) {
    my @own = values_of($point, $name, $key);
    my @others = values_of($point, $other, $key);
    return median(map { $own[$_] / $others[$_] } 0 .. $#own);
}

sub point_table ($point, $variants) {
    my $text = '### ' . point_words($point) . "\n\n"
        . "| | CPU, ms | of it filters | beyond alone, ms | of null's | messages/s | p50, ms | p99, ms |\n"
        . "|---|--:|--:|--:|--:|--:|--:|--:|\n";
    my $null = $point->{figures}{null} ? overhead($point, 'null') : undef;
    for my $name (grep { $point->{figures}{$_} } @$variants) {
        my $beyond = overhead($point, $name);
        $text .= sprintf "| %s | %.3f | %.3f | %s | %s | %.0f | %.2f | %.2f |\n",
            Bench::Server->words($name),
            median_of($point, $name, 'cpu_us') / 1000,
            median_of($point, $name, 'filter_us') / 1000,
            $name eq 'alone' ? '' : sprintf('%.3f', $beyond / 1000),
            $name eq 'alone' || !$null ? '' : sprintf('%.2f', $beyond / $null),
            median_of($point, $name, 'rate'),
            median_of($point, $name, 'p50_us') / 1000,
            median_of($point, $name, 'p99_us') / 1000;
    }
    return $text;
}

sub names_in_order ($points) {
    return [map { $_->{name} } Bench::Server->variants];
}

sub find_point ($points, %wanted) {
    my ($found) = grep {
        my $point = $_;
        !grep { $point->{$_} != $wanted{$_} } keys %wanted;
    } @{$points // []};
    return $found;
}

# Each bar: what, the figure, "at most" or "at least", the goal.
sub bars ($data) {
    my @bars;
    my $bdat = find_point($data->{bars}, chunks => 1);
    my $plain = find_point($data->{bars}, chunks => 0);
    if ($bdat && $plain) {
        push @bars,
            ['CPU beyond Postfix alone, complete / null, BDAT 10 KB',
                overhead($bdat, 'complete') / overhead($bdat, 'null'), 'at most', 0.5],
            ['the same for DATA',
                overhead($plain, 'complete') / overhead($plain, 'null'), 'at most', 0.35],
            ['messages/s, complete / null', ratio($bdat, 'complete', 'null', 'rate'), 'at least', 1.3],
            ['messages/s, complete / alone', ratio($bdat, 'complete', 'alone', 'rate'), 'at least', 0.6],
            ['p99, complete / null', ratio($bdat, 'complete', 'null', 'p99_us'), 'at most', 1];
    }
    push @bars, @{($data->{micro} // {})->{bars} // []}, @{($data->{slope} // {})->{bars} // []};
    return @bars;
}

sub bars_table ($data) {
    my @bars = bars($data) or return '';
    my $text = "## Bars\n\n| | measured | bar | |\n|---|--:|--:|---|\n";
    for my $bar (@bars) {
        my ($what, $value, $side, $goal) = @$bar;
        my $met = $side eq 'at most' ? $value <= $goal : $value >= $goal;
        $text .= sprintf "| %s | %.3g | %s %s | %s |\n", $what, $value, $side, $goal, $met ? 'met' : '**missed**';
    }
    return $text;
}

# The whole report as Markdown.
sub text ($data) {
    my $command = $data->{command} =~ s/ --json[ =][^\s;]+//gr;
    my $text = "Machine: $data->{machine}.\nCommand: `$command`. Medians of the rounds.\n\n";
    $text .= bars_table($data) . "\n";
    for my $part (['bars', 'What the bars are about (three times the rounds)'], ['mail', 'Mail'], ['hooks', 'Each hook, and other ways to join']) {
        my ($key, $title) = @$part;
        next if !$data->{$key};
        $text .= "## $title\n\n" . join "\n", map { point_table($_, names_in_order($_)) . "\n" } @{$data->{$key}};
    }
    $text .= "## Parts\n\n$data->{micro}{text}\n" if $data->{micro};
    $text .= "## A million transfers\n\n$data->{slope}{text}\n" if $data->{slope};
    return $text;
}

# Puts the report between the marks of RESULTS.md, whose other text stays, and the plot beside it.
sub store ($folder, $report, $data) {
    my $file = "$folder/RESULTS.md";
    my $old = read_file($file);
    my ($begin, $end) = ("<!-- bench/run begins -->\n", "<!-- bench/run ends -->\n");
    croak "$file: no marks for the results" if $old !~ /\Q$begin\E.*\Q$end\E/s;
    write_file($file, $old =~ s/\Q$begin\E.*\Q$end\E/$begin$report$end/sr);
    write_file("$folder/results.svg", Bench::Plot::svg($data)) if $data->{mail};
}

1;
