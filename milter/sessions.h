/*
 * The sessions of all smtpd processes: where the hooks' facts come together.
 *
 * One smtpd process serves one client at a time, so its pid names the session; a peer whose pid
 * the kernel cannot tell is known by a number below 0. Tables, policy service and milter tell what they see; sessions feed the
 * conversation, let it judge, and pass what came of it to the recorder, the suppression and the store. Owned by the event loop's
 * thread; nothing here waits.
 */
#ifndef BDAT_SESSIONS_H
#define BDAT_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "milter/conversation.h"
#include "milter/joins.h"
#include "milter/log.h"
#include "milter/policy_request.h"
#include "milter/recorder.h"
#include "milter/settings.h"
#include "milter/suppression.h"

struct sessions;

/* What sessions work with; all outlive them. */
struct sessions_options {
    struct log *log;
    struct joins *joins;
    struct recorder *recorder;
    struct suppression *suppression;
    /* A client's state changed in a way to be stored; may be NULL. */
    void (*save_client)(void *context, const struct suppression_change *change);
    /* sessions_settle() is wanted in SESSIONS_SETTLE_MS; may be NULL: then at the next sweep. */
    void (*want_settle)(void *context);
    /* An incident is to be kept; may be NULL. */
    void (*save_incident)(void *context, const struct record *record);
    /* True once a server has connected to the milter; NULL: none ever does. */
    bool (*milter_is_attached)(void *context);
    void *context;
};

struct sessions *sessions_new(const struct sessions_options *options,
                              const struct settings *settings);
void sessions_free(struct sessions **sessions);

/* New sessions work by these settings; running ones keep theirs. */
void sessions_configure(struct sessions *sessions, const struct settings *settings);

/* The ehlo lookup: a session of `pid` begins. `client` NULL = its address is no address. */
enum offer sessions_begin(struct sessions *sessions, int64_t pid, const struct address *client);

/* The command lookup; a greeting behind the end of a session begins the next one. Returns what
 * Postfix shall run instead, NULL = as it is. Static storage. */
const char *sessions_take_command(struct sessions *sessions, int64_t pid, const char *line,
                                  size_t length);

/* The policy request. Writes the action ("DUNNO", "552 5.3.4 …") to `action`. `peer` is the
 * pid at the other end of the policy connection, 0 = unknown. */
void sessions_take_policy(struct sessions *sessions, int64_t peer,
                          const struct policy_request *request, char *action, size_t size);

/* The milter judged a message. The record is of its making; times and client are filled in here. */
void sessions_take_judged(struct sessions *sessions, const struct join_key *key,
                          struct record *record);

/* The milter saw a message that nobody else told of; `queue_id` may be "". */
void sessions_take_unjoined(struct sessions *sessions, const char *queue_id);

/* Sendmail's sessions, of which only the milter knows: one has begun, one that used BDAT like that
 * is over, a DATA message went through, a BDAT or a message with a wrong SIZE is to be recorded. */
void sessions_begin_other(struct sessions *sessions);
void sessions_end_other(struct sessions *sessions, enum session_mode mode);
void sessions_take_data(struct sessions *sessions);
void sessions_take_record(struct sessions *sessions, struct record *record);

/* Postfix took the message at hand back from the milter, at the monotonic time at_ms. */
void sessions_take_abort(struct sessions *sessions, int64_t pid, uint64_t generation,
                         int64_t at_ms);

/* The session is over: the milter's connection was closed at at_ms, or a peer without a pid is
 * gone. If a transfer is in the air then, it is judged a moment later, when it shows whether
 * the smtpd process itself has gone: that is not the client's fault. */
#define SESSIONS_SETTLE_MS 250
void sessions_end(struct sessions *sessions, int64_t pid, uint64_t generation, int64_t at_ms);
void sessions_settle(struct sessions *sessions);
void sessions_drop(struct sessions *sessions, int64_t pid);

/* Ends the sessions of smtpd processes that are gone; to be called every few seconds. */
void sessions_sweep(struct sessions *sessions);

/* Logs and stores what an operator has changed. */
void sessions_note_change(struct sessions *sessions, const struct suppression_change *change);

/* What is amiss in Postfix's configuration as far as the messages of the last hour show; NULL = nothing.
 * Static storage. */
const char *sessions_hint(const struct sessions *sessions);

/* Counters of GET /v1/status. */
struct session_counts {
    size_t active;
    uint64_t total;
    uint64_t modes[SESSION_MODES]; /* of all sessions, as far as their mode is known */
    uint64_t over[SESSION_MODES];  /* of sessions that are over */
    uint64_t unverified;           /* sessions with a message that could not be checked */
    uint64_t guarded;              /* commands kept from Postfix */
};
struct session_counts sessions_counts(const struct sessions *sessions);

/* Visits the sessions alive now. */
struct session_view {
    int64_t pid;
    const struct conversation *conversation;
};
void sessions_visit(const struct sessions *sessions,
                    void (*visit)(void *context, const struct session_view *view),
                    void *context);

/* Views the session of that process; false if there is none alive. */
bool sessions_find(const struct sessions *sessions, int64_t pid, struct session_view *view);

#endif
