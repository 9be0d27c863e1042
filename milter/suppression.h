/*
 * Suppression: the circuit breaker that decides, per client, whether CHUNKING is offered.
 *
 *               strikes >= threshold within window          hold has passed
 *     OFFERED ------------------------------------> SUPPRESSED ------------> PROBATION
 *      ^  ^ ^                                        |   ^                    |    |
 *      |  | +------------ operator releases ---------+   +--- one strike -----+    |
 *      |  |                                          |      (hold doubled)         |
 *      |  +--- window passed, or a   PATH_TROUBLE <--+                             |
 *      |       transfer went well     (DATA failed as well)                        |
 *      +---------------------------------------- one clean BDAT transfer ----------+
 *
 * A client is the network around an address (ipv4_prefix, ipv6_prefix). Whoever is not known is
 * offered CHUNKING. The rules that keep sound mail from harm:
 *  - a verdict without strikes that is not clean (abandoned, failed elsewhere ...) counts for
 *    nothing; a clean BDAT transfer clears all strikes;
 *  - a strike counts for `window` seconds and never longer; a client with a clean transfer
 *    within the window is proven and needs proven_threshold strikes;
 *  - a client whose clean BDAT transfers carried bare LFs needs CHUNKING (it would bounce such
 *    mail without it): it is not suppressed but reported, for max_hold after the last of them;
 *  - where DATA fails as well, the path is at fault: the suppression is undone. One failed DATA
 *    is enough if none went well since CHUNKING was taken away, else `threshold` of them within
 *    the window. Path trouble suspends suppression for `window` after the last failed DATA, and
 *    ends sooner when any transfer goes well: should the diagnosis have been wrong, BDAT's
 *    strikes count again soon, since being suppressed harms a sound client least;
 *  - what an operator has suppressed stays so until its time has passed, whatever DATA does.
 *
 * Time comes in as seconds since the epoch, so that states survive restarts. The clock may
 * step. Forward: strikes, holds and path trouble end that much sooner. Backward: what lies in
 * the future is taken for "just now" as soon as the client is touched, and no hold has ever
 * more left than its own length. A step of an hour either way thus shifts a hold by at most an
 * hour and never adds a strike.
 *
 * Memory: about 133 octets for a client, little in advance; SUPPRESSION_CLIENT_OCTETS is checked
 * by a test with a million. Beyond max_clients the least recently seen go: first those that have
 * nothing held against them, then the others; and as long as one neighbourhood (IPv6 /32, IPv4
 * /16) holds more than an eighth of the room, its own least recently seen go, so that a flood of
 * fresh addresses cannot push others out. The hash is keyed, for clients choose their addresses.
 * Each call is O(1): the table grows by one bucket at a time (linear hashing).
 *
 * Pure: no I/O, no clock, no lock. One thread (the event loop) owns it.
 */
#ifndef BDAT_SUPPRESSION_H
#define BDAT_SUPPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/network.h"
#include "milter/settings.h"
#include "milter/verdict.h"

#define SUPPRESSION_CLIENT_OCTETS 150
#define SUPPRESSION_SEED_OCTETS 16
#define SUPPRESSION_STRIKE_EVENTS 6
#define SUPPRESSION_REASON_SIZE 128

/* The longest hold that anybody may ask for, seconds. */
#define SUPPRESSION_HOLD_MAX (INT64_C(3660) * 86400)
#define SUPPRESSION_HOLD_MAX_TEXT "3660d"

struct suppression;

/* Where a client stands. Stored as numbers: new ones go to the end. */
enum client_state {
    CLIENT_OFFERED,
    CLIENT_SUPPRESSED,
    CLIENT_PROBATION,
    CLIENT_PATH_TROUBLE,
    CLIENT_STATE_COUNT
};

/* The wire word of a state ("suppressed", "path_trouble"). Static storage. */
const char *client_state_name(enum client_state state);

/* Finds a state by its name; false if there is none, *state is then untouched. */
bool client_state_from_name(const char *name, enum client_state *state);

