#include "config.h"

#include "milter/control.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "milter/app.h"
#include "milter/clock.h"
#include "milter/control_views.h"
#include "milter/json.h"
#include "milter/metrics.h"
#include "milter/units.h"

#define PREFIX_CLIENTS "/v1/clients/"

/* A follower that does not read is given up beyond this, octets. */
#define FOLLOW_BUFFER_MAX (1024 * 1024)
#define FOLLOW_KEEPALIVE_SECONDS 15

/* A peer that says nothing is given up after this, seconds. */
#define IDLE_SECONDS 60

struct control {
    struct app *app;
    struct evhttp *http;
    struct evhttp_bound_socket *bound;
    LIST_HEAD(, follower) followers;
};

/* One GET /v1/follow. */
struct follower {
    LIST_ENTRY(follower) link;
    struct record_follower record;
    struct control *control;
    struct evhttp_request *request;
    struct event *keepalive;
    struct transfer_query query;
};

/* One GET /v1/incidents that waits for the store. */
struct inquiry {
    struct letter letter;
    struct evhttp_request *request; /* NULL: the peer is gone */
    struct incident_list *list;
    struct app *app;
};

/* ---- answers ---- */

static void send_text(struct evhttp_request *request, int status, const char *type,
                      const char *text)
{
    struct evbuffer *body = evbuffer_new();
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Content-Type", type);
    if (body != NULL)
        evbuffer_add(body, text, strlen(text));
    evhttp_send_reply(request, status, NULL, body);
    if (body != NULL)
        evbuffer_free(body);
}

/* Takes the reference. */
static void send_json(struct evhttp_request *request, int status, json_t *object)
{
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text == NULL)
        send_text(request, 500, "application/json", "{\"error\":\"out of memory\"}");
    else
        send_text(request, status, "application/json", text);
    free(text);
}

/* The text may hold what the peer said. */
static void send_error(struct evhttp_request *request, int status, const char *text)
{
    char printable[SETTINGS_ERROR_SIZE];
    log_printable(text, strlen(text), printable, sizeof(printable));
    send_json(request, status, json_pack("{s:s}", "error", printable));
}

/* Whose request it is when its connection goes: libevent takes an unanswered one off a connection
 * that the peer closed and leaves it to us (http.c, evhttp_connection_incoming_fail()). */
static void drop_request(struct evhttp_request *request)
{
    if (evhttp_request_get_connection(request) == NULL)
        evhttp_request_free(request);
}

/* ---- requests ---- */

/* One request as the handlers see it. */
struct call {
    struct control *control;
    struct app *app;
    struct evhttp_request *request;
    struct evkeyvalq query;
    char subject[128]; /* what stands in the path: an address */
    char error[256];
};

static const char *find_parameter(const struct call *call, const char *name)
{
    return evhttp_find_header(&call->query, name);
}

static void get_status(struct call *call)
{
    send_json(call->request, 200, view_status(call->app));
}

static void get_sessions(struct call *call)
{
    send_json(call->request, 200, view_sessions(call->app));
}

static void get_config(struct call *call)
{
    send_json(call->request, 200, view_config(call->app));
}

/* limit, client, verdict and queue_id. */
static bool parse_query(struct call *call, struct transfer_query *query)
{
    const struct query_texts texts = {
        .limit = find_parameter(call, "limit"),
        .client = find_parameter(call, "client"),
        .verdict = find_parameter(call, "verdict"),
        .queue_id = find_parameter(call, "queue_id"),
        .since = find_parameter(call, "since"),
        .state = find_parameter(call, "state"),
    };
    if (transfer_query_parse(&texts, query, call->error, sizeof(call->error)) == 0)
        return true;
    send_error(call->request, 400, call->error);
    return false;
}

static void get_transfers(struct call *call)
{
    struct transfer_query query;
    if (parse_query(call, &query))
        send_json(call->request, 200, view_transfers(call->app, &query));
}

static void get_clients(struct call *call)
{
    struct transfer_query query;
    if (parse_query(call, &query))
        send_json(call->request, 200, view_clients(call->app, &query));
}

