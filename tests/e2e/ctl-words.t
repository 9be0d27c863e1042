# One table of commands: the manual names all of it, and the shells complete it.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Ctl qw(ctl);
use MailTest::FakeDaemon;
use MailTest::Place qw(find_tool new_folder program read_file source_folder write_file);
use Test::More;

my $manual   = read_file(source_folder() . '/doc/bdatctl.8');
my @commands = ctl('--help')->{out} =~ /^  ([a-z]+) .*\S/mg;
cmp_ok(scalar @commands, '>=', 16, 'the overview lists the commands') or diag "@commands";
my %options = map { $_ => [ctl($_, '--help')->{out} =~ /^  (?:-(\S), |    )--(\S+)/mg] } @commands;

subtest 'the manual names every command and option' => sub {
    for my $command (@commands) {
        my($entry) = $manual =~ /^\.It Cm $command\b(.*?)^(?:\.It Cm [a-z]|\.Sh )/ms;
        ok(defined $entry, $command) or next;
        my @all = @{$options{$command}};
        while (my($letter, $name) = splice @all, 0, 2) {
            my $where =
                  $name =~ /^(?:socket|json|timeout|help|version|config-dir|config-file)$/ ? $manual
                : $manual =~ /^\.It Cm $command\b.*?(?=^\.Sh )/ms                          ? $&
                :                                                                            '';
            like($where, qr/Fl -\Q$name\E\b/,  "$command --$name");
            like($where, qr/Fl \Q$letter\E\b/, "$command -$letter") if defined $letter;
        }
    }
};

subtest 'and nothing else' => sub {
    my %known = map { $_ => 1 } map {@$_} map {
        [grep {defined} @$_]
    } values %options;
    my @named = $manual =~ /Fl -([a-z][a-z-]+)/g;
    is_deeply([grep { !$known{$_} } @named], [], 'no option that does not exist');
    is_deeply(
        [   grep {
                my $c = $_;
                !grep { $c eq $_ } @commands
            } $manual =~ /^\.It Cm ([a-z]+)/mg
        ],
        [],
        'no such command'
    );
};

SKIP: {
    my $mandoc     = find_tool('mandoc') // skip 'mandoc is not installed', 1;
    my @complaints = grep { !/referenced manual not found|outdated mandoc\.db/ }
        split /\n/, qx{$mandoc -T lint @{[source_folder()]}/doc/bdatctl.8 2>&1};
    is_deeply(\@complaints, [], 'mandoc has nothing to say');
}

my $fake = MailTest::FakeDaemon->new(
    'GET /v1/clients' => '{"clients":[{"client":"192.0.2.77"},{"client":"2001:db8::/64"}]}');

# What bash would offer after these words; the last one is being written.
sub complete_bash (@words) {
    my $script = new_folder() . '/script';
    my $folder = program('ctl/bdatctl') =~ s{/[^/]+$}{}r;
    write_file($script, ctl('completion', 'bash')->{out} . <<"EOF_SCRIPT");
bdatctl() { "$folder/bdatctl" -s "@{[$fake->path]}" "\$@"; }
COMP_WORDS=(@{[join ' ', map { "'$_'" } @words]})
COMP_CWORD=$#words
_bdatctl
printf '%s\\n' "\${COMPREPLY[\@]}"
EOF_SCRIPT
    return sort split /\n/, qx{bash $script 2>&1};
}

subtest 'completion for bash' => sub {
    is_deeply([complete_bash('bdatctl', '')],                 [sort @commands], 'commands');
    is_deeply([complete_bash('bdatctl', 'st')],               ['status'],       'a begun one');
    is_deeply([complete_bash('bdatctl', 'transfers', '--q')], ['--queue-id'],   'an option');
    is_deeply([complete_bash('bdatctl', 'transfers', '--verdict', 'st')], ['stalled'], 'a verdict');
    is_deeply([complete_bash('bdatctl', '--json', 'clients', '--state', 'pr')], ['probation'],
        'a state');
    is_deeply([complete_bash('bdatctl', 'explain', '192')], ['192.0.2.77'],
        'a client that the daemon knows');
    is_deeply([complete_bash('bdatctl', 'completion', '')],         ['bash', 'zsh'], 'a shell');
    is_deeply([complete_bash('bdatctl', '-s',         '/dev/nul')], ['/dev/null'],   'a file');
    is_deeply([complete_bash('bdatctl', '--js')], ['--json'], 'a global option');
};

SKIP: {
    my $zsh = find_tool('zsh') // skip 'zsh is not installed', 1;
    subtest 'completion for zsh' => sub {
        my $file = new_folder() . '/_bdatctl';
        write_file($file, ctl('completion', 'zsh')->{out});
        like(read_file($file), qr/^#compdef bdatctl\n/, 'begins as compinit wants it');
        is(qx{$zsh -n $file 2>&1}, '', 'parses');

        # _arguments and _describe record what they are given.
        my $probe = new_folder() . '/probe';
        write_file($probe, <<"EOF_SCRIPT");
_arguments() { print -rl -- "\$@"; [[ \$1 == -C ]] && { state=\$want_state; line=(\$want_line); }; return 0 }
_describe() { print -rl -- \${(P)2}; }
want_state=\$1 want_line=\$2
source $file
EOF_SCRIPT
        my @names = map { /^([a-z]+):/ ? $1 : () } split /\n/, qx{$zsh $probe command x 2>&1};
        is_deeply([sort @names], [sort @commands], 'offers the commands');
        for my $command (@commands) {
            my $text = qx{$zsh $probe argument $command 2>&1};
            my @all  = @{$options{$command}};
            while (my($letter, $name) = splice @all, 0, 2) {
                like($text, qr/^--\Q$name\E=?\[/m, "$command --$name");
            }
        }
    };
}

done_testing();
