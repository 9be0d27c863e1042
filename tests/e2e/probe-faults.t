# bdat-probe against servers that break in one way each: the right conclusion, in bounded time
# and memory. A new fault is a new row.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use MailTest::Place qw(new_folder program read_file);
use ProbeTest qw(case_of conclusion_is probe_json run_probe status_of);
use ProbeTest::Server;

# A sanitizer's shadow memory and red zones are not the program's.
my $sanitized = read_file(program('probe/bdat-probe')) =~ /__[at]san_init/;

# A greeting for so many sessions; those behind them are told, or closed at once.
sub turn_away_after ($most, $reply) {
    my $count = 0;
    return sub ($s) {
        return $s->reply('220 faulty.test ESMTP') if ++$count <= $most;
        $s->reply($reply) if $reply;
        $s->close_now;
    };
}

# Rows: name, the server's hooks, arguments, and what must come of it: kind and exit of the
# conclusion, findings of cases, patterns in the text of the conclusion (says) and not in it
# (not), in its advice (advice) and not there (no_advice), seconds it may take.
my @rows = (
    {
        name => 'a sound server',
        want => {kind => 'works', exit => 0, seconds => 10, statuses => qr/^(PASS|SKIP)$/},
    },
    {
        name => 'drops the connection at BDAT',
        server => {bdat => sub ($s, @) { $s->close_now }},
        want => {kind => 'bdat_dropped', exit => 1, findings => {'one-chunk' => 'dropped'},
            says => qr/works by DATA and breaks off by BDAT/},
    },
    {
        name => 'resets the connection at BDAT',
        server => {bdat => sub ($s, @) { $s->slam }},
        want => {kind => 'bdat_dropped', exit => 1, findings => {'one-chunk' => 'dropped'},
            says => qr/works by DATA and breaks off by BDAT/},
    },
    {
        name => 'drops it at BDAT, saying why',
        server => {bdat => sub ($s, @) { $s->reply('421 4.3.2 inspection failed'); $s->close_now }},
        want => {kind => 'bdat_refused', exit => 1, says => qr/421 4\.3\.2 inspection failed/},
    },
    {
        name => 'never answers BDAT',
        server => {reply_to_bdat => sub ($s, $) { $s->swallow_all }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'bdat_stalls', exit => 1, findings => {'one-chunk' => 'stalled'},
            says => qr/works by DATA and stalls by BDAT/, seconds => 24},
    },
    {
        name => 'never answers BDAT, nor do messages get through by DATA',
        server => {
            reply_to_bdat => sub ($s, $) { $s->swallow_all },
            data => sub ($s) { $s->swallow_all },
        },
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'server', exit => 1, says => qr/By DATA it fails as well/, seconds => 24},
    },
    {
        name => 'refuses BDAT',
        server => {bdat => sub ($s, $size, $) {
            $s->octets($size);
            $s->reply('502 5.5.1 no BDAT');
        }},
        want => {kind => 'bdat_refused', exit => 1, findings => {'one-chunk' => 'refused'},
            says => qr/502 5\.5\.1 no BDAT.*works by DATA and is refused by BDAT/},
    },
    {
        name => 'answers each chunk late',
        server => {reply_to_bdat => sub ($s, $text) { $s->linger(1.2); $s->reply($text) }},
        arguments => ['--timeout', '4s', '--only', 'data,one-chunk,several-chunks,refused'],
        want => {kind => 'works_slowly', exit => 0,
            findings => {'several-chunks' => 'slow', data => 'none'}},
    },
    {
        name => 'answers so late that a session never ends',
        server => {reply_to_bdat => sub ($s, $text) { $s->linger(0.5); $s->reply($text) }},
        arguments => ['--timeout', '800ms', '--only', 'tiny-chunks'],
        want => {kind => 'incomplete', findings => {'tiny-chunks' => 'unfinished'}, exit => 1,
            seconds => 16, advice => qr/longer --timeout/,
            meaning => {'tiny-chunks' => qr/more than 8 s and was given up/}},
    },
    {
        name => 'does not discard refused payload',
        server => {bdat => sub ($s, $size, $last) {
            return $s->reply('503 5.5.1 no recipient') if !$s->{rcpt};
            $s->chunk($size, $last);
        }},
        want => {kind => 'runs_payload', exit => 1,
            findings => {'one-chunk' => 'none', refused => 'ran_payload',
                'refused-pipelined' => 'ran_payload', 'bdat-after-last' => 'ran_payload'},
            says => qr/ran the octets of a refused chunk as commands/},
    },
    {
        name => 'waits for two octets more than were declared',
        server => {bdat => sub ($s, $size, $last) { $s->chunk($size + 2, $last) }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'miscounts', exit => 1, findings => {'one-chunk' => 'miscounted'},
            says => qr/waits for more octets than were declared/},
    },
    {
        name => 'counts a line end as one octet',
        server => {bdat => sub ($s, $size, $last) {
            my $text = '';
            while ($size > 0) {
                my $octet = $s->octets(1) // return;
                $text .= $octet;
                $size-- if $octet ne "\r";
            }
            $s->chunk(0, $last);
        }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'miscounts', exit => 1, findings => {'one-chunk' => 'miscounted'}},
    },
    {
        name => 'reads three octets less than were declared',
        server => {bdat => sub ($s, $size, $last) { $s->chunk($size > 3 ? $size - 3 : 0, $last) }},
        want => {kind => 'miscounts', exit => 1, findings => {'one-chunk' => 'miscounted'},
            says => qr/fewer octets|nobody asked for/},
    },
    {
        name => 'counts characters in place of octets',
        server => {bdat => sub ($s, $size, $last) {
            while ($size > 0) {
                my $octet = $s->octets(1) // return;
                $size-- if (ord($octet) & 0xc0) != 0x80;
            }
            $s->chunk(0, $last);
        }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'miscounts', exit => 1,
            findings => {'one-chunk' => 'none', '8-bit' => 'miscounted'}},
    },
    {
        name => 'answers twice',
        server => {reply_to_bdat => sub ($s, $text) { $s->send("$text\r\n$text\r\n") }},
        want => {kind => 'answers_twice', exit => 1, findings => {'one-chunk' => 'answered_twice'}},
    },
    {
        name => 'answers a second time, but later',
        server => {reply_to_bdat => sub ($s, $text) {
            $s->reply($text);
            my $line = $s->line // return;
            $s->reply($text);
            $s->command($line);
        }},
        want => {kind => 'answers_twice', exit => 1, findings => {'one-chunk' => 'answered_twice'}},
    },
    {
        name => 'closes on large chunks',
        server => {bdat => sub ($s, $size, $last) {
            $size > 32768 ? $s->slam : $s->chunk($size, $last);
        }},
        want => {kind => 'large_chunks', exit => 1,
            findings => {'one-chunk' => 'none', large => 'dropped', 'data-large' => 'none'},
            says => qr/works by DATA and breaks off by BDAT/},
    },
    {
        name => 'swallows large chunks, as an MTU hole does, by BDAT only',
        server => {bdat => sub ($s, $size, $last) {
            $size > 32768 ? $s->swallow_all : $s->chunk($size, $last);
        }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'large_chunks', exit => 1, findings => {large => 'stalled'},
            says => qr/works by DATA and stalls by BDAT/},
    },
    {
        name => 'stops reading large chunks',
        server => {bdat => sub ($s, $size, $last) {
            return $s->chunk($size, $last) if $size <= 32768;
            1 while !IO::Select->new($s->{socket})->has_exception(0.2) && getppid != 1
                && IO::Select->new($s->{socket})->can_write(0) && !half_closed($s);
            $s->close_now;
        }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'large_chunks', exit => 1, findings => {large => 'stalled'}},
    },
    {
        name => 'loses large messages however they come',
        server => {
            bdat => sub ($s, $size, $last) { $size > 32768 ? $s->slam : $s->chunk($size, $last) },
            data_octets => sub ($s, $count) { $s->slam if $count > 32768 },
        },
        want => {kind => 'path', exit => 1,
            findings => {large => 'dropped', 'data-large' => 'dropped'},
            says => qr/By DATA it fails as well/},
    },
    {
        name => 'answers BDAT with garbage',
        server => {reply_to_bdat => sub ($s, $) { $s->send("\x00\xff\x1b[31mHTTP/1.1 400\r\n") }},
        want => {kind => 'not_smtp', exit => 1, findings => {'one-chunk' => 'garbage'},
            says => qr/is no SMTP reply: '\?\?\?\[31mHTTP/},
    },
    {
        name => 'answers BDAT without end',
        server => {reply_to_bdat => sub ($s, $) { 1 while $s->send("250-more of it\r\n" x 100) }},
        want => {kind => 'not_smtp', exit => 1, findings => {'one-chunk' => 'garbage'},
            says => qr/does not end/, seconds => 15},
    },
    {
        name => 'lets its reply drip',
        server => {reply_to_bdat => sub ($s, $text) {
            for my $octet (split //, '250 ' . 'x' x 500 . "\r\n") {
                $s->send($octet) or return;
                $s->linger(0.02);
            }
        }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'bdat_stalls', exit => 1,
            findings => {'one-chunk' => 'stalled'}, seconds => 24},
    },
    {
        name => 'says EHLO keywords without end',
        server => {ehlo => sub ($s) { 1 while $s->send("250-KEYWORD\r\n" x 1000) }},
        want => {kind => 'no_session', exit => 3,
            says => qr/reply to EHLO does not end/, seconds => 15},
    },
    {
        name => 'says an EHLO line without end',
        server => {ehlo => sub ($s) { 1 while $s->send('250-KEYWORD ' x 1000) }},
        want => {kind => 'no_session', exit => 3,
            says => qr/reply to EHLO does not end/, seconds => 15},
    },
    {
        name => 'lets its EHLO reply drip',
        server => {ehlo => sub ($s) { while ($s->send('2')) { $s->linger(0.02) } }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'no_session', exit => 3,
            says => qr/no reply to EHLO within/, seconds => 15},
    },
    {
        name => 'greets in another protocol',
        server => {greeting => sub ($s) { $s->reply('SSH-2.0-OpenSSH') }},
        want => {kind => 'no_session', exit => 3, says => qr/greeting is no SMTP reply: 'SSH-2/},
    },
    {
        name => 'never greets',
        server => {greeting => sub ($s) { $s->swallow_all }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'no_session', exit => 3, says => qr/no greeting within/},
    },
    {
        name => 'does not want us',
        server => {greeting => sub ($s) { $s->reply('554 5.7.1 go away'); $s->close_now }},
        want => {kind => 'no_session', exit => 3, says => qr/554 5\.7\.1 go away/},
    },
    {
        name => 'offers no CHUNKING',
        server => {keywords => ['PIPELINING', '8BITMIME']},
        want => {kind => 'not_offered', exit => 0,
            findings => {data => 'none', 'data-large' => 'none'}},
    },
    {
        name => 'has its keywords blotted out by a box in the path',
        server => {keywords => ['XXXXXXXA', '8BITMIME', 'XXXB']},
        want => {kind => 'not_offered', exit => 0, says => qr/blots out EHLO keywords/},
    },
    {
        name => 'knows no EHLO',
        server => {ehlo => sub ($s) { $s->reply('502 5.5.1 what?') }},
        want => {kind => 'not_offered', exit => 0},
    },
    {
        name => 'accepts no recipient',
        server => {rcpt => sub ($s, $) { $s->reply('550 5.1.1 nobody') }},
        want => {kind => 'incomplete', exit => 1, findings => {refused => 'none'},
            says => qr/accepted no recipient.*550 5\.1\.1 nobody/},
    },
    {
        name => 'accepts no recipient and drops BDAT',
        server => {
            rcpt => sub ($s, $) { $s->reply('550 5.1.1 nobody') },
            bdat => sub ($s, @) { $s->close_now },
        },
        want => {kind => 'bdat_dropped', exit => 1, says => qr/DATA could not be tried/},
    },
    {
        name => 'takes any recipient, so that a refused one is left out',
        server => {rcpt => sub ($s, $) { $s->{rcpt}++; $s->reply('250 2.1.5 any') }},
        want => {kind => 'works', exit => 0, meaning => {'refused-pipelined' => qr/was left out/}},
    },
    {
        name => 'hangs up after a refused BDAT',
        server => {bdat => sub ($s, $size, $last) {
            $s->chunk($size, $last);
            $s->close_now if !$s->{rcpt} && !$s->{begun};
        }},
        want => {kind => 'works', exit => 0, findings => {refused => 'dropped'},
            meaning => {refused => qr/then closed the connection/}},
    },
    {
        name => 'takes DATA after BDAT, and misspelt commands',
        server => {
            keywords => ['CHUNKING', '8BITMIME', 'BINARYMIME'],
            bdat => sub ($s, $size, $last) { $s->chunk($size, $last); $s->{begun} = 0 },
        },
        want => {kind => 'works', exit => 0,
            findings => {'data-after-bdat' => 'accepted', binary => 'none'},
            not => qr/none failed.*stops no sound sender.*fail/},
    },
    {
        name => 'accepts BDAT LAST without a recipient',
        server => {bdat => sub ($s, $size, $last) {
            $s->octets($size);
            $s->reply('250 2.0.0 yes');
        }},
        want => {kind => 'partly', exit => 1, findings => {refused => 'accepted'}},
    },
    {
        name => 'answers each chunk later than the timeout, but well',
        server => {reply_to_bdat => sub ($s, $text) { $s->linger(2.5); $s->reply($text) }},
        arguments => ['--timeout', '2s',
            '--only', 'data,one-chunk,pipelined,refused'],
        want => {kind => 'works_slowly', exit => 0,
            findings => {data => 'none', 'one-chunk' => 'slow', pipelined => 'slow',
                refused => 'slow'},
            meaning => {'one-chunk' => qr/one reply took 2\.[5-9] s/}, seconds => 40},
    },
    {
        name => 'answers the end of each message later than the timeout, but well',
        server => {
            reply_to_bdat => sub ($s, $text) { $s->linger(2.5); $s->reply($text) },
            final_dot => sub ($s) { $s->linger(2.5) },
        },
        arguments => ['--deliver', 'tester@faulty.test', '--timeout', '2s',
            '--only', 'data,one-chunk'],
        want => {kind => 'works_slowly', exit => 0,
            findings => {data => 'slow', 'one-chunk' => 'slow'}},
    },
    {
        name => 'answers late, and NOOP with a parameter not at all well',
        server => {
            reply_to_bdat => sub ($s, $text) { $s->linger(2.5); $s->reply($text) },
            noop => sub ($s, $line) { $line =~ / / && $s->reply('501 5.5.4 no parameters') },
        },
        arguments => ['--timeout', '2s'],
        want => {kind => 'bdat_stalls', exit => 1, findings => {'one-chunk' => 'stalled'},
            says => qr/either it is late, or/},
    },
    {
        name => 'refuses a chunk, but late',
        server => {bdat => sub ($s, $size, $) {
            $s->octets($size);
            $s->linger(2.5);
            $s->reply('502 5.5.1 no BDAT');
        }},
        arguments => ['--timeout', '2s'],
        want => {kind => 'bdat_refused', exit => 1, findings => {'one-chunk' => 'refused'}},
    },
    {
        name => 'does not answer chunks that are not the LAST',
        server => {bdat => sub ($s, $size, $last) {
            $last ? $s->chunk($size, $last) : $s->octets($size);
        }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'bdat_stalls', exit => 1, findings => {'one-chunk' => 'stalled'},
            says => qr/is not answered.*answers the next command \('250 2\.0\.0 noop'\)/,
            not => qr/waits for more octets/},
    },
    {
        name => 'reads on to a line end',
        server => {bdat => sub ($s, $size, $last) {
            $s->octets($size);
            $s->line;
            $s->reply("250 2.0.0 $size octets");
        }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'miscounts', exit => 1, findings => {'one-chunk' => 'miscounted'},
            says => qr/waits for more octets than were declared/},
    },
    {
        name => 'hangs up once more octets come',
        server => {bdat => sub ($s, $size, $) {
            $s->octets($size + 1);
            $s->reply('421 4.4.2 timeout');
            $s->close_now;
        }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'bdat_stalls', exit => 1,
            says => qr/when more octets came.*'421 4\.4\.2 timeout'/},
    },
    {
        name => 'takes eleven sessions, no more',
        server => {greeting => turn_away_after(11, '421 4.7.0 too many sessions')},
        want => {kind => 'incomplete', exit => 1, statuses => qr/^(PASS|SKIP)$/,
            findings => {'one-chunk' => 'none', 'two-messages' => 'unreachable',
                'refused-pipelined' => 'unreachable', large => 'unreachable', binary => 'none'},
            says => qr/12 cases were not run.*: two-messages, rset-between, .*, large\..*421 4\.7/,
            not => qr/CHUNKING works/, advice => qr/wait .* --only with the names above/},
    },
    {
        name => 'hangs up on sessions behind the seventh',
        server => {greeting => turn_away_after(7, undef)},
        want => {kind => 'incomplete', exit => 1, statuses => qr/^(PASS|SKIP)$/,
            findings => {'no-final-crlf' => 'unreachable', large => 'unreachable'}},
    },
    {
        name => 'swallows large chunks, and has enough of us before that shows',
        server => {
            greeting => turn_away_after(11, '421 4.7.0 too many sessions'),
            bdat => sub ($s, $size, $last) {
                $size > 20000 ? $s->swallow_all : $s->chunk($size, $last);
            },
        },
        want => {kind => 'incomplete', exit => 1, findings => {large => 'unreachable'}},
    },
    {
        name => 'takes eleven sessions, one with a failure among them',
        server => {
            greeting => turn_away_after(11, '421 4.7.0 too many sessions'),
            bdat => sub ($s, $size, $last) {
                $size == 1 ? $s->close_now : $s->chunk($size, $last);
            },
        },
        want => {kind => 'partly', exit => 1, says => qr/Case tiny-chunks.*12 cases were not run/},
    },
    {
        name => 'takes ten MAIL commands, then defers',
        server => {mail => sub ($s, $) {
            state $count = 0;
            ++$count > 10 && $s->reply('450 4.7.1 too much mail');
        }},
        want => {kind => 'incomplete', exit => 1, statuses => qr/^(PASS|SKIP)$/,
            says => qr/MAIL FROM was answered '450 4\.7\.1 too much mail'/},
    },
    {
        name => 'does not end a transaction by RSET once BDAT has begun',
        server => {
            rset => sub ($s) { $s->{begun} && $s->reply('250 2.0.0 reset') },
            mail => sub ($s, $) { $s->{mail} && $s->reply('503 5.5.1 nested MAIL') },
        },
        want => {kind => 'partly', exit => 1,
            findings => {'one-chunk' => 'none', 'two-messages' => 'refused',
                'rset-between' => 'refused'},
            meaning => {'rset-between' => qr/After RSET, MAIL FROM was answered '503 .*not ended/}},
    },
    {
        name => 'begins no second message after an accepted one; seen with --deliver',
        server => {
            mail => sub ($s, $) { $s->{chunks} && $s->reply('503 5.5.1 nested MAIL') },
            reply_to_bdat => sub ($s, $text) { $s->{chunks}++; $s->reply($text) },
        },
        arguments => ['--deliver', 'tester@faulty.test', '--only', 'one-chunk,two-messages'],
        want => {kind => 'partly', exit => 1,
            meaning => {'two-messages' => qr/After BDAT LAST, MAIL FROM was answered '503/}},
    },
    {
        name => 'takes one message per session',
        server => {
            mail => sub ($s, $) { $s->{chunks} && $s->reply('452 4.3.2 one at a time') },
            reply_to_bdat => sub ($s, $text) { $s->{chunks}++; $s->reply($text) },
        },
        want => {kind => 'incomplete', exit => 1, statuses => qr/^(PASS|SKIP)$/,
            findings => {'two-messages' => 'unreachable', 'rset-between' => 'unreachable'}},
    },
    {
        name => 'knows no RSET',
        server => {rset => sub ($s) { $s->reply('500 5.5.1 what?') }},
        arguments => ['--only', 'data,one-chunk,refused,refused-pipelined,large'],
        want => {kind => 'works', exit => 0, findings => {'one-chunk' => 'untidy',
                refused => 'untidy'},
            meaning => {'one-chunk' => qr/RSET was answered '500 5\.5\.1 what\?'/}},
    },
    {
        name => 'closes in the middle of things, saying so',
        server => {rset => sub ($s) { $s->reply('421 4.3.2 shutting down'); $s->close_now; 1 }},
        arguments => ['--only', 'one-chunk,large'],
        want => {kind => 'incomplete', exit => 1, statuses => qr/^SKIP$/,
            meaning => {'one-chunk' => qr/Not finished: RSET was answered '421/}},
    },
    {
        name => 'takes no DATA',
        server => {data => sub ($s) { $s->reply('502 5.5.1 no DATA') }},
        want => {kind => 'data_fails', exit => 1,
            findings => {data => 'refused', 'one-chunk' => 'none', large => 'none'},
            says => qr/The same message works by BDAT/, advice => qr/not a trouble of CHUNKING/,
            no_advice => qr/stop offering/},
    },
    {
        name => 'loses large messages by DATA',
        server => {data_octets => sub ($s, $count) { $s->slam if $count > 32768 }},
        want => {kind => 'data_large_fails', exit => 1,
            findings => {'data-large' => 'dropped', large => 'none'},
            says => qr/The same message works by BDAT/},
    },
    {
        name => 'refuses NUL in binary messages',
        server => {
            keywords => ['CHUNKING', '8BITMIME', 'BINARYMIME'],
            bdat => sub ($s, $size, $last) {
                $s->fill while length $s->{input} < $size;
                return $s->chunk($size, $last) if substr($s->{input}, 0, $size) !~ /\0/;
                $s->octets($size);
                $s->reply('554 5.6.0 NUL');
            },
        },
        want => {kind => 'binary_fails', exit => 1, findings => {binary => 'refused'},
            says => qr/A short message works by DATA and in one chunk/, not => qr/same message/,
            advice => qr/stop offering BINARYMIME/, no_advice => qr/chunking, silent|CHUNKING:/},
    },
    {
        name => 'swallows chunks above 5,000 octets, of which the first has a long line',
        server => {bdat => sub ($s, $size, $last) {
            $size > 5000 ? $s->swallow_all : $s->chunk($size, $last);
        }},
        arguments => ['--timeout', '1500ms'],
        want => {kind => 'large_chunks', exit => 1,
            findings => {'long-lines' => 'stalled', large => 'stalled'},
            says => qr/Case large.*works by DATA and stalls by BDAT/},
    },
    {
        name => 'refuses every chunk but the first of a message',
        server => {bdat => sub ($s, $size, $last) {
            return $s->chunk($size, $last) if !$s->{begun};
            $s->octets($size);
            $s->reply('554 5.6.0 enough');
        }},
        arguments => ['--only', 'data,one-chunk,several-chunks'],
        want => {kind => 'partly', exit => 1, findings => {'several-chunks' => 'refused'},
            not => qr/The same message/},
    },
    {
        name => 'refuses BDAT; --only names more than the simplest case',
        server => {bdat => sub ($s, $size, $) {
            $s->octets($size);
            $s->reply('502 5.5.1 no BDAT');
        }},
        arguments => ['--only', 'one-chunk,several-chunks'],
        want => {kind => 'bdat_refused', exit => 1,
            findings => {'one-chunk' => 'refused', 'several-chunks' => 'refused'}},
    },
    {
        name => 'refuses BDAT; the selected cases do not show it',
        server => {bdat => sub ($s, $size, $) {
            $s->octets($size);
            $s->reply('500 5.5.1 what?');
        }},
        arguments => ['--only', 'data-large,refused'],
        want => {kind => 'selection', exit => 0, advice => qr/CHUNKING works here is not known/},
    },
    {
        name => 'a sound server, of which BDAT is not asked',
        arguments => ['--only', 'data'],
        want => {kind => 'selection', exit => 0, no_advice => qr/--to/},
    },
    {
        name => 'offers BINARYMIME without CHUNKING',
        server => {keywords => ['8BITMIME', 'BINARYMIME']},
        want => {kind => 'not_offered', exit => 0, says => qr/BINARYMIME is offered.*RFC 3030/},
    },
    {
        name => 'wants AUTH',
        server => {mail => sub ($s, $) { $s->reply('530 5.7.0 who are you?') }},
        want => {kind => 'incomplete', exit => 1, says => qr/accepted no sender.*530 5\.7\.0/,
            advice => qr/--auth/, no_advice => qr/--to/},
    },
    {
        name => 'wants no null sender',
        server => {mail => sub ($s, $line) { $line =~ /<>/ && $s->reply('550 5.1.0 not you') }},
        want => {kind => 'incomplete', exit => 1, says => qr/accepted no sender.*550 5\.1\.0/,
            advice => qr/--from/, no_advice => qr/--to/},
    },
    {
        name => 'greylists',
        server => {rcpt => sub ($s, $) { $s->reply('450 4.2.0 greylisted') }},
        want => {kind => 'incomplete', exit => 1, says => qr/accepted no recipient.*450 4\.2\.0/,
            advice => qr/greylisting.*after some minutes/},
    },
    {
        name => 'drops the connection at the final chunk; unseen without --deliver',
        server => {bdat => sub ($s, $size, $last) {
            $last && $s->{rcpt} ? $s->close_now : $s->chunk($size, $last);
        }},
        want => {kind => 'works', exit => 0},
    },
    {
        name => 'drops the connection at the final chunk; seen with --deliver',
        server => {bdat => sub ($s, $size, $last) {
            $last && $s->{rcpt} ? $s->close_now : $s->chunk($size, $last);
        }},
        arguments => ['--deliver', 'tester@faulty.test'],
        want => {kind => 'bdat_dropped', exit => 1,
            says => qr/works by DATA and breaks off by BDAT\./},
    },
    {
        name => 'never answers the final chunk; seen with --deliver',
        server => {bdat => sub ($s, $size, $last) {
            $last && $s->{rcpt} ? $s->swallow_all : $s->chunk($size, $last);
        }},
        arguments => ['--deliver', 'tester@faulty.test', '--timeout', '1500ms'],
        want => {kind => 'bdat_stalls', exit => 1, says => qr/works by DATA and stalls by BDAT\./},
    },
);

# True once the client has closed its end.
sub half_closed ($session) {
    my $got = recv $session->{socket}, my $octet, 1, Socket::MSG_PEEK() | Socket::MSG_DONTWAIT();
    return defined $got && $octet eq '' || !-e "/proc/" . getppid;
}

for my $row (@rows) {
    my ($want, $name) = ($row->{want}, $row->{name});
    my $log = new_folder() . '/log';
    my $server = ProbeTest::Server->new(%{$row->{server} // {}}, log => $log);
    my $result = probe_json('--timeout', '30s', @{$row->{arguments} // []}, $server->address);
    conclusion_is($result, $want->{kind}, $want->{exit}, "$name: conclusion") if $want->{kind};
    my $findings = $want->{findings} // {};
    is(case_of($result, $_)->{finding}, $findings->{$_}, "$name: $_") for sort keys %$findings;
    for my $case (sort keys %{$want->{meaning} // {}}) {
        like(case_of($result, $case)->{meaning}, $want->{meaning}{$case}, "$name: $case in words");
    }
    my $conclusion = $result->{json}{conclusion};
    like($conclusion->{explanation}, $want->{says}, "$name: in words") if $want->{says};
    unlike($conclusion->{explanation}, $want->{not}, "$name: not these words") if $want->{not};
    my $advice = "@{$conclusion->{advice} // []}";
    like($advice, $want->{advice}, "$name: advice") if $want->{advice};
    unlike($advice, $want->{no_advice}, "$name: not this advice") if $want->{no_advice};
    if ($want->{statuses}) {
        my @others = grep { $_->{status} !~ $want->{statuses} } @{$result->{json}{cases}};
        is_deeply([map { "$_->{name}: $_->{meaning}" } @others], [], "$name: all cases");
    }
    cmp_ok($result->{seconds}, '<', ($want->{seconds} // 20) * ($sanitized ? 2 : 1), "$name: time");
    cmp_ok($result->{kilobytes}, '<', 30_000, "$name: memory") if !$sanitized;
    unlike(read_file($log), qr/^accepted/m, "$name: nothing delivered")
        if !grep { $_ eq '--deliver' } @{$row->{arguments} // []};
    $server->stop;
}

# The report that this began with: one command, and the text names the cause.
my $server = ProbeTest::Server->new(bdat => sub ($s, @) { $s->close_now });
my $text = run_probe($server->address)->{out} =~ s/\s+/ /gr;
like($text, qr/CHUNKING offered /, 'text: CHUNKING is offered');
like($text, qr/PASS data /, 'text: DATA passes');
like($text, qr/FAIL one-chunk The server closed the connection after BDAT \d+, without an answer/,
    'text: BDAT fails');
like($text, qr/C: BDAT \d+, with \d+ octets behind it -: connection closed by the server/,
    'text: with its dialog');
like($text, qr/Conclusion: CHUNKING is offered, but the connection is dropped at BDAT/,
    'text: the conclusion');
like($text, qr/The receiving side must act/, 'text: who must act');
for my $product ('smtpd_discard_ehlo_keywords = chunking', 'chunking_advertise_hosts',
    'hosts_try_chunking', 'Set-ReceiveConnector NAME -ChunkingEnabled \$false',
    'SmtpInboundCommandSupportOptions') {
    like($text, qr/$product/, "text: how to switch it off: $product");
}
my ($widest) = sort { $b <=> $a } map { length } grep { !/^        [CS-]: / }
    split /\n/, run_probe($server->address)->{out};
cmp_ok($widest, '<=', 78, 'text: no line but the dialog is wider than 78 columns');

done_testing();