static bool parse_subject(struct call *call, struct address *client)
{
    if (address_parse(call->subject, strlen(call->subject), client))
        return true;
    snprintf(call->error, sizeof(call->error), "\"%.60s\" is no IP address", call->subject);
    send_error(call->request, 400, call->error);
    return false;
}

static void send_client(struct call *call, const struct address *client)
{
    json_t *view = view_client(call->app, client);
    char text[NETWORK_TEXT_SIZE];
    if (view != NULL) {
        send_json(call->request, 200, view);
        return;
    }
    snprintf(call->error, sizeof(call->error), "nothing is known of client %s",
             address_format(client, text));
    send_error(call->request, 404, call->error);
}

static void get_client(struct call *call)
{
    struct address client;
    if (parse_subject(call, &client))
        send_client(call, &client);
}

static void post_suppress(struct call *call)
{
    struct app *app = call->app;
    struct suppression_change change = {0};
    struct address client;
    const char *hold = find_parameter(call, "for"), *reason = find_parameter(call, "reason");
    char printable[SUPPRESSION_REASON_SIZE] = "";
    int64_t seconds = 0;
    if (!parse_subject(call, &client))
        return;
    enum units_error wrong = hold != NULL ? units_parse_time(hold, &seconds) : UNITS_OK;
    if (wrong != UNITS_OK) {
        snprintf(call->error, sizeof(call->error), "for=%.40s %s", hold,
                 units_time_complaint(wrong));
        send_error(call->request, 400, call->error);
        return;
    }
    if (reason != NULL)
        log_printable(reason, strlen(reason), printable, sizeof(printable));
    if (!suppression_suppress(app->suppression, &client, seconds, printable,
                              clock_wall_ms() / 1000, &change)) {
        send_error(call->request, 500, "out of memory");
        return;
    }
    sessions_note_change(app->sessions, &change);
    send_client(call, &client);
}

static void post_release(struct call *call)
{
    struct app *app = call->app;
    struct suppression_change change = {0};
    struct address client;
    if (!parse_subject(call, &client))
        return;
    if (suppression_release(app->suppression, &client, clock_wall_ms() / 1000, &change))
        sessions_note_change(app->sessions, &change);
    send_client(call, &client);
}

static void post_reload(struct call *call)
{
    if (app_reload(call->app) == 0)
        send_json(call->request, 200, json_pack("{s:s}", "outcome", "ok"));
    else
        send_error(call->request, 400, call->app->loaded.text);
}

static void get_healthy(struct call *call)
{
    send_text(call->request, 200, "text/plain", "ok\n");
}

static void get_ready(struct call *call)
{
    const char *trouble = view_trouble(call->app);
    send_text(call->request, trouble == NULL ? 200 : 503, "text/plain",
              trouble == NULL ? "ready\n" : trouble);
}

static void get_metrics(struct call *call)
{
    char *text = metrics_format(call->app);
    if (text == NULL)
        send_error(call->request, 500, "out of memory");
    else
        send_text(call->request, 200, "text/plain; version=0.0.4; charset=utf-8", text);
    free(text);
}

/* ---- incidents: the store answers on its own thread ---- */

static void deliver_inquiry(void *context, struct letter *letter)
{
    struct inquiry *inquiry = (struct inquiry *)letter;
    (void)context;
    if (inquiry->request != NULL) {
        evhttp_connection_set_closecb(evhttp_request_get_connection(inquiry->request), NULL,
                                      NULL);
        if (inquiry->list == NULL)
            send_error(inquiry->request, 500, "out of memory");
        else if (inquiry->list->error[0] != '\0')
            send_error(inquiry->request, 503, inquiry->list->error);
        else
            send_json(inquiry->request, 200, view_incidents(inquiry->list));
    }
    incident_list_free(&inquiry->list);
    free(inquiry);
}

/* On the store's thread. */
static void take_incidents(void *context, struct incident_list *list)
{
    struct inquiry *inquiry = context;
    inquiry->list = list;
    inbox_post(inquiry->app->inbox, &inquiry->letter);
}

static void on_inquirer_gone(struct evhttp_connection *connection, void *context)
{
    struct inquiry *inquiry = context;
    (void)connection;
    drop_request(inquiry->request);
    inquiry->request = NULL;
}

