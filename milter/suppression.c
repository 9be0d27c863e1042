#include "milter/suppression.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/client_table.h"

#define DAY 86400
/* How often a client that only does well is stored again. */
#define SAVE_SECONDS 900
/* How many clients beyond a lowered max_clients each new one sends away. */
#define SHRINK_STEP 8

struct suppression {
    struct suppression_settings settings;
    struct client_table *table;
    size_t sweep_place;
};

static const char *const state_names[CLIENT_STATE_COUNT] = {
    [CLIENT_OFFERED] = "offered",
    [CLIENT_SUPPRESSED] = "suppressed",
    [CLIENT_PROBATION] = "probation",
    [CLIENT_PATH_TROUBLE] = "path_trouble",
};

static const char *const event_names[SUPPRESSION_EVENT_BITS] = {
    "struck", "cleared",      "suppressed", "probation",  "released",  "needs_chunking",
    "spared", "path_trouble", "path_sound", "data_works", "forgotten",
};

const char *client_state_name(enum client_state state)
{
    return (unsigned)state < CLIENT_STATE_COUNT ? state_names[state] : "unknown";
}

bool client_state_from_name(const char *name, enum client_state *state)
{
    for (unsigned i = 0; i < CLIENT_STATE_COUNT; i++)
        if (strcmp(name, state_names[i]) == 0) {
            *state = (enum client_state)i;
            return true;
        }
    return false;
}

const char *suppression_event_name(unsigned bit)
{
    return bit < SUPPRESSION_EVENT_BITS ? event_names[bit] : "unknown";
}

/* One call on behalf of one client: what it found, and what it changes. */
struct touch {
    struct suppression *suppression;
    struct client *client;
    struct network network;
    stamp now;
    enum client_state before;
    unsigned events;
    bool transfer; /* a transfer, which may be worth storing by itself */
};

static struct network client_network(const struct suppression *suppression,
                                     const struct address *address)
{
    return network_around(address, suppression->settings.ipv4_prefix,
                          suppression->settings.ipv6_prefix);
}

/* Finds the client and brings it up to now; false if it is not known. */
static bool touch_begin(struct touch *touch, struct suppression *suppression,
                        const struct address *address, int64_t now,
                        struct suppression_change *change)
{
    if (change != NULL)
        *change = (struct suppression_change){0};
    *touch = (struct touch){
        .suppression = suppression,
        .network = client_network(suppression, address),
        .now = stamp_of(now),
    };
    touch->client = client_table_find(suppression->table, &touch->network);
    if (touch->client == NULL)
        return false;
    touch->before = (enum client_state)touch->client->state;
    touch->events = client_refresh(&suppression->settings, touch->client, touch->now);
    touch->client->seen = touch->now;
    return true;
}

/* Adds the client that touch_begin() did not find; false if it cannot be kept. */
static bool touch_add(struct touch *touch, bool held)
{
    struct client_table *table = touch->suppression->table;

    client_table_shrink(table, SHRINK_STEP);
    touch->client =
        client_table_add(table, &touch->network, held ? STANDING_STRUCK : STANDING_PLAIN);
    if (touch->client == NULL)
        return false;
    touch->client->seen = touch->client->since = touch->now;
    touch->client->last_verdict = VERDICT_NONE;
    return true;
}

/* Fills a change that is to be logged and stored. */
static void tell(struct suppression *suppression, struct client *client, enum client_state before,
                 unsigned events, stamp now, struct suppression_change *change)
{
    client->saved = now;
    change->events = events;
    change->before = before;
    change->after = (enum client_state)client->state;
    change->save = true;
    client_describe(&suppression->settings, client, now, &change->record);
}

/* Enters the client where it now belongs, and tells the caller what has changed. */
static void touch_end(struct touch *touch, struct suppression_change *change)
{
    struct suppression *suppression = touch->suppression;
    struct client *client = touch->client;
    bool due = touch->transfer && !stamp_is_within(client->saved, SAVE_SECONDS, touch->now);

    if (client->state != CLIENT_SUPPRESSED)
        client_table_set_reason(suppression->table, client, NULL);
    client_table_use(suppression->table, client,
                     client_standing(&suppression->settings, client, touch->now));
    if (change != NULL && (touch->events != 0 || due))
        tell(suppression, client, touch->before, touch->events, touch->now, change);
}

