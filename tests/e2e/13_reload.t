# A new configuration: SIGHUP and POST /v1/reload take a good file and leave the running one in
# force for a bad one; a session keeps what it began with.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MailTest::Cases qw(check_transfer next_client);
use MailTest::Message qw(new_message);
use MailTest::Place qw(program read_file write_file);
use MailTest::Session;
use MailTest::Wait qw(wait_until);
use Test::More;

my $stage = MailTest::Session->new;
my $daemon = $stage->daemon;
my %dotted = (body => "text\r\n.\r\n");

sub dotted_reply ($client) {
    my $message = new_message(%dotted);
    $client->envelope($message->{sender});
    my $reply = $client->bdat($message->{content}, last => 1);
    check_transfer($stage, $message, {verdict => 'dot_stuffed'}, 'dotted');
    return $reply;
}

my $old = $stage->client(from => next_client());
like(dotted_reply($old), qr/^250 /, 'before: accepted');

$daemon->reload(actions => '{ dot_stuffed = "reject"; }');
my $new = $stage->client(from => next_client());
like(dotted_reply($new), qr/^5\d\d /, 'SIGHUP: a new session has the new action');
like(dotted_reply($old), qr/^250 /, 'SIGHUP: a session keeps what it began with');
$new->quit;
$old->quit;

# Bad files: by signal and by request.
my %bad = (
    'a syntax error' => ['actions = {', qr/:\d+: /],
    'an unknown key' => ['actoins = { };', qr/actoins.*did you mean.*actions/],
    'a bad word' => ['actions = { dot_stuffed = "discard"; };', qr/dot_stuffed/],
);
my $good = read_file($daemon->config_file);
for my $name (sort keys %bad) {
    my ($text, $error) = @{$bad{$name}};
    write_file($daemon->config_file, $good =~ s/^actions = .*\n//mr . "$text\n");
    my $answer = $daemon->control->request('POST', '/v1/reload');
    is($answer->{status}, 400, "$name: refused");
    like($answer->{body}, $error, "$name: and said so");
    my $lines = () = $daemon->log_text =~ /error: /g;
    $daemon->process->signal('HUP');
    wait_until('the log to say so', sub { (() = $daemon->log_text =~ /error: /g) > $lines });
    my $check = program('milter/bdat-milter');
    my $file = $daemon->config_file;
    my $said = qx{'$check' -t -c '$file' 2>&1};
    isnt($?, 0, "$name: -t fails");
    like($said, $error, "$name: -t says why");
    my $client = $stage->client(from => next_client());
    like(dotted_reply($client), qr/^5\d\d /, "$name: the running configuration stays");
    $client->quit;
}
write_file($daemon->config_file, $good);
like(qx{'@{[program('milter/bdat-milter')]}' -t -c '@{[$daemon->config_file]}' 2>&1}, qr/\bok$/, '-t: ok');
is($daemon->control->post('/v1/reload')->{outcome}, 'ok', 'POST /v1/reload: ok');

is_deeply($daemon->control->post('/v1/reload')->{restart_needed}, [], 'nothing waits for a restart');

# What a reload cannot take: said so in its answer, in the status and beside the option, until the file
# is as it was.
my $path = sub { (grep { $_->{name} eq 'store.path' } @{$daemon->control->get('/v1/config')->{options}})[0] };
my $before = $path->();
is($before->{in_force}, $before->{value}, 'store.path: in force as in the file');
write_file($daemon->config_file, $good =~ s{^(store = .*)state\.db}{$1elsewhere.db}mr);
is_deeply($daemon->control->post('/v1/reload')->{restart_needed}, ['store.path'], "a reload waits for a restart: $_")
    for 'said', 'said again';
my $after = $path->();
isnt($after->{value}, $before->{value}, 'store.path: the value is the file\'s');
is($after->{in_force}, $before->{value}, 'store.path: what is in force is what it was');
is(scalar(grep { /^store\.path: .* after a restart only/ } @{$daemon->status->{warnings}}), 1, 'the status warns');
$daemon->expect_log(qr/store\.path: takes effect after a restart only/);
write_file($daemon->config_file, $good);
is_deeply($daemon->control->post('/v1/reload')->{restart_needed}, [], 'the file as it was: nothing waits');
is_deeply([grep { /restart/ } @{$daemon->status->{warnings}}], [], 'and nobody warns');

# -t on a machine without that user and group.
write_file($daemon->config_file, $good =~ s/^socket_group = .*/socket_group = "no-such-group"; user = "no-such-user";/mr);
my $tested = qx{'@{[program('milter/bdat-milter')]}' -t -c '@{[$daemon->config_file]}' 2>&1};
is($?, 0, '-t: a file for another machine is no error');
like($tested, qr/^warning: socket_group: there is no group "no-such-group"/m, '-t: but the group is missing here');
like($tested, qr/^warning: user: there is no user "no-such-user"/m, '-t: and so is the user');
write_file($daemon->config_file, $good);

# Fifty reloads while mail flows.
my $client = $stage->client(from => next_client());
for my $round (1 .. 50) {
    $daemon->process->signal('HUP');
    my $message = new_message();
    $client->envelope($message->{sender});
    my $reply = $client->bdat($message->{content}, last => 1);
    next if $reply =~ /^250 /;
    fail("reload $round: $reply");
}
pass('fifty reloads while mail flows');
$client->quit;
$daemon->expect_log(qr/verdict=|CHUNKING is not offered/, qr/\Q@{[$daemon->config_file]}\E|configuration|reload/);
$stage->finish;
