package MailTest::Load;

# Many clients at once, each a process of its own: sound ones that behave as mail servers do
# (a refusal for now or a lost connection means the same message again), and broken ones in every
# way that BDAT can break. Each message is known by its id, so that at the end it can be said of
# each one whether it arrived, how often, and how it was judged.
#
# A sound client's address is in 127.0.0.0/10, a broken one's in 127.64.0.0/10.

use v5.36;
use Carp qw(croak);
use JSON::PP ();
use List::Util qw(sum0);
use MailTest::Client;
use MailTest::Place qw(new_folder write_file);
use MailTest::Wait qw(wait_until);
use POSIX ();
use Time::HiRes qw(sleep time);

my %alive;    # pid of a worker => whose it is; END ends those that are left

# What a client can do with a message: [how often, relatively; sound; verdict; code]. The code is
# given the client and the message and returns the last reply, undef if the session is over.
my %kinds = (
    whole => [8, 1, 'match', sub ($c, $m) { envelope($c, $m); last_chunk($c, $m->{content}) }],
    chunks => [4, 1, 'match', \&send_chunks],
    pipelined => [4, 1, 'match', \&send_pipelined],
    bare_lf => [1, 1, 'normalized', \&send_bare_lf],
    open_end => [1, 1, 'normalized', \&send_open_end],
    data => [2, 1, undef, sub ($c, $m) { envelope($c, $m); $c->data($m->{content}) }],
    truncated => [2, 0, 'truncated', \&send_truncated],
    swallowed => [2, 0, 'swallowed', \&send_swallowed],
    dot_stuffed => [1, 0, 'dot_stuffed', sub ($c, $m) {
        envelope($c, $m);
        last_chunk($c, "$m->{content}.\r\n");
    }],
    lost => [2, 0, 'lost', sub ($c, $m) {
        envelope($c, $m);
        $c->raw("BDAT 5000 LAST\r\n", $m->{content});
        return leave($c);
    }],
    reset => [1, 0, 'lost', sub ($c, $m) {
        envelope($c, $m);
        $c->bdat($m->{content});
        $c->raw("BDAT 70 LAST\r\nhalf");
        $c->reset;
        return undef;
    }],
    desynchronized => [1, 0, 'desynchronized', sub ($c, $m) {
        envelope($c, $m);
        $c->raw('BDAT ' . (length($m->{content}) - 20) . "\r\n$m->{content}");
        $c->reply;
        return leave($c);
    }],
    abandoned => [1, 0, 'abandoned', sub ($c, $m) {
        envelope($c, $m);
        $c->bdat($m->{content});
        return $c->command('RSET');
    }],
    overrun => [1, 0, 'overrun', sub ($c, $m) {
        envelope($c, $m);
        $c->raw('BDAT ' . (length($m->{content}) - 20) . " LAST\r\n$m->{content}");
        $c->reply;
        return leave($c);
    }],
);

sub envelope ($client, $message, %opt) { return $client->envelope($message->{sender}, %opt) }
sub last_chunk ($client, $content) { return $client->bdat($content, last => 1) }

sub leave ($client) {
    $client->close;
    return undef;
}

sub send_chunks ($client, $message) {
    my $content = $message->{content};
    envelope($client, $message);
    for my $size (100, 3, 77) {
        my $reply = $client->bdat(substr $content, 0, $size, '');
        return $reply if $reply !~ /^250/;
    }
    return last_chunk($client, $content);
}

sub send_pipelined ($client, $message) {
    my $size = length $message->{content};
    $client->raw("MAIL FROM:<$message->{sender}>\r\nRCPT TO:<user\@example.test>\r\n"
        . "BDAT $size LAST\r\n$message->{content}");
    my @replies = map { $client->reply } 1 .. 3;
    my ($bad) = grep { !/^250/ } @replies;
    return $bad // $replies[2];
}

sub send_bare_lf ($client, $message) {
    envelope($client, $message);
    return last_chunk($client, "$message->{content}one\ntwo\n");
}

sub send_open_end ($client, $message) {
    envelope($client, $message);
    return last_chunk($client, "$message->{content}no end");
}

sub send_truncated ($client, $message) {
    my $content = $message->{content}
        =~ s{\r\n\r\n.*}{\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n\r\n--edge\r\nContent-Type: text/plain\r\n\r\ncut}sr;
    envelope($client, $message);
    return last_chunk($client, $content);
}

