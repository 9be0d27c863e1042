# What the configuration makes of a verdict: each action, replies of one's own, rules for some
# clients, and mode observe.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client run_cases);
use MailTest::Message qw(new_message);
use MailTest::Session;
use Test::More;

my %dotted = (body => "text\r\n.\r\n");
my $mime = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n";
my %cut = (headers => $mime, body => "--edge\r\nContent-Type: text/plain\r\n\r\nHello");

# A daemon whose configuration has these keys runs these rows.
sub with_config ($config, @rows) {
    my $stage = MailTest::Session->new(daemon => {config => {
        suppression => '{ enabled = false; }',
        %$config,
    }});
    run_cases($stage, @rows);
    $stage->daemon->expect_log(qr/verdict=/);
    return $stage;
}

# The content of a tagged message: with a header that says why.
sub tagged ($message) {
    my $octets = length $message->{content};
    my $tag = "X-BDAT-Transfer: dot_stuffed; declared=$octets; received=$octets\r\n";
    return $message->{content} =~ s/^Message-Id: .*\r\n\K/$tag/mr;
}

my $stage = with_config({actions => '{ dot_stuffed = "tag"; truncated = "tag"; }'},
    {
        name => 'tag',
        message => \%dotted,
        want => {verdict => 'dot_stuffed', action => 'tag', delivered => \&tagged},
    },
);
$stage->finish_quietly;

$stage = with_config({actions => '{ dot_stuffed = "tempfail"; truncated = "reject"; }'},
    {
        name => 'tempfail',
        message => \%dotted,
        want => {verdict => 'dot_stuffed', action => 'tempfail', reply => qr/^451 4\.\d\.\d \S/, delivered => 0},
    },
    {
        name => 'reject',
        message => \%cut,
        want => {verdict => 'truncated', action => 'reject', reply => qr/^55\d 5\.\d\.\d \S/, delivered => 0},
    },
);
$stage->finish_quietly;

$stage = with_config({
    actions => '{ dot_stuffed = "tempfail"; truncated = "reject"; }',
    replies => '{ dot_stuffed = "450 4.6.0 dots: declared %d, received %r, 100%%"; '
        . 'truncated = "551 5.6.0 cut short"; }',
    rules => '( { clients = ["127.0.0.0/8"]; actions = { dot_stuffed = "tag"; }; }, '
        . '{ clients = ["127.99.0.1"]; actions = { dot_stuffed = "accept"; }; } )',
},
    {
        name => 'a reply of one\'s own',
        message => \%cut,
        want => {verdict => 'truncated', action => 'reject', reply => qr/^551 5\.6\.0 cut short$/, delivered => 0},
    },
    {
        name => 'the longest rule decides',
        client => {from => '127.99.0.1'},
        message => \%dotted,
        want => {verdict => 'dot_stuffed', action => 'accept'},
    },
    {
        name => 'a rule for a network',
        message => \%dotted,
        want => {verdict => 'dot_stuffed', action => 'tag', delivered => \&tagged},
    },
    $stage->postfix->ipv6 ? {
        name => 'counts in a reply',
        client => {from => '::1'},
        message => \%dotted,
        want => {verdict => 'dot_stuffed', action => 'tempfail', delivered => 0,
            reply => qr/^450 4\.6\.0 dots: declared (\d+), received \1, 100%$/},
    } : (),
);
$stage->finish_quietly;

# hold: accepted, and kept in the hold queue.
{
    my $held = with_config({actions => '{ dot_stuffed = "hold"; }'});
    my $client = $held->client(from => next_client());
    for my $message (new_message(%dotted), new_message(%dotted)) {
        $client->envelope($message->{sender});
        my $reply = $client->bdat($message->{content}, last => 1);
        my ($queue_id) = $reply =~ /queued as (\S+)/;
        like($reply, qr/^250 /, 'hold: the client is told that its message was taken');
        check_transfer($held, $message, {verdict => 'dot_stuffed', action => 'hold', queue_id => $queue_id // 'none'}, 'hold');
        ok(scalar(grep { $_ eq ($queue_id // '') } $held->postfix->held), 'hold: it is in the hold queue');
    }
    my $sound = new_message();
    $client->envelope($sound->{sender});
    $client->bdat($sound->{content}, last => 1);
    $held->delivered_is($sound, 'hold: a sound message passes');
    $held->finish_quietly;
}

# observe: everything is judged and nothing is answered.
{
    my $observer = MailTest::Session->new(daemon => {config => {
        mode => '"observe"',
        limits => '{ max_chunk = "1K"; }',
        suppression => '{ threshold = 2; }',
    }});
    run_cases($observer,
        {
            name => 'observe: truncated',
            message => \%cut,
            want => {verdict => 'truncated', action => 'accept', reply => qr/^250 /, strikes => 2},
        },
        {
            name => 'observe: a limit',
            message => {body => "a line of text of forty octets in length\r\n" x 50},
            want => {verdict => 'refused', action => 'accept', reply => qr/^250 /, strikes => 1},
        },
    );
    my $from = next_client();
    my $client = $observer->client(from => $from);
    for my $round (1 .. 3) {
        my $message = new_message(%cut);
        $client->envelope($message->{sender});
        like($client->bdat($message->{content}, last => 1), qr/^250 /, "observe: broken message $round is taken");
        $observer->delivered_is($message, 'observe: and delivered');
    }
    $client->quit;
    ok($observer->client(from => $from)->offers('CHUNKING'), 'observe: nothing is suppressed');
    my $status = $observer->daemon->status;
    is($status->{mode}, 'observe', 'observe: the status says so');
    is($status->{actions}{tempfail} + $status->{actions}{reject}, 0, 'observe: nothing was refused');
    $observer->daemon->expect_log(qr/verdict=/);
    $observer->finish_quietly;
}
done_testing();