static const struct suppression_settings preset = {
    .enabled = true,
    .threshold = 2,
    .proven_threshold = 6,
    .window = 3600,
    .hold = DAY,
    .max_hold = 30 * (int64_t)DAY,
    .ipv4_prefix = 32,
    .ipv6_prefix = 64,
    .max_clients = 1000000,
};

struct suppression *suppression_new(const uint8_t seed[SUPPRESSION_SEED_OCTETS])
{
    struct suppression *suppression = calloc(1, sizeof(*suppression));
    struct siphash_key key = siphash_key(seed);

    if (suppression == NULL)
        return NULL;
    suppression->settings = preset;
    suppression->table = client_table_new(&key, preset.max_clients);
    if (suppression->table == NULL)
        suppression_free(&suppression);
    return suppression;
}

void suppression_free(struct suppression **suppression)
{
    if (*suppression == NULL)
        return;
    client_table_free(&(*suppression)->table);
    free(*suppression);
    *suppression = NULL;
}

/* True if that is how clients are kept now: the right prefix, and no bits behind it. */
static bool is_client_network(const struct suppression *suppression, const struct network *network)
{
    struct network around = client_network(suppression, &network->address);

    return around.prefix == network->prefix &&
           memcmp(&around.address, &network->address, sizeof(around.address)) == 0;
}

static void forget_other_prefixes(struct suppression *suppression)
{
    struct client_table *table = suppression->table;

    for (size_t i = 0; i < table->used; i++) {
        struct client *client = client_table_at(table, i);

        if (client == NULL)
            continue;
        struct network network = {.address = client->address, .prefix = client->prefix};
        if (!is_client_network(suppression, &network))
            client_table_remove(table, client);
    }
}

void suppression_configure(struct suppression *suppression,
                           const struct suppression_settings *settings)
{
    bool same = suppression->settings.ipv4_prefix == settings->ipv4_prefix &&
                suppression->settings.ipv6_prefix == settings->ipv6_prefix;

    suppression->settings = *settings;
    suppression->settings.keywords = NULL; /* not ours, and not used here */
    suppression->table->max_clients =
        settings->max_clients < CLIENT_NONE ? settings->max_clients : CLIENT_NONE - 1;
    if (!same)
        forget_other_prefixes(suppression);
}

enum offer suppression_decide_offer(struct suppression *suppression, const struct address *client,
                                    int64_t now, struct suppression_change *change)
{
    struct touch touch;

    if (!touch_begin(&touch, suppression, client, now, change))
        return OFFER_CHUNKING;
    touch_end(&touch, change);
    return touch.client->state == CLIENT_SUPPRESSED && suppression->settings.enabled
               ? WITHHOLD_CHUNKING
               : OFFER_CHUNKING;
}

void suppression_record_bdat(struct suppression *suppression, const struct address *client,
                             enum verdict verdict, unsigned evidence, bool adaptive, int64_t now,
                             struct suppression_change *change)
{
    struct touch touch;
    bool clean = verdict_is_clean(verdict), bare_lf = (evidence & EVIDENCE_BARE_LF) != 0;
    unsigned strikes = verdict_strikes(verdict);

    if (!touch_begin(&touch, suppression, client, now, change) &&
        ((!clean && strikes == 0) || !touch_add(&touch, strikes > 0 || bare_lf)))
        return;
    touch.transfer = true;
    touch.client->bdat_transfers++;
    touch.client->last_verdict = (int8_t)verdict;
    if (clean)
        touch.events |= client_note_clean(&suppression->settings, touch.client, bare_lf, touch.now);
    else if (strikes > 0)
        touch.events |=
            client_note_strikes(&suppression->settings, touch.client, strikes, adaptive, touch.now);
    touch_end(&touch, change);
}

void suppression_record_data(struct suppression *suppression, const struct address *client,
                             bool succeeded, int64_t now, struct suppression_change *change)
{
    struct touch touch;

    if (!touch_begin(&touch, suppression, client, now, change))
        return;
    touch.transfer = true;
    touch.client->data_transfers++;
    touch.events |= client_note_data(&suppression->settings, touch.client, succeeded, touch.now);
    touch_end(&touch, change);
}

bool suppression_suppress(struct suppression *suppression, const struct address *client,
                          int64_t seconds, const char *reason, int64_t now,
                          struct suppression_change *change)
{
    struct touch touch;
    char cut[SUPPRESSION_REASON_SIZE];

