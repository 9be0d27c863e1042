package MailTest::Session;

# One e2e test file's stage: a private Postfix with the daemon attached, and what every test
# checks at its end.

use v5.36;
use MailTest::Client;
use MailTest::Daemon;
use MailTest::Message qw(delivered_form);
use MailTest::Postfix;
use Test::More;


# new(postfix => {...}, daemon => {...}): the options of MailTest::Postfix and
# MailTest::Daemon. The daemon starts first, so that Postfix finds its sockets.
sub new ($class, %opt) {
    my $postfix = MailTest::Postfix->new(%{$opt{postfix} // {}}, start => 0);
    my $daemon = MailTest::Daemon->new(%{$opt{daemon} // {}}, postfix => $postfix);
    $postfix->start;
    return bless {postfix => $postfix, daemon => $daemon, allowed => []}, $class;
}

sub postfix ($self) { $self->{postfix} }
sub daemon ($self) { $self->{daemon} }
sub maildir ($self) { $self->{postfix}->maildir }

# A connected client that has said EHLO.
sub client ($self, %opt) {
    my $client = MailTest::Client->new(postfix => $self->{postfix}, %opt);
    $client->ehlo;
    return $client;
}

# The delivered text from our id header on, without what Postfix put before it.
sub delivered ($self, $id) {
    return $self->maildir->wait_for($id) =~ s/\A.*?^(?=X-Test-Id:)//msr;
}

# Tests that a message has been delivered whole: `want` is its content as it was sent.
sub delivered_is ($self, $message, $name, $want = $message->{content}) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $got = $self->delivered($message->{id});
    return ok(1, $name) if $got eq delivered_form($want);
    return is($got, delivered_form($want), $name);
}

# Tests that a message was not delivered. Call it after a later message has been delivered, or
# the queue waited empty.
sub not_delivered ($self, $message, $name) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $self->postfix->wait_empty;
    is(scalar $self->maildir->messages($message->{id}), 0, $name);
}

# Allows Postfix log lines that would otherwise count as alarming.
sub allow_postfix_log ($self, @patterns) {
    push @{$self->{allowed}}, @patterns;
}

# The last word of a test file: finish_quietly() and the plan.
sub finish ($self) {
    $self->finish_quietly;
    done_testing();
}

# Ends both; no unexpected log line, a daemon that ends in order, nothing alarming in Postfix's
# log.
sub finish_quietly ($self) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $daemon = $self->{daemon};
    $self->postfix->stop;
    my $status = $daemon->stop;
    is($status, 0, 'the daemon ends in order');
    is_deeply([$daemon->unexpected_log], [], 'nothing unexpected in the daemon\'s log')
        or diag($daemon->sanitizer_reports);
    my @alarming = grep { my $line = $_; !grep { $line =~ $_ } @{$self->{allowed}} }
        $self->postfix->alarming_lines;
    is_deeply(\@alarming, [], 'nothing alarming in Postfix\'s log');
}

1;
