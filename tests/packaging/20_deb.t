# The Debian package, as packaging/build-deb leaves it.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../e2e/lib";
use MailTest::Place qw(find_tool source_folder);
use PackageTest::Machine;
use Test::More;

my $package = PackageTest::Machine->package_file or plan skip_all => 'packaging/build-deb has not run';
my ($changes) = sort { -M $a <=> -M $b } glob(source_folder() . '/build-deb/*.changes');

my %mode = map { (split)[5] => (split)[0] } split /\n/, qx{dpkg-deb -c '$package'};
for my $file (qw(
    ./usr/sbin/bdat-milter ./usr/sbin/bdatctl ./usr/bin/bdat-probe ./etc/bdat-milter.conf
    ./etc/apparmor.d/usr.sbin.bdat-milter ./etc/logcheck/ignore.d.server/bdat-milter
    ./lib/systemd/system/bdat-milter.service ./lib/systemd/system/bdat-milter.socket
    ./lib/systemd/system/bdat-milter-tables.socket ./lib/systemd/system/bdat-milter-policy.socket
    ./lib/systemd/system/bdat-milter-control.socket
    ./usr/lib/sysusers.d/bdat-milter.conf ./usr/lib/tmpfiles.d/bdat-milter.conf
    ./usr/share/man/man1/bdat-probe.1.gz ./usr/share/man/man5/bdat-milter.conf.5.gz
    ./usr/share/man/man7/bdat-milter.7.gz ./usr/share/man/man8/bdat-milter.8.gz ./usr/share/man/man8/bdatctl.8.gz
    ./usr/share/bash-completion/completions/bdatctl ./usr/share/zsh/vendor-completions/_bdatctl
    ./usr/share/doc/bdat-milter/README.Debian ./usr/share/doc/bdat-milter/copyright
)) {
    ok($mode{$file}, "$file is in it");
}
is_deeply([grep { $mode{$_} =~ /^-.*[sS]/ || $mode{$_} =~ /^.......w/ } sort keys %mode], [],
    'nothing is set-uid or writable for everybody');

my $scripts = join '', map { qx{dpkg-deb -I '$package' $_} } qw(postinst prerm postrm);
unlike($scripts, qr/postconf\s+-[a-z]*e|main\.cf\s*$/m, 'no script edits main.cf');
my @stops = $scripts =~ /deb-systemd-invoke (?:stop|restart|\$_dh_action)[^\n]*socket/g;
is(scalar(grep { !/invoke stop/ } @stops), 0, 'the sockets are never restarted');
like(qx{dpkg-deb -I '$package' prerm}, qr/"\$1" = remove \].*\n\s*deb-systemd-invoke stop 'bdat-milter-control\.socket'/,
    'and stopped at removal only');

SKIP: {
    skip 'lintian is not installed', 1 if !find_tool('lintian');
    my $out = qx{lintian --allow-root --info --pedantic --fail-on error,warning '$changes' 2>&1};
    is($?, 0, 'lintian has no error and no warning') or diag $out;
}
done_testing();
