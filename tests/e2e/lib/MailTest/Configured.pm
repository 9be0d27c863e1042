package MailTest::Configured;

# bdatctl and postconf(1) on a folder with main.cf, master.cf and bdat.conf, of a Postfix that does
# not run.

use v5.36;
use Exporter        qw(import);
use MailTest::Ctl   qw(ctl);
use MailTest::Place qw(find_tool);

our @EXPORT_OK = qw(age run attach detach check postconf value);

# Postfix waits for a file that was written just now to grow older before it believes it.
sub age ($folder) { utime time - 10, time - 10, map {"$folder/$_"} qw(main.cf master.cf) }

# What ctl() returns.
sub run ($folder, $command, @options) {
    age($folder);
    return ctl($command, '-c', $folder, '-f', "$folder/bdat.conf", '-s', "$folder/none", @options);
}

sub attach ($folder, @options) { run($folder, 'attach', '--yes', '--force', '--no-reload', @options) }
sub detach ($folder, @options) { run($folder, 'detach', '--yes', '--no-reload', @options) }
sub check  ($folder)           { run($folder, 'check', '--no-live')->{out} }

# The lines that postconf(1) writes.
sub postconf ($folder, @arguments) {
    state $postconf = find_tool('postconf');
    age($folder);
    open my $pipe, '-|', $postconf, '-c', $folder, @arguments or die "postconf: $!\n";
    chomp(my @lines = <$pipe>);
    close $pipe or die "postconf @arguments failed\n";
    return @lines;
}

sub value ($folder, @arguments) { (postconf($folder, '-h', @arguments))[0] }

1;
