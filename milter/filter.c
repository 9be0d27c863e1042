#include "config.h"

#include "milter/filter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmilter/mfapi.h>

#include "milter/clock.h"
#include "milter/content.h"
#include "milter/limits.h"
#include "milter/reply.h"

/* libmilter takes these without const. */
static char filter_name[] = "bdat-milter";
static char queue_id_macro[] = "i";
static char tag_header[] = "X-BDAT-Transfer";

/* A macro that no MTA has: asks for none. */
static char no_macro[] = "{bdat_milter_none}";

/* Debian's libmilter takes a listening descriptor; the longest text is "fd:" and an int. */
#define FD_TEXT_SIZE 16

/* Everything Postfix need not send. */
#define STEPS_UNWANTED                                                                             \
    (SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NOMAIL | SMFIP_NORCPT | SMFIP_NOHDRS | SMFIP_NOEOH |    \
     SMFIP_NOUNKNOWN | SMFIP_NR_BODY)

/* Bits of a judgement that name a broken limit. */
#define EVIDENCE_OF_LIMITS                                                                         \
    (EVIDENCE_MAX_CHUNKS | EVIDENCE_MAX_CHUNK | EVIDENCE_MIN_CHUNK | EVIDENCE_MAX_MESSAGE |        \
     EVIDENCE_BINARYMIME)

/* What the filter may do to a message, and that it names the macros it wants. */
static const unsigned long description_flags =
    SMFIF_ADDHDRS | SMFIF_QUARANTINE | SMFIF_SETSYMLIST;

/* One message as the milter sees it; reset at DATA, end of message, abort and close. */
struct filter_message {
    bool checking;
    char queue_id[TRANSFER_QUEUE_ID_SIZE];
    struct content *content; /* made for the session's first BDAT message */
};

/* One milter connection: an SMTP session. */
struct filter_connection {
    bool body_unanswered;          /* negotiated: the MTA waits for no reply to a body chunk */
    bool joined;
    struct join_key key;           /* of the last message that was joined */
    char queue_id[TRANSFER_QUEUE_ID_SIZE]; /* likewise */
    struct filter_message message;
};

/* libmilter hands its callbacks no pointer of ours, so the one filter of the process is here. */
static struct {
    struct filter_options options;
    pthread_t thread;
    atomic_bool running;
    atomic_bool stopping;   /* callbacks do nothing any more: what they use may be freed */
    atomic_uint in_flight;  /* callbacks at work now */
    atomic_uint_least64_t opened;
    atomic_uint_least64_t closed;
    atomic_int_least64_t last_seen_ms;
} filter;

/* Said to the loop. */
struct end_letter {
    struct letter letter;
    int64_t pid;
    uint64_t generation;
};
struct unjoined_letter {
    struct letter letter;
    char queue_id[TRANSFER_QUEUE_ID_SIZE];
};

static void deliver_end(void *context, struct letter *letter)
{
    struct end_letter *end = (struct end_letter *)letter;
    (void)context;
    sessions_end(filter.options.sessions, end->pid, end->generation);
    free(end);
}

static void deliver_unjoined(void *context, struct letter *letter)
{
    struct unjoined_letter *unjoined = (struct unjoined_letter *)letter;
    (void)context;
    sessions_take_unjoined(filter.options.sessions, unjoined->queue_id);
    free(unjoined);
}

static void deliver_judged(void *context, struct letter *letter)
{
    struct judged_letter *judged = (struct judged_letter *)letter;
    (void)context;
    sessions_take_judged(filter.options.sessions, judged);
    free(judged);
}

/* A letter of that size, or NULL: then the loop learns nothing, and mail goes on. */
static void *make_letter(size_t size, void (*deliver)(void *, struct letter *))
{
    struct letter *letter = calloc(1, size);
    if (letter == NULL)
        log_write(filter.options.log, LOG_LEVEL_ERROR, "out of memory: a message goes unrecorded");
    else
        letter->deliver = deliver;
    return letter;
}

static void post_unjoined(const char *queue_id)
{
    struct unjoined_letter *unjoined = make_letter(sizeof(*unjoined), deliver_unjoined);
    if (unjoined == NULL)
        return;
    snprintf(unjoined->queue_id, sizeof(unjoined->queue_id), "%s", queue_id);
    inbox_post(filter.options.inbox, &unjoined->letter);
}

/* Brackets what a callback does with the options' objects. False when the filter is stopping: the
 * callback then touches none of them, and must not call leave(). */
