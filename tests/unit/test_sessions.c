/*
 * Sessions: what tables, policy service and milter tell of them, in the order in which it comes,
 * and what becomes of it: records, strikes, joins, counts.
 *
 * A script is one event a line. Smtpd processes are letters (a is this one, b and c are children
 * of it that may be killed, x and y are peers without a pid):
 *   a ehlo ADDRESS        the ehlo lookup ("-": no address)
 *   a > LINE              the command lookup
 *   a data ID [ADDRESS]   the policy request at the begin of a message …
 *   a end ID OCTETS       … and at its end
 *   milter sees ID        the milter at DATA …
 *   milter judges ID WORD … and at end of message, with its letter
 *   milter aborts ID      its letter at an abort …
 *   milter closes ID MS   … and at a close, MS milliseconds after the last chunk
 *   milter misses ID      its letter on a message that nobody told it of
 *   milter attaches       a server has connected to it
 *   settle, sweep         the timers
 *   a dies, a drops       the process is killed; the connection of a peer without a pid closes
 * What becomes of it is written down as words: each record's verdict (with * if it changes an
 * earlier record, and +evidence), "guard" for a command kept from Postfix, what the policy service
 * answers but DUNNO, and at the end "strikes=N" of 192.0.2.1 if there are any.
 */
#include "config.h"

#include "tests/unit/cmocka_all.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "milter/clock.h"
#include "milter/sessions.h"

#define MESSAGES 16

/* A message as the milter knows it. */
struct message {
    char queue_id[TRANSFER_QUEUE_ID_SIZE];
    struct join_key key;
    int64_t last_chunk_ms;
};

struct bench {
    const char *name; /* of the script at hand */
    struct log *log;
    const struct settings *settings;
    struct joins *joins;
    struct recorder *recorder;
    struct record_follower follower;
    struct suppression *suppression;
    struct sessions *sessions;
    struct message messages[MESSAGES];
    size_t message_count;
    pid_t children[2];
    bool dead[2];
    unsigned settles_wanted;
    unsigned incidents;
    unsigned guarded; /* commands and messages kept from Postfix */
    bool attached;    /* a server has connected to the milter */
    char outcome[1024];
};

/* Adds to what came of a script, as far as there is room. */
static void add(struct bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct bench *bench, const char *format, ...)
{
    size_t used = strlen(bench->outcome);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(bench->outcome + used, sizeof(bench->outcome) - used, format, arguments);
    va_end(arguments);
}

static void say(struct bench *bench, const char *word)
{
    add(bench, "%s%s", bench->outcome[0] != '\0' ? " " : "", word);
}

/* ---- the bench ---- */

static void tell(struct record_follower *follower, const struct record *record)
{
    struct bench *bench =
        (struct bench *)(void *)((char *)follower - offsetof(struct bench, follower));
    say(bench, verdict_name(record->verdict));
    if (record->verdict == VERDICT_OVERRUN)
        add(bench, "*");
    for (unsigned bit = 0; bit < EVIDENCE_BITS; bit++)
        if (record->transfer.evidence & (1u << bit))
            add(bench, "+%s", evidence_name(bit));
}

static void want_settle(void *context)
{
    ((struct bench *)context)->settles_wanted++;
}

static void save_incident(void *context, const struct record *record)
{
    assert_false(verdict_is_clean(record->verdict));
    ((struct bench *)context)->incidents++;
}

static bool milter_is_attached(void *context)
{
    return ((const struct bench *)context)->attached;
}

static const struct settings *load(const char *text)
{
    char error[SETTINGS_ERROR_SIZE];
    const struct settings *settings =
        settings_load_text("test", text, strlen(text), error, sizeof(error));
    if (settings == NULL)
        fail_msg("%s", error);
    return settings;
}

static void configure(struct bench *bench, const char *text)
{
    settings_unref(&bench->settings);
    bench->settings = load(text);
    sessions_configure(bench->sessions, bench->settings);
}

static pid_t make_child(void)
{
    pid_t parent = getpid(), child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == parent)
            pause();
        _exit(0);
    }
    return child;
}

/* Its number stays that of the letter: another process may get it. */
static void end_child(struct bench *bench, size_t number)
{
    if (bench->children[number] == 0 || bench->dead[number])
        return;
    assert_int_equal(kill(bench->children[number], SIGKILL), 0);
    assert_int_equal(waitpid(bench->children[number], NULL, 0), bench->children[number]);
    bench->dead[number] = true;
}

static void open_bench(struct bench *bench)
{
    static const uint8_t seed[SUPPRESSION_SEED_OCTETS] = {1};
    bench->settings = load("limits = { stall_seconds = 30; };");
    bench->joins = joins_new();
    bench->recorder = recorder_new(bench->log);
    bench->suppression = suppression_new(seed);
    assert_non_null(bench->joins);
    assert_non_null(bench->recorder);
    assert_non_null(bench->suppression);
    bench->follower.tell = tell;
    recorder_follow(bench->recorder, &bench->follower);
    const struct sessions_options options = {
        .log = bench->log,
        .joins = bench->joins,
        .recorder = bench->recorder,
        .suppression = bench->suppression,
        .want_settle = want_settle,
        .save_incident = save_incident,
        .milter_is_attached = milter_is_attached,
        .context = bench,
    };
    bench->sessions = sessions_new(&options, bench->settings);
    assert_non_null(bench->sessions);
}

