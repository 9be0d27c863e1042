#include "milter/listing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "milter/clock.h"
#include "milter/control_reply.h"

/* How long one piece may take, nanoseconds. */
#define PIECE_NS 1000000

struct listing {
    LIST_ENTRY(listing) link;
    struct control_watcher watcher;
    struct listing_source source;
    struct evbuffer *body;
    struct event *turn;
    bool begun; /* there is an item already */
};

struct listings {
    struct event_base *base;
    LIST_HEAD(, listing) all;
};

struct listings *listings_new(struct event_base *base)
{
    struct listings *listings = calloc(1, sizeof(*listings));
    if (listings == NULL)
        return NULL;
    listings->base = base;
    LIST_INIT(&listings->all);
    return listings;
}

static void free_listing(struct listing *listing)
{
    if (listing->turn != NULL)
        event_free(listing->turn);
    if (listing->body != NULL)
        evbuffer_free(listing->body);
    free(listing);
}

/* The one place where an answer ends, sent or not. */
static void end(struct listing *listing)
{
    LIST_REMOVE(listing, link);
    listing->source.release(listing->source.context);
    free_listing(listing);
}

static void on_gone(void *context)
{
    end(context);
}

void listings_free(struct listings **listings)
{
    struct listings *old = *listings;
    struct listing *listing;
    if (old == NULL)
        return;
    while ((listing = LIST_FIRST(&old->all)) != NULL) {
        control_unwatch(&listing->watcher);
        end(listing);
    }
    free(old);
    *listings = NULL;
}

static bool add_item(struct listing *listing)
{
    char *text = listing->source.next(listing->source.context);
    if (text == NULL)
        return false;
    if (listing->begun)
        evbuffer_add(listing->body, ",", 1);
    evbuffer_add(listing->body, text, strlen(text));
    listing->begun = true;
    free(text);
    return true;
}

static void send_all(struct listing *listing)
{
    evbuffer_add(listing->body, "]}", 2);
    control_unwatch(&listing->watcher);
    evhttp_add_header(evhttp_request_get_output_headers(listing->watcher.request),
                      "Content-Type", "application/json");
    evhttp_send_reply(listing->watcher.request, 200, NULL, listing->body);
}

static void on_turn(evutil_socket_t fd, short what, void *context)
{
    static const struct timeval at_once = {0, 0};
    struct listing *listing = context;
    int64_t until_ns = clock_monotonic_ns() + PIECE_NS;
    (void)fd;
    (void)what;
    while (add_item(listing)) {
        if (clock_monotonic_ns() < until_ns)
            continue;
        event_add(listing->turn, &at_once); /* a timer, so that sockets are looked at before */
        return;
    }
    send_all(listing);
    end(listing);
}

static struct listing *make_listing(struct listings *listings)
{
    struct listing *listing = calloc(1, sizeof(*listing));
    if (listing == NULL)
        return NULL;
    listing->body = evbuffer_new();
    listing->turn = event_new(listings->base, -1, 0, on_turn, listing);
    if (listing->body != NULL && listing->turn != NULL)
        return listing;
    free_listing(listing);
    return NULL;
}

void listing_start(struct listings *listings, struct evhttp_request *request,
                   const struct listing_source *source)
{
    struct listing *listing = make_listing(listings);
    if (listing == NULL) {
        source->release(source->context);
        control_send_error(request, 500, "out of memory");
        return;
    }
    listing->watcher = (struct control_watcher){request, on_gone, listing};
    listing->source = *source;
    LIST_INSERT_HEAD(&listings->all, listing, link);
    evbuffer_add_printf(listing->body, "{\"%s\":[", source->name);
    control_watch(&listing->watcher);
    on_turn(-1, 0, listing);
}

char *listing_text(json_t *object)
{
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}