static bool enter(void)
{
    atomic_fetch_add(&filter.in_flight, 1);
    if (!atomic_load(&filter.stopping))
        return true;
    atomic_fetch_sub(&filter.in_flight, 1);
    return false;
}

static void leave(void)
{
    atomic_fetch_sub(&filter.in_flight, 1);
}

static void reset_message(struct filter_message *message)
{
    message->checking = false;
}

static struct filter_connection *get_connection(SMFICTX *ctx)
{
    struct filter_connection *connection = smfi_getpriv(ctx);
    if (connection != NULL)
        return connection;
    connection = calloc(1, sizeof(*connection));
    if (connection != NULL && smfi_setpriv(ctx, connection) != MI_SUCCESS) {
        free(connection);
        connection = NULL;
    }
    return connection;
}

/*
 * The queue id at DATA and nothing else. It must not come with later stages: without MAIL events
 * libmilter never clears macros and looks for the latest stage first (smfi_getsymval()), so that
 * the second message of a session would be given the queue id of the first.
 */
static void ask_for_macros(SMFICTX *ctx)
{
    static const int unwanted[] = {SMFIM_CONNECT, SMFIM_HELO, SMFIM_ENVFROM,
                                   SMFIM_ENVRCPT, SMFIM_EOM,  SMFIM_EOH};
    smfi_setsymlist(ctx, SMFIM_DATA, queue_id_macro);
    for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
        smfi_setsymlist(ctx, unwanted[i], no_macro);
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
                             unsigned long f2, unsigned long f3, unsigned long *wanted_actions,
                             unsigned long *wanted_steps, unsigned long *wanted_f2,
                             unsigned long *wanted_f3)
{
    (void)f2;
    (void)f3;
    atomic_fetch_add(&filter.opened, 1);
    atomic_store(&filter.last_seen_ms, clock_wall_ms());
    *wanted_actions = actions & description_flags;
    if (actions & SMFIF_SETSYMLIST)
        ask_for_macros(ctx);
    *wanted_steps = steps & STEPS_UNWANTED;
    struct filter_connection *connection = get_connection(ctx);
    if (connection != NULL)
        connection->body_unanswered = steps & SMFIP_NR_BODY;
    else
        *wanted_steps &= ~(unsigned long)SMFIP_NR_BODY;
    *wanted_f2 = *wanted_f3 = 0;
    return SMFIS_CONTINUE;
}

static sfsistat begin_message(SMFICTX *ctx)
{
    const char *queue_id = smfi_getsymval(ctx, queue_id_macro);
    struct filter_connection *connection = get_connection(ctx);
    struct join_key key;
    if (connection == NULL || queue_id == NULL ||
        !joins_begin(filter.options.joins, queue_id, &key)) {
        post_unjoined(queue_id != NULL ? queue_id : "");
        return SMFIS_ACCEPT;
    }
    connection->joined = true;
    connection->key = key;
    snprintf(connection->queue_id, sizeof(connection->queue_id), "%s", queue_id);
    reset_message(&connection->message);
    if (key.mode != TRANSFER_BDAT)
        return SMFIS_ACCEPT;
    if (connection->message.content == NULL)
        connection->message.content = malloc(sizeof(*connection->message.content));
    if (connection->message.content == NULL) {
        post_unjoined(queue_id);
        return SMFIS_ACCEPT;
    }
    connection->message.checking = true;
    content_reset(connection->message.content);
    return SMFIS_CONTINUE;
}