static void close_bench(struct bench *bench)
{
    sessions_free(&bench->sessions);
    assert_null(bench->sessions);
    sessions_free(&bench->sessions);
    recorder_free(&bench->recorder);
    suppression_free(&bench->suppression);
    joins_free(&bench->joins);
    settings_unref(&bench->settings);
    for (size_t i = 0; i < COUNT(bench->children); i++) {
        end_child(bench, i);
        bench->children[i] = 0;
        bench->dead[i] = false;
    }
    bench->message_count = 0;
    bench->attached = false;
    bench->settles_wanted = bench->incidents = bench->guarded = 0;
    bench->outcome[0] = '\0';
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    bench->name = "";
    bench->log = log_open("test_sessions", LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
    assert_non_null(bench->log);
    open_bench(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    close_bench(bench);
    log_close(&bench->log);
    free(bench);
    return 0;
}

static int64_t pid_of(struct bench *bench, char letter)
{
    if (letter == 'a')
        return getpid();
    if (letter == 'x' || letter == 'y')
        return letter == 'x' ? -1 : -2;
    size_t number = (size_t)(letter - 'b');
    assert_true(number < COUNT(bench->children));
    if (bench->children[number] == 0)
        bench->children[number] = make_child();
    return bench->children[number];
}

/* ---- what the hooks tell ---- */

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static void ask_policy(struct bench *bench, int64_t peer, const struct policy_request *request)
{
    char action[256];
    sessions_take_policy(bench->sessions, peer, request, action, sizeof(action));
    if (strcmp(action, "DUNNO") == 0)
        return;
    action[3] = '\0';
    say(bench, action);
    bench->guarded += strcmp(action, "503") == 0;
}

static struct message *find_message(struct bench *bench, const char *queue_id)
{
    for (size_t i = 0; i < bench->message_count; i++)
        if (strcmp(bench->messages[i].queue_id, queue_id) == 0)
            return &bench->messages[i];
    struct message *message = &bench->messages[bench->message_count++];
    assert_true(bench->message_count <= MESSAGES);
    *message = (struct message){0};
    snprintf(message->queue_id, sizeof(message->queue_id), "%s", queue_id);
    return message;
}

/* The client's address as the policy service is told: that of the ehlo lookup, if any. */
static void find_address(const struct bench *bench, int64_t pid, char text[NETWORK_TEXT_SIZE])
{
    struct session_view view;
    strcpy(text, "192.0.2.1");
    if (sessions_find(bench->sessions, pid, &view) && view.conversation->has_client)
        address_format(&view.conversation->client, text);
}

static void take_data(struct bench *bench, int64_t pid, const char *queue_id, const char *from)
{
    char address[NETWORK_TEXT_SIZE];
    find_address(bench, pid, address);
    const struct policy_request request = {
        .state = POLICY_STATE_DATA,
        .queue_id = slice_of(strcmp(queue_id, "-") != 0 ? queue_id : ""),
        .client_address = slice_of(from[0] != '\0' ? from : address),
        .client_name = slice_of("mx.example.org"),
        .pid = pid > 0 ? pid : 0,
    };
    struct session_view view;
    ask_policy(bench, pid, &request);
    if (sessions_find(bench->sessions, pid, &view))
        find_message(bench, queue_id)->last_chunk_ms = view.conversation->transfer.last_chunk_ms;
}

static void take_end(struct bench *bench, int64_t pid, const char *queue_id, uint64_t size)
{
    char address[NETWORK_TEXT_SIZE];
    find_address(bench, pid, address);
    const struct policy_request request = {
        .state = POLICY_STATE_END_OF_MESSAGE,
        .queue_id = slice_of(strcmp(queue_id, "-") != 0 ? queue_id : ""),
        .client_address = slice_of(address),
        .client_name = slice_of("mx.example.org"),
        .has_size = true,
        .size = size,
        .recipient_count = 1,
        .pid = pid > 0 ? pid : 0,
    };
    ask_policy(bench, pid, &request);
}

/* What the letter of end_message() of filter.c brings. */
static void judge(struct bench *bench, const struct message *message, enum verdict verdict)
{
    struct record record = {.verdict = verdict, .answered = true};
    const struct settings *settings = NULL;
    assert_int_not_equal(verdict, VERDICT_NONE);
    if (!joins_fetch(bench->joins, message->queue_id, &record.transfer, &settings)) {
        sessions_take_unjoined(bench->sessions, message->queue_id);
        return;
    }
    settings_unref(&settings);
    assert_true(record.transfer.has_received || verdict == VERDICT_UNVERIFIED);
    sessions_take_judged(bench->sessions, &message->key, &record);
}

static void take_milter(struct bench *bench, const char *event, const char *queue_id,
                        const char *more)
{
    if (strcmp(event, "attaches") == 0) {
        bench->attached = true;
        return;
    }
    struct message *message = find_message(bench, queue_id);
    const struct join_key *key = &message->key;
    if (strcmp(event, "sees") == 0) {
        if (!joins_begin(bench->joins, queue_id, &message->key))
            fail_msg("%s: no join of %s", bench->name, queue_id);
    } else if (strcmp(event, "judges") == 0) {
        judge(bench, message, verdict_from_name(more));
    } else if (strcmp(event, "misses") == 0) {
        sessions_take_unjoined(bench->sessions, queue_id);
    } else if (strcmp(event, "aborts") == 0) {
        sessions_take_abort(bench->sessions, key->pid, key->generation,
                            message->last_chunk_ms + strtoll(more, NULL, 10));
    } else {
        assert_string_equal(event, "closes");
        sessions_end(bench->sessions, key->pid, key->generation,
                     message->last_chunk_ms + strtoll(more, NULL, 10));
    }
}

static void take_ehlo(struct bench *bench, int64_t pid, const char *text)
{
    struct address client;
    bool known = address_parse(text, strlen(text), &client);
    if (sessions_begin(bench->sessions, pid, known ? &client : NULL) == WITHHOLD_CHUNKING)
        say(bench, "withheld");
}

static void take_process(struct bench *bench, char letter, const char *event, const char *queue_id,
                         const char *more)
{
    int64_t pid = pid_of(bench, letter);
    if (strcmp(event, "ehlo") == 0) {
        take_ehlo(bench, pid, queue_id);
    } else if (strcmp(event, "data") == 0) {
        take_data(bench, pid, queue_id, more);
    } else if (strcmp(event, "end") == 0) {
        take_end(bench, pid, queue_id, strtoull(more, NULL, 10));
    } else if (strcmp(event, "drops") == 0) {
        sessions_drop(bench->sessions, pid);
    } else {
        assert_string_equal(event, "dies");
        end_child(bench, (size_t)(letter - 'b'));
    }
}

static void take_event(struct bench *bench, const char *line)
{
    char who[8] = "", event[16] = "", queue_id[64] = "", more[32] = "";
    if (line[1] == ' ' && line[2] == '>') {
        if (sessions_take_command(bench->sessions, pid_of(bench, line[0]), line + 4,
                                  strlen(line + 4)) == NULL)
            return;
        say(bench, "guard");
        bench->guarded++;
        return;
    }
    int words = sscanf(line, "%7s %15s %63s %31s", who, event, queue_id, more);
    if (strcmp(who, "settle") == 0)
        sessions_settle(bench->sessions);
    else if (strcmp(who, "sweep") == 0)
        sessions_sweep(bench->sessions);
    else if (strcmp(who, "milter") == 0)
        take_milter(bench, event, queue_id, more);
    else if (words >= 2 && who[1] == '\0')
        take_process(bench, who[0], event, queue_id, more);
    else
        fail_msg("no such event: %s", line);
}

static void run(struct bench *bench, const char *script)
{
    while (*script != '\0') {
        char line[256];
        size_t length = strcspn(script, "\n");
        assert_true(length < sizeof(line));
        memcpy(line, script, length);
        line[length] = '\0';
        take_event(bench, line);
        script += length + (script[length] == '\n');
    }
}

static unsigned count_strikes(const struct bench *bench)
{
    struct client_record record;
    struct address client;
    assert_true(address_parse("192.0.2.1", 9, &client));
    return suppression_find(bench->suppression, &client, clock_wall_ms() / 1000, &record)
               ? record.strikes
               : 0;
}

/* What holds after every script: a message that is over has left no join behind, every session is
 * counted under one mode, and what was kept from Postfix is counted. */
static void check_order(const struct bench *bench, const char *open)
{
    const char *name = bench->name;
    const struct session_counts counts = sessions_counts(bench->sessions);
    uint64_t sum = 0;
    for (size_t i = 0; i < bench->message_count; i++) {
        const char *queue_id = bench->messages[i].queue_id;
        bool want = strcmp(queue_id, open) == 0;
        if (joins_is_open(bench->joins, queue_id) != want)
            fail_msg("%s: the join of %s is %s", name, queue_id, want ? "gone" : "left");
    }
    for (int mode = 0; mode < SESSION_MODES; mode++)
        sum += counts.modes[mode];
    if (sum != counts.total)
        fail_msg("%s: %llu sessions, but %llu of some mode", name, (unsigned long long)counts.total,
                 (unsigned long long)sum);
    assert_int_equal(counts.guarded, bench->guarded);
}

struct row {
    const char *name;
    const char *script;
    const char *want;
    const char *open; /* the message that is not over yet; NULL = none */
};

/* Each row on a bench of its own. */
static void check_rows(struct bench *bench, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        bench->name = row->name;
        run(bench, row->script);
        unsigned strikes = count_strikes(bench);
        if (strikes > 0)
            add(bench, " strikes=%u", strikes);
        if (strcmp(bench->outcome, row->want) != 0)
            fail_msg("%s: got \"%s\", want \"%s\"", row->name, bench->outcome, row->want);
        check_order(bench, row->open != NULL ? row->open : "");
        close_bench(bench);
        open_bench(bench);
    }
}

#define ENVELOPE(who) who " > MAIL FROM:<a@example.org>\n" who " > RCPT TO:<b@example.org>\n"
#define HELLO(who) who " ehlo 192.0.2.1\n" who " > EHLO mx.example.org\n"
/* A transfer that Postfix has taken and the milter sees: its octets may come. */
#define TAKEN(who, id) \
    ENVELOPE(who) who " > BDAT 100 LAST\n" who " data " id "\nmilter sees " id "\n"
#define JUDGED(who, id, word) TAKEN(who, id) who " end " id " 100\nmilter judges " id " " word "\n"

/* ---- one message ---- */

static const struct row message_rows[] = {
    {"judged and settled by the next command", HELLO("a") JUDGED("a", "Q1", "match") "a > QUIT",
     "match", NULL},
    {"judged, no command yet", HELLO("a") JUDGED("a", "Q1", "match"), "match", "Q1"},
    {"two messages",
     HELLO("a") JUDGED("a", "Q1", "match") JUDGED("a", "Q2", "dot_stuffed") "a > NOOP",
     "match dot_stuffed strikes=1", NULL},
    {"a clean one clears the strike",
     HELLO("a") JUDGED("a", "Q1", "dot_stuffed") JUDGED("a", "Q2", "match") "a > NOOP",
     "dot_stuffed match", NULL},
    {"octets behind LAST", HELLO("a") JUDGED("a", "Q1", "match") "a > the rest of a line",
     "match overrun*+foreign_input strikes=2", NULL},
    {"three chunks",
     HELLO("a") ENVELOPE("a") "a > BDAT 10\na data Q1\nmilter sees Q1\na > BDAT 20\n"
                              "a > BDAT 0 LAST\na end Q1 30\nmilter judges Q1 match\na > QUIT",
     "match", NULL},
    {"given up by RSET",
     HELLO("a") ENVELOPE("a") "a > BDAT 10\na data Q1\nmilter sees Q1\na > RSET", "abandoned",
     NULL},
    {"given up by QUIT",
     HELLO("a") ENVELOPE("a") "a > BDAT 10\na data Q1\nmilter sees Q1\na > QUIT", "abandoned",
     NULL},
    {"refused by Postfix, no policy request",
     HELLO("a") JUDGED("a", "Q1", "match") ENVELOPE("a") "a > BDAT 100 LAST\na > QUIT",
     "match failed_elsewhere", NULL},
    {"refused by Postfix behind the policy request",
     HELLO("a") ENVELOPE("a") "a > BDAT 100 LAST\na data Q1\na > QUIT", "failed_elsewhere", NULL},
    {"taken back from the milter", HELLO("a") TAKEN("a", "Q1") "milter aborts Q1 0\na > RSET",
     "failed_elsewhere", NULL},
    {"the milter's letter was lost", HELLO("a") TAKEN("a", "Q1") "a end Q1 100\na > QUIT",
     "failed_elsewhere", NULL},
    {"DATA", HELLO("a") ENVELOPE("a") "a > DATA\na data Q1\nmilter sees Q1\na end Q1 100\na > QUIT",
     "", NULL},
    {"DATA refused behind the policy request",
     HELLO("a") ENVELOPE("a") "a > DATA\na data Q1\na > RSET", "", NULL},
    {"the queue id comes again",
     HELLO("a") JUDGED("a", "Q1", "match") "a > NOOP\n" JUDGED("a", "Q1", "normalized") "a > QUIT",
     "match normalized", NULL},
    {"refused by Postfix, of a server of whose policy service nothing is known",
     HELLO("a") ENVELOPE("a") "a > BDAT 100 LAST\na > QUIT", "unverified", NULL},
    {"refused by Postfix, the first message of all, and the milter is attached",
     "milter attaches\n" HELLO("a") ENVELOPE("a") "a > BDAT 100 LAST\na > QUIT", "failed_elsewhere",
     NULL},
    {"the same, after one that the milter saw alone: the policy service is not asked",
     "milter attaches\n" HELLO("a") ENVELOPE("a") "a > BDAT 100 LAST\nmilter misses Q1\n" ENVELOPE(
         "a") "a > BDAT 100 LAST\na > QUIT",
     "unverified unverified", NULL},
    {"the same, in a session that may have begun before the milter was attached",
     "milter attaches\na > EHLO x\n" ENVELOPE("a") "a > BDAT 100 LAST\na > QUIT", "unverified",
     NULL},
    {"the policy service is asked at the end only",
     HELLO("a") ENVELOPE("a") "a > BDAT 100 LAST\nmilter misses Q1\na end Q1 100\n" ENVELOPE(
         "a") "a > BDAT 100 LAST\nmilter misses Q2\na end Q2 100\na > QUIT",
     "unverified unverified", NULL},
    {"another server's policy service is asked at the begin, too",
     HELLO("a") JUDGED("a", "Q1", "match") HELLO("b")
         ENVELOPE("b") "b > BDAT 100 LAST\nmilter misses Q2\nb end Q2 100\nb > QUIT\na > QUIT",
     "match unverified", NULL},
    {"no queue id (smtpd_proxy_filter)",
     HELLO("a") ENVELOPE("a") "a > BDAT 100 LAST\na data -\n"
                              "milter misses -\na end - 100\na > QUIT",
     "unverified", NULL},
};

static void test_messages(void **state)
{
    check_rows(*state, message_rows, COUNT(message_rows));
}

/* ---- the end of a session ---- */

static const struct row ending_rows[] = {
    {"lost", HELLO("a") TAKEN("a", "Q1") "milter closes Q1 29999\nsettle", "lost strikes=1", NULL},
    {"stalled", HELLO("a") TAKEN("a", "Q1") "milter closes Q1 30000\nsettle", "stalled strikes=2",
     NULL},
    {"not settled yet", HELLO("a") TAKEN("a", "Q1") "milter closes Q1 100", "", "Q1"},
    {"closed twice",
     HELLO("a") TAKEN("a", "Q1") "milter closes Q1 100\nmilter closes Q1 40000\n"
                                 "settle\nsettle\nsweep",
     "lost strikes=1", NULL},
    {"taken back, closed a little later: a refusal",
     HELLO("a") TAKEN("a", "Q1") "milter aborts Q1 50\nmilter closes Q1 60\nsettle",
     "failed_elsewhere", NULL},
    {"taken back and closed in one: the client left",
     HELLO("a") TAKEN("a", "Q1") "milter aborts Q1 50\nmilter closes Q1 59\nsettle",
     "lost strikes=1", NULL},
    {"large, after a larger one by DATA",
     HELLO("a") ENVELOPE("a") "a > DATA\na data Q1\nmilter sees Q1\na end Q1 20000000\n" ENVELOPE(
         "a") "a > BDAT 15000000 LAST\na data Q2\nmilter sees Q2\nmilter closes Q2 1\nsettle",
     "lost strikes=1", NULL},
    {"large, after a smaller one",
     HELLO("a") ENVELOPE("a") "a > DATA\na data Q1\nmilter sees Q1\na end Q1 14999999\n" ENVELOPE(
         "a") "a > BDAT 15000000 LAST\na data Q2\nmilter sees Q2\nmilter closes Q2 40000\nsettle",
     "failed_elsewhere+size_unknown", NULL},
    {"large, after a larger one that nobody could check",
     HELLO("a") "a end Q1 20000000\n" ENVELOPE(
         "a") "a > BDAT 15000000 LAST\na data Q2\nmilter sees Q2\nmilter closes Q2 1\nsettle",
     "lost strikes=1", NULL},
    {"another client behind one that left without QUIT, no ehlo lookup",
     "a > EHLO x\n" ENVELOPE(
         "a") "a > BDAT 9 LAST\na data Q1 192.0.2.1\nmilter sees Q1\n"
              "a end Q1 9\nmilter judges Q1 match\na > NOOP\na > EHLO y\n" ENVELOPE(
                  "a") "a > BDAT 9 LAST\na data Q2 192.0.2.7\nmilter sees Q2\nmilter closes Q2 "
                       "1\nsettle",
     "match lost", NULL},
    {"the same the other way round",
     "a > EHLO x\n" ENVELOPE(
         "a") "a > BDAT 9 LAST\na data Q1 192.0.2.7\nmilter sees Q1\n"
              "a end Q1 9\nmilter judges Q1 match\na > NOOP\na > EHLO y\n" ENVELOPE(
                  "a") "a > BDAT 9 LAST\na data Q2 192.0.2.1\nmilter sees Q2\nmilter closes Q2 "
                       "1\nsettle",
     "match lost strikes=1", NULL},
    {"judged, then closed", HELLO("a") JUDGED("a", "Q1", "match") "milter closes Q1 100", "match",
     NULL},
    {"all octets came, the letter was lost",
     HELLO("a") TAKEN("a", "Q1") "a end Q1 100\nmilter closes Q1 100", "failed_elsewhere", NULL},
    {"closed after QUIT",
     HELLO("a") JUDGED("a", "Q1", "match") "a > QUIT\nmilter closes Q1 100\n"
                                           "settle",
     "match", NULL},
    {"DATA lost",
     HELLO("a") ENVELOPE("a") "a > DATA\na data Q1\nmilter sees Q1\n"
                              "milter closes Q1 100",
     "", NULL},

    {"the next client before the end is settled",
     HELLO("a") TAKEN("a", "Q1") "milter closes Q1 30000\na ehlo 192.0.2.7\n" JUDGED(
         "a", "Q2", "match") "settle\na > QUIT",
     "stalled match strikes=2", NULL},
    {"a greeting before the end is settled: the next client's",
     HELLO("a") TAKEN("a", "Q1") "milter closes Q1 100\na > EHLO other.example.org",
     "lost strikes=1", NULL},
    {"a command behind the end: it was none",
     HELLO("a") TAKEN("a", "Q1") "milter closes Q1 100\na > NOOP\na > QUIT\na > QUIT",
     "lost strikes=1", NULL},
    {"the next client, and the close comes late",
     HELLO("a") JUDGED("a", "Q1", "match") "a ehlo 192.0.2.7\n" TAKEN(
         "a", "Q2") "milter closes Q1 30000\nmilter aborts Q1 0\nsettle",
     "match", "Q2"},
    {"the next client without a word of the milter's",
     HELLO("a") JUDGED("a", "Q1", "match") TAKEN("a", "Q2") "a ehlo 192.0.2.7\nsettle",
     "match lost strikes=1", NULL},
    {"the next client, and the milter had not seen the message: another filter refused it",
     HELLO("a") ENVELOPE("a") "a > BDAT 100 LAST\na data Q1\na ehlo 192.0.2.7", "failed_elsewhere",
     NULL},
    {"two processes side by side",
     HELLO("a") HELLO("b") TAKEN("a", "Q1")
         TAKEN("b", "Q2") "milter closes Q2 100\nsettle\n"
                          "a end Q1 100\nmilter judges Q1 unverified\na > QUIT",
     "lost unverified strikes=1", NULL},

    {"the process is gone, too",
     HELLO("b") TAKEN("b", "Q1") "milter closes Q1 30000\nb dies\nsettle",
     "failed_elsewhere+server_gone", NULL},
    {"it is gone, and nobody says so", HELLO("b") TAKEN("b", "Q1") "b dies\nsweep",
     "failed_elsewhere+server_gone", NULL},
    {"the client left before",
     HELLO("b") TAKEN("b", "Q1") "milter closes Q1 100\nsettle\nb dies\n"
                                 "sweep",
     "lost strikes=1", NULL},
    {"gone after a judged message", HELLO("b") JUDGED("b", "Q1", "match") "b dies\nsweep", "match",
     NULL},
    {"gone with DATA in the air",
     HELLO("b") ENVELOPE("b") "b > DATA\nb data Q1\nmilter sees Q1\n"
                              "b dies\nsweep",
     "", NULL},
    {"another process has its pid",
     HELLO("b") TAKEN("b", "Q1") "milter closes Q1 30000\nb dies\n"
                                 "b ehlo 192.0.2.7\n" JUDGED("b", "Q2", "match") "b > QUIT\nsettle",
     "stalled match strikes=2", NULL},

    {"a peer without a pid goes",
     "x ehlo 192.0.2.1\ny ehlo 192.0.2.7\n" ENVELOPE(
         "x") "x > BDAT 100\nx drops\nx drops\ny > NOOP",
     "unverified", NULL},
};

static void test_endings(void **state)
{
    check_rows(*state, ending_rows, COUNT(ending_rows));
}

/* An end that waits to be settled asks for it once; the others do not. */
static void test_settling_is_asked_for(void **state)
{
    struct bench *bench = *state;
    run(bench, HELLO("a") JUDGED("a", "Q1", "match") "milter closes Q1 100");
    assert_int_equal(bench->settles_wanted, 0);
    run(bench, HELLO("a") TAKEN("a", "Q2") "milter closes Q2 100\nmilter closes Q2 100");
    assert_int_equal(bench->settles_wanted, 1);
    run(bench, "settle");
    assert_int_equal(bench->incidents, 1);
}

/* ---- letters ---- */

/* A judgement that comes when another session of the process, or another message, is at hand. */
static void test_late_judgement(void **state)
{
    struct bench *bench = *state;
    struct record late = {.verdict = VERDICT_TRUNCATED};
    const struct settings *settings = NULL;
    run(bench, HELLO("a") TAKEN("a", "Q1") "a end Q1 100");
    const struct join_key key = find_message(bench, "Q1")->key;
    assert_true(joins_fetch(bench->joins, "Q1", &late.transfer, &settings));
    settings_unref(&settings);

    struct record again = late;
    again.verdict = VERDICT_UNVERIFIED;
    run(bench, TAKEN("a", "Q2"));
    sessions_take_judged(bench->sessions, &key, &late);
    run(bench, "a end Q2 100\na > NOOP");
    assert_string_equal(bench->outcome, "failed_elsewhere truncated failed_elsewhere");

    run(bench, HELLO("a") TAKEN("a", "Q3"));
    sessions_take_judged(bench->sessions, &key, &again);
    struct session_view view;
    assert_true(sessions_find(bench->sessions, getpid(), &view));
    assert_false(view.conversation->judged);
    run(bench, "a end Q3 100\nmilter judges Q3 match\na > QUIT");
    assert_string_equal(bench->outcome,
                        "failed_elsewhere truncated failed_elsewhere unverified match");
    assert_int_equal(sessions_counts(bench->sessions).unverified, 0);
    assert_int_equal(count_strikes(bench), 0);
    check_order(bench, "");
}

/* Letters on sessions that nobody knows. */
static void test_strange_letters(void **state)
{
    struct bench *bench = *state;
    const struct join_key key = {12345, 1, 1, TRANSFER_BDAT};
    struct record record = {.verdict = VERDICT_MATCH};
    sessions_take_abort(bench->sessions, 12345, 1, 0);
    sessions_end(bench->sessions, 12345, 1, 0);
    sessions_drop(bench->sessions, 12345);
    sessions_take_judged(bench->sessions, &key, &record);
    sessions_settle(bench->sessions);
    assert_string_equal(bench->outcome, "match");
    assert_int_equal(sessions_counts(bench->sessions).total, 0);
}

/* A message that the milter or the policy service saw, of a session without a command: counted
 * once, whether the milter's letter comes or not. */
static void test_unjoined(void **state)
{
    struct bench *bench = *state;
    const struct record_counts *counts = recorder_counts(bench->recorder);
    assert_null(sessions_hint(bench->sessions));
    run(bench, "a data Q1\nmilter misses Q1\na end Q1 100");
    assert_int_equal(counts->verdicts[VERDICT_UNVERIFIED], 1);
    assert_non_null(strstr(sessions_hint(bench->sessions), "smtpd_command_filter"));
    run(bench, "a data Q2\na end Q2 100");
    assert_int_equal(counts->verdicts[VERDICT_UNVERIFIED], 2);
    run(bench, "milter misses Q3");
    assert_int_equal(counts->verdicts[VERDICT_UNVERIFIED], 3);
    assert_int_equal(sessions_counts(bench->sessions).unverified, 1);
    run(bench, "a ehlo 192.0.2.1\na end Q4 100");
    assert_int_equal(sessions_counts(bench->sessions).unverified, 2);
    assert_int_equal(recorder_added(bench->recorder), 0);
}

/* No policy request at the end: the record tells the chunks all the same, and the hint names the
 * line that is missing in main.cf. */
static void test_no_request_at_the_end(void **state)
{
    struct bench *bench = *state;
    assert_null(sessions_hint(bench->sessions));
    run(bench, HELLO("a") ENVELOPE("a") "a > BDAT 40\na data Q1\nmilter sees Q1\n"
                                        "a > BDAT 92 LAST\nmilter judges Q1 unverified\na > QUIT");
    assert_string_equal(bench->outcome, "unverified");
    const struct record *record = recorder_at(bench->recorder, 0);
    assert_int_equal(record->transfer.chunk_count, 2);
    assert_int_equal(record->transfer.declared, 132);
    assert_int_equal(record->transfer.chunks[1], 92);
    assert_true(record->transfer.last);
    assert_false(record->transfer.has_received);
    assert_string_equal(record->transfer.queue_id, "Q1");
    assert_int_equal(record->transfer.pid, getpid());
    assert_non_null(strstr(sessions_hint(bench->sessions), "smtpd_end_of_data_restrictions"));
    assert_null(strstr(sessions_hint(bench->sessions), "smtpd_data_restrictions"));
    assert_int_equal(sessions_counts(bench->sessions).unverified, 1);
    check_order(bench, "");
}

/* A session that began before the daemon did comes to an end by itself: no word about it. */
static void test_begun_before(void **state)
{
    struct bench *bench = *state;
    run(bench, "a > BDAT 92 LAST\na data Q1\nmilter sees Q1\na end Q1 92\n"
               "milter judges Q1 unverified\na > QUIT");
    assert_string_equal(bench->outcome, "unverified");
    assert_null(sessions_hint(bench->sessions));
    assert_int_equal(sessions_counts(bench->sessions).unverified, 1);
}

/* One message is counted once as unverified, be it that the milter's letter comes, or a record, or
 * both. */
static void test_unverified_is_counted_once(void **state)
{
    struct bench *bench = *state;
    static const struct {
        const char *script;
        uint64_t count;
        bool accepted; /* by the milter, as far as it is known */
    } cases[] = {
        /* the policy service at the end only */
        {HELLO("a") ENVELOPE("a") "a > BDAT 9 LAST\nmilter misses Q1\na end Q1 9\na > QUIT", 1,
         true},
        {HELLO("a") ENVELOPE("a") "a > BDAT 9 LAST\na end Q1 9\na > QUIT", 1, false},
        /* none at all */
        {HELLO("a") ENVELOPE("a") "a > BDAT 9 LAST\nmilter misses Q1\na > QUIT", 1, false},
        {HELLO("a") HELLO("b") ENVELOPE("a")
             ENVELOPE("b") "a > BDAT 9 LAST\nmilter misses Q1\n"
                           "b > BDAT 9 LAST\nmilter misses Q2\nb > QUIT\na > QUIT",
         2, false},
        {HELLO("a")
             ENVELOPE("a") "a > BDAT 9 LAST\na > RSET\n" ENVELOPE("a") "a > BDAT 9 LAST\n"
                                                                       "milter misses Q1\na > QUIT",
         2, false},
        /* the policy service at the begin only */
        {HELLO("a") TAKEN("a", "Q1") "milter judges Q1 unverified\na > QUIT", 1, true},
        /* smtpd_proxy_filter */
        {HELLO("a") ENVELOPE("a") "a > BDAT 9 LAST\na data -\nmilter misses -\na end - 9\na > QUIT",
         1, true},
        /* no command table */
        {"a ehlo 192.0.2.1\na data Q1\nmilter misses Q1\na end Q1 9\na ehlo 192.0.2.1", 1, false},
        {"a ehlo 192.0.2.1\na data -\na end - 9\na ehlo 192.0.2.1", 1, false},
        /* a transfer that spans a restart */
        {"a > BDAT 9 LAST\na end Q1 9\na > QUIT", 1, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        run(bench, cases[i].script);
        const struct record_counts *counts = recorder_counts(bench->recorder);
        const struct record *record = recorder_at(bench->recorder, 0);
        if (counts->verdicts[VERDICT_UNVERIFIED] != cases[i].count)
            fail_msg("case %zu: counted %llu times", i,
                     (unsigned long long)counts->verdicts[VERDICT_UNVERIFIED]);
        if (record != NULL)
            assert_int_equal(record->verdict, VERDICT_UNVERIFIED);
        bool accepted = record != NULL && record->answered && record->action == ACTION_ACCEPT;
        if (accepted != cases[i].accepted)
            fail_msg("case %zu: %saccepted", i, accepted ? "" : "not ");
        assert_int_equal(counts->actions[ACTION_ACCEPT], cases[i].accepted);
        assert_true(sessions_counts(bench->sessions).unverified >= 1);
        assert_non_null(sessions_hint(bench->sessions));
        close_bench(bench);
        open_bench(bench);
    }
}

/* What spans a restart has the name that Postfix gives it at the end. */
static void test_names_from_the_end(void **state)
{
    struct bench *bench = *state;
    run(bench, "a > BDAT 9 LAST\na end Q1 9\na > QUIT");
    const struct record *record = recorder_at(bench->recorder, 0);
    assert_non_null(record);
    assert_string_equal(record->transfer.queue_id, "Q1");
    assert_string_equal(record->transfer.client_name, "mx.example.org");
    assert_true(record->transfer.has_client);
}

/* A refusal of Postfix's is no reason for a hint where the milter is known to be attached. */
static void test_no_hint_for_a_refusal(void **state)
{
    struct bench *bench = *state;
    run(bench, "milter attaches\n" HELLO("a") ENVELOPE("a") "a > BDAT 9 LAST\na > RSET\n");
    assert_null(sessions_hint(bench->sessions));
    assert_int_equal(sessions_counts(bench->sessions).unverified, 0);
    run(bench, ENVELOPE("a") "a > BDAT 9 LAST\nmilter misses Q1\na > RSET");
    assert_non_null(strstr(sessions_hint(bench->sessions), "check_policy_service"));
    assert_string_equal(bench->outcome, "failed_elsewhere unverified");
}

/* ---- limits, guard, rules ---- */

static const struct row limit_rows[] = {
    {"a first chunk beyond max_message",
     HELLO("a") ENVELOPE("a") "a > BDAT 1001 LAST\na data Q1\n"
                              "a > QUIT",
     "refused+max_message 552 strikes=1", NULL},
    {"a later one",
     HELLO("a") ENVELOPE("a") "a > BDAT 900\na data Q1\nmilter sees Q1\n"
                              "a > BDAT 900 LAST\nsettle",
     "refused+max_message+guarded guard strikes=1", NULL},
    {"refused at its begin, more chunks to come",
     HELLO("a") ENVELOPE("a") "a > BDAT 1001\na data Q1\na > BDAT 1 LAST\na > QUIT",
     "552 refused+max_message+guarded guard strikes=1", NULL},
    {"DATA behind a transfer that has ended", HELLO("a") JUDGED("a", "Q1", "match") "a > DATA",
     "match guard", NULL},
    {"no queue id, in another session than the one before",
     HELLO("a") JUDGED("a", "Q1", "match") HELLO("a") ENVELOPE("a") "a > BDAT 10 LAST\na data -\n"
                                                                    "a > QUIT",
     "match failed_elsewhere", NULL},
    {"no message in progress",
     HELLO("a") JUDGED("a", "Q1", "match") ENVELOPE("a") "a > BDAT 10 LAST\na data -\na > QUIT",
     "match 503 failed_elsewhere", NULL},
};

static void test_limits(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < COUNT(limit_rows); i++) {
        configure(bench, "limits = { max_message = \"1000\"; };");
        check_rows(bench, &limit_rows[i], 1);
    }
}

/* A session keeps the settings it began with; the process's next one has the new ones. */
static void test_reload(void **state)
{
    struct bench *bench = *state;
    configure(bench, "limits = { max_message = \"1000\"; };");
    run(bench, HELLO("a"));
    configure(bench, "limits = { max_message = \"0\"; };");
    run(bench, ENVELOPE("a") "a > BDAT 2000 LAST\na data Q1");
    assert_string_equal(bench->outcome, "refused+max_message 552");
    run(bench, HELLO("a") ENVELOPE("a") "a > BDAT 2000 LAST\na data Q2\na > QUIT");
    assert_string_equal(bench->outcome, "refused+max_message 552 failed_elsewhere");
    check_order(bench, "");
}

static void test_offer(void **state)
{
    struct bench *bench = *state;
    configure(bench, "rules = ( { clients = [\"192.0.2.8\"]; chunking = \"never\"; },"
                     " { clients = [\"192.0.2.1\"]; chunking = \"always\"; } );");
    run(bench, HELLO("a") "a ehlo 192.0.2.8");
    assert_string_equal(bench->outcome, "withheld");
    run(bench, "a > EHLO x\n" ENVELOPE("a") "a > BDAT 100 LAST");
    assert_string_equal(bench->outcome, "withheld not_offered");
    bench->outcome[0] = '\0';
    run(bench, HELLO("a") TAKEN("a", "Q1") "milter closes Q1 30000\na ehlo 192.0.2.1");
    assert_string_equal(bench->outcome, "stalled"); /* pinned: strikes, and no suppression */
    configure(bench, "mode = \"enforce\";");
    bench->outcome[0] = '\0';
    run(bench, HELLO("a") TAKEN("a", "Q2") "milter closes Q2 30000\na ehlo 192.0.2.1");
    assert_string_equal(bench->outcome, "stalled withheld");
    run(bench, "a ehlo -");
    assert_string_equal(bench->outcome, "stalled withheld");
    configure(bench, "mode = \"observe\";");
    run(bench, "a ehlo 192.0.2.1\na ehlo 192.0.2.8");
    assert_string_equal(bench->outcome, "stalled withheld");
    check_order(bench, "");
}

/* ---- counts and memory ---- */

static void check_counts(const struct bench *bench, size_t active, uint64_t total,
                         const uint64_t modes[SESSION_MODES], const uint64_t over[SESSION_MODES])
{
    const struct session_counts counts = sessions_counts(bench->sessions);
    assert_int_equal(counts.active, active);
    assert_int_equal(counts.total, total);
    for (int mode = 0; mode < SESSION_MODES; mode++) {
        if (counts.modes[mode] != modes[mode] || counts.over[mode] != over[mode])
            fail_msg("%s: %llu and %llu over, want %llu and %llu",
                     session_mode_name((enum session_mode)mode),
                     (unsigned long long)counts.modes[mode], (unsigned long long)counts.over[mode],
                     (unsigned long long)modes[mode], (unsigned long long)over[mode]);
    }
}

#define COUNTS(...) ((const uint64_t[SESSION_MODES]){__VA_ARGS__})

static void test_counts(void **state)
{
    struct bench *bench = *state;
    check_counts(bench, 0, 0, COUNTS(0), COUNTS(0));
    run(bench, HELLO("a") HELLO("b") "c ehlo -\nx ehlo 192.0.2.9");
    check_counts(bench, 4, 4, COUNTS([SESSION_NONE] = 4), COUNTS(0));
    run(bench, JUDGED("a", "Q1", "match") ENVELOPE("b") "b > DATA\nb data Q2\nb end Q2 100");
    check_counts(bench, 4, 4, COUNTS([SESSION_NONE] = 2, [SESSION_BDAT] = 1, [SESSION_DATA] = 1),
                 COUNTS(0));
    run(bench, ENVELOPE("a") "a > DATA\na data Q3\na end Q3 100\na > QUIT\nb > QUIT\nx drops");
    check_counts(bench, 1, 4, COUNTS([SESSION_NONE] = 2, [SESSION_MIXED] = 1, [SESSION_DATA] = 1),
                 COUNTS([SESSION_NONE] = 1, [SESSION_MIXED] = 1, [SESSION_DATA] = 1));
    run(bench, "a ehlo 192.0.2.1\nc dies\nsweep");
    check_counts(bench, 1, 5, COUNTS([SESSION_NONE] = 3, [SESSION_MIXED] = 1, [SESSION_DATA] = 1),
                 COUNTS([SESSION_NONE] = 2, [SESSION_MIXED] = 1, [SESSION_DATA] = 1));
    sessions_begin_other(bench->sessions);
    check_counts(bench, 2, 6, COUNTS([SESSION_NONE] = 3, [SESSION_MIXED] = 1, [SESSION_DATA] = 1),
                 COUNTS([SESSION_NONE] = 2, [SESSION_MIXED] = 1, [SESSION_DATA] = 1));
    sessions_end_other(bench->sessions, SESSION_BDAT);
    check_counts(
        bench, 1, 6,
        COUNTS([SESSION_NONE] = 3, [SESSION_BDAT] = 1, [SESSION_MIXED] = 1, [SESSION_DATA] = 1),
        COUNTS([SESSION_NONE] = 2, [SESSION_BDAT] = 1, [SESSION_MIXED] = 1, [SESSION_DATA] = 1));
    assert_int_equal(recorder_counts(bench->recorder)->data_transfers, 2);
    check_order(bench, "");
}

/* Where the ehlo table is not in use, a greeting behind QUIT is all that shows the next client. */
static void test_counts_without_ehlo(void **state)
{
    struct bench *bench = *state;
    run(bench, "a > EHLO x\na > QUIT\na > EHLO y\n" JUDGED("a", "Q1", "match") "a > QUIT\n"
                                                                               "a > HELO z");
    check_counts(bench, 1, 3, COUNTS([SESSION_NONE] = 2, [SESSION_BDAT] = 1),
                 COUNTS([SESSION_NONE] = 1, [SESSION_BDAT] = 1));
}

struct visit {
    unsigned count;
    int64_t pid;
};

static void note_visit(void *context, const struct session_view *view)
{
    struct visit *visit = context;
    visit->count++;
    visit->pid = view->pid;
}

static void test_views(void **state)
{
    struct bench *bench = *state;
    struct visit visit = {0};
    struct session_view view;
    run(bench, HELLO("a") HELLO("x") "x > QUIT");
    sessions_visit(bench->sessions, note_visit, &visit);
    assert_int_equal(visit.count, 1);
    assert_int_equal(visit.pid, getpid());
    assert_true(sessions_find(bench->sessions, getpid(), &view));
    assert_string_equal(view.conversation->helo, "mx.example.org");
    assert_false(sessions_find(bench->sessions, -1, &view)); /* over */
    assert_false(sessions_find(bench->sessions, -2, &view)); /* never was */
}

/* Octets allocated now, by whatever allocator this build has; 0 = it does not tell. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t count_octets(void)
{
    if (__sanitizer_get_current_allocated_bytes != NULL)
        return __sanitizer_get_current_allocated_bytes();
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    return mallinfo2().uordblks;
#else
    return 0;
#endif
}

#define CROWD 500
/* What a session may take, with what the allocator adds. */
#define SESSION_OCTETS 4096

/* A session takes so much and no more, whatever its client says, and gives it back. */
static void test_memory(void **state)
{
    struct bench *bench = *state;
    char *line = malloc(60000);
    size_t before = count_octets();
    assert_non_null(line);
    if (before == 0) {
        free(line);
        skip();
    }
    memset(line, 'x', 60000);
    for (int64_t peer = 1; peer <= CROWD; peer++)
        sessions_take_command(bench->sessions, -peer, line, 60000);
    size_t begun = count_octets();
    assert_in_range((begun - before) / CROWD, sizeof(struct conversation), SESSION_OCTETS);
    for (int64_t peer = 1; peer <= CROWD; peer++) {
        memcpy(line, "MAIL FROM:<", 11);
        sessions_take_command(bench->sessions, -peer, line, 60000);
        for (int chunk = 0; chunk < 100; chunk++)
            sessions_take_command(bench->sessions, -peer, "BDAT 10", 7);
        memset(line, 'x', 11);
        sessions_take_command(bench->sessions, -peer, line, 60000);
    }
    assert_int_equal(count_octets(), begun);
    for (int64_t peer = 1; peer <= CROWD; peer++)
        sessions_drop(bench->sessions, -peer);
    assert_in_range(count_octets(), 0, before + SESSION_OCTETS);
    assert_int_equal(sessions_counts(bench->sessions).active, 0);
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_endings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settling_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_judgement, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strange_letters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unjoined, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_request_at_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_begun_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unverified_is_counted_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_from_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_hint_for_a_refusal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_offer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_counts_without_ehlo, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_views, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
