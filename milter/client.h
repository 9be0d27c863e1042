/*
 * One client of suppression: what is kept of it, and how it goes from state to state.
 *
 * The rules are told in suppression.h. A client is kept small, for there may be a million; as
 * clients lie in a table (client_table.h), the table's links are part of it. The functions here
 * look at one client only, take `now`, and return what happened (enum suppression_event); all
 * but client_refresh() want a client that client_refresh() has brought up to the same `now`.
 */
#ifndef BDAT_CLIENT_H
#define BDAT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "milter/network.h"
#include "milter/settings.h"
#include "milter/suppression.h"

/* Where a client is listed. All but the plain are held: forgetting them would be felt. */
enum standing {
    STANDING_PLAIN,  /* offered; nothing against it, nothing special */
    STANDING_NEEDS,  /* offered; needs CHUNKING */
    STANDING_STRUCK, /* offered; has strikes */
    STANDING_SUPPRESSED,
    STANDING_PROBATION,
    STANDING_PATH_TROUBLE,
    STANDING_COUNT,
    STANDING_FREE = STANDING_COUNT /* a free place of the table */
};

/* Seconds since the epoch, up to the year 2106; 0 = never. */
typedef uint32_t stamp;

struct client {
    struct address address;
    /* The table's. */
    uint32_t bucket_next;
    uint32_t newer, older;             /* in its standing's list */
    uint32_t group_newer, group_older; /* in its neighbourhood's list */
    uint32_t use;                      /* the number of its last use */
    uint16_t group;
    uint8_t standing;
    /* See struct client_record. */
    uint8_t prefix;
    uint8_t state;
    bool by_operator;
    int8_t last_verdict;
    uint8_t data_failures;
    stamp seen, since, until, clean, bare_lf, data_failed;
    stamp saved; /* when it was last given to the store */
    uint32_t hold;
    uint32_t bdat_transfers, data_transfers;
    uint16_t data_good;
    /* The events that count, oldest first, without gaps; weight 0 = an empty place. */
    uint8_t strike_weights[SUPPRESSION_STRIKE_EVENTS];
    stamp strike_times[SUPPRESSION_STRIKE_EVENTS];
    char *reason; /* an allocated string or NULL */
};

/* A time as it is kept: 1 at the least. */
stamp stamp_of(int64_t time);

/* True if the event was less than `seconds` ago. */
bool stamp_is_within(stamp event, int64_t seconds, stamp now);

/* Brings a client up to `now`: strikes, holds and path trouble that are over, and times that
 * lie in the future because the clock went back. */
unsigned client_refresh(const struct suppression_settings *settings, struct client *client,
                        stamp now);

/* Strikes that count. */
unsigned client_strikes(const struct client *client);

enum standing client_standing(const struct suppression_settings *settings,
                              const struct client *client, stamp now);

/* A BDAT transfer that costs strikes (at least one), or a clean one. */
unsigned client_note_strikes(const struct suppression_settings *settings, struct client *client,
                             unsigned strikes, bool adaptive, stamp now);
unsigned client_note_clean(const struct suppression_settings *settings, struct client *client,
                           bool bare_lf, stamp now);

/* A DATA transfer. */
unsigned client_note_data(const struct suppression_settings *settings, struct client *client,
                          bool succeeded, stamp now);

/* An operator's word. */
unsigned client_suppress(struct client *client, int64_t seconds, stamp now);
unsigned client_release(struct client *client, stamp now);

/* True if nothing would be lost by forgetting the client, after all the time it was not seen. */
bool client_is_forgettable(const struct suppression_settings *settings, const struct client *client,
                           stamp now);

/* Fills the record. */
void client_describe(const struct suppression_settings *settings, const struct client *client,
                     stamp now, struct client_record *record);

/* Makes a client (but for its reason and the table's part) of a record; false if that is
 * malformed. */
bool client_restore(struct client *client, const struct client_record *record);

/* Copies what is known of the same client; its reason and the table's part stay. */
void client_copy(struct client *client, const struct client *from);

#endif