/* All that is known of one client: what is listed, stored and loaded again. A plain value.
 * Times are seconds since the epoch, 0 = never. */
struct client_record {
    struct network client;
    enum client_state state;
    bool by_operator;          /* suppressed by an operator's word */
    bool needs_chunking;       /* clean BDAT transfers carried bare LFs, lately enough */
    bool proven;               /* a clean BDAT transfer within the window */
    unsigned strikes;          /* those that count now */
    int64_t since;             /* when the state began */
    int64_t until;             /* SUPPRESSED, PATH_TROUBLE: when it ends; else 0 */
    int64_t hold_seconds;      /* the hold that was imposed last; 0 = none yet */
    int64_t last_seen;         /* the last transfer, connection or operator's word */
    int64_t last_clean;        /* the last clean BDAT transfer */
    int64_t last_bare_lf;      /* the last clean BDAT transfer with bare LFs */
    int64_t last_data_failure; /* the last failed DATA transfer */
    enum verdict last_verdict; /* of the last BDAT transfer */
    uint32_t bdat_transfers;
    uint32_t data_transfers;
    uint16_t data_good;    /* DATA transfers gone well since CHUNKING was taken away */
    uint8_t data_failures; /* failed ones, likewise, within a window of each other */
    struct {
        int64_t time;
        uint8_t weight;                         /* strikes; 0 = an empty place */
    } strike_events[SUPPRESSION_STRIKE_EVENTS]; /* oldest first */
    char reason[SUPPRESSION_REASON_SIZE];       /* the operator's; "" = none */
};

/* What a call has changed; a set of bits. */
enum suppression_event {
    SUPPRESSION_STRUCK = 1 << 0,         /* strikes were added */
    SUPPRESSION_CLEARED = 1 << 1,        /* a clean transfer cleared strikes */
    SUPPRESSION_SUPPRESSED = 1 << 2,     /* CHUNKING is no longer offered */
    SUPPRESSION_PROBATION = 1 << 3,      /* the hold has passed: offered again, on trial */
    SUPPRESSION_RELEASED = 1 << 4,       /* offered again for good */
    SUPPRESSION_NEEDS_CHUNKING = 1 << 5, /* found to need CHUNKING (first time): report it */
    SUPPRESSION_SPARED = 1 << 6,         /* would be suppressed but needs CHUNKING: report it */
    SUPPRESSION_PATH_TROUBLE = 1 << 7,   /* DATA failed as well: the path is at fault */
    SUPPRESSION_PATH_SOUND = 1 << 8,     /* path trouble is over */
    SUPPRESSION_DATA_WORKS = 1 << 9,     /* the first DATA transfer since went well: healed */
    SUPPRESSION_FORGOTTEN = 1 << 10,     /* dropped: not seen for max_hold */
};
#define SUPPRESSION_EVENT_BITS 11

/* The word of the single event bit number `bit` ("struck", "suppressed"). Static storage. */
const char *suppression_event_name(unsigned bit);

/* What the caller logs and hands to the store. */
struct suppression_change {
    unsigned events; /* enum suppression_event */
    enum client_state before;
    enum client_state after;     /* also in `record` */
    bool save;                   /* `record` is to be stored (delete it if FORGOTTEN) */
    struct client_record record; /* the client as it is then; filled if events or save */
};

enum offer { OFFER_CHUNKING, WITHHOLD_CHUNKING };

/* Makes an empty table with that secret hash key, which it copies, and the settings of an
 * empty configuration. NULL when memory is short. */
struct suppression *suppression_new(const uint8_t seed[SUPPRESSION_SEED_OCTETS]);

/* Frees it and nulls the pointer; NULL is fine. */
void suppression_free(struct suppression **suppression);

/* Takes settings over (copied). A lower max_clients is reached step by step, as calls come in.
 * Clients kept under another prefix length are forgotten; that walks the table (20 ms for a
 * million clients), as a rare reload may. With enabled = false all are offered CHUNKING and none
 * is newly suppressed; strikes are still counted and states kept. */
void suppression_configure(struct suppression *suppression,
                           const struct suppression_settings *settings);

