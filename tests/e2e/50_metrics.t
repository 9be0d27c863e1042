# GET /metrics: what promtool thinks of it, counters that move with the mail, and that the alert rules
# and the dashboard ask for nothing that is not there.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use MailTest::Client;
use MailTest::Message qw(new_message);
use MailTest::Place qw(find_tool new_folder peer read_file source_folder write_file);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

my $promtool = find_tool('promtool') // peer('prometheus', 'usr/bin/promtool');
my $contrib = source_folder() . '/contrib';
my $folder = new_folder();
my $stage = MailTest::Session->new;
my $daemon = $stage->daemon;

# Runs promtool; returns its exit status and what it said.
sub promtool (@arguments) {
    my $said = qx{'$promtool' @arguments 2>&1};
    return ($? >> 8, $said);
}

sub metric ($name) {
    return $daemon->metrics->{"bdat_milter_$name"};
}

# How much each of these metrics grew while the code ran.
sub growth ($code, @names) {
    my %before = %{$daemon->metrics};
    $code->();
    my %after = %{$daemon->metrics};
    return {map { $_ => $after{"bdat_milter_$_"} - $before{"bdat_milter_$_"} } @names};
}

sub metrics_are_sound ($when) {
    write_file("$folder/metrics", $daemon->metrics_text);
    my ($status, $said) = promtool('check metrics', "< '$folder/metrics'");
    is($status, 0, "promtool check metrics, $when") or diag $said;
    is($said, '', 'without a remark');
}

subtest 'a daemon that has seen nothing' => sub {
    my $answer = $daemon->control->request('GET', '/metrics');
    is($answer->{headers}{'content-type'}, 'text/plain; version=0.0.4; charset=utf-8', 'its type');
    metrics_are_sound('at the start');
    is(metric('transfers_total{verdict="match"}'), 0, 'counters stand at 0 before anything happens');
    is(metric('hook_last_seen_timestamp_seconds{hook="policy"}'), '0.000', 'hooks were never seen');
    my ($version) = grep { /^bdat_milter_build_info/ } keys %{$daemon->metrics};
    like($version, qr/version="\d+\.\d+/, 'the version is a label');
    cmp_ok(abs(time - metric('process_start_time_seconds')), '<', 60, 'started just now');
};

subtest 'mail moves the counters' => sub {
    my $bdat = new_message(body => "text\r\n" x 300);
    my $size = length $bdat->{content};
    my $grown = growth(sub {
        my $client = $stage->client;
        $client->envelope($bdat->{sender});
        $client->bdat(substr($bdat->{content}, 0, 1000));
        like($client->bdat(substr($bdat->{content}, 1000), last => 1), qr/^250 /, 'BDAT is accepted');
        my $data = new_message();
        $client->envelope($data->{sender});
        like($client->data($data->{content}), qr/^250 /, 'DATA is accepted');
        is(metric('sessions_active'), 1, 'one session is open');
        is(metric('hook_connections{hook="tables"}') > 0, 1, 'Postfix is connected');
        $client->quit;
        wait_until('the session to be over', sub { metric('sessions_total{mode="mixed"}') == 1 });
    }, 'transfers_total{verdict="match"}', 'actions_total{action="accept"}', 'chunks_total',
        'declared_bytes_total', 'received_bytes_total', 'data_transfers_total', 'chunk_size_bytes_sum',
        'chunk_size_bytes_count', 'chunk_size_bytes_bucket{le="256"}', 'chunk_size_bytes_bucket{le="1024"}',
        'chunk_size_bytes_bucket{le="+Inf"}', 'transfer_duration_seconds_count',
        'policy_request_duration_seconds_count{state="DATA"}',
        'policy_request_duration_seconds_count{state="END-OF-MESSAGE"}',
        'lookup_duration_seconds_count{table="ehlo"}', 'hook_errors_total{hook="tables"}');
    is_deeply($grown, {
        'transfers_total{verdict="match"}' => 1,
        'actions_total{action="accept"}' => 1,
        chunks_total => 2,
        declared_bytes_total => $size,
        received_bytes_total => $size,
        data_transfers_total => 1,
        chunk_size_bytes_sum => $size,
        chunk_size_bytes_count => 2,
        'chunk_size_bytes_bucket{le="256"}' => 0,
        'chunk_size_bytes_bucket{le="1024"}' => ($size - 1000 <= 1024 ? 2 : 1),
        'chunk_size_bytes_bucket{le="+Inf"}' => 2,
        transfer_duration_seconds_count => 1,
        'policy_request_duration_seconds_count{state="DATA"}' => 2,
        'policy_request_duration_seconds_count{state="END-OF-MESSAGE"}' => 2,
        'lookup_duration_seconds_count{table="ehlo"}' => 1,
        'hook_errors_total{hook="tables"}' => 0,
    }, 'each as much as it should');
    cmp_ok(metric('lookup_duration_seconds_count{table="command"}'), '>=', 9, 'each command was looked up');
    cmp_ok(metric('lookup_duration_seconds_sum{table="command"}'), '>', 0, 'lookups take time');
    cmp_ok(metric('lookup_duration_seconds_bucket{table="command",le="0.05"}'), '>=',
        metric('lookup_duration_seconds_count{table="command"}') / 2, 'but most of them not much');
    cmp_ok(abs(time - metric("hook_last_seen_timestamp_seconds{hook=\"$_\"}")), '<', 60, "$_ was seen")
        for qw(milter tables policy);
};

subtest 'faults, the guard and clients' => sub {
    $daemon->expect_log(qr/verdict=(?:lost|stalled)/, qr/guard: kept a command/, qr/client 127\.0\.0\.9/);
    my $grown = growth(sub {
        for my $round (1, 2) {
            my $client = $stage->client(from => '127.0.0.9');
            my $message = new_message();
            $client->envelope($message->{sender});
            $client->raw("BDAT 5000 LAST\r\n", 'x' x 100);
            wait_until('the chunk to be announced', sub {
                grep { $_->{client_address} eq '127.0.0.9' && $_->{chunks} }
                    @{$daemon->control->get('/v1/sessions')->{sessions}};
            });
            $client->close;
            wait_until('the loss to be seen', sub { metric('transfers_total{verdict="lost"}') == $round });
        }
    }, 'transfers_total{verdict="lost"}', 'suppressed_clients', 'clients{state="suppressed"}');
    is_deeply($grown, {'transfers_total{verdict="lost"}' => 2, suppressed_clients => 1,
        'clients{state="suppressed"}' => 1}, 'two losses suppress the client');
    metrics_are_sound('after mail');
};

subtest 'reloads' => sub {
    $daemon->expect_log(qr/reload: .*; the running configuration stays/);
    is(metric('config_last_reload_successful'), 1, 'at the start it went well');
    my $loaded = metric('config_last_reload_success_timestamp_seconds');
    $daemon->reload(mode => '"both"');
    is(metric('config_last_reload_successful'), 0, 'a bad file is seen');
    is(metric('config_last_reload_success_timestamp_seconds'), $loaded, 'the good one is remembered');
    cmp_ok(metric('config_last_reload_timestamp_seconds'), '>', $loaded, 'the try as well');
    $daemon->reload(mode => '"observe"');
    is(metric('config_last_reload_successful'), 1, 'mended');
    is(metric('mode{mode="observe"}') - metric('mode{mode="enforce"}'), 1, 'the mode in force');
};

# ---- what contrib/ asks for ----

my %series = %{$daemon->metrics};

# All samples of a metric as hashes of their labels.
sub samples ($name) {
    return map {
        my %labels;
        $labels{$1} = $2 while /(\w+)="([^"]*)"/g;
        \%labels;
    } grep { /^\Q$name\E(?:\{|$)/ } keys %series;
}