static sfsistat on_data(SMFICTX *ctx)
{
    if (!enter())
        return SMFIS_ACCEPT;
    sfsistat result = begin_message(ctx);
    leave();
    return result;
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *data, size_t length)
{
    struct filter_connection *connection = smfi_getpriv(ctx);
    if (connection != NULL && connection->message.checking)
        content_feed(connection->message.content, (const char *)data, length);
    return connection != NULL && connection->body_unanswered ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* smfi_setreply() takes % for itself. */
static void double_percents(const char *text, char *target, size_t size)
{
    size_t at = 0;
    for (; *text != '\0' && at + 2 < size; text++) {
        if (*text == '%')
            target[at++] = '%';
        target[at++] = *text;
    }
    target[at] = '\0';
}

/* Writes "CODE STATUS text" for a refusal by this record's action. */
static void write_reply(const struct settings *settings, struct record *record)
{
    const struct transfer *transfer = &record->transfer;
    struct reply reply;
    char error[128], text[REPLY_TEXT_SIZE];
    unsigned broken = transfer->evidence & EVIDENCE_OF_LIMITS;
    if (broken != 0 && record->verdict == VERDICT_REFUSED && record->action == ACTION_REJECT) {
        limits_explain(&settings->limits, transfer, broken, record->reply,
                       sizeof(record->reply));
        return;
    }
    if (reply_parse(settings->replies[record->verdict], &reply, error, sizeof(error)) != 0)
        reply = (struct reply){.text = "BDAT transfer does not add up"};
    reply_complete(&reply, record->verdict, record->action);
    const struct reply_facts facts = {
        .declared = (int64_t)transfer->declared,
        .received = transfer->has_received ? (int64_t)transfer->received : -1,
        .size = transfer->has_size ? (int64_t)transfer->size : -1,
        .queue_id = transfer->queue_id,
        .verdict = record->verdict,
    };
    reply_expand(reply.text, &facts, text);
    snprintf(record->reply, sizeof(record->reply), "%s %s %s", reply.code, reply.status, text);
}

/* Has libmilter give the reply; the codes stand at fixed places of it. */
static sfsistat refuse(SMFICTX *ctx, const struct record *record)
{
    char code[4], status[12], text[2 * RECORD_REPLY_SIZE];
    int used = 0;
    sfsistat result = record->action == ACTION_REJECT ? SMFIS_REJECT : SMFIS_TEMPFAIL;
    if (sscanf(record->reply, "%3s %11s %n", code, status, &used) != 2)
        return result;
    double_percents(record->reply + used, text, sizeof(text));
    if (smfi_setreply(ctx, code, status, text) != MI_SUCCESS)
        log_write(filter.options.log, LOG_LEVEL_ERROR, "libmilter does not take the reply \"%s\"",
                  record->reply);
    return result;
}

static sfsistat answer(SMFICTX *ctx, const struct record *record)
{
    char words[128];
    if (record->observed)
        return SMFIS_ACCEPT;
    switch (record->action) {
    case ACTION_TEMPFAIL:
    case ACTION_REJECT:
        return refuse(ctx, record);
    case ACTION_TAG:
        snprintf(words, sizeof(words), "%s; declared=%llu; received=%llu",
                 verdict_name(record->verdict), (unsigned long long)record->transfer.declared,
                 (unsigned long long)record->transfer.received);
        if (smfi_addheader(ctx, tag_header, words) != MI_SUCCESS)
            log_write(filter.options.log, LOG_LEVEL_ERROR, "%s: cannot add a header",
                      record->transfer.queue_id);
        return SMFIS_ACCEPT;
    case ACTION_HOLD:
        snprintf(words, sizeof(words), "bdat-milter: %s", verdict_name(record->verdict));
        if (smfi_quarantine(ctx, words) != MI_SUCCESS)
            log_write(filter.options.log, LOG_LEVEL_ERROR, "%s: cannot hold the message",
                      record->transfer.queue_id);
        return SMFIS_ACCEPT;
    default:
        return SMFIS_ACCEPT;
    }
}

/* Judges by the ledger and the body; fills the record but for its times. */
static void judge(const struct settings *settings, struct content *content,
                  struct record *record)
{
    content_finish(content);
    struct judgement judgement =
        transfer_judge_message(&record->transfer, content, settings->limits.size_slack);
    record->verdict = judgement.verdict;
    record->transfer.evidence = judgement.evidence;
    record->has_body = true;
    record->body = content->octets;
    record->observed = settings->mode == MODE_OBSERVE;
    record->answered = true;
    record->action = record->transfer.has_client
                         ? settings_action(settings, &record->transfer.client, record->verdict)
                         : settings->actions[record->verdict];
    if (record->observed)
        record->action = ACTION_ACCEPT;
    if (record->action >= ACTION_TEMPFAIL)
        write_reply(settings, record);
}

static sfsistat end_message(SMFICTX *ctx, struct filter_connection *connection)
{
    const struct settings *settings = NULL;
    struct judged_letter *judged = make_letter(sizeof(*judged), deliver_judged);
    if (judged == NULL)
        return SMFIS_ACCEPT;
    struct record *record = &judged->record;
    if (!joins_fetch(filter.options.joins, connection->queue_id, &record->transfer, &settings)) {
        free(judged);
        post_unjoined(connection->queue_id);
        return SMFIS_ACCEPT;
    }
    judged->key = connection->key;
    snprintf(record->transfer.queue_id, sizeof(record->transfer.queue_id), "%s",
             connection->queue_id);
    judge(settings, connection->message.content, record);
    settings_unref(&settings);
    /* Posted before the answer: the loop must know the verdict before Postfix asks on. */
    sfsistat result = answer(ctx, record);
    inbox_post(filter.options.inbox, &judged->letter);
    return result;
}

static sfsistat on_end_of_message(SMFICTX *ctx)
{
    struct filter_connection *connection = smfi_getpriv(ctx);
    if (connection == NULL || !connection->message.checking)
        return SMFIS_ACCEPT;
    reset_message(&connection->message);
    if (!enter())
        return SMFIS_ACCEPT;
    sfsistat result = end_message(ctx, connection);
    leave();
    return result;
}

static sfsistat on_abort(SMFICTX *ctx)
{
    struct filter_connection *connection = smfi_getpriv(ctx);
    if (connection != NULL)
        reset_message(&connection->message);
    return SMFIS_CONTINUE;
}

/* Tells the loop, unless a command has shown it that the message is over. */
static void post_end(const struct filter_connection *connection)
{
    if (!joins_is_open(filter.options.joins, connection->queue_id))
        return;
    struct end_letter *end = make_letter(sizeof(*end), deliver_end);
    if (end == NULL)
        return;
    end->pid = connection->key.pid;
    end->generation = connection->key.generation;
    inbox_post(filter.options.inbox, &end->letter);
}

static sfsistat on_close(SMFICTX *ctx)
{
    struct filter_connection *connection = smfi_getpriv(ctx);
    atomic_fetch_add(&filter.closed, 1);
    if (connection == NULL)
        return SMFIS_CONTINUE;
    if (connection->joined && enter()) {
        post_end(connection);
        leave();
    }
    free(connection->message.content);
    free(connection);
    smfi_setpriv(ctx, NULL);
    return SMFIS_CONTINUE;
}

static struct smfiDesc description = {
    .xxfi_name = filter_name,
    .xxfi_version = SMFI_VERSION,
    .xxfi_flags = SMFIF_ADDHDRS | SMFIF_QUARANTINE | SMFIF_SETSYMLIST,
    .xxfi_body = on_body,
    .xxfi_eom = on_end_of_message,
    .xxfi_abort = on_abort,
    .xxfi_close = on_close,
    .xxfi_data = on_data,
    .xxfi_negotiate = on_negotiate,
};

int filter_open(const struct filter_options *options, int fd, const char *path, bool *took_fd,
                char *error, size_t error_size)
{
    char descriptor[FD_TEXT_SIZE];
    filter.options = *options;
    if (smfi_register(description) != MI_SUCCESS) {
        snprintf(error, error_size, "libmilter does not take the registration");
        return -1;
    }
    snprintf(descriptor, sizeof(descriptor), "fd:%d", fd);
    *took_fd = smfi_setconn(descriptor) == MI_SUCCESS && smfi_opensocket(false) == MI_SUCCESS;
    if (*took_fd)
        return 0;
    char address[160];
    snprintf(address, sizeof(address), "unix:%s", path);
    if (smfi_setconn(address) != MI_SUCCESS || smfi_opensocket(true) != MI_SUCCESS) {
        snprintf(error, error_size, "libmilter cannot listen at %s", path);
        return -1;
    }
    return 0;
}

static void *run(void *unused)
{
    (void)unused;
    if (smfi_main() != MI_SUCCESS)
        log_write(filter.options.log, LOG_LEVEL_ERROR, "libmilter has ended with an error");
    atomic_store(&filter.running, false);
    return NULL;
}

int filter_start(void)
{
    atomic_store(&filter.running, true);
    if (pthread_create(&filter.thread, NULL, run, NULL) == 0)
        return 0;
    atomic_store(&filter.running, false);
    return -1;
}

bool filter_is_running(void)
{
    return atomic_load(&filter.running);
}

bool filter_stop(int timeout_ms)
{
    static const struct timespec moment = {0, 1000000};
    int64_t until = clock_monotonic_ms() + timeout_ms;
    smfi_stop();
    atomic_store(&filter.stopping, true);
    while (atomic_load(&filter.in_flight) > 0 && clock_monotonic_ms() < until)
        nanosleep(&moment, NULL);
    pthread_detach(filter.thread);
    return atomic_load(&filter.in_flight) == 0;
}

struct filter_counts filter_counts(void)
{
    uint64_t closed = atomic_load(&filter.closed);
    uint64_t opened = atomic_load(&filter.opened);
    return (struct filter_counts){
        .connections = opened > closed ? opened - closed : 0,
        .sessions = opened,
        .last_seen_ms = atomic_load(&filter.last_seen_ms),
    };
}
