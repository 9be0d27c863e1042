# STARTTLS and AUTH: transfers inside TLS are judged as others are, and of the credentials nothing
# is to be found anywhere.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(encode_base64);
use MailTest::Cases qw(check_transfer);
use MailTest::Message qw(new_message);
use MailTest::Place qw(read_file);
use MailTest::Session;
use Test::More;

my $stage = MailTest::Session->new(
    postfix => {tls => 1, sasl => 1},
    daemon => {config => {log => '{ target = "stderr"; level = "debug"; }'}},
);
my $daemon = $stage->daemon;
my %secret = (
    password => 'open sesame',
    user => 'tester@example.test',
    plain => encode_base64("\0tester\@example.test\0open sesame", ''),
    login_user => encode_base64('tester@example.test', ''),
    login_password => encode_base64('open sesame', ''),
);

sub send_two ($client, $name) {
    for my $count (1, 2) {
        my $message = new_message();
        $client->envelope($message->{sender});
        like($client->bdat(substr($message->{content}, 0, 100)), qr/^250 /, "$name, message $count: chunk");
        like($client->bdat(substr($message->{content}, 100), last => 1), qr/^250 /, "$name, message $count: LAST");
        check_transfer($stage, $message, {verdict => 'match', drift => 0, chunk_count => 2}, "$name, message $count");
        $stage->delivered_is($message, "$name, message $count: delivered whole");
    }
}

# AUTH before and after STARTTLS, with the credentials on the command line and behind it.
my $client = $stage->client(from => '127.0.0.2');
like($client->command("AUTH PLAIN $secret{plain}"), qr/^235 /, 'AUTH PLAIN with credentials');
send_two($client, 'after AUTH PLAIN');
$client->quit;

$client = $stage->client(from => '127.0.0.3');
$client->starttls;
$client->ehlo;
ok($client->offers('CHUNKING'), 'CHUNKING is offered inside TLS');
send_two($client, 'inside TLS');
like($client->command('AUTH LOGIN'), qr/^334 /, 'AUTH LOGIN');
like($client->command($secret{login_user}), qr/^334 /, 'user');
like($client->command($secret{login_password}), qr/^235 /, 'password');
send_two($client, 'after AUTH LOGIN inside TLS');
$client->quit;

# A client that sends its credentials where none were asked for, and in the middle of a transfer.
$client = $stage->client(from => '127.0.0.4');
my $message = new_message();
$client->envelope($message->{sender});
$client->bdat(substr $message->{content}, 0, 100);
$client->command("AUTH PLAIN $secret{plain}");
$client->raw("$secret{login_password}\r\n");
$client->reply;
$client->close;
my $found = $daemon->transfer($message->{sender});
ok($found, "AUTH inside a transfer: judged $found->{verdict}");

# Everything that can be asked of the daemon, its log and its store.
my %places = (
    log => $daemon->log_text,
    transfers => $daemon->control->request('GET', '/v1/transfers?limit=1000')->{body},
    sessions => $daemon->control->request('GET', '/v1/sessions')->{body},
    status => $daemon->control->request('GET', '/v1/status')->{body},
    metrics => $daemon->control->request('GET', '/metrics')->{body},
);
$daemon->stop;
$places{store} = join '', map { read_file($_) } glob($stage->postfix->folder . '/state.db*');
for my $place (sort keys %places) {
    my @leaks = grep { index($places{$place}, $secret{$_}) >= 0 } sort keys %secret;
    is("@leaks", '', "no credentials in $place");
}
like($places{log}, qr/verdict=match/, 'the log says something, after all');
$daemon->expect_log(qr/verdict=desynchronized/, qr/CHUNKING is not offered/);
$stage->finish;
