#include "milter/control_lists.h"

#include <stdlib.h>
#include <string.h>

#include "milter/clock.h"
#include "milter/json.h"

/* ---- transfers ---- */

struct transfer_list {
    const struct app *app;
    struct transfer_query query;
    uint64_t next; /* the transfers added before it are still to be looked at */
    size_t found;
};

static char *next_transfer(void *context)
{
    struct transfer_list *list = context;
    while (list->next > 0 && list->found < list->query.limit) {
        uint64_t index = recorder_added(list->app->recorder) - list->next;
        const struct record *record = recorder_at(list->app->recorder, index);
        if (record == NULL)
            return NULL;
        list->next--;
        if (!transfer_query_matches(&list->query, record))
            continue;
        list->found++;
        return json_record_text(record);
    }
    return NULL;
}

bool list_transfers(const struct app *app, const struct transfer_query *query,
                    struct listing_source *source)
{
    struct transfer_list *list = malloc(sizeof(*list));
    if (list == NULL)
        return false;
    *list = (struct transfer_list){app, *query, recorder_added(app->recorder), 0};
    *source = (struct listing_source){"transfers", next_transfer, free, list};
    return true;
}

/* ---- sessions ---- */

struct session_list {
    const struct app *app;
    size_t count;
    size_t size;
    size_t at;
    int64_t *pids;
};

static void add_session(void *context, const struct session_view *view)
{
    struct session_list *list = context;
    if (list->count < list->size)
        list->pids[list->count++] = view->pid;
}

static char *next_session(void *context)
{
    struct session_list *list = context;
    struct session_view view;
    while (list->at < list->count)
        if (sessions_find(list->app->sessions, list->pids[list->at++], &view))
            return listing_text(json_session(&view));
    return NULL;
}

static void free_sessions(void *context)
{
    struct session_list *list = context;
    free(list->pids);
    free(list);
}

bool list_sessions(const struct app *app, struct listing_source *source)
{
    size_t active = sessions_counts(app->sessions).active;
    struct session_list *list = calloc(1, sizeof(*list));
    if (list == NULL)
        return false;
    *list = (struct session_list){.app = app, .size = active};
    list->pids = calloc(active + 1, sizeof(list->pids[0]));
    if (list->pids == NULL) {
        free(list);
        return false;
    }
    sessions_visit(app->sessions, add_session, list);
    *source = (struct listing_source){"sessions", next_session, free_sessions, list};
    return true;
}

/* ---- clients ---- */

struct client_list {
    const struct app *app;
    size_t count;
    size_t at;
    struct client_record records[];
};

static bool add_client(void *context, const struct client_record *record)
{
    struct client_list *list = context;
    list->records[list->count++] = *record;
    return true;
}

static char *next_client(void *context)
{
    struct client_list *list = context;
    if (list->at == list->count)
        return NULL;
    const struct client_record *record = &list->records[list->at++];
    enum chunking pin = settings_match_rules(list->app->settings, &record->client.address).chunking;
    return listing_text(json_client(record, pin));
}

bool list_clients(const struct app *app, const struct transfer_query *query,
                  struct listing_source *source)
{
    struct client_list *list = malloc(sizeof(*list) + query->limit * sizeof(struct client_record));
    if (list == NULL)
        return false;
    *list = (struct client_list){.app = app};
    const struct client_filter filter = {
        .has_state = query->has_state,
        .state = query->state,
        .within = query->has_client ? &query->client : NULL,
        .limit = query->limit,
    };
    suppression_list(app->suppression, &filter, clock_wall_ms() / 1000, add_client, list);
    *source = (struct listing_source){"clients", next_client, free, list};
    return true;
}

/* ---- incidents ---- */

struct incident_cursor {
    struct incident_list *incidents;
    size_t at;
};

/* A row that is no JSON, since somebody else wrote it, is left out. */
static char *next_incident(void *context)
{
    struct incident_cursor *cursor = context;
    while (cursor->at < cursor->incidents->count) {
        char *text =
            listing_text(json_loads(cursor->incidents->incidents[cursor->at++].json, 0, NULL));
        if (text != NULL)
            return text;
    }
    return NULL;
}

static void free_incidents(void *context)
{
    struct incident_cursor *cursor = context;
    incident_list_free(&cursor->incidents);
    free(cursor);
}

bool list_incidents(struct incident_list *incidents, struct listing_source *source)
{
    struct incident_cursor *cursor = malloc(sizeof(*cursor));
    if (cursor == NULL) {
        incident_list_free(&incidents);
        return false;
    }
    *cursor = (struct incident_cursor){incidents, 0};
    *source = (struct listing_source){"incidents", next_incident, free_incidents, cursor};
    return true;
}
