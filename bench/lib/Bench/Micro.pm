package Bench::Micro;
use v5.36;
sub measure ($rounds) { return {} }
sub measure_slope ($n) { return {} }
1;
