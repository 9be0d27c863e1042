package MailTest::Cases;

# Runs a table of transfers: a row says what the client does and what must come of it. A new
# case is a new row.
#
# Every row runs in one session with a sound message beside it: first the row, then the sound
# message, then the row once more, so that nothing of one message sticks to the next. A row with
# ends => 1 closes the session; there the sound message comes first.
#
# Keys of a row:
#   name      what the test is called
#   message   options of MailTest::Message::new_message()
#   cut       sizes of the chunks; the rest is the last one (default: one chunk)
#   envelope  options of MailTest::Client::envelope(); values may be code that is given the message
#   play      code given (client, message, stage): sends the transfer its own way, returns the
#             reply to the last BDAT
#   ends      1 if the session does not survive
#   client    options of MailTest::Client
#   want      what must come of it, each key tested if there:
#       reply      pattern of the last reply (default: 250)
#       verdict, action, drift, declared, received, chunk_count, chunks, strikes, followed_by, …
#                  fields of the transfer object
#       evidence   exactly these words
#       with_evidence   at least these words
#       delivered  1: whole (default where the reply is 250), 0: not, text: that content

use v5.36;
use Exporter qw(import);
use MailTest::Message qw(new_message chunks_of);
use Test::More;

our @EXPORT_OK = qw(run_cases send_chunks check_transfer next_client);

# A client address nobody has used before: strikes of one case must not touch the next.
sub next_client () {
    state $count = 0;
    $count++;
    return sprintf '127.%d.%d.%d', 1 + int($count / 60000), int($count / 250) % 250, 1 + $count % 250;
}

sub run_cases ($stage, @rows) {
    for my $row (@rows) {
        my %client = (from => next_client(), %{$row->{client} // {}});
        my $client = $stage->client(%client);
        my $ok = eval {
            if ($row->{ends}) {
                run_sound($stage, $client, "$row->{name}: before it");
                run_row($stage, $client, $row, $row->{name});
            } else {
                run_row($stage, $client, $row, $row->{name});
                run_sound($stage, $client, "$row->{name}: after it");
                run_row($stage, $client, $row, "$row->{name}: again");
                like($client->quit, qr/^221 /, "$row->{name}: QUIT");
            }
            1;
        };
        fail("$row->{name}: $@") if !$ok;
    }
}

# A sound message in the same session; only its reply and verdict are looked at here.
sub run_sound ($stage, $client, $name) {
    run_row($stage, $client, {want => {verdict => 'match', drift => 0, action => 'accept'}}, $name);
}

sub run_row ($stage, $client, $row, $name) {
    my $message = new_message(%{$row->{message} // {}});
    my $want = $row->{want};
    my $reply;
    if ($row->{play}) {
        $reply = $row->{play}->($client, $message, $stage);
    } else {
        my %envelope = %{$row->{envelope} // {}};
        $_ = ref $_ eq 'CODE' ? $_->($message) : $_ for values %envelope;
        $client->envelope($message->{sender}, %envelope);
        $reply = send_chunks($client, $message->{content}, @{$row->{cut} // []});
    }
    if (defined $want->{reply} || !$row->{ends}) {
        like($reply // '', $want->{reply} // qr/^250 /, "$name: reply");
    }
    check_transfer($stage, $message, $want, $name);
    check_delivery($stage, $message, $want, $name, scalar(($reply // '') =~ /^250 /));
}

# Sends the content cut into chunks, the last with LAST; returns the reply to that, or the first
# reply that is not 250.
sub send_chunks ($client, $content, @sizes) {
    my @chunks = chunks_of($content, @sizes);
    @chunks = ('') if !@chunks;
    my $last = pop @chunks;
    for my $chunk (@chunks) {
        my $reply = $client->bdat($chunk);
        return $reply if $reply !~ /^250/;
    }
    return $client->bdat($last, last => 1);
}

# Compares the transfer as the control socket shows it with what is wanted.
sub check_transfer ($stage, $message, $want, $name) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return if !defined $want->{verdict};
    my $got = $stage->daemon->judged($message->{sender}, $want->{verdict});
    my %different;
    for my $key (grep { !/^(?:reply|delivered|evidence|with_evidence)$/ } keys %$want) {
        my ($is, $should) = map { in_words($_) } $got->{$key}, $want->{$key};
        my $same = ref $want->{$key} eq 'Regexp' ? $is =~ $want->{$key} : $is eq $should;
        $different{$key} = "$is instead of $should" if !$same;
    }
    my %is = map { $_ => 1 } @{$got->{evidence}};
    my @should = @{$want->{evidence} // $want->{with_evidence} // []};
    if ($want->{evidence} || $want->{with_evidence}) {
        my @missing = grep { !$is{$_} } @should;
        my @surplus = $want->{evidence} ? grep { my $word = $_; !grep { $_ eq $word } @should } keys %is : ();
        $different{evidence} = "@{$got->{evidence}} instead of @should" if @missing || @surplus;
    }
    is_deeply(\%different, {}, "$name: $want->{verdict}")
        or diag(join ' ', map { "$_=" . in_words($got->{$_}) } sort keys %$got);
}

# A value from JSON as text.
sub in_words ($value) {
    return ref $value eq 'ARRAY' ? join ' ', @$value : $value // 'null';
}

sub check_delivery ($stage, $message, $want, $name, $accepted) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $delivered = $want->{delivered} // ($accepted ? 1 : 0);
    if (!$delivered) {
        $stage->not_delivered($message, "$name: not delivered");
    } elsif ($delivered eq '1') {
        $stage->delivered_is($message, "$name: delivered whole");
    } else {
        $delivered = $delivered->($message) if ref $delivered;
        $stage->delivered_is($message, "$name: delivered", $delivered);
    }
}

1;
