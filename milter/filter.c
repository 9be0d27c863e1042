#include "config.h"

#include "milter/filter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmilter/mfapi.h>

#include "milter/answer.h"
#include "milter/clock.h"
#include "milter/content.h"
#include "milter/filter_sendmail.h"
#include "milter/letters.h"
#include "milter/mta.h"
#include "milter/patience.h"
#include "milter/thread.h"

/* libmilter takes these without const. */
static char filter_name[] = "bdat-milter";
static char queue_id_macro[] = "i";
static char client_macro[] = "{client_connections}";
static char data_macros[] = "i {client_connections}";
static char version_macro[] = "v";

/* A macro that no MTA has: asks for none. */
static char no_macro[] = "{bdat_milter_none}";

/* Debian's libmilter takes a listening descriptor; the longest text is "fd:" and an int. */
#define FD_TEXT_SIZE 16

/* What Sendmail need not wait for an answer to. */
#define STEPS_UNANSWERED                                                                           \
    (SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_RCPT | SMFIP_NR_DATA | SMFIP_NR_HDR |                \
     SMFIP_NR_EOH | SMFIP_NR_BODY)

/* Everything Postfix need not send, or wait for. */
#define STEPS_UNWANTED                                                                             \
    (SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NOMAIL | SMFIP_NORCPT | SMFIP_NOHDRS | SMFIP_NOEOH |    \
     SMFIP_NOUNKNOWN | SMFIP_NR_BODY)

/* How long libmilter waits for the MTA's next word: it is silent while a client sends its message,
 * and a slow one may take more than libmilter's own two hours. */
#define MTA_TIMEOUT_SECONDS (7 * 24 * 3600)

/* What the filter may do to a message, and that it names the macros it wants. */
static const unsigned long description_flags =
    SMFIF_ADDHDRS | SMFIF_QUARANTINE | SMFIF_SETSYMLIST;

/* One message as the milter sees it; reset at DATA, end of message, abort and close. */
struct filter_message {
    bool checking;
    struct content *content; /* made for the session's first BDAT message */
};

/* One milter connection: an SMTP session. */
struct filter_connection {
    enum mta mta;                  /* MTA_AUTO until the connect event shows it */
    bool chose_macros;             /* the MTA sends at DATA what data_macros names */
    unsigned long steps;           /* what the negotiation agreed on (SMFIP_…) */
    struct sendmail_client *sendmail; /* its other half if mta is MTA_SENDMAIL */
    bool joined;
    struct join_key key;           /* of the last message that was joined */
    char queue_id[TRANSFER_QUEUE_ID_SIZE]; /* likewise */
    struct filter_message message;
};

/* libmilter hands its callbacks no pointer of ours, so the one filter of the process is here. */
static struct {
    struct filter_options options;
    enum mta mta; /* option mta */
    struct mta_memory memory;
    struct filter_sendmail *sendmail;
    pthread_t thread;
    atomic_bool running;
    bool started;           /* the thread was made, and filter_stop() was not called yet */
    atomic_bool stopping;   /* callbacks do nothing any more: what they use may be freed */
    atomic_uint in_flight;  /* callbacks at work now */
    atomic_uint_least64_t opened;
    atomic_uint_least64_t closed;
    atomic_int_least64_t last_seen_ms;
    struct patience patience;
} filter = {.patience = PATIENCE_INITIALIZER};

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
 * Of Postfix the queue id at DATA, and beside it what shows that it is smtpd(8) which speaks. The
 * queue id must not come with later stages: without MAIL events libmilter never clears macros and
 * looks for the latest stage first (smfi_getsymval()), so that the second message of a session
 * would be given the queue id of the first. Sendmail has it at MAIL. The version is what tells
 * them apart.
 */
static void ask_for_macros(SMFICTX *ctx, enum mta mta)
{
    static const int unwanted[] = {SMFIM_HELO, SMFIM_ENVRCPT, SMFIM_EOM, SMFIM_EOH};
    smfi_setsymlist(ctx, SMFIM_DATA, data_macros);
    smfi_setsymlist(ctx, SMFIM_CONNECT, mta == MTA_POSTFIX ? no_macro : version_macro);
    smfi_setsymlist(ctx, SMFIM_ENVFROM, mta == MTA_POSTFIX ? no_macro : queue_id_macro);
    for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
        smfi_setsymlist(ctx, unwanted[i], no_macro);
}

