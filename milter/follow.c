#include "milter/follow.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "milter/control_reply.h"
#include "milter/json.h"

/* Lines are left out for a peer for which so much waits, octets. */
#define BUFFER_MAX (1024 * 1024)
#define KEEPALIVE_SECONDS 15

struct follower {
    LIST_ENTRY(follower) link;
    struct record_follower record;
    struct control_watcher watcher;
    struct event *keepalive;
    struct transfer_query query;
};

struct follows {
    struct event_base *base;
    struct recorder *recorder;
    LIST_HEAD(, follower) all;
};

struct follows *follows_new(struct event_base *base, struct recorder *recorder)
{
    struct follows *follows = calloc(1, sizeof(*follows));
    if (follows == NULL)
        return NULL;
    follows->base = base;
    follows->recorder = recorder;
    LIST_INIT(&follows->all);
    return follows;
}

static void end(struct follower *follower)
{
    LIST_REMOVE(follower, link);
    recorder_unfollow(&follower->record);
    event_free(follower->keepalive);
    free(follower);
}

void follows_free(struct follows **follows)
{
    struct follows *old = *follows;
    struct follower *follower;
    if (old == NULL)
        return;
    while ((follower = LIST_FIRST(&old->all)) != NULL) {
        control_unwatch(&follower->watcher);
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): LIST_REMOVE() has moved the head on
        end(follower);
    }
    free(old);
    *follows = NULL;
}

static void on_gone(void *context)
{
    end(context);
}

static void send_line(struct follower *follower, const char *line)
{
    struct evhttp_request *request = follower->watcher.request;
    struct evhttp_connection *connection = evhttp_request_get_connection(request);
    struct bufferevent *stream = evhttp_connection_get_bufferevent(connection);
    struct evbuffer *chunk = evbuffer_new();
    if (chunk == NULL)
        return;
    if (evbuffer_get_length(bufferevent_get_output(stream)) < BUFFER_MAX) {
        evbuffer_add_printf(chunk, "%s\n", line);
        evhttp_send_reply_chunk(request, chunk);
    }
    evbuffer_free(chunk);
}

static void tell(struct record_follower *record_follower, const struct record *record)
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

void follow_start(struct follows *follows, struct evhttp_request *request,
                  const struct transfer_query *query)
{
    static const struct timeval interval = {KEEPALIVE_SECONDS, 0};
    struct follower *follower = calloc(1, sizeof(*follower));
    if (follower != NULL)
        follower->keepalive = event_new(follows->base, -1, EV_PERSIST, on_keepalive, follower);
    if (follower == NULL || follower->keepalive == NULL) {
        free(follower);
        control_send_error(request, 500, "out of memory");
        return;
    }
    follower->watcher = (struct control_watcher){request, on_gone, follower};
    follower->query = *query;
    follower->record.tell = tell;
    control_watch(&follower->watcher);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                      FOLLOW_CONTENT_TYPE);
    evhttp_send_reply_start(request, 200, NULL);
    event_add(follower->keepalive, &interval);
    LIST_INSERT_HEAD(&follows->all, follower, link);
    recorder_follow(follows->recorder, &follower->record);
}
