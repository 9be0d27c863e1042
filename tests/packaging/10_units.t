# Units, users, folders and security policies, checked by their own tools.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/../e2e/lib";
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use MailTest::Place qw(find_tool program read_file source_folder write_file);
use Test::More;

my $top = source_folder();
my $folder = tempdir(CLEANUP => 1);
my @sockets = map { "bdat-milter$_.socket" } '', qw(-tables -policy -control);
my $service = read_file("$top/systemd/bdat-milter.service.in");

# Runs a tool; returns what it wrote on both streams, and its exit status.
sub run_tool (@command) {
    open my $pipe, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', @command or die "$command[0]: $!\n";
    local $/;
    my $out = <$pipe> // '';
    close $pipe;
    return ($out, $? >> 8);
}

# The units as they would be installed, with the programs of this build.
my %place = (
    'bdat-milter' => abs_path(program('milter/bdat-milter')),
    'bdatctl' => abs_path(program('ctl/bdatctl')),
);
my $installed = $service =~ s{\@sbindir\@/([\w-]+)}{$place{$1}}gr =~ s{\@sysconfdir\@}{/etc}gr =~ s{\@libdir\@}{/usr/lib}gr;
unlike($installed, qr/\@\w+\@/, 'no place is left open in the service');
write_file("$folder/bdat-milter.service", $installed);
write_file("$folder/$_", read_file("$top/systemd/$_")) for @sockets;
my @units = map { "$folder/$_" } 'bdat-milter.service', @sockets;

SKIP: {
    skip 'systemd-analyze is not installed', 3 if !find_tool('systemd-analyze');
    my ($out, $status) = run_tool(qw(systemd-analyze verify --man=no --recursive-errors=no), @units);
    is($status, 0, 'systemd-analyze verify');
    is($out, '', 'is clean');
    ($out) = run_tool(qw(systemd-analyze security --no-pager --offline=true), "$folder/bdat-milter.service");
    my ($exposure) = $out =~ /exposure level for \S+: ([\d.]+)/;
    cmp_ok($exposure // 10, '<=', 0.5, 'systemd-analyze security: 0.5 or lower') or diag $out;
}

# What the daemon stands on.
unlike($installed, qr/^PrivateUsers=(?!no)/m, 'PrivateUsers= would hide who is at the other end');
unlike($installed, qr/^(?:PrivatePIDs|PIDNamespace\w*)=/m, 'and so would a PID namespace');
like($installed, qr/^Restart=always\nRestartSec=0$/m, 'back at once');
like($installed, qr/^StartLimitIntervalSec=0$/m, 'always');
for my $unit (@sockets) {
    my $text = read_file("$top/systemd/$unit");
    my ($name) = $unit =~ /-(\w+)\.socket$/ ? $1 : 'milter';
    $name = 'milter' if $unit eq 'bdat-milter.socket';
    like($text, qr/^FileDescriptorName=$name$/m, "$unit hands over its socket by name");
    like($text, qr/^TriggerLimitIntervalSec=0$/m, "$unit never gives up");
    my ($path) = $text =~ /^ListenStream=(.*)$/m;
    like(read_file("$top/doc/bdat-milter.conf"), qr/^ *#socket = "\Q$path\E";$/m, "$unit listens where the daemon would");
    like($service, qr/^Sockets=.*\b\Q$unit\E\b/m, "$unit is one of the service's");
    like($service, qr/^Requires=.*\b\Q$unit\E\b/m, "which does not start without it");
}

# Every directive that takes something away says what is lost without it.
{
    my ($explained, $section, @bare) = (0, '');
    for my $line (split /\n/, $service) {
        if ($line =~ /^\[(\w+)\]/) { $section = $1 }
        elsif ($line eq '') { $explained = 0 }
        elsif ($line =~ /^#/) { $explained = 1 }
        elsif ($line =~ /^(?:Protect|Private|Restrict|System|Capab|NoNew|Lock|Memory|Inacc|NoExec|UMask|User)\w*=/) {
            push @bare, $line if !$explained;
        }
    }
    is_deeply(\@bare, [], 'each directive of the sandbox stands below a comment');
}

# Users and folders, made in an empty system that has Postfix's group.
SKIP: {
    skip 'must be run as root', 4 if $>;
    skip 'systemd-sysusers is not installed', 4 if !find_tool('systemd-sysusers') || !find_tool('systemd-tmpfiles');
    my $root = "$folder/root";
    mkdir "$root$_" for '', qw(/etc /var /var/spool /var/spool/postfix /run);
    write_file("$root/etc/group", "root:x:0:\npostfix:x:107:\n");
    write_file("$root/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    my ($out, $status) = run_tool('systemd-sysusers', "--root=$root", "$top/systemd/bdat-milter.sysusers");
    is($status, 0, 'systemd-sysusers') or diag $out;
    like(read_file("$root/etc/passwd"), qr{^bdat-milter:x:\d+:\d+:[^:]*:/var/lib/bdat-milter:\S*nologin$}m, 'makes the user');
    ($out, $status) = run_tool('systemd-tmpfiles', '--create', "--root=$root", "$top/systemd/bdat-milter.tmpfiles");
    is($status, 0, 'systemd-tmpfiles') or diag $out;
    my @made = map { sprintf '%04o %d', (stat)[2] & 07777, (stat)[5] } "$root/var/spool/postfix/bdat-milter", "$root/run/bdat-milter";
    is_deeply(\@made, ['0750 107', '0755 0'], 'makes the folders');
}

SKIP: {
    skip 'apparmor_parser is not installed', 1 if !find_tool('apparmor_parser');
    my ($out, $status) = run_tool(qw(apparmor_parser -Q -K), "$top/contrib/apparmor/usr.sbin.bdat-milter");
    is($status, 0, 'the AppArmor profile compiles') or diag $out;
}

SKIP: {
    my $makefile = '/usr/share/selinux/devel/Makefile';
    skip 'selinux-policy-dev is not installed', 2 if !-e $makefile || !find_tool('checkmodule');
    system('cp', '-r', "$top/contrib/selinux", "$folder/selinux") == 0 or die "cp: $?\n";
    my ($out, $status) = run_tool('make', '-C', "$folder/selinux", '-f', $makefile, 'bdat_milter.pp');
    is($status, 0, 'the SELinux module compiles') or diag $out;
    ok(-s "$folder/selinux/bdat_milter.pp", 'with its file contexts');
}
# What "make install" brings, "make uninstall" takes away, its folder of documents with it.
SKIP: {
    my $build = dirname(dirname(program('milter/bdat-milter')));
    skip 'the programs are not of a build of our own', 4 if !-e "$build/Makefile";
    my $place = "$folder/place";
    my @make = ('env', '-u', 'MAKEFLAGS', '-u', 'MFLAGS', 'make', '-s', '-C', $build, "DESTDIR=$place");
    my ($out, $status) = run_tool(@make, 'install');
    is($status, 0, 'make install') or diag $out;
    ($out) = run_tool('find', $place, '-path', '*/share/doc/bdat-milter/README.md');
    isnt($out, '', 'brings documents');
    ($out, $status) = run_tool(@make, 'uninstall');
    is($status, 0, 'make uninstall') or diag $out;
    ($out) = run_tool('find', $place, '(', '-type', 'f', '-o', '-path', '*/share/doc/bdat-milter', ')');
    is($out, '', 'leaves nothing of it');
}
done_testing();