/* What is asked for where it is offered. An unknown server is asked for every event, with
 * answers to all. */
static unsigned long choose_steps(enum mta mta)
{
    if (mta == MTA_POSTFIX)
        return STEPS_UNWANTED;
    return SMFIP_HDR_LEADSPC | (mta == MTA_SENDMAIL ? STEPS_UNANSWERED : 0);
}

static enum mta expect_mta(void)
{
    return filter.mta != MTA_AUTO ? filter.mta
                                  : mta_expect(&filter.memory, clock_monotonic_ms());
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
                             unsigned long f2, unsigned long f3, unsigned long *wanted_actions,
                             unsigned long *wanted_steps, unsigned long *wanted_f2,
                             unsigned long *wanted_f3)
{
    enum mta mta = expect_mta();
    struct filter_connection *connection = get_connection(ctx);
    (void)f2;
    (void)f3;
    if (connection != NULL) /* a peer that never negotiates is no session: it has no close either */
        atomic_fetch_add(&filter.opened, 1);
    atomic_store(&filter.last_seen_ms, clock_wall_ms());
    *wanted_actions = actions & description_flags;
    *wanted_steps = steps & choose_steps(mta);
    *wanted_f2 = *wanted_f3 = 0;
    if (actions & SMFIF_SETSYMLIST)
        ask_for_macros(ctx, mta);
    if (connection != NULL) {
        connection->steps = *wanted_steps;
        connection->chose_macros = (actions & SMFIF_SETSYMLIST) != 0;
        connection->mta = mta == MTA_POSTFIX ? MTA_POSTFIX : MTA_AUTO;
    }
    return SMFIS_CONTINUE;
}

static bool has_header_spaces(const struct filter_connection *connection)
{
    return (connection->steps & SMFIP_HDR_LEADSPC) != 0;
}

/* The result of a callback whose answer the negotiation may have waived (SMFIP_NR_…). */
static sfsistat reply_unless(const SMFICTX *ctx, unsigned long waived, sfsistat result)
{
    const struct filter_connection *connection = smfi_getpriv((SMFICTX *)ctx);
    return connection != NULL && (connection->steps & waived) ? SMFIS_NOREPLY : result;
}

/* The connection's other half, if it is Sendmail's; leave() is to follow then. NULL if it is not,
 * or the filter is stopping. */
static struct sendmail_client *enter_sendmail(SMFICTX *ctx)
{
    const struct filter_connection *connection = smfi_getpriv(ctx);
    if (connection == NULL || connection->sendmail == NULL || !enter())
        return NULL;
    return connection->sendmail;
}

static enum mta recognize(SMFICTX *ctx)
{
    if (filter.mta != MTA_AUTO)
        return filter.mta;
    enum mta mta = mta_recognize(smfi_getsymval(ctx, version_macro));
    mta_learn(&filter.memory, mta, clock_monotonic_ms());
    return mta;
}

static sfsistat on_connect(SMFICTX *ctx, char *name, struct sockaddr *address)
{
    struct filter_connection *connection = get_connection(ctx);
    if (connection != NULL && connection->mta == MTA_AUTO && enter()) {
        connection->mta = recognize(ctx);
        if (connection->mta == MTA_SENDMAIL)
            connection->sendmail =
                filter_sendmail_connect(filter.sendmail, name, address,
                                        has_header_spaces(connection));
        leave();
    }
    return reply_unless(ctx, SMFIP_NR_CONN, SMFIS_CONTINUE);
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
    struct sendmail_client *client = enter_sendmail(ctx);
    if (client != NULL) {
        filter_sendmail_helo(client, name);
        leave();
    }
    return reply_unless(ctx, SMFIP_NR_HELO, SMFIS_CONTINUE);
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
    struct sendmail_client *client = enter_sendmail(ctx);
    if (client == NULL)
        return SMFIS_CONTINUE;
    sfsistat result = filter_sendmail_mail(client, ctx, arguments);
    leave();
    return result;
}

