package MailTest::Wait;

# Waiting for conditions, never for a time to pass.

use v5.36;
use Carp qw(croak);
use Exporter qw(import);
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(wait_until);

# Seconds that anything may take before the test gives up: much more than it takes even on a busy
# machine, for nobody waits so long but for a failure. Slow builds (sanitizers) ask for more.
our $PATIENCE = $ENV{E2E_PATIENCE} // 60;

# wait_until($what, $condition, $seconds): calls $condition until it gives a true value and
# returns that; dies naming $what after $seconds (default: $PATIENCE).
sub wait_until ($what, $condition, $seconds = $PATIENCE) {
    my $deadline = time + $seconds;
    my $pause = 0.002;
    while (1) {
        my $got = $condition->();
        return $got if $got;
        croak "waited $seconds s in vain for: $what" if time > $deadline;
        sleep $pause;
        $pause *= 1.5 if $pause < 0.05;
    }
}

1;