static void get_incidents(struct call *call)
{
    struct transfer_query query;
    if (!parse_query(call, &query))
        return;
    if (call->app->store == NULL) {
        send_error(call->request, 404, "no incidents are kept: store.type is \"none\"");
        return;
    }
    struct inquiry *inquiry = calloc(1, sizeof(*inquiry));
    if (inquiry == NULL) {
        send_error(call->request, 500, "out of memory");
        return;
    }
    inquiry->letter.deliver = deliver_inquiry;
    inquiry->request = call->request;
    inquiry->app = call->app;
    struct incident_filter filter;
    transfer_query_to_filter(&query, &filter);
    evhttp_connection_set_closecb(evhttp_request_get_connection(call->request),
                                  on_inquirer_gone, inquiry);
    if (store_query_incidents(call->app->store, &filter, take_incidents, inquiry))
        return;
    evhttp_connection_set_closecb(evhttp_request_get_connection(call->request), NULL, NULL);
    free(inquiry);
    send_error(call->request, 503, "the store is busy; try again");
}

/* ---- follow ---- */

static void end_follower(struct follower *follower)
{
    LIST_REMOVE(follower, link);
    recorder_unfollow(&follower->record);
    event_free(follower->keepalive);
    free(follower);
}

static void on_follower_gone(struct evhttp_connection *connection, void *context)
{
    struct follower *follower = context;
    (void)connection;
    drop_request(follower->request);
    end_follower(follower);
}

static void send_line(struct follower *follower, const char *line)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(follower->request);
    struct bufferevent *stream = evhttp_connection_get_bufferevent(connection);
    struct evbuffer *chunk = evbuffer_new();
    if (chunk == NULL)
        return;
    if (evbuffer_get_length(bufferevent_get_output(stream)) < FOLLOW_BUFFER_MAX) {
        evbuffer_add_printf(chunk, "%s\n", line);
        evhttp_send_reply_chunk(follower->request, chunk);
    }
    evbuffer_free(chunk);
}

static void tell_follower(struct record_follower *record_follower, const struct record *record)
{
    struct follower *follower =
        (struct follower *)((char *)record_follower - offsetof(struct follower, record));
    if (!transfer_query_matches(&follower->query, record))
        return;
    char *text = json_record_text(record);
    if (text != NULL)
        send_line(follower, text);
    free(text);
}

static void on_keepalive(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    send_line(context, "");
}

static void get_follow(struct call *call)
{
    static const struct timeval interval = {FOLLOW_KEEPALIVE_SECONDS, 0};
    struct transfer_query query;
    if (!parse_query(call, &query))
        return;
    struct follower *follower = calloc(1, sizeof(*follower));
    if (follower != NULL)
        follower->keepalive =
            event_new(call->app->base, -1, EV_PERSIST, on_keepalive, follower);
    if (follower == NULL || follower->keepalive == NULL) {
        free(follower);
        send_error(call->request, 500, "out of memory");
        return;
    }
    follower->control = call->control;
    follower->request = call->request;
    follower->query = query;
    follower->record.tell = tell_follower;
    struct evhttp_connection *connection = evhttp_request_get_connection(call->request);
    evhttp_connection_set_closecb(connection, on_follower_gone, follower);
    evhttp_add_header(evhttp_request_get_output_headers(call->request), "Content-Type",
                      "application/x-ndjson");
    evhttp_send_reply_start(call->request, 200, NULL);
    event_add(follower->keepalive, &interval);
    LIST_INSERT_HEAD(&call->control->followers, follower, link);
    recorder_follow(call->app->recorder, &follower->record);
}

/* ---- which request is whose ---- */

