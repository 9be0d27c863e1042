# The RPM's spec file, as far as Debian's rpm can tell: it is linted, built from a release, and has
# in it what an installation needs.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/../e2e/lib";
use File::Temp qw(tempdir);
use MailTest::Place qw(find_tool read_file source_folder);
use Test::More;

my $spec = source_folder() . '/packaging/rpm/bdat-milter.spec';
my ($version) = read_file($spec) =~ /^Version:\s+(\S+)/m;
like(read_file(source_folder() . '/configure.ac'), qr/AC_INIT\(\[bdat-milter\], \[\Q$version\E\]/, 'the version is that of the program');
like(read_file(source_folder() . '/packaging/debian/changelog'), qr/^bdat-milter \(\Q$version\E-/, 'and of the Debian package');

SKIP: {
    skip 'rpmlint is not installed', 1 if !find_tool('rpmlint');
    my $out = qx{rpmlint '$spec' 2>&1};
    like($out, qr/\b0 errors\b/, 'rpmlint finds no error') or diag $out;
}

SKIP: {
    skip 'rpmbuild is not installed', 4 if !find_tool('rpmbuild');
    my $folder = tempdir(CLEANUP => 1);
    mkdir "$folder/SOURCES";
    my $build = $ENV{BUILD_DIR} // source_folder() . '/build';
    my $release = "bdat-milter-$version.tar.xz";
    my $out = qx{make -s -C '$build' dist-xz 2>&1 && mv '$build/$release' '$folder/SOURCES/' 2>&1};
    ok(-s "$folder/SOURCES/$release", 'a release is made') or diag $out;
    # Fedora's macros that Debian's rpm does not bring, and its package names, which apt knows not.
    my %fedora = (
        _topdir => $folder,
        _unitdir => '/usr/lib/systemd/system',
        _sysusersdir => '/usr/lib/sysusers.d',
        _tmpfilesdir => '/usr/lib/tmpfiles.d',
        _sharedstatedir => '/var/lib',
    );
    my $defines = join ' ', map { "--define '$_ $fedora{$_}'" } sort keys %fedora;
    $out = qx{rpmbuild -ba --nodeps --nocheck $defines '$spec' 2>&1};
    is($?, 0, 'rpmbuild -ba') or diag substr $out, -3000;
    my ($rpm) = glob("$folder/RPMS/*/bdat-milter-$version-1*.rpm");
    my $list = qx{rpm -qpl '$rpm' 2>/dev/null};
    my @wanted = qw(/usr/sbin/bdat-milter /usr/sbin/bdatctl /usr/bin/bdat-probe /etc/bdat-milter.conf
        /usr/lib/systemd/system/bdat-milter.service /usr/lib/systemd/system/bdat-milter-tables.socket
        /usr/lib/sysusers.d/bdat-milter.conf /usr/lib/tmpfiles.d/bdat-milter.conf);
    is_deeply([grep { $list !~ m{^\Q$_\E$}m } @wanted], [], 'has all that an installation needs');
    like(qx{rpm -qp --queryformat '[%{FILENAMES} %{FILEFLAGS:fflags}\n]' '$rpm' 2>/dev/null}, qr{^/etc/bdat-milter\.conf cn}m,
        'and leaves a changed configuration alone');
}
done_testing();