/* Answers the ehlo lookup; notes the end of a hold on the way. `change` may be NULL; otherwise
 * it is filled, and `events` or `save` non-zero if there is something to log or store. */
enum offer suppression_decide_offer(struct suppression *suppression, const struct address *client,
                                    int64_t now, struct suppression_change *change);

/* Notes a settled BDAT transfer. `adaptive` false: a rule pins this client, or the mode is
 * observe: strikes are counted but suppress nothing. `change` may be NULL. */
void suppression_record_bdat(struct suppression *suppression, const struct address *client,
                             enum verdict verdict, unsigned evidence, bool adaptive, int64_t now,
                             struct suppression_change *change);

/* Notes a settled DATA transfer: gone well (the octets arrived, whatever was answered), or
 * stalled or lost in the middle of the message. Of clients without an entry nothing is kept. */
void suppression_record_data(struct suppression *suppression, const struct address *client,
                             bool succeeded, int64_t now, struct suppression_change *change);

/* An operator's word: no CHUNKING for `seconds` (0 = the configured hold) whatever DATA does.
 * `reason` may be NULL and is cut to SUPPRESSION_REASON_SIZE. False when memory is short. */
bool suppression_suppress(struct suppression *suppression, const struct address *client,
                          int64_t seconds, const char *reason, int64_t now,
                          struct suppression_change *change);

/* An operator's word: offered again, strikes and hold forgotten. False if nothing was held
 * against the client. */
bool suppression_release(struct suppression *suppression, const struct address *client, int64_t now,
                         struct suppression_change *change);

/* What is known of the client as of `now`, without touching it; false if nothing is. */
bool suppression_find(const struct suppression *suppression, const struct address *client,
                      int64_t now, struct client_record *record);

/* Which clients to list. */
struct client_filter {
    bool has_state;
    enum client_state state;
    bool struck_only;             /* only those with strikes that count */
    const struct network *within; /* NULL = any */
    size_t limit;
};

/* Gets one record of a listing; false ends it. It must not call back into the table. */
typedef bool client_visitor(void *context, const struct client_record *record);

/* Lists clients, most recently seen first. Returns how many were visited. States are taken as
 * of `now`, but a hold that has passed and was not noticed yet lists as probation all the same.
 * Looks at no more than SUPPRESSION_LIST_LOOKS clients, so that the loop is not held up. */
#define SUPPRESSION_LIST_LOOKS 50000
size_t suppression_list(const struct suppression *suppression, const struct client_filter *filter,
                        int64_t now, client_visitor *visit, void *context);

/* Walks all clients in pieces, in no order: *cursor is 0 at first; at most `count` clients are
 * looked at in a call. False when the walk is over. Clients that stay all the while are visited
 * exactly once. Used to give the store everything again after an outage. */
bool suppression_walk(const struct suppression *suppression, size_t *cursor, size_t count,
                      int64_t now, client_visitor *visit, void *context);

/* Notes what time has brought, for at most `budget` clients: holds and path trouble that are
 * over, clients not seen for max_hold. To be called by a timer (each second, budget 1000 +
 * count / 100) until it returns false; true = `change` is filled, call again. *budget counts
 * down. Not needed for right answers, only for right counters and for memory. */
bool suppression_sweep(struct suppression *suppression, size_t *budget, int64_t now,
                       struct suppression_change *change);

/* Takes a stored client in; newer knowledge stays (by last_seen). To build the right order of
 * age, import the longest unseen first. False if it was not taken: memory is short, its prefix
 * is not the configured one, it is malformed or older. */
bool suppression_import(struct suppression *suppression, const struct client_record *record,
                        int64_t now) __attribute__((warn_unused_result));

/* Counters, O(1). A hold that has passed counts as suppressed until a call has noticed it. */
struct suppression_counts {
    size_t clients;
    size_t states[CLIENT_STATE_COUNT];
    uint64_t evicted; /* gone for lack of room, since the start */
    size_t octets;    /* memory in use */
};
struct suppression_counts suppression_counts(const struct suppression *suppression);

#endif
