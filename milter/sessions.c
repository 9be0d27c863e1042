#include "config.h"

#include "milter/sessions.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "milter/attachment.h"
#include "milter/clock.h"
#include "milter/limits.h"
#include "milter/log_field.h"
#include "milter/settlement.h"

/* A power of two, of the order of the busiest server's smtpd processes. */
#define BUCKETS 1024

/* Room for a queue id and the policy attribute `instance`, three numbers and a count. */
#define MESSAGE_NAME_SIZE (TRANSFER_QUEUE_ID_SIZE + 80)

struct session {
    LIST_ENTRY(session) link;
    int64_t pid;
    const struct settings *settings;
    struct conversation_rules rules;
    LIST_ENTRY(session) ending; /* in sessions.endings if ended_ms is set */
    int64_t ended_ms;   /* monotonic, when the session was over; 0 = it is not, or is settled */
    bool unverified;    /* counted as such */
    bool had_queue_id;  /* the policy service has named a queue id in this session */
    char client_name[TRANSFER_NAME_SIZE]; /* as Postfix names it; "" = it has not yet */
    char received[MESSAGE_NAME_SIZE]; /* the last message received whole, see name_message() */
    struct conversation conversation;
};

struct sessions {
    struct sessions_options options;
    const struct settings *settings;
    struct session_counts counts;
    struct attachment attachment;
    uint64_t largest;         /* R of the largest message received whole, octets */
    size_t others;            /* Sendmail's sessions alive now */
    LIST_HEAD(, session) endings; /* over, with a transfer in the air, to be judged soon */
    LIST_HEAD(, session) buckets[BUCKETS];
};

struct sessions *sessions_new(const struct sessions_options *options,
                              const struct settings *settings)
{
    struct sessions *sessions = calloc(1, sizeof(*sessions));
    if (sessions == NULL)
        return NULL;
    sessions->options = *options;
    sessions->settings = settings_ref(settings);
    return sessions;
}

static void free_session(struct session *session)
{
    if (session->ended_ms > 0)
        LIST_REMOVE(session, ending);
    LIST_REMOVE(session, link);
    settings_unref(&session->settings);
    free(session);
}

