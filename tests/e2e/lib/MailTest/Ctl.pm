package MailTest::Ctl;

# Runs bdatctl and keeps what it wrote.

use v5.36;
use Carp            qw(croak);
use Exporter        qw(import);
use MailTest::Place qw(new_folder program read_file);
use POSIX           ();

our @EXPORT_OK = qw(ctl);

# ctl(@arguments), or ctl({env => {...}, user => NAME, input => TEXT}, @arguments): runs it to its
# end; returns { code, out, err } with its exit code (-1 when a signal ended it).
sub ctl (@arguments) {
    state $folder = new_folder();
    my %opt     = ref $arguments[0] ? %{shift @arguments} : ();
    my $program = $opt{program} // program('ctl/bdatctl');
    my($out, $err) = ("$folder/out", "$folder/err");
    my $input = "$folder/in";
    open my $file, '>', $input or croak "$input: $!";
    print {$file} $opt{input} // '';
    close $file or croak "$input: $!";
    my $pid = fork // croak "fork: $!";

    if ($pid == 0) {
        open STDIN,  '<', $input or POSIX::_exit(126);
        open STDOUT, '>', $out   or POSIX::_exit(126);
        open STDERR, '>', $err   or POSIX::_exit(126);
        %ENV = (%ENV, %{$opt{env} // {}});
        become($opt{user}) if $opt{user};
        exec {$program} $program, @arguments or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return {code => $? & 127 ? -1 : $? >> 8, out => read_file($out), err => read_file($err)};
}

sub become ($user) {
    my($uid, $gid) = (getpwnam $user)[2, 3];
    $( = $gid;
    $) = "$gid $gid";
    ($<, $>) = ($uid, $uid);
    POSIX::_exit(126) if $> != $uid;
}

1;