static sfsistat on_rcpt(SMFICTX *ctx, char **arguments)
{
    struct sendmail_client *client = enter_sendmail(ctx);
    (void)arguments;
    if (client != NULL) {
        filter_sendmail_rcpt(client);
        leave();
    }
    return reply_unless(ctx, SMFIP_NR_RCPT, SMFIS_CONTINUE);
}

static sfsistat on_unknown(SMFICTX *ctx, const char *line)
{
    struct sendmail_client *client = enter_sendmail(ctx);
    if (client == NULL)
        return SMFIS_CONTINUE;
    sfsistat result = filter_sendmail_unknown(client, ctx, line);
    leave();
    return result;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
    struct sendmail_client *client = enter_sendmail(ctx);
    if (client != NULL) {
        filter_sendmail_header(client, name, value);
        leave();
    }
    return reply_unless(ctx, SMFIP_NR_HDR, SMFIS_CONTINUE);
}

static sfsistat on_end_of_header(SMFICTX *ctx)
{
    struct sendmail_client *client = enter_sendmail(ctx);
    if (client != NULL) {
        filter_sendmail_end_of_header(client);
        leave();
    }
    return reply_unless(ctx, SMFIP_NR_EOH, SMFIS_CONTINUE);
}

/* True for mail that never was an SMTP session's: cleanup(8) hands it to the filters of
 * non_smtpd_milters, and has no such macro (cleanup_milter_eval(), smtpd_milter_eval() of
 * Postfix). */
static bool is_local_mail(SMFICTX *ctx, const struct filter_connection *connection)
{
    return connection != NULL && connection->chose_macros && connection->mta == MTA_POSTFIX &&
           smfi_getsymval(ctx, client_macro) == NULL;
}

/* Postfix's: lets the message go that did not use BDAT. */
static sfsistat begin_message(SMFICTX *ctx)
{
    const char *queue_id = smfi_getsymval(ctx, queue_id_macro);
    struct filter_connection *connection = get_connection(ctx);
    struct join_key key;
    if (connection == NULL || queue_id == NULL ||
        !joins_begin(filter.options.joins, queue_id, &key)) {
        if (!is_local_mail(ctx, connection))
            letters_post_unjoined(&filter.options, queue_id != NULL ? queue_id : "");
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
        letters_post_unjoined(&filter.options, queue_id);
        return SMFIS_ACCEPT;
    }
    connection->message.checking = true;
    content_reset(connection->message.content);
    return SMFIS_CONTINUE;
}

static sfsistat on_data(SMFICTX *ctx)
{
    struct sendmail_client *client = enter_sendmail(ctx);
    sfsistat result = SMFIS_ACCEPT;
    if (client != NULL) {
        filter_sendmail_data(client);
        result = SMFIS_CONTINUE;
        leave();
    } else if (enter()) {
        result = begin_message(ctx);
        leave();
    }
    return reply_unless(ctx, SMFIP_NR_DATA, result);
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *data, size_t length)
{
    struct filter_connection *connection = smfi_getpriv(ctx);
    if (connection != NULL && connection->sendmail != NULL)
        filter_sendmail_body(connection->sendmail, length);
    else if (connection != NULL && connection->message.checking)
        content_feed(connection->message.content, (const char *)data, length);
    return reply_unless(ctx, SMFIP_NR_BODY, SMFIS_CONTINUE);
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
    answer_choose(settings, record);
    if (record->action == ACTION_TEMPFAIL &&
        patience_is_over(&filter.patience, patience_identify(&record->transfer, content),
                         clock_wall_ms() / 1000))
        answer_let_in(record);
}

