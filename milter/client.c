#include "milter/client.h"

#include <stdio.h>
#include <string.h>

stamp stamp_of(int64_t time)
{
    return time < 1 ? 1 : time > UINT32_MAX ? UINT32_MAX : (stamp)time;
}

/* A stored time, which may be "never". */
static stamp stamp_or_never(int64_t time)
{
    return time <= 0 ? 0 : stamp_of(time);
}

static stamp stamp_after(stamp from, int64_t seconds)
{
    return stamp_of((int64_t)from + (seconds > 0 ? seconds : 0));
}

/* A length of time as it is kept. */
static uint32_t seconds_of(int64_t seconds)
{
    return seconds < 0 ? 0 : seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

bool stamp_is_within(stamp event, int64_t seconds, stamp now)
{
    return event != 0 && (event >= now || (int64_t)(now - event) < seconds);
}

static void not_after(stamp *event, stamp now)
{
    if (*event > now)
        *event = now;
}

/* How long a client is remembered that nothing is heard of. */
static int64_t memory_of(const struct suppression_settings *settings)
{
    return settings->max_hold > settings->window ? settings->max_hold : settings->window;
}

/* Strikes: a client's last events, oldest first, without gaps. */

unsigned client_strikes(const struct client *client)
{
    unsigned strikes = 0;

    for (size_t i = 0; i < SUPPRESSION_STRIKE_EVENTS; i++)
        strikes += client->strike_weights[i];
    return strikes;
}

static void clear_strikes(struct client *client)
{
    memset(client->strike_weights, 0, sizeof(client->strike_weights));
    memset(client->strike_times, 0, sizeof(client->strike_times));
}

/* Removes the event at `place`; those behind it move up. */
static void drop_strike(struct client *client, size_t place)
{
    for (; place + 1 < SUPPRESSION_STRIKE_EVENTS; place++) {
        client->strike_weights[place] = client->strike_weights[place + 1];
        client->strike_times[place] = client->strike_times[place + 1];
    }
    client->strike_weights[place] = 0;
    client->strike_times[place] = 0;
}

/* Adds strikes. When all places are taken the two oldest events become one that counts only as
 * long as the older: what is inexact makes strikes end sooner, never later. */
static void add_strikes(struct client *client, unsigned strikes, stamp now)
{
    uint8_t *weights = client->strike_weights;
    size_t place = 0;

    if (weights[SUPPRESSION_STRIKE_EVENTS - 1] != 0) {
        unsigned sum = weights[0] + weights[1];
        stamp oldest = client->strike_times[0];

        drop_strike(client, 0);
        weights[0] = sum > UINT8_MAX ? UINT8_MAX : (uint8_t)sum;
        client->strike_times[0] = oldest;
    }
    while (weights[place] != 0)
        place++;
    weights[place] = (uint8_t)strikes;
    client->strike_times[place] = now;
}

static bool is_proven(const struct suppression_settings *settings, const struct client *client,
                      stamp now)
{
    return stamp_is_within(client->clean, settings->window, now);
}

static bool needs_chunking(const struct suppression_settings *settings, const struct client *client,
                           stamp now)
{
    return stamp_is_within(client->bare_lf, memory_of(settings), now);
}

enum standing client_standing(const struct suppression_settings *settings,
                              const struct client *client, stamp now)
{
    switch ((enum client_state)client->state) {
    case CLIENT_SUPPRESSED:
        return STANDING_SUPPRESSED;
    case CLIENT_PROBATION:
        return STANDING_PROBATION;
    case CLIENT_PATH_TROUBLE:
        return STANDING_PATH_TROUBLE;
    case CLIENT_OFFERED:
    case CLIENT_STATE_COUNT:
        break;
    }
    if (client_strikes(client) > 0)
        return STANDING_STRUCK;
    return needs_chunking(settings, client, now) ? STANDING_NEEDS : STANDING_PLAIN;
}

/* The one function that changes a state. */
static void enter_state(struct client *client, enum client_state state, stamp until, stamp now)
{
    client->state = (uint8_t)state;
    client->since = now;
    client->until = until;
    if (state != CLIENT_SUPPRESSED)
        client->by_operator = false;
    if (state != CLIENT_OFFERED && state != CLIENT_SUPPRESSED)
        clear_strikes(client);
    if (state == CLIENT_OFFERED)
        client->hold = 0;
    client->data_good = 0;
    client->data_failures = 0;
}

/* After a clock went back: nothing has happened in the future, and nothing that ends has more
 * left than its whole length. */
static void mend_times(const struct suppression_settings *settings, struct client *client,
                       stamp now)
{
    int64_t length =
        client->state == CLIENT_PATH_TROUBLE ? settings->window : (int64_t)client->hold;
    stamp latest = stamp_after(now, length);

    not_after(&client->seen, now);
    not_after(&client->since, now);
    not_after(&client->clean, now);
    not_after(&client->bare_lf, now);
    not_after(&client->data_failed, now);
    not_after(&client->saved, now);
    for (size_t i = 0; i < SUPPRESSION_STRIKE_EVENTS; i++)
        not_after(&client->strike_times[i], now);
    if (client->until > latest)
        client->until = latest;
}

unsigned client_refresh(const struct suppression_settings *settings, struct client *client,
                        stamp now)
{
    mend_times(settings, client, now);
    while (client->strike_weights[0] != 0 &&
           !stamp_is_within(client->strike_times[0], settings->window, now))
        drop_strike(client, 0);
    switch ((enum client_state)client->state) {
    case CLIENT_SUPPRESSED:
        if (client->until > now)
            return 0;
        enter_state(client, CLIENT_PROBATION, 0, now);
        return SUPPRESSION_PROBATION;
    case CLIENT_PROBATION:
        if (stamp_is_within(client->since, memory_of(settings), now))
            return 0;
        enter_state(client, CLIENT_OFFERED, 0, now);
        return SUPPRESSION_RELEASED;
    case CLIENT_PATH_TROUBLE:
        if (client->until > now)
            return 0;
        enter_state(client, CLIENT_OFFERED, 0, now);
        return SUPPRESSION_PATH_SOUND;
    case CLIENT_OFFERED:
    case CLIENT_STATE_COUNT:
        break;
    }
    return 0;
}

void client_describe(const struct suppression_settings *settings, const struct client *client,
                     stamp now, struct client_record *record)
{
    *record = (struct client_record){
        .client = {.address = client->address, .prefix = client->prefix},
        .state = (enum client_state)client->state,
        .by_operator = client->by_operator,
        .needs_chunking = needs_chunking(settings, client, now),
        .proven = is_proven(settings, client, now),
        .strikes = client_strikes(client),
        .since = client->since,
        .until = client->until,
        .hold_seconds = client->hold,
        .last_seen = client->seen,
        .last_clean = client->clean,
        .last_bare_lf = client->bare_lf,
        .last_data_failure = client->data_failed,
        .last_verdict = (enum verdict)client->last_verdict,
        .bdat_transfers = client->bdat_transfers,
        .data_transfers = client->data_transfers,
        .data_good = client->data_good,
        .data_failures = client->data_failures,
    };
    for (size_t i = 0; i < SUPPRESSION_STRIKE_EVENTS; i++) {
        record->strike_events[i].time = client->strike_times[i];
        record->strike_events[i].weight = client->strike_weights[i];
    }
    if (client->reason != NULL && client->state == CLIENT_SUPPRESSED)
        snprintf(record->reason, sizeof(record->reason), "%s", client->reason);
}

/* The transitions. Each returns the events. */

static void take_chunking_away(struct client *client, int64_t hold, bool by_operator, stamp now)
{
    enter_state(client, CLIENT_SUPPRESSED, stamp_after(now, hold), now);
    client->hold = seconds_of(hold);
    client->by_operator = by_operator;
}

/* The hold for one that fails on probation: twice the last one, but no shorter than the first
 * and no longer than the longest. */
static int64_t longer_hold(const struct suppression_settings *settings, uint32_t hold)
{
    int64_t longer = (int64_t)hold * 2;

    if (longer > settings->max_hold)
        longer = settings->max_hold;
    return longer > settings->hold ? longer : settings->hold;
}

unsigned client_note_strikes(const struct suppression_settings *settings, struct client *client,
                             unsigned strikes, bool adaptive, stamp now)
{
    bool on_trial = client->state == CLIENT_PROBATION;
    unsigned limit = settings->threshold;

    add_strikes(client, strikes, now);
    if (client->state != CLIENT_OFFERED && !on_trial)
        return SUPPRESSION_STRUCK;
    if (is_proven(settings, client, now) && settings->proven_threshold > limit)
        limit = settings->proven_threshold;
    if (!adaptive || !settings->enabled || (!on_trial && client_strikes(client) < limit))
        return SUPPRESSION_STRUCK;
    if (needs_chunking(settings, client, now))
        return SUPPRESSION_STRUCK | SUPPRESSION_SPARED;
    take_chunking_away(client, on_trial ? longer_hold(settings, client->hold) : settings->hold,
                       false, now);
    return SUPPRESSION_STRUCK | SUPPRESSION_SUPPRESSED;
}

/* A clean transfer from a client that is suppressed was begun before it was; it says nothing
 * new, unless it shows that the client cannot do without CHUNKING. */
unsigned client_note_clean(const struct suppression_settings *settings, struct client *client,
                           bool bare_lf, stamp now)
{
    unsigned events = client_strikes(client) > 0 ? SUPPRESSION_CLEARED : 0;

    clear_strikes(client);
    client->clean = now;
    if (bare_lf) {
        if (!needs_chunking(settings, client, now))
            events |= SUPPRESSION_NEEDS_CHUNKING;
        client->bare_lf = now;
    }
    if (client->state == CLIENT_OFFERED ||
        (client->state == CLIENT_SUPPRESSED && (!bare_lf || client->by_operator)))
        return events;
    events |= client->state == CLIENT_PATH_TROUBLE ? SUPPRESSION_PATH_SOUND : SUPPRESSION_RELEASED;
    enter_state(client, CLIENT_OFFERED, 0, now);
    return events;
}

static unsigned note_data_success(struct client *client, stamp now)
{
    if (client->state == CLIENT_PATH_TROUBLE) {
        enter_state(client, CLIENT_OFFERED, 0, now);
        return SUPPRESSION_PATH_SOUND;
    }
    if (client->state != CLIENT_SUPPRESSED)
        return 0;
    if (client->data_good < UINT16_MAX)
        client->data_good++;
    return client->data_good == 1 ? SUPPRESSION_DATA_WORKS : 0;
}

static unsigned note_data_failure(const struct suppression_settings *settings,
                                  struct client *client, stamp now)
{
    stamp until = stamp_after(now, settings->window);

    if (!stamp_is_within(client->data_failed, settings->window, now))
        client->data_failures = 0;
    if (client->data_failures < UINT8_MAX)
        client->data_failures++;
    client->data_failed = now;
    if (client->state == CLIENT_PATH_TROUBLE)
        client->until = until;
    if (client->state != CLIENT_SUPPRESSED || client->by_operator ||
        (client->data_good > 0 && client->data_failures < settings->threshold))
        return 0;
    enter_state(client, CLIENT_PATH_TROUBLE, until, now);
    return SUPPRESSION_PATH_TROUBLE;
}

unsigned client_note_data(const struct suppression_settings *settings, struct client *client,
                          bool succeeded, stamp now)
{
    return succeeded ? note_data_success(client, now) : note_data_failure(settings, client, now);
}

unsigned client_suppress(struct client *client, int64_t seconds, stamp now)
{
    take_chunking_away(client, seconds, true, now);
    return SUPPRESSION_SUPPRESSED;
}

unsigned client_release(struct client *client, stamp now)
{
    if (client->state == CLIENT_OFFERED && client_strikes(client) == 0)
        return 0;
    enter_state(client, CLIENT_OFFERED, 0, now);
    clear_strikes(client);
    return SUPPRESSION_RELEASED;
}

bool client_is_forgettable(const struct suppression_settings *settings, const struct client *client,
                           stamp now)
{
    return client_standing(settings, client, now) == STANDING_PLAIN &&
           !stamp_is_within(client->seen, memory_of(settings), now);
}

bool client_restore(struct client *client, const struct client_record *record)
{
    if ((unsigned)record->state >= CLIENT_STATE_COUNT || record->client.prefix > 128 ||
        record->last_verdict < VERDICT_NONE || record->last_verdict >= VERDICT_COUNT)
        return false;
    *client = (struct client){
        .address = record->client.address,
        .prefix = record->client.prefix,
        .state = (uint8_t)record->state,
        .by_operator = record->state == CLIENT_SUPPRESSED && record->by_operator,
        .last_verdict = (int8_t)record->last_verdict,
        .seen = stamp_of(record->last_seen),
        .since = stamp_of(record->since),
        .until = stamp_or_never(record->until),
        .hold = seconds_of(record->hold_seconds),
        .clean = stamp_or_never(record->last_clean),
        .bare_lf = stamp_or_never(record->last_bare_lf),
        .data_failed = stamp_or_never(record->last_data_failure),
        .bdat_transfers = record->bdat_transfers,
        .data_transfers = record->data_transfers,
        .data_good = record->data_good,
        .data_failures = record->data_failures,
    };
    client->saved = client->seen;
    for (size_t i = 0; i < SUPPRESSION_STRIKE_EVENTS; i++)
        if (record->strike_events[i].weight > 0)
            add_strikes(client, record->strike_events[i].weight,
                        stamp_of(record->strike_events[i].time));
    return true;
}

void client_copy(struct client *client, const struct client *from)
{
    struct client there = *client;

    *client = *from;
    client->bucket_next = there.bucket_next;
    client->newer = there.newer;
    client->older = there.older;
    client->group_newer = there.group_newer;
    client->group_older = there.group_older;
    client->use = there.use;
    client->group = there.group;
    client->standing = there.standing;
    client->reason = there.reason;
}