sub send_swallowed ($client, $message) {
    envelope($client, $message, size => length $message->{content});
    return last_chunk($client, "$message->{content}QUIT\r\n");
}

# Names of the kinds, each as often as its weight says.
sub draw_from ($sound) {
    return map { ($_) x $kinds{$_}[0] } grep { $kinds{$_}[1] == $sound } sort keys %kinds;
}

# new(postfix => ..., sessions => N, messages => N each (0: until finish()), faults => share from 0
# to 1, per_session => messages in a session at most, seed => N, size => octets of a body, patience => seconds that
# a sound client goes on trying)
sub new ($class, %opt) {
    my $self = bless {
        sessions => 10, messages => 0, faults => 0, per_session => 10, seed => 1, size => 300, patience => 150,
        folder => new_folder(), left => {}, bad => 0, %opt,
    }, $class;
    return $self;
}

sub start ($self) {
    for my $number (1 .. $self->{sessions}) {
        my $pid = fork // croak "fork: $!";
        if ($pid == 0) {
            my $done = eval { $self->work($number); 1 };
            print STDERR "# load $number: $@" if !$done;
            POSIX::_exit($done ? 0 : 1);
        }
        $self->{left}{$pid} = 1;
        $alive{$pid} = $$;
    }
    return $self;
}

# One worker: a client that comes, sends a few messages, goes, and comes again as another.
sub work ($self, $number) {
    my $stop = "$self->{folder}/stop";
    local $SIG{TERM} = 'DEFAULT';
    # A mail server waits ten minutes for a reply (RFC 5321, 4.5.3.2), which no test has time for.
    local $MailTest::Wait::PATIENCE = 150;
    srand $self->{seed} * 1000 + $number;
    open my $file, '>', "$self->{folder}/$number" or croak "$self->{folder}: $!";
    $file->autoflush(1);
    my %draw = map { $_ => [draw_from($_)] } 0, 1;
    my $count = 0;
    while (!-e $stop && (!$self->{messages} || $count < $self->{messages})) {
        my $sound = rand() >= $self->{faults} ? 1 : 0;
        my $client = {from => address($sound), socket => undef};
        for (1 .. 1 + int rand $self->{per_session}) {
            last if -e $stop || ($self->{messages} && $count >= $self->{messages});
            $count++;
            my @draw = @{$draw{$sound}};
            my $result = $self->send_one($client, "l$number.$count", $draw[rand @draw]);
            print {$file} JSON::PP::encode_json($result), "\n";
        }
        eval { $client->{socket}->quit } if $client->{socket};
    }
    close $file or croak "close: $!";
}

sub address ($sound) {
    return sprintf '127.%d.%d.%d', ($sound ? 0 : 64) + int rand 2, int rand 2, 2 + int rand 250;
}

# Sends one message; a sound client comes again until it is taken, or refused for good.
sub send_one ($self, $client, $id, $kind) {
    my (undef, $sound, undef, $code) = @{$kinds{$kind}};
    my $message = {
        id => $id,
        sender => "$id\@load.example",
        content => "X-Test-Id: $id\r\nFrom: a\@load.example\r\nTo: user\@example.test\r\n"
            . "Subject: load\r\n\r\n" . ("a line of the body of $id\r\n" x (1 + $self->{size} / 30)),
    };
    my %result = (id => $id, kind => $kind, from => $client->{from}, tries => 0, replies => [], lost => 0);
    my $begun = time;
    while (1) {
        $result{tries}++;
        my $reply = eval {
            $client->{socket} //= connect_as($self->{postfix}, $client->{from});
            $code->($client->{socket}, $message) // 'gone';
        };
        # What croaks tells of a reply that was not 250, or of a connection that is gone.
        $reply //= $@ =~ /answered (\d{3}[^\n]*?) at / ? $1 : '';
        push @{$result{replies}}, $reply if $reply !~ /^250|^gone/;
        $result{lost}++ if $reply eq '';
        $client->{socket} = undef if $reply !~ /^250/ || !$sound;
        $result{done} = $reply;
        last if !$sound || $reply =~ /^[25]/ || time - $begun > $self->{patience};
        sleep 0.05 + rand 0.1;
    }
    $result{seconds} = time - $begun;
    return \%result;
}

