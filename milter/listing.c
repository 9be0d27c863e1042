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
    TAILQ_ENTRY(listing) link;
    struct listings *listings;
    struct control_watcher watcher;
    struct listing_source source;
    struct evbuffer *body;
    bool begun; /* there is an item already */
};

struct listings {
    struct event *turn;
    TAILQ_HEAD(, listing) all; /* the first is the next to be worked on */
};

static void on_turn(evutil_socket_t fd, short what, void *context);

struct listings *listings_new(struct event_base *base)
{
    struct listings *listings = calloc(1, sizeof(*listings));
    if (listings == NULL)
        return NULL;
    TAILQ_INIT(&listings->all);
    listings->turn = event_new(base, -1, 0, on_turn, listings);
    if (listings->turn == NULL)
        listings_free(&listings);
    return listings;
}

/* The one place where an answer ends, sent or not. */
static void end(struct listing *listing)
{
    TAILQ_REMOVE(&listing->listings->all, listing, link);
    listing->source.release(listing->source.context);
    evbuffer_free(listing->body);
    free(listing);
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
    while ((listing = TAILQ_FIRST(&old->all)) != NULL) {
        control_unwatch(&listing->watcher);
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): TAILQ_REMOVE() has moved the head on
        end(listing);
    }
    if (old->turn != NULL)
        event_free(old->turn);
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
    evhttp_add_header(evhttp_request_get_output_headers(listing->watcher.request), "Content-Type",
                      "application/json");
    evhttp_send_reply(listing->watcher.request, 200, NULL, listing->body);
}

/* One piece of it. */
static void work_on(struct listing *listing)
{
    struct listings *listings = listing->listings;
    int64_t until_ns = clock_monotonic_ns() + PIECE_NS;
    while (add_item(listing)) {
        if (clock_monotonic_ns() < until_ns)
            continue;
        TAILQ_REMOVE(&listings->all, listing, link);
        TAILQ_INSERT_TAIL(&listings->all, listing, link);
        return;
    }
    send_all(listing);
    end(listing);
}

/* By a timer that is due at once, so that the loop looks at its sockets before each turn. */
static void go_on(struct listings *listings)
{
    static const struct timeval at_once = {0, 0};
    if (!TAILQ_EMPTY(&listings->all))
        event_add(listings->turn, &at_once);
}

static void on_turn(evutil_socket_t fd, short what, void *context)
{
    struct listings *listings = context;
    (void)fd;
    (void)what;
    if (!TAILQ_EMPTY(&listings->all))
        work_on(TAILQ_FIRST(&listings->all));
    go_on(listings);
}

void listing_start(struct listings *listings, struct evhttp_request *request,
                   const struct listing_source *source)
{
    struct listing *listing = calloc(1, sizeof(*listing));
    if (listing == NULL || (listing->body = evbuffer_new()) == NULL) {
        free(listing);
        source->release(source->context);
        control_send_error(request, 500, "out of memory");
        return;
    }
    bool alone = TAILQ_EMPTY(&listings->all);
    listing->listings = listings;
    listing->watcher = (struct control_watcher){request, on_gone, listing};
    listing->source = *source;
    TAILQ_INSERT_TAIL(&listings->all, listing, link);
    evbuffer_add_printf(listing->body, "{\"%s\":[", source->name);
    control_watch(&listing->watcher);
    if (alone)
        work_on(listing);
    go_on(listings);
}

char *listing_text(json_t *object)
{
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}