    if (!touch_begin(&touch, suppression, client, now, change) && !touch_add(&touch, true))
        return false;
    snprintf(cut, sizeof(cut), "%s", reason != NULL ? reason : "");
    client_table_set_reason(suppression->table, touch.client, cut);
    touch.events |= client_suppress(touch.client,
                                    seconds > 0 ? seconds : suppression->settings.hold, touch.now);
    touch_end(&touch, change);
    return true;
}

bool suppression_release(struct suppression *suppression, const struct address *client, int64_t now,
                         struct suppression_change *change)
{
    struct touch touch;
    unsigned events;

    if (!touch_begin(&touch, suppression, client, now, change))
        return false;
    events = client_release(touch.client, touch.now);
    touch.events |= events;
    touch_end(&touch, change);
    return events != 0;
}

/* A copy of the client as of `now`, described; the client itself stays as it is. */
static void view(const struct suppression *suppression, const struct client *client, stamp now,
                 struct client_record *record)
{
    struct client copy = *client;

    client_refresh(&suppression->settings, &copy, now);
    client_describe(&suppression->settings, &copy, now, record);
}

bool suppression_find(const struct suppression *suppression, const struct address *client,
                      int64_t now, struct client_record *record)
{
    struct network network = client_network(suppression, client);
    const struct client *found = client_table_find(suppression->table, &network);

    if (found != NULL)
        view(suppression, found, stamp_of(now), record);
    return found != NULL;
}

/* Where the next look of a listing goes: the end of each list that takes part. */
struct listing {
    const struct client_table *table;
    uint32_t next[STANDING_COUNT];
};

/* The more recently seen of two; the more recently used if that was in the same second. */
static bool is_newer(const struct client_table *table, const struct client *a,
                     const struct client *b)
{
    if (b == NULL || a->seen != b->seen)
        return b == NULL || a->seen > b->seen;
    return client_table_newer(table, a, b) == a;
}

/* The most recently seen of all that were not looked at yet; NULL at the end. */
static const struct client *listing_next(struct listing *listing)
{
    const struct client *newest = NULL;
    size_t from = 0;

    for (size_t i = 0; i < STANDING_COUNT; i++) {
        if (listing->next[i] == CLIENT_NONE)
            continue;
        const struct client *client = client_table_at(listing->table, listing->next[i]);
        if (is_newer(listing->table, client, newest)) {
            newest = client;
            from = i;
        }
    }
    if (newest != NULL)
        listing->next[from] = newest->older;
    return newest;
}

/* Which standings may turn out to have that state as of now. */
static bool may_have_state(enum standing standing, enum client_state state)
{
    static const unsigned standings[CLIENT_STATE_COUNT] = {
        [CLIENT_OFFERED] = 1 << STANDING_PLAIN | 1 << STANDING_NEEDS | 1 << STANDING_STRUCK |
                           1 << STANDING_PROBATION | 1 << STANDING_PATH_TROUBLE,
        [CLIENT_SUPPRESSED] = 1 << STANDING_SUPPRESSED,
        [CLIENT_PROBATION] = 1 << STANDING_PROBATION | 1 << STANDING_SUPPRESSED,
        [CLIENT_PATH_TROUBLE] = 1 << STANDING_PATH_TROUBLE,
    };
    return (unsigned)state < CLIENT_STATE_COUNT && (standings[state] & 1U << standing) != 0;
}

static bool overlaps(const struct network *a, const struct network *b)
{
    return a->prefix <= b->prefix ? network_contains(a, &b->address)
                                  : network_contains(b, &a->address);
}

static bool is_wanted(const struct client_filter *filter, const struct client_record *record)
{
    return (!filter->has_state || record->state == filter->state) &&
           (!filter->struck_only || record->strikes > 0) &&
           (filter->within == NULL || overlaps(filter->within, &record->client));
}

