package Bench::Plot;

# The plot of bench/RESULTS.md: CPU a message, a bar for each variant, split in what Postfix and
# what the filters used; SVG, drawn without any library.

use v5.36;
use Bench::Report;
use Bench::Server;

my ($LEFT, $WIDTH, $ROW, $GAP) = (230, 420, 18, 44);
my @SHOWN = qw(alone null accept complete milter command ehlo policy);

sub escape ($text) {
    return $text =~ s/&/&amp;/gr =~ s/</&lt;/gr;
}

sub text_at ($x, $y, $anchor, $text, $style = '') {
    return sprintf qq(<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>\n), $x, $y, $anchor, $style,
        escape($text);
}

# One point of the field: a group of bars below its title.
sub group ($point, $top, $scale) {
    my $svg = text_at(10, $top - 8, 'start', Bench::Report::point_words($point), ' font-weight="bold"');
    my $y = $top;
    for my $name (grep { $point->{figures}{$_} } @SHOWN) {
        my $postfix = Bench::Report::median_of($point, $name, 'postfix_us') / 1000;
        my $filter = Bench::Report::median_of($point, $name, 'filter_us') / 1000;
        $svg .= text_at($LEFT - 8, $y + 12, 'end', Bench::Server->words($name));
        $svg .= sprintf qq(<rect x="%d" y="%d" width="%.1f" height="%d" fill="#4a78a8"/>\n),
            $LEFT, $y + 2, $postfix * $scale, $ROW - 4;
        $svg .= sprintf qq(<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#d9853b"/>\n),
            $LEFT + $postfix * $scale, $y + 2, $filter * $scale, $ROW - 4;
        $svg .= text_at($LEFT + ($postfix + $filter) * $scale + 6, $y + 12, 'start',
            sprintf '%.2f', $postfix + $filter);
        $y += $ROW;
    }
    return ($svg, $y + $GAP);
}

# The points of 10 KB in 8 sessions, one below the other, on one scale.
sub svg ($data) {
    my @points = grep { $_->{octets} == 10240 && $_->{sessions} == 8 } @{$data->{mail}};
    my $most = 0;
    for my $point (@points) {
        for my $name (keys %{$point->{figures}}) {
            my $value = Bench::Report::median_of($point, $name, 'cpu_us') / 1000;
            $most = $value if $value > $most;
        }
    }
    my ($body, $y) = ('', 70);
    for my $point (@points) {
        my ($drawn, $next) = group($point, $y, $WIDTH / ($most || 1));
        $body .= $drawn;
        $y = $next;
    }
    my $width = $LEFT + $WIDTH + 60;
    return qq(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $y" width="$width" height="$y" )
        . qq(font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n)
        . text_at(10, 18, 'start', 'CPU a message, milliseconds (all processes)', ' font-size="14"')
        . qq(<rect x="10" y="28" width="12" height="12" fill="#4a78a8"/>\n) . text_at(26, 38, 'start', 'Postfix')
        . qq(<rect x="90" y="28" width="12" height="12" fill="#d9853b"/>\n) . text_at(106, 38, 'start', 'filter')
        . $body . "</svg>\n";
}

1;
