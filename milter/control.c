#include "config.h"

#include "milter/control.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h> /* evhttp's headers */
#include <sys/socket.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include "milter/app.h"
#include "milter/clock.h"
#include "milter/control_lists.h"
#include "milter/control_reply.h"
#include "milter/control_views.h"
#include "milter/follow.h"
#include "milter/metrics.h"
#include "milter/transfer_query.h"
#include "milter/units.h"

#define PREFIX_CLIENTS "/v1/clients/"

/* Any method reaches dispatch(), which knows the paths that take it. */
#define ALL_METHODS                                                                                \
    (EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |     \
     EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

/* A peer that says nothing is given up after this, seconds. */
#define IDLE_SECONDS 60

/* How long a full house waits, seconds. */
#define ACCEPT_PAUSE_SECONDS 1

struct control {
    struct app *app;
    struct evhttp *http;
    struct evhttp_bound_socket *bound;
    struct listings *listings;
    struct follows *follows;
};

/* One GET /v1/incidents that waits for the store. */
struct inquiry {
    struct letter letter;
    struct control_watcher watcher;
    bool abandoned; /* the peer is gone */
    struct incident_list *list;
    struct app *app;         /* outlives … */
    struct control *control; /* … this, which must not be touched for an abandoned one */
};

/* ---- requests ---- */

/* One request as the handlers see it. */
struct call {
    struct control *control;
    struct app *app;
    struct evhttp_request *request;
    struct evkeyvalq query;
    char subject[128]; /* what stands in the path: a client */
    char error[256];
};

static const char *find_parameter(const struct call *call, const char *name)
{
    return evhttp_find_header(&call->query, name);
}

static void get_status(struct call *call)
{
    control_send_json(call->request, 200, view_status(call->app));
}

/* Answers a HEAD request on what would be made in pieces; false for any other request. */
static bool send_head(struct call *call, const char *type)
{
    if (!control_is_head(call->request))
        return false;
    control_send_head(call->request, type);
    return true;
}

/* Answers with a list, if there was memory to begin it. */
static void send_list(struct call *call, bool listed, const struct listing_source *source)
{
    if (listed && send_head(call, "application/json"))
        source->release(source->context);
    else if (listed)
        listing_start(call->control->listings, call->request, source);
    else
        control_send_error(call->request, 500, "out of memory");
}

static void get_sessions(struct call *call)
{
    struct listing_source source;
    bool listed = list_sessions(call->app, &source);
    send_list(call, listed, &source);
}

static void get_config(struct call *call)
{
    control_send_json(call->request, 200, view_config(call->app));
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
    control_send_error(call->request, 400, call->error);
    return false;
}

static void get_transfers(struct call *call)
{
    struct transfer_query query;
    struct listing_source source;
    if (!parse_query(call, &query))
        return;
    bool listed = list_transfers(call->app, &query, &source);
    send_list(call, listed, &source);
}

static void get_clients(struct call *call)
{
    struct transfer_query query;
    struct listing_source source;
    if (!parse_query(call, &query))
        return;
    bool listed = list_clients(call->app, &query, &source);
    send_list(call, listed, &source);
}

/* Takes a network that is a client as lists name it: as long as the configured prefix. */
static bool parse_client_network(struct call *call, struct address *client)
{
    const struct suppression_settings *kept = &call->app->settings->suppression;
    struct network network;
    if (network_parse(call->subject, &network, call->error, sizeof(call->error)) != 0)
        return false;
    *client = network.address;
    if (network_around(client, kept->ipv4_prefix, kept->ipv6_prefix).prefix == network.prefix)
        return true;
    snprintf(call->error, sizeof(call->error),
             "%.60s is no single client: clients are IPv4 networks of /%u and IPv6 networks of /%u "
             "(suppression.ipv4_prefix, ipv6_prefix); give one of them or an address",
             call->subject, kept->ipv4_prefix, kept->ipv6_prefix);
    return false;
}

/* The client in the path, by an address of its own or as lists name it. */
static bool parse_subject(struct call *call, struct address *client)
{
    if (address_parse(call->subject, strlen(call->subject), client))
        return true;
    if (strchr(call->subject, '/') == NULL)
        snprintf(call->error, sizeof(call->error), "\"%.60s\" is no IP address", call->subject);
    else if (parse_client_network(call, client))
        return true;
    control_send_error(call->request, 400, call->error);
    return false;
}

static void send_client(struct call *call, const struct address *client)
{
    json_t *view = view_client(call->app, client);
    char text[NETWORK_TEXT_SIZE];
    if (view != NULL) {
        control_send_json(call->request, 200, view);
        return;
    }
    snprintf(call->error, sizeof(call->error), "nothing is known of client %s",
             address_format(client, text));
    control_send_error(call->request, 404, call->error);
}

static void get_client(struct call *call)
{
    struct address client;
    if (parse_subject(call, &client))
        send_client(call, &client);
}

static bool parse_hold(struct call *call, const char *text, int64_t *seconds)
{
    enum units_error wrong = units_parse_time(text, seconds);
    if (wrong == UNITS_OK && *seconds > 0 && *seconds <= SUPPRESSION_HOLD_MAX)
        return true;
    snprintf(call->error, sizeof(call->error), "for=%.40s %s", text,
             wrong != UNITS_OK ? units_time_complaint(wrong)
                               : "is not within 1s and " SUPPRESSION_HOLD_MAX_TEXT);
    control_send_error(call->request, 400, call->error);
    return false;
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
    if (hold != NULL && !parse_hold(call, hold, &seconds))
        return;
    if (reason != NULL)
        log_printable(reason, strlen(reason), printable, sizeof(printable));
    if (!suppression_suppress(app->suppression, &client, seconds, printable,
                              clock_wall_ms() / 1000, &change)) {
        control_send_error(call->request, 500, "out of memory");
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
        control_send_json(call->request, 200, view_reload(call->app));
    else
        control_send_error(call->request, 400, call->app->loaded.text);
}

static void get_healthy(struct call *call)
{
    control_send_text(call->request, 200, "text/plain", "ok\n");
}

static void get_ready(struct call *call)
{
    const char *trouble = view_trouble(call->app);
    control_send_text(call->request, trouble == NULL ? 200 : 503, "text/plain",
              trouble == NULL ? "ready\n" : trouble);
}

static void get_metrics(struct call *call)
{
    char *text = metrics_format(call->app);
    if (text == NULL)
        control_send_error(call->request, 500, "out of memory");
    else
        control_send_text(call->request, 200, "text/plain; version=0.0.4; charset=utf-8", text);
    free(text);
}

/* ---- incidents: the store answers on its own thread ---- */

static void answer_inquiry(struct inquiry *inquiry)
{
    struct evhttp_request *request = inquiry->watcher.request;
    struct listing_source source;
    control_unwatch(&inquiry->watcher);
    if (inquiry->list != NULL && inquiry->list->error[0] != '\0') {
        control_send_error(request, 503, inquiry->list->error);
        return;
    }
    struct incident_list *list = inquiry->list;
    inquiry->list = NULL;
    if (list != NULL && list_incidents(list, &source))
        listing_start(inquiry->control->listings, request, &source);
    else
        control_send_error(request, 500, "out of memory");
}

static void deliver_inquiry(void *context, struct letter *letter)
{
    struct inquiry *inquiry = (struct inquiry *)letter;
    (void)context;
    if (!inquiry->abandoned)
        answer_inquiry(inquiry);
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

static void on_inquirer_gone(void *context)
{
    struct inquiry *inquiry = context;
    inquiry->abandoned = true;
}

static void get_incidents(struct call *call)
{
    struct transfer_query query;
    if (!parse_query(call, &query))
        return;
    if (call->app->store == NULL) {
        control_send_error(call->request, 404, "no incidents are kept: store.type is \"none\"");
        return;
    }
    if (send_head(call, "application/json"))
        return;
    struct inquiry *inquiry = calloc(1, sizeof(*inquiry));
    if (inquiry == NULL) {
        control_send_error(call->request, 500, "out of memory");
        return;
    }
    inquiry->letter.deliver = deliver_inquiry;
    inquiry->watcher = (struct control_watcher){call->request, on_inquirer_gone, inquiry};
    inquiry->app = call->app;
    inquiry->control = call->control;
    struct incident_filter filter;
    transfer_query_to_filter(&query, &filter);
    control_watch(&inquiry->watcher);
    if (store_query_incidents(call->app->store, &filter, take_incidents, inquiry))
        return;
    control_unwatch(&inquiry->watcher);
    free(inquiry);
    control_send_error(call->request, 503, "the store is busy; try again");
}

static void get_follow(struct call *call)
{
    struct transfer_query query;
    if (parse_query(call, &query) && !send_head(call, FOLLOW_CONTENT_TYPE))
        follow_start(call->control->follows, call->request, &query);
}

/* ---- which request is whose ---- */

static const struct route {
    enum evhttp_cmd_type method;
    const char *path;   /* the whole path, or … */
    const char *suffix; /* … with a client between PREFIX_CLIENTS and this, if not NULL */
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

/* True for a part of a path that may name a client: a slash in it stands before a prefix length. */
static bool names_client(const char *part)
{
    const char *slash = strchr(part, '/');
    return slash == NULL || (slash[1] != '\0' && slash[1 + strspn(slash + 1, "0123456789")] == '\0');
}

/* True if the path is the route's; the client in it goes to call->subject, decoded. */
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
    bool fits = decoded != NULL && size < sizeof(call->subject) && names_client(raw);
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

/* RFC 9110, 15.5.6: the methods that the path does take are named. */
static void refuse_method(struct call *call, enum evhttp_cmd_type allowed)
{
    evhttp_add_header(evhttp_request_get_output_headers(call->request), "Allow",
                      allowed == EVHTTP_REQ_POST ? "POST" : "GET, HEAD");
    control_send_error(call->request, 405,
                       allowed == EVHTTP_REQ_POST ? "this path takes POST only"
                                                  : "this path takes GET and HEAD only");
}

static void dispatch(struct call *call, const char *path)
{
    enum evhttp_cmd_type method = control_is_head(call->request)
                                      ? EVHTTP_REQ_GET
                                      : evhttp_request_get_command(call->request);
    const struct route *known = NULL;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!matches(&routes[i], path, call))
            continue;
        known = known != NULL ? known : &routes[i];
        if (routes[i].method != method)
            continue;
        if (method == EVHTTP_REQ_POST && !may_change(call->request))
            control_send_error(call->request, 403,
                               "only root and the daemon's own user may do this");
        else
            routes[i].handle(call);
        return;
    }
    if (known != NULL)
        refuse_method(call, known->method);
    else
        control_send_error(call->request, 404, "there is no such path");
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
        control_send_error(request, 400, "the request cannot be understood");
    else
        dispatch(&call, path);
    evhttp_clear_headers(&call.query);
}

static void on_resume(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    evconnlistener_enable(context);
}

/* No descriptor is left: a pause, or libevent would try again at once, for ever. What is amiss is
 * in the log: tables and policy service have no descriptor either. */
static void on_accept_error(struct evconnlistener *listener, void *http)
{
    static const struct timeval pause = {ACCEPT_PAUSE_SECONDS, 0};
    struct event_base *base = evconnlistener_get_base(listener);
    (void)http;
    if (event_base_once(base, -1, EV_TIMEOUT, on_resume, listener, &pause) == 0)
        evconnlistener_disable(listener);
}

/* A connection's stream closes its descriptor itself, after it has left the loop. evhttp's own does
 * so before, and then takes a number out of the loop that may be another thread's by now
 * (libevent's http.c, evhttp_connection_free()). */
static struct bufferevent *make_stream(struct event_base *base, void *unused)
{
    (void)unused;
    return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
}

static bool open_parts(struct control *control, struct app *app, int listen_fd)
{
    control->http = evhttp_new(app->base);
    control->listings = listings_new(app->base);
    control->follows = follows_new(app->base, app->recorder);
    if (control->http == NULL || control->listings == NULL || control->follows == NULL)
        return false;
    control->bound = evhttp_accept_socket_with_handle(control->http, listen_fd);
    if (control->bound == NULL)
        return false;
    evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(control->bound),
                                on_accept_error);
    return true;
}

struct control *control_new(struct app *app, int listen_fd)
{
    struct control *control = calloc(1, sizeof(*control));
    if (control == NULL)
        return NULL;
    control->app = app;
    if (!open_parts(control, app, listen_fd)) {
        control_free(&control);
        return NULL;
    }
    evhttp_set_allowed_methods(control->http, ALL_METHODS);
    evhttp_set_max_headers_size(control->http, 16384);
    evhttp_set_max_body_size(control->http, 16384);
    evhttp_set_timeout(control->http, IDLE_SECONDS);
    evhttp_set_bevcb(control->http, make_stream, NULL);
    evhttp_set_gencb(control->http, on_request, control);
    return control;
}

void control_free(struct control **control)
{
    struct control *old = *control;
    if (old == NULL)
        return;
    listings_free(&old->listings);
    follows_free(&old->follows);
    if (old->http != NULL)
        evhttp_free(old->http);
    free(old);
    *control = NULL;
}