size_t suppression_list(const struct suppression *suppression, const struct client_filter *filter,
                        int64_t now, client_visitor *visit, void *context)
{
    struct listing listing = {.table = suppression->table};
    const struct client *client;
    size_t visited = 0;

    for (size_t i = 0; i < STANDING_COUNT; i++) {
        bool part = !filter->has_state || may_have_state((enum standing)i, filter->state);
        bool struck = !filter->struck_only || (i != STANDING_PLAIN && i != STANDING_NEEDS);
        listing.next[i] = part && struck ? suppression->table->lists[i].newest : CLIENT_NONE;
    }
    for (size_t looks = 0; looks < SUPPRESSION_LIST_LOOKS && visited < filter->limit; looks++) {
        struct client_record record;

        client = listing_next(&listing);
        if (client == NULL)
            break;
        view(suppression, client, stamp_of(now), &record);
        if (!is_wanted(filter, &record))
            continue;
        visited++;
        if (!visit(context, &record))
            break;
    }
    return visited;
}

bool suppression_walk(const struct suppression *suppression, size_t *cursor, size_t count,
                      int64_t now, client_visitor *visit, void *context)
{
    for (; count > 0 && *cursor < suppression->table->used; count--) {
        const struct client *client = client_table_at(suppression->table, (*cursor)++);
        struct client_record record;

        if (client == NULL)
            continue;
        view(suppression, client, stamp_of(now), &record);
        if (!visit(context, &record))
            break;
    }
    return *cursor < suppression->table->used;
}

/* Brings one client up to now; true if that has changed anything worth telling. */
static bool sweep_client(struct suppression *suppression, struct client *client, stamp now,
                         struct suppression_change *change)
{
    const struct suppression_settings *settings = &suppression->settings;
    enum client_state before = (enum client_state)client->state;
    unsigned events = client_refresh(settings, client, now);
    enum standing standing = client_standing(settings, client, now);

    if (client->state != CLIENT_SUPPRESSED)
        client_table_set_reason(suppression->table, client, NULL);
    if (client_is_forgettable(settings, client, now))
        events |= SUPPRESSION_FORGOTTEN;
    if (events != 0)
        tell(suppression, client, before, events, now, change);
    if ((events & SUPPRESSION_FORGOTTEN) != 0)
        client_table_remove(suppression->table, client);
    else if (standing != (enum standing)client->standing)
        client_table_settle(suppression->table, client, standing);
    return events != 0;
}

bool suppression_sweep(struct suppression *suppression, size_t *budget, int64_t now,
                       struct suppression_change *change)
{
    struct client_table *table = suppression->table;

    while (*budget > 0) {
        (*budget)--;
        if (suppression->sweep_place >= table->used)
            suppression->sweep_place = 0;
        struct client *client = client_table_at(table, suppression->sweep_place++);
        if (client != NULL && sweep_client(suppression, client, stamp_of(now), change))
            return true;
    }
    client_table_shrink(table, SHRINK_STEP);
    return false;
}

bool suppression_import(struct suppression *suppression, const struct client_record *record,
                        int64_t now)
{
    const struct suppression_settings *settings = &suppression->settings;
    struct client_table *table = suppression->table;
    struct client restored, *client;

    if (!client_restore(&restored, record) || !is_client_network(suppression, &record->client))
        return false;
    client_refresh(settings, &restored, stamp_of(now));
    enum standing standing = client_standing(settings, &restored, stamp_of(now));
    client = client_table_find(table, &record->client);
    if (client != NULL && client->seen >= restored.seen)
        return false;
    if (client != NULL)
        client_table_use(table, client, standing);
    else
        client = client_table_add(table, &record->client, standing);
    if (client == NULL)
        return false;
    client_copy(client, &restored);
    client_table_set_reason(table, client,
                            restored.state == CLIENT_SUPPRESSED ? record->reason : NULL);
    return true;
}

struct suppression_counts suppression_counts(const struct suppression *suppression)
{
    const struct client_table *table = suppression->table;
    const struct client_list *lists = table->lists;

    return (struct suppression_counts){
        .clients = table->count,
        .states =
            {
                [CLIENT_OFFERED] = (size_t)lists[STANDING_PLAIN].count +
                                   lists[STANDING_NEEDS].count + lists[STANDING_STRUCK].count,
                [CLIENT_SUPPRESSED] = lists[STANDING_SUPPRESSED].count,
                [CLIENT_PROBATION] = lists[STANDING_PROBATION].count,
                [CLIENT_PATH_TROUBLE] = lists[STANDING_PATH_TROUBLE].count,
            },
        .evicted = table->evicted,
        .octets = client_table_octets(table) + sizeof(*suppression),
    };
}