sub connect_as ($postfix, $from) {
    my $client = MailTest::Client->new(postfix => $postfix, from => $from, helo => 'load.example');
    croak "the greeting was answered " . $client->greeting . " at " if $client->greeting !~ /^220/;
    my $reply = $client->ehlo;
    croak "EHLO was answered $reply at " if $reply !~ /^250/;
    return $client;
}

# Number of workers that are still at it.
sub working ($self) {
    for my $pid (keys %{$self->{left}}) {
        next if waitpid($pid, POSIX::WNOHANG()) == 0;
        $self->{bad}++ if $?;
        delete $alive{$pid};
        delete $self->{left}{$pid};
    }
    return scalar keys %{$self->{left}};
}

# Waits for the workers (tells them to stop if they have no end of their own) and returns what each
# message came to: { id, kind, from, tries, replies (all but 250), lost, done, seconds }.
sub finish ($self, $seconds = 300) {
    write_file("$self->{folder}/stop", '') if !$self->{messages};
    my $ended = eval { wait_until('the clients to finish', sub { !$self->working }, $seconds); 1 };
    my $why = $@;
    kill 'KILL', keys %{$self->{left}};
    croak $why if !$ended;
    croak "$self->{bad} clients died" if $self->{bad};
    my @results;
    for my $path (glob "$self->{folder}/[0-9]*") {
        open my $file, '<', $path or croak "$path: $!";
        push @results, map { JSON::PP::decode_json($_) } <$file>;
    }
    return @results;
}

sub is_sound ($result) { return $kinds{$result->{kind}}[1] }
sub wanted_verdict ($result) { return $kinds{$result->{kind}}[2] }

# How often each id stands in the Maildir: { id => { queue id => times } }.
sub count_delivered ($postfix) {
    my %count;
    opendir my $folder, $postfix->folder . '/mail/box/new' or return \%count;
    for my $name (readdir $folder) {
        open my $file, '<', $postfix->folder . "/mail/box/new/$name" or next;
        my $queue_id = '';
        while (my $line = <$file>) {
            last if $line eq "\n";
            $queue_id = $1 if $queue_id eq '' && $line =~ /^\s+by \S+ \(Postfix\) with \S+ id (\w+)/;
            next if $line !~ /^X-Test-Id: (\S+)/;
            croak "$name: no queue id in its Received" if $queue_id eq '';
            $count{$1}{$queue_id}++;
        }
    }
    return \%count;
}

# What is wrong, in words; nothing where every sound message was delivered exactly once, none was
# refused for good, and no sound client has a strike. %opt: lost_replies => 1: a message whose reply
# was lost with its connection may be there twice, as RFC 5321 (4.5.3.2.6) has it. agents_end => 1:
# delivery agents were ended in their work, and what one had delivered before it could say so is
# delivered again under the same queue id: only a second queue id is a second message.
sub complaints ($self, $results, $daemon, %opt) {
    my $count = count_delivered($self->{postfix});
    my @found;
    for my $result (grep { is_sound($_) } @$results) {
        my $files = $count->{$result->{id}} // {};
        my $delivered = $opt{agents_end} ? keys %$files : sum0(values %$files);
        my $story = "$result->{id} ($result->{kind} from $result->{from}, "
            . "$result->{tries} tries, $result->{lost} replies lost; @{$result->{replies}})";
        push @found, "refused for good: $story" if grep { /^5/ } @{$result->{replies}};
        push @found, "not taken: $story" if $result->{done} !~ /^250/;
        push @found, "lost: $story" if $delivered == 0;
        push @found, "$delivered times: $story"
            if $delivered > 1 && !($opt{lost_replies} && $result->{lost});
    }
    my $clients = $daemon->control->get('/v1/clients?limit=2000&client=127.0.0.0/10')->{clients};
    push @found, map { "strikes: $_->{client} $_->{strikes} $_->{state} $_->{last_verdict}" }
        grep { $_->{strikes} > 0 || $_->{state} ne 'offered' } @$clients;
    return @found > 20 ? (@found[0 .. 19], '...') : @found;
}

END {
    kill 'KILL', grep { $alive{$_} == $$ } keys %alive;
}

1;