# Each metric that an expression names is exported, and so is each label and each value of it.
sub asks_for_what_is_there ($expr, $where) {
    my $missing = 0;
    while ($expr =~ /\b(bdat_milter_\w+)(?:\{([^}]*)\})?/g) {
        my ($name, $matchers) = ($1, $2 // '');
        my @samples = samples($name);
        $missing += !ok(scalar @samples, "$where: $name is exported") && next;
        while ($matchers =~ /(\w+)(=~|!~|!=|=)"([^"]*)"/g) {
            my ($label, $kind, $value) = ($1, $2, $3);
            next if $label eq 'instance';
            my @values = $kind =~ /~/ ? split(/\|/, $value) : $value;
            for my $wanted (@values) {
                ok((grep { ($_->{$label} // '') eq $wanted } @samples), "$where: $name has $label=\"$wanted\"");
            }
        }
    }
    return $missing;
}

subtest 'alert rules' => sub {
    my $rules = "$contrib/prometheus/bdat-milter.rules.yml";
    my ($status, $said) = promtool('check rules', "'$rules'");
    is($status, 0, 'promtool check rules') or diag $said;
    ($status, $said) = promtool('test rules', "'$contrib/prometheus/bdat-milter.rules.test.yml'");
    is($status, 0, 'promtool test rules') or diag $said;
    my $text = read_file($rules);
    my @alerts = $text =~ /^ *- alert: (\w+)/mg;
    cmp_ok(scalar @alerts, '>=', 10, 'alerts are there');
    my $tests = read_file("$contrib/prometheus/bdat-milter.rules.test.yml");
    like($tests, qr/\{alertname="$_"\}/, "$_ is tried") for @alerts;
    asks_for_what_is_there($text =~ s/^ *#.*$//gmr, 'rules');
};

subtest 'manual' => sub {
    my ($section) = read_file(source_folder() . '/doc/bdat-milter.8') =~ /^\.Sh METRICS\n(.*?)^\.Sh /ms;
    my @named = sort(($section // '') =~ /^\.It Li (\w+)/mg);
    my @exported = sort $daemon->metrics_text =~ /^# TYPE bdat_milter_(\w+)/mg;
    is_deeply(\@named, \@exported, 'names each metric, and no other');
};

subtest 'dashboard' => sub {
    my $dashboard = JSON::PP::decode_json(read_file("$contrib/grafana/bdat-milter.json"));
    my @exprs = map { $_->{expr} } @{$dashboard->{annotations}{list}},
        map { @{$_->{targets} // []} } @{$dashboard->{panels}};
    cmp_ok(scalar @exprs, '>', 25, 'it asks for much');
    asks_for_what_is_there($_, 'dashboard') for @exprs;
    my %ids = map { $_->{id} => 1 } @{$dashboard->{panels}};
    is(scalar keys %ids, scalar @{$dashboard->{panels}}, 'panels have ids of their own');
    # Grafana's variables replaced, each expression must be PromQL.
    my $yaml = "groups:\n- name: dashboard\n  rules:\n";
    for my $i (0 .. $#exprs) {
        my $expr = $exprs[$i] =~ s/\$__rate_interval/5m/gr =~ s/\$instance/mx/gr;
        $yaml .= "  - record: dashboard:$i\n    expr: '$expr'\n";
    }
    write_file("$folder/dashboard.yml", $yaml);
    my ($status, $said) = promtool('check rules', "'$folder/dashboard.yml'");
    is($status, 0, 'each expression is PromQL') or diag $said;
    my %asked = map { $_ => 1 } "@exprs" =~ /\b(bdat_milter_\w+)/g;
    cmp_ok(scalar keys %asked, '>', 20, 'of many metrics');
};

$stage->finish;