static sfsistat end_message(SMFICTX *ctx, struct filter_connection *connection)
{
    const struct settings *settings = NULL;
    struct judged_letter *judged = letters_make_judged(&filter.options);
    if (judged == NULL)
        return SMFIS_ACCEPT;
    struct record *record = &judged->record;
    if (!joins_fetch(filter.options.joins, connection->queue_id, &record->transfer, &settings)) {
        free(judged);
        letters_post_unjoined(&filter.options, connection->queue_id);
        return SMFIS_ACCEPT;
    }
    judged->key = connection->key;
    snprintf(record->transfer.queue_id, sizeof(record->transfer.queue_id), "%s",
             connection->queue_id);
    judge(settings, connection->message.content, record);
    settings_unref(&settings);
    /* Posted before the answer: the loop must know the verdict before Postfix asks on. */
    sfsistat result = answer_give(ctx, record, has_header_spaces(connection),
                                  filter.options.log);
    letters_post_judged(&filter.options, judged);
    return result;
}

static sfsistat on_end_of_message(SMFICTX *ctx)
{
    struct filter_connection *connection = smfi_getpriv(ctx);
    struct sendmail_client *client = enter_sendmail(ctx);
    sfsistat result = SMFIS_ACCEPT;
    if (client != NULL) {
        result = filter_sendmail_end_of_message(client, ctx);
    } else {
        if (connection == NULL || !connection->message.checking)
            return result;
        reset_message(&connection->message);
        if (!enter())
            return result;
        result = end_message(ctx, connection);
    }
    leave();
    return result;
}

/* Tells the loop of an abort or a close, unless a command has shown it that the message is
 * over. */
static void post_end(const struct filter_connection *connection,
                     void (*post)(const struct filter_options *to, const struct join_key *key))
{
    if (!connection->joined || !enter())
        return;
    if (joins_is_open(filter.options.joins, connection->queue_id))
        post(&filter.options, &connection->key);
    leave();
}

static sfsistat on_abort(SMFICTX *ctx)
{
    struct filter_connection *connection = smfi_getpriv(ctx);
    if (connection == NULL)
        return SMFIS_CONTINUE;
    if (connection->message.checking)
        post_end(connection, letters_post_abort);
    reset_message(&connection->message);
    struct sendmail_client *client = enter_sendmail(ctx);
    if (client != NULL) {
        filter_sendmail_abort(client);
        leave();
    }
    return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *ctx)
{
    struct filter_connection *connection = smfi_getpriv(ctx);
    if (connection == NULL)
        return SMFIS_CONTINUE;
    atomic_fetch_add(&filter.closed, 1);
    post_end(connection, letters_post_end);
    bool entered = enter_sendmail(ctx) != NULL;
    filter_sendmail_close(&connection->sendmail, entered);
    if (entered)
        leave();
    free(connection->message.content);
    free(connection);
    smfi_setpriv(ctx, NULL);
    return SMFIS_CONTINUE;
}

static struct smfiDesc description = {
    .xxfi_name = filter_name,
    .xxfi_version = SMFI_VERSION,
    .xxfi_flags = SMFIF_ADDHDRS | SMFIF_QUARANTINE | SMFIF_SETSYMLIST,
    .xxfi_connect = on_connect,
    .xxfi_helo = on_helo,
    .xxfi_envfrom = on_mail,
    .xxfi_envrcpt = on_rcpt,
    .xxfi_unknown = on_unknown,
    .xxfi_header = on_header,
    .xxfi_eoh = on_end_of_header,
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
    filter.mta = options->settings->mta;
    filter.sendmail = filter_sendmail_new(options);
    if (filter.sendmail == NULL) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    if (smfi_register(description) != MI_SUCCESS ||
        smfi_settimeout(MTA_TIMEOUT_SECONDS) != MI_SUCCESS) {
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

void filter_configure(const struct settings *settings)
{
    filter_sendmail_configure(filter.sendmail, settings);
}

static void *run(void *unused)
{
    (void)unused;
    if (smfi_main() != MI_SUCCESS && enter()) {
        log_write(filter.options.log, LOG_LEVEL_ERROR, "libmilter has ended with an error");
        leave();
    }
    atomic_store(&filter.running, false);
    return NULL;
}

int filter_start(void)
{
    atomic_store(&filter.running, true);
    filter.started = thread_start(&filter.thread, run, NULL) == 0;
    if (filter.started)
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
    if (!filter.started)
        return true;
    filter.started = false;
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
        .mta = filter.mta != MTA_AUTO ? filter.mta : mta_last(&filter.memory),
    };
}
