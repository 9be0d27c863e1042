#include "milter/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/clock.h"
#include "milter/netstring.h"
#include "milter/service.h"

static const char not_found[] = "9:NOTFOUND ,";

struct tables {
    struct tables_options options;
    struct service *service;
    struct tables_counts counts;
    struct histogram durations[TABLE_COUNT];
    char *withheld; /* the ehlo table's answer, a netstring */
    size_t withheld_length;
};

static void reply_text(struct peer *peer, const char *status, const char *text, bool close)
{
    char payload[512], wire[NETSTRING_SIZE(sizeof(payload))];
    int length = snprintf(payload, sizeof(payload), "%s %s", status, text);
    size_t size = netstring_write(wire, payload, (size_t)length);
    if (close)
        peer_reply_and_close(peer, wire, size);
    else
        peer_reply(peer, wire, size);
}

static void reject(struct tables *tables, struct peer *peer, const char *why)
{
    tables->counts.errors++;
    log_write(tables->options.log, LOG_LEVEL_WARNING, "tables: request of pid %d refused: %s",
              (int)peer_pid(peer), why);
    reply_text(peer, "PERM", why, true);
}

/* The kernel's pid, or a number below 0 for a peer whose pid it cannot tell. */
static int64_t session_of(const struct peer *peer)
{
    return peer_pid(peer) > 0 ? peer_pid(peer) : -(int64_t)peer_id(peer);
}

static void answer_ehlo(struct tables *tables, struct peer *peer, struct slice key)
{
    struct address client;
    bool known = address_parse(key.text, key.length, &client);
    if (sessions_begin(tables->options.sessions, session_of(peer), known ? &client : NULL) ==
        WITHHOLD_CHUNKING)
        peer_reply(peer, tables->withheld, tables->withheld_length);
    else
        peer_reply(peer, not_found, sizeof(not_found) - 1);
}

static void answer_command(struct tables *tables, struct peer *peer, struct slice key)
{
    const char *instead = sessions_take_command(tables->options.sessions, session_of(peer),
                                                key.text, key.length);
    if (instead != NULL)
        reply_text(peer, "OK", instead, false);
    else
        peer_reply(peer, not_found, sizeof(not_found) - 1);
}

static const struct {
    const char *name;
    void (*answer)(struct tables *tables, struct peer *peer, struct slice key);
} names[TABLE_COUNT] = {
    [TABLE_COMMAND] = {"command", answer_command},
    [TABLE_EHLO] = {"ehlo", answer_ehlo},
};

const char *table_name(enum table table)
{
    return names[table].name;
}

static void answer(struct tables *tables, struct peer *peer, const struct netstring *request)
{
    int64_t begun_ns = clock_monotonic_ns();
    const char *blank = memchr(request->payload, ' ', request->length);
    size_t length = blank != NULL ? (size_t)(blank - request->payload) : request->length;
    struct slice key = {request->payload + request->length, 0};
    if (blank != NULL)
        key = (struct slice){blank + 1, request->length - length - 1};
    inbox_drain(tables->options.inbox);
    tables->counts.lookups++;
    tables->counts.last_seen_ms = clock_wall_about_ms();
    for (size_t i = 0; blank != NULL && i < TABLE_COUNT; i++) {
        if (strlen(names[i].name) == length &&
            memcmp(names[i].name, request->payload, length) == 0) {
            names[i].answer(tables, peer, key);
            histogram_observe(&tables->durations[i], (uint64_t)(clock_monotonic_ns() - begun_ns));
            return;
        }
    }
    reject(tables, peer, "unknown table: there are command and ehlo");
}

static size_t handle(void *context, struct peer *peer, char *data, size_t length)
{
    struct tables *tables = context;
    struct netstring request;
    switch (netstring_parse(data, length, &request)) {
    case NETSTRING_COMPLETE:
        answer(tables, peer, &request);
        return request.used;
    case NETSTRING_INCOMPLETE:
        return 0;
    case NETSTRING_TOO_LONG:
        reject(tables, peer, "the request is longer than 100000 octets");
        return length;
    case NETSTRING_BAD:
        reject(tables, peer, "the request is no netstring");
        return length;
    }
    return length;
}

static void say_farewell(void *context, struct peer *peer)
{
    struct tables *tables = context;
    if (session_of(peer) < 0)
        sessions_drop(tables->options.sessions, session_of(peer));
}

bool tables_set_keywords(struct tables *tables, const char *keywords)
{
    size_t length = strlen(keywords) + 3;
    char *payload = malloc(length + 1);
    char *wire = malloc(NETSTRING_SIZE(length));
    if (payload == NULL || wire == NULL) {
        free(payload);
        free(wire);
        return false;
    }
    snprintf(payload, length + 1, "OK %s", keywords);
    free(tables->withheld);
    tables->withheld = wire;
    tables->withheld_length = netstring_write(wire, payload, length);
    free(payload);
    return true;
}

struct tables *tables_new(struct event_base *base, const struct tables_options *options,
                          const char *keywords)
{
    struct tables *tables = calloc(1, sizeof(*tables));
    if (tables == NULL)
        return NULL;
    tables->options = *options;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        histogram_init(&tables->durations[i], &histogram_answers);
    const struct service_options service = {
        .name = "tables",
        .listen_fd = options->listen_fd,
        .max_request = NETSTRING_SIZE(NETSTRING_MAX),
        .handle = handle,
        .farewell = say_farewell,
        .context = tables,
        .log = options->log,
    };
    if (!tables_set_keywords(tables, keywords) ||
        (tables->service = service_new(base, &service)) == NULL)
        tables_free(&tables);
    return tables;
}

void tables_free(struct tables **tables)
{
    struct tables *old = *tables;
    if (old == NULL)
        return;
    service_free(&old->service);
    free(old->withheld);
    free(old);
    *tables = NULL;
}

struct tables_counts tables_counts(const struct tables *tables)
{
    struct tables_counts counts = tables->counts;
    counts.connections = service_connections(tables->service);
    return counts;
}

const struct histogram *tables_durations(const struct tables *tables, enum table table)
{
    return &tables->durations[table];
}