static const struct route {
    enum evhttp_cmd_type method;
    const char *path;   /* the whole path, or … */
    const char *suffix; /* … with an address between PREFIX_CLIENTS and this, if not NULL */
    void (*handle)(struct call *call);
} routes[] = {
    {EVHTTP_REQ_GET, "/v1/status", NULL, get_status},
    {EVHTTP_REQ_GET, "/v1/transfers", NULL, get_transfers},
    {EVHTTP_REQ_GET, "/v1/sessions", NULL, get_sessions},
    {EVHTTP_REQ_GET, "/v1/clients", NULL, get_clients},
    {EVHTTP_REQ_GET, "/v1/incidents", NULL, get_incidents},
    {EVHTTP_REQ_GET, "/v1/config", NULL, get_config},
    {EVHTTP_REQ_GET, "/v1/follow", NULL, get_follow},
    {EVHTTP_REQ_GET, "/metrics", NULL, get_metrics},
    {EVHTTP_REQ_GET, "/healthy", NULL, get_healthy},
    {EVHTTP_REQ_GET, "/ready", NULL, get_ready},
    {EVHTTP_REQ_POST, "/v1/reload", NULL, post_reload},
    {EVHTTP_REQ_POST, PREFIX_CLIENTS, "/suppress", post_suppress},
    {EVHTTP_REQ_POST, PREFIX_CLIENTS, "/release", post_release},
    {EVHTTP_REQ_GET, PREFIX_CLIENTS, "", get_client},
};

/* True if the path is the route's; the address in it goes to call->subject, decoded. */
static bool matches(const struct route *route, const char *path, struct call *call)
{
    if (route->suffix == NULL)
        return strcmp(path, route->path) == 0;
    size_t prefix = strlen(route->path), suffix = strlen(route->suffix), length = strlen(path);
    if (length <= prefix + suffix || strncmp(path, route->path, prefix) != 0 ||
        strcmp(path + length - suffix, route->suffix) != 0)
        return false;
    size_t size = 0;
    char *raw = strndup(path + prefix, length - prefix - suffix);
    char *decoded = raw != NULL ? evhttp_uridecode(raw, 0, &size) : NULL;
    bool fits = decoded != NULL && size < sizeof(call->subject) && strchr(decoded, '/') == NULL;
    if (fits)
        snprintf(call->subject, sizeof(call->subject), "%s", decoded);
    free(raw);
    free(decoded);
    return fits;
}

/* POST changes something: only root and the daemon's own user may. */
static bool may_change(struct evhttp_request *request)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(request);
    int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void dispatch(struct call *call, const char *path)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(call->request);
    bool known = false;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!matches(&routes[i], path, call))
            continue;
        known = true;
        if (routes[i].method != method)
            continue;
        if (method == EVHTTP_REQ_POST && !may_change(call->request))
            send_error(call->request, 403, "only root and the daemon's own user may do this");
        else
            routes[i].handle(call);
        return;
    }
    send_error(call->request, known ? 405 : 404,
               known ? "this path takes another method" : "there is no such path");
}

static void on_request(struct evhttp_request *request, void *context)
{
    struct control *control = context;
    struct call call = {.control = control, .app = control->app, .request = request};
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    const char *query = uri != NULL ? evhttp_uri_get_query(uri) : NULL;
    TAILQ_INIT(&call.query);
    inbox_drain(control->app->inbox);
    if (path == NULL || (query != NULL && evhttp_parse_query_str(query, &call.query) != 0))
        send_error(request, 400, "the request cannot be understood");
    else
        dispatch(&call, path);
    evhttp_clear_headers(&call.query);
}

struct control *control_new(struct app *app, int listen_fd)
{
    struct control *control = calloc(1, sizeof(*control));
    if (control == NULL)
        return NULL;
    control->app = app;
    LIST_INIT(&control->followers);
    control->http = evhttp_new(app->base);
    if (control->http != NULL)
        control->bound = evhttp_accept_socket_with_handle(control->http, listen_fd);
    if (control->bound == NULL) {
        control_free(&control);
        return NULL;
    }
    evhttp_set_allowed_methods(control->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
    evhttp_set_max_headers_size(control->http, 16384);
    evhttp_set_max_body_size(control->http, 16384);
    evhttp_set_timeout(control->http, IDLE_SECONDS);
    evhttp_set_gencb(control->http, on_request, control);
    return control;
}

void control_free(struct control **control)
{
    struct control *old = *control;
    if (old == NULL)
        return;
    struct follower *follower;
    while ((follower = LIST_FIRST(&old->followers)) != NULL) {
        evhttp_connection_set_closecb(evhttp_request_get_connection(follower->request), NULL,
                                      NULL);
        end_follower(follower);
    }
    if (old->http != NULL)
        evhttp_free(old->http);
    free(old);
    *control = NULL;
}
