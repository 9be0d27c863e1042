#include "config.h"

#include "milter/transfer_query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "milter/clock.h"
#include "milter/units.h"

static int parse_limit(const char *text, size_t *limit, char *error, size_t size)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    if (end == NULL || *end != '\0' || value == 0) {
        snprintf(error, size, "limit is a number, 1 or more");
        return -1;
    }
    *limit = errno != 0 || value > QUERY_LIMIT_MAX ? QUERY_LIMIT_MAX : value;
    return 0;
}

/* RFC 3339 in UTC ("2026-11-23T04:15:09Z", fraction and "Z" may be missing), or "2h" ago. */
static int parse_since(const char *text, int64_t *wall_ms, char *error, size_t size)
{
    struct tm utc = {0};
    int64_t back = 0;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    if (rest != NULL) {
        if (*rest == '.')
            rest += 1 + strspn(rest + 1, "0123456789");
        if (strcmp(rest, "Z") == 0 || *rest == '\0') {
            *wall_ms = (int64_t)timegm(&utc) * 1000;
            return 0;
        }
    } else if (units_parse_time(text, &back) == UNITS_OK) {
        int64_t now = clock_wall_ms();
        *wall_ms = back < now / 1000 ? now - back * 1000 : 1;
        return 0;
    }
    snprintf(error, size, "since is a time like 2h, or like 2026-11-23T04:15:09Z");
    return -1;
}

static int parse_verdict(const char *text, enum verdict *verdict, char *error, size_t size)
{
    *verdict = verdict_from_name(text);
    if (*verdict != VERDICT_NONE)
        return 0;
    size_t at = (size_t)snprintf(error, size, "there is no such verdict; there are");
    for (int i = 0; i < VERDICT_COUNT && at < size; i++)
        at += (size_t)snprintf(error + at, size - at, " %s", verdict_name((enum verdict)i));
    return -1;
}

static int refuse_state(char *error, size_t size)
{
    size_t at = (size_t)snprintf(error, size, "state is one of");
    for (int i = 0; i < CLIENT_STATE_COUNT && at < size; i++)
        at += (size_t)snprintf(error + at, size - at, "%s %s", i > 0 ? "," : "",
                               client_state_name((enum client_state)i));
    return -1;
}

int transfer_query_parse(const struct query_texts *texts, struct transfer_query *query,
                         char *error, size_t error_size)
{
    *query = (struct transfer_query){.limit = QUERY_LIMIT_DEFAULT, .verdict = VERDICT_NONE};
    if (texts->limit != NULL && parse_limit(texts->limit, &query->limit, error, error_size) != 0)
        return -1;
    if (texts->client != NULL) {
        query->has_client = true;
        if (network_parse(texts->client, &query->client, error, error_size) != 0)
            return -1;
    }
    if (texts->verdict != NULL &&
        parse_verdict(texts->verdict, &query->verdict, error, error_size) != 0)
        return -1;
    if (texts->since != NULL &&
        parse_since(texts->since, &query->since_wall_ms, error, error_size) != 0)
        return -1;
    if (texts->state != NULL) {
        query->has_state = client_state_from_name(texts->state, &query->state);
        if (!query->has_state)
            return refuse_state(error, error_size);
    }
    if (texts->queue_id != NULL)
        snprintf(query->queue_id, sizeof(query->queue_id), "%s", texts->queue_id);
    return 0;
}

bool transfer_query_matches(const struct transfer_query *query, const struct record *record)
{
    const struct transfer *transfer = &record->transfer;
    if (query->has_client &&
        !(transfer->has_client && network_contains(&query->client, &transfer->client)))
        return false;
    if (query->verdict != VERDICT_NONE && record->verdict != query->verdict)
        return false;
    if (query->queue_id[0] != '\0' && strcmp(transfer->queue_id, query->queue_id) != 0)
        return false;
    return record->time_wall_ms >= query->since_wall_ms;
}

void transfer_query_to_filter(const struct transfer_query *query, struct incident_filter *filter)
{
    *filter = (struct incident_filter){
        .has_client = query->has_client,
        .client = query->client,
        .verdict = query->verdict,
        .since = query->since_wall_ms / 1000,
        .limit = query->limit,
    };
    snprintf(filter->queue_id, sizeof(filter->queue_id), "%s", query->queue_id);
}
