package MailTest::Place;

# Where a test lives: its temporary folder, its free ports, and the programs under test.

use v5.36;
use Carp qw(croak);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Spec;
use File::Temp qw(tempdir);
use IO::Socket::IP;

our @EXPORT_OK = qw(source_folder program peer new_folder free_port find_tool write_file replace_file read_file);

# The top of the source tree.
sub source_folder () {
    state $top = File::Spec->rel2abs(dirname(__FILE__) . '/../../../..');
    return $top =~ s{[^/]+/\.\./}{}r;
}

# program('milter/bdat-milter'): the built program, below BUILD_DIR, build/ or the tree itself.
sub program ($name) {
    my $top = source_folder();
    for my $folder ($ENV{BUILD_DIR} // (), "$top/build", $top) {
        my $path = File::Spec->rel2abs("$folder/$name");
        return $path if -x $path;
    }
    croak "$name is not built; build it, or set BUILD_DIR to the folder it was built in";
}

# A program of another mail system that is unpacked, not installed: peer(PACKAGE, PATH).
sub peer ($package, $path) {
    my $tool = source_folder() . '/scripts/unpack-package';
    chomp(my $folder = qx{'$tool' '$package'});
    croak "$tool $package failed" if $? || !-x "$folder/$path";
    return "$folder/$path";
}

# A tool that may stand in /usr/sbin, which is not in everybody's PATH; undef if there is none.
sub find_tool ($name) {
    for my $folder (File::Spec->path, qw(/usr/sbin /sbin /usr/local/sbin)) {
        return "$folder/$name" if -x "$folder/$name";
    }
    return undef;
}

# A temporary folder that others may enter (Postfix's own user must); gone when the test ends.
# E2E_KEEP=1 leaves it for a look.
sub new_folder () {
    my $folder = tempdir('bdat-e2e-XXXXXXXX', TMPDIR => 1, CLEANUP => !$ENV{E2E_KEEP});
    chmod 0755, $folder or croak "chmod $folder: $!";
    print STDERR "# kept: $folder\n" if $ENV{E2E_KEEP};
    return $folder;
}

# A TCP port nobody listens on, reserved for this process among all tests that run side by side:
# whoever holds the UDP port of the same number has it. Below the ports that outgoing
# connections take.
my @reserved;

sub free_port () {
    state $next = 12000 + ($$ * 37) % 18000;
    for (1 .. 18000) {
        my $port = $next;
        $next = $next >= 30000 ? 12000 : $next + 1;
        my $claim = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $port,
            Proto => 'udp') // next;
        my $probe = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $port,
            Listen => 1, ReuseAddr => 1) // next;
        push @reserved, $claim;
        return $port;
    }
    croak 'no free port';
}

sub write_file ($path, $text) {
    open my $file, '>:raw', $path or croak "$path: $!";
    print {$file} $text;
    close $file or croak "$path: $!";
}

# The same in one step: whoever reads it meanwhile has the old text or the new one, never a part.
sub replace_file ($path, $text) {
    write_file("$path.new", $text);
    rename "$path.new", $path or croak "rename $path: $!";
}

# The whole file; '' if there is none (yet).
sub read_file ($path) {
    open my $file, '<:raw', $path or return '';
    local $/;
    return <$file> // '';
}

1;