void sessions_free(struct sessions **sessions)
{
    struct sessions *old = *sessions;
    if (old == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (!LIST_EMPTY(&old->buckets[i]))
            free_session(LIST_FIRST(&old->buckets[i]));
    settings_unref(&old->settings);
    free(old);
    *sessions = NULL;
}

void sessions_configure(struct sessions *sessions, const struct settings *settings)
{
    settings_unref(&sessions->settings);
    sessions->settings = settings_ref(settings);
}

static size_t bucket_of(int64_t pid)
{
    return ((uint64_t)pid * 0x9e3779b97f4a7c15u) >> 54 & (BUCKETS - 1);
}

static struct session *find_session(const struct sessions *sessions, int64_t pid)
{
    struct session *session;
    LIST_FOREACH(session, &sessions->buckets[bucket_of(pid)], link)
        if (session->pid == pid)
            return session;
    return NULL;
}

/* A session keeps the settings it began with. */
static void take_settings(struct session *session, const struct settings *settings)
{
    if (session->settings != settings) {
        settings_unref(&session->settings);
        session->settings = settings_ref(settings);
    }
    session->rules = (struct conversation_rules){
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there always is a snapshot
        .guard = settings->guard_enabled,
        .max_chunks = settings->limits.max_chunks,
        .max_chunk = settings->limits.max_chunk,
        .min_chunk = settings->limits.min_chunk,
        .max_message = settings->limits.max_message,
        .stall_seconds = settings->limits.stall_seconds,
    };
}

static void begin_conversation(struct sessions *sessions, struct session *session,
                               const struct address *client, bool offered)
{
    take_settings(session, sessions->settings);
    session->unverified = session->had_queue_id = false;
    session->received[0] = session->client_name[0] = '\0';
    conversation_begin(&session->conversation, client, offered, clock_wall_ms());
    sessions->counts.total++;
}

static struct session *add_session(struct sessions *sessions, int64_t pid)
{
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return NULL;
    session->pid = pid;
    LIST_INSERT_HEAD(&sessions->buckets[bucket_of(pid)], session, link);
    return session;
}

/* The session of that process; a new one, whose begin is not known, if there is none. NULL when
 * memory is short. */
static struct session *get_session(struct sessions *sessions, int64_t pid)
{
    struct session *session = find_session(sessions, pid);
    if (session != NULL)
        return session;
    session = add_session(sessions, pid);
    if (session != NULL)
        begin_conversation(sessions, session, NULL, true);
    return session;
}

static void count_unverified(struct sessions *sessions, struct session *session)
{
    if (session->unverified)
        return;
    session->unverified = true;
    sessions->counts.unverified++;
}

void sessions_note_change(struct sessions *sessions, const struct suppression_change *change)
{
    settlement_note_change(&sessions->options, change);
}

static void settle(struct sessions *sessions, struct session *session,
                   struct conversation_result *result)
{
    bool unverified =
        result->has_ended && !result->was_judged && result->judgement.verdict == VERDICT_UNVERIFIED;
    bool counted =
        unverified && attachment_claim_unjoined(&sessions->attachment, result->ended.queue_id);
    result->ended.pid = session->pid;
    settlement_take(&sessions->options, session->settings, result, counted);
    if (!unverified)
        return;
    count_unverified(sessions, session);
    attachment_take_unverified(&sessions->attachment, &result->ended, clock_monotonic_ms(),
                               sessions->options.log);
}

/* True if a transfer of this session that Postfix took would have been told of by the policy
 * service, as others were; or would be unjoined at the milter, to which Postfix connects at the
 * begin of each session, and none ever was. */
static bool would_be_told(const struct sessions *sessions, const struct conversation *conversation)
{
    const struct sessions_options *options = &sessions->options;
    if (sessions->attachment.policy_joined > 0)
        return true;
    return conversation->announced && sessions->attachment.unjoined_messages == 0 &&
           options->milter_is_attached != NULL && options->milter_is_attached(options->context);
}

/* What could have told more of the message at hand. */
static struct hooks_seen find_hooks(const struct sessions *sessions,
                                    const struct conversation *conversation)
{
    const char *queue_id = conversation->transfer.queue_id;
    bool asked = conversation->transfer.mode != TRANSFER_NONE && !conversation->judged &&
                 queue_id[0] != '\0';
    return (struct hooks_seen){
        .policy = would_be_told(sessions, conversation),
        .milter = asked && joins_milter_seen(sessions->options.joins, queue_id),
        .largest = sessions->largest,
    };
}

/* The one place where a session ends. */
static void end_session(struct sessions *sessions, struct session *session)
{
    struct conversation *conversation = &session->conversation;
    struct conversation_result result;
    struct hooks_seen seen = find_hooks(sessions, conversation);
    int64_t ended_ms = session->ended_ms > 0 ? session->ended_ms : clock_monotonic_ms();
    if (session->ended_ms > 0)
        LIST_REMOVE(session, ending);
    session->ended_ms = 0;
    if (conversation->state == CONVERSATION_ENDED)
        return;
    conversation_end(conversation, &session->rules, &seen, ended_ms, &result);
    settle(sessions, session, &result);
    sessions->counts.modes[conversation_mode(conversation)]++;
}

enum offer sessions_begin(struct sessions *sessions, int64_t pid, const struct address *client)
{
    enum offer offer = OFFER_CHUNKING;
    struct suppression_change change = {0};
    struct session *session = find_session(sessions, pid);
    if (session != NULL)
        end_session(sessions, session);
    else
        session = add_session(sessions, pid);
    if (client != NULL) {
        const struct settings *settings = sessions->settings;
        enum chunking rule = settings_match_rules(settings, client).chunking;
        enum offer adaptive = suppression_decide_offer(sessions->options.suppression, client,
                                                       clock_wall_ms() / 1000, &change);
        sessions_note_change(sessions, &change);
        if (rule == CHUNKING_NEVER)
            offer = WITHHOLD_CHUNKING;
        else if (rule == CHUNKING_ADAPTIVE)
            offer = adaptive;
        if (settings->mode == MODE_OBSERVE)
            offer = OFFER_CHUNKING;
    }
    if (session != NULL)
        begin_conversation(sessions, session, client, offer == OFFER_CHUNKING);
    return offer;
}

/* Notes what the guard has put in place of a command or an answer. */
static void note_guarded(struct sessions *sessions, const struct session *session,
                         const char *queue_id, const char *what, const char *replacement)
{
    const struct conversation *conversation = &session->conversation;
    char client[LOG_CLIENT_SIZE], helo[TRANSFER_NAME_SIZE];
    sessions->counts.guarded++;
    log_field_client(session->client_name,
                     conversation->has_client ? &conversation->client : NULL, client);
    log_write(sessions->options.log, LOG_LEVEL_WARNING,
              "%s: client=%s helo=<%s> guard: kept a %s from Postfix: \"%s\" instead (process "
              "%" PRId64 ")",
              queue_id[0] != '\0' ? queue_id : "NOQUEUE", client,
              log_field_text(conversation->helo, helo, sizeof(helo)), what, replacement,
              session->pid);
}

/* A command behind the end of a session. A greeting is the next client's, where no ehlo table tells
 * of it; before any other command the session was not over, but had lost its milter. */
static void go_on(struct sessions *sessions, struct session *session, const char *line,
                  size_t length)
{
    struct smtp_command command;
    smtp_command_parse(line, length, &command);
    if (command.verb == SMTP_VERB_EHLO || command.verb == SMTP_VERB_HELO)
        begin_conversation(sessions, session, NULL, true);
    else
        sessions->counts.modes[conversation_mode(&session->conversation)]--;
}

const char *sessions_take_command(struct sessions *sessions, int64_t pid, const char *line,
                                  size_t length)
{
    struct conversation_result result;
    struct session *session = get_session(sessions, pid);
    sessions->attachment.commands++;
    if (pid < 0)
        sessions->attachment.strangers++;
    if (session == NULL)
        return NULL;
    if (session->ended_ms > 0)
        end_session(sessions, session);
    struct conversation *conversation = &session->conversation;
    if (conversation->state == CONVERSATION_ENDED)
        go_on(sessions, session, line, length);
    struct hooks_seen seen = find_hooks(sessions, conversation);
    conversation_take_command(conversation, line, length, &session->rules, &seen,
                              clock_monotonic_ms(), clock_wall_ms(), &result);
    settle(sessions, session, &result);
    if (conversation->state == CONVERSATION_ENDED)
        sessions->counts.modes[conversation_mode(conversation)]++;
    if (result.replacement != NULL)
        note_guarded(sessions, session,
                     result.has_ended ? result.ended.queue_id : conversation->transfer.queue_id,
                     "command", result.replacement);
    return result.replacement;
}

/* ---- the policy service ---- */

static bool has_text(struct slice text)
{
    return text.length > 0;
}

static void copy_slice(struct slice text, char *target, size_t size)
{
    size_t taken = text.length < size - 1 ? text.length : size - 1;
    if (taken > 0)
        memcpy(target, text.text, taken);
    target[taken] = '\0';
}

/* Names the message of a request: `instance` is another for each MAIL that Postfix takes, the queue
 * id for each queue file. "" without a queue file. */
static void name_message(const struct policy_request *request, char *name, size_t size)
{
    name[0] = '\0';
    if (has_text(request->queue_id) && has_text(request->instance))
        snprintf(name, size, "%.*s %.*s", (int)request->queue_id.length, request->queue_id.text,
                 (int)request->instance.length, request->instance.text);
}

/* Postfix runs DATA or BDAT, but would write to a queue file that it does not have (before August
 * 2026): it has left over recipients of a refused transfer and no message in progress; or a
 * restriction of smtpd_end_of_data_restrictions refused this very message, with which Postfix
 * leaves all but the queue file as it was (smtpd.c, common_post_message_handling()). Where
 * smtpd_proxy_filter is in use, messages never have a queue id. */
static bool guard_policy(struct sessions *sessions, const struct session *session,
                         const struct policy_request *request, char *action, size_t size)
{
    char name[MESSAGE_NAME_SIZE], queue_id[TRANSFER_QUEUE_ID_SIZE];
    name_message(request, name, sizeof(name));
    bool had_one = session->had_queue_id || session->conversation.unasked;
    bool without = !has_text(request->queue_id) && had_one;
    bool again = name[0] != '\0' && strcmp(name, session->received) == 0;
    if (!session->rules.guard || (!without && !again))
        return false;
    snprintf(action, size, "503 5.5.1 Error: need MAIL command");
    copy_slice(request->queue_id, queue_id, sizeof(queue_id));
    note_guarded(sessions, session, queue_id, "message", action);
    return true;
}

static void identify(struct session *session, const struct policy_request *request)
{
    struct conversation *conversation = &session->conversation;
    char queue_id[TRANSFER_QUEUE_ID_SIZE], name[TRANSFER_NAME_SIZE];
    struct address client;
    bool known = address_parse(request->client_address.text, request->client_address.length,
                               &client);
    copy_slice(request->queue_id, queue_id, sizeof(queue_id));
    copy_slice(request->client_name, name, sizeof(name));
    conversation_identify(conversation, queue_id, name, known ? &client : NULL);
    memcpy(session->client_name, conversation->transfer.client_name, sizeof(session->client_name));
}

static void admit(struct sessions *sessions, struct session *session)
{
    struct conversation *conversation = &session->conversation;
    const char *queue_id = conversation->transfer.queue_id;
    conversation_admit(conversation);
    if (queue_id[0] == '\0')
        return;
    const struct join_key key = {session->pid, conversation->generation,
                                 conversation->transfer.id, conversation->transfer.mode};
    if (!joins_open(sessions->options.joins, queue_id, &key, &conversation->transfer,
                    session->settings))
        log_write(sessions->options.log, LOG_LEVEL_ERROR,
                  "%s: out of memory: the message will be unverified", queue_id);
}

static void take_begin(struct sessions *sessions, struct session *session,
                       const struct policy_request *request, char *action, size_t size)
{
    struct conversation *conversation = &session->conversation;
    if (conversation->transfer.mode == TRANSFER_NONE)
        return; /* no command was seen: the message stays unjoined */
    if (guard_policy(sessions, session, request, action, size))
        return;
    session->had_queue_id = session->had_queue_id || has_text(request->queue_id);
    identify(session, request);
    unsigned broken = conversation_broken_limits(conversation);
    if (broken == 0 || session->settings->mode == MODE_OBSERVE) {
        admit(sessions, session);
        return;
    }
    struct conversation_result result;
    struct hooks_seen seen = {.policy = true};
    limits_explain(&session->settings->limits, &conversation->transfer, broken, action, size);
    conversation_refuse(conversation, &session->rules, &seen, clock_monotonic_ms(), &result);
    settle(sessions, session, &result);
}

static void take_end(struct sessions *sessions, struct session *session,
                     const struct policy_request *request)
{
    struct conversation *conversation = &session->conversation;
    char queue_id[TRANSFER_QUEUE_ID_SIZE];
    copy_slice(request->queue_id, queue_id, sizeof(queue_id));
    if (request->size > sessions->largest)
        sessions->largest = request->size;
    if (conversation->transfer.mode == TRANSFER_NONE) {
        if (!attachment_knows_unjoined(&sessions->attachment, queue_id))
            sessions_take_unjoined(sessions, queue_id);
        count_unverified(sessions, session);
        return;
    }
    name_message(request, session->received, sizeof(session->received));
    if (conversation->transfer.queue_id[0] == '\0')
        identify(session, request); /* nobody asked at its begin, or an earlier daemon */
    conversation_receive(conversation, queue_id, request->size, request->recipient_count);
    if (conversation->transfer.mode == TRANSFER_BDAT && queue_id[0] != '\0')
        joins_complete(sessions->options.joins, queue_id, &conversation->transfer);
}

/* Whose session a policy request belongs to. The kernel's word counts; Postfix's own shows where
 * the two live in different PID namespaces. */
static int64_t find_pid(struct sessions *sessions, int64_t peer,
                        const struct policy_request *request)
{
    if (peer > 0 && request->pid > 0 && peer != request->pid)
        sessions->attachment.strangers++;
    return peer > 0 ? peer : request->pid;
}

void sessions_take_policy(struct sessions *sessions, int64_t peer,
                          const struct policy_request *request, char *action, size_t size)
{
    snprintf(action, size, "DUNNO");
    sessions->attachment.policy_requests++;
    if (request->state == POLICY_STATE_OTHER)
        return;
    struct session *session = get_session(sessions, find_pid(sessions, peer, request));
    if (session == NULL)
        return;
    if (session->conversation.transfer.mode != TRANSFER_NONE)
        attachment_take_joined(&sessions->attachment);
    if (request->state == POLICY_STATE_DATA)
        take_begin(sessions, session, request, action, size);
    else if (request->has_size)
        take_end(sessions, session, request);
}

/* ---- the milter ---- */

/* A message without a policy request at its end: the milter's ledger is the one of the request at
 * its begin, and only the conversation knows the chunks that came since. */
static void complete_ledger(const struct conversation *conversation, struct record *record)
{
    const struct transfer *known = &conversation->transfer;
    if (record->transfer.has_received || known->id != record->transfer.id)
        return;
    const int64_t pid = record->transfer.pid;
    const unsigned evidence = record->transfer.evidence;
    record->transfer = *known;
    record->transfer.pid = pid;
    record->transfer.evidence = evidence | known->evidence;
}

void sessions_take_judged(struct sessions *sessions, const struct join_key *key,
                          struct record *record)
{
    struct session *session = find_session(sessions, key->pid);
    record->transfer.pid = key->pid;
    if (session != NULL && session->conversation.generation == key->generation) {
        complete_ledger(&session->conversation, record);
        const struct judgement judgement = {record->verdict, record->transfer.evidence};
        conversation_take_judgement(&session->conversation, key->transfer_id, &judgement);
        if (record->verdict == VERDICT_UNVERIFIED)
            count_unverified(sessions, session);
    }
    if (record->verdict == VERDICT_UNVERIFIED && !record->transfer.has_received)
        attachment_take_unverified(&sessions->attachment, &record->transfer, clock_monotonic_ms(),
                                   sessions->options.log);
    settlement_add(&sessions->options, record);
    if (record->verdict != VERDICT_UNVERIFIED)
        attachment_take_verified(&sessions->attachment);
}

void sessions_take_unjoined(struct sessions *sessions, const char *queue_id)
{
    recorder_count_unverified(sessions->options.recorder);
    attachment_take_unjoined(&sessions->attachment, queue_id, clock_monotonic_ms(),
                             sessions->options.log);
}

const char *sessions_hint(const struct sessions *sessions)
{
    return attachment_hint(&sessions->attachment, clock_monotonic_ms());
}

/* ---- Sendmail ---- */

void sessions_begin_other(struct sessions *sessions)
{
    sessions->counts.total++;
    sessions->others++;
}

void sessions_end_other(struct sessions *sessions, enum session_mode mode)
{
    sessions->others--;
    sessions->counts.modes[mode]++;
}

void sessions_take_data(struct sessions *sessions)
{
    recorder_count_data(sessions->options.recorder);
}

void sessions_take_record(struct sessions *sessions, struct record *record)
{
    settlement_add(&sessions->options, record);
}

/* The session that a word of the milter's is meant for; NULL if another has begun since. */
static struct session *find_generation(const struct sessions *sessions, int64_t pid,
                                       uint64_t generation)
{
    struct session *session = find_session(sessions, pid);
    return session != NULL && session->conversation.generation == generation ? session : NULL;
}

void sessions_take_abort(struct sessions *sessions, int64_t pid, uint64_t generation,
                         int64_t at_ms)
{
    struct session *session = find_generation(sessions, pid, generation);
    if (session != NULL)
        conversation_take_abort(&session->conversation, at_ms);
}

void sessions_end(struct sessions *sessions, int64_t pid, uint64_t generation, int64_t at_ms)
{
    struct session *session = find_generation(sessions, pid, generation);
    if (session == NULL || session->ended_ms > 0)
        return;
    if (!conversation_is_in_the_air(&session->conversation)) {
        end_session(sessions, session);
        return;
    }
    session->ended_ms = at_ms;
    LIST_INSERT_HEAD(&sessions->endings, session, ending);
    if (sessions->options.want_settle != NULL)
        sessions->options.want_settle(sessions->options.context);
}

/* True once the process has ended, reaped or not. */
static bool process_is_gone(int64_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (fd < 0) /* no such process, or no such call: an old kernel, a sandbox */
        return errno == ESRCH || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
    struct pollfd exited = {.fd = fd, .events = POLLIN};
    bool gone = poll(&exited, 1, 0) > 0;
    close(fd);
    return gone;
}

void sessions_settle(struct sessions *sessions)
{
    struct session *session;
    while ((session = LIST_FIRST(&sessions->endings)) != NULL) {
        session->conversation.transfer.server_gone =
            session->pid > 0 && process_is_gone(session->pid);
        end_session(sessions, session);
    }
}

void sessions_drop(struct sessions *sessions, int64_t pid)
{
    struct session *session = find_session(sessions, pid);
    if (session == NULL)
        return;
    end_session(sessions, session);
    free_session(session);
}

void sessions_sweep(struct sessions *sessions)
{
    sessions_settle(sessions);
    for (size_t i = 0; i < BUCKETS; i++) {
        struct session *session = LIST_FIRST(&sessions->buckets[i]);
        while (session != NULL) {
            struct session *next = LIST_NEXT(session, link);
            if (session->pid > 0 && process_is_gone(session->pid)) {
                session->conversation.transfer.server_gone = true;
                end_session(sessions, session);
                free_session(session);
            }
            session = next;
        }
    }
}

static void count_active(void *context, const struct session_view *view)
{
    struct session_counts *counts = context;
    counts->active++;
    counts->modes[conversation_mode(view->conversation)]++;
}

struct session_counts sessions_counts(const struct sessions *sessions)
{
    struct session_counts counts = sessions->counts;
    memcpy(counts.over, counts.modes, sizeof(counts.over));
    counts.active = sessions->others;
    sessions_visit(sessions, count_active, &counts);
    return counts;
}

void sessions_visit(const struct sessions *sessions,
                    void (*visit)(void *context, const struct session_view *view), void *context)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        const struct session *session;
        LIST_FOREACH(session, &sessions->buckets[i], link) {
            const struct session_view view = {session->pid, &session->conversation};
            if (session->conversation.state != CONVERSATION_ENDED)
                visit(context, &view);
        }
    }
}

bool sessions_find(const struct sessions *sessions, int64_t pid, struct session_view *view)
{
    const struct session *session = find_session(sessions, pid);
    if (session == NULL || session->conversation.state == CONVERSATION_ENDED)
        return false;
    *view = (struct session_view){session->pid, &session->conversation};
    return true;
}
