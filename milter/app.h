/*
 * The daemon as a whole: one struct from main() downward, no globals.
 *
 * Who owns what stands in doc/threads.md: everything here belongs to the event loop's thread
 * but log, joins, inbox and store, which any thread may call.
 */
#ifndef BDAT_APP_H
#define BDAT_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/inbox.h"
#include "milter/joins.h"
#include "milter/listener.h"
#include "milter/log.h"
#include "milter/policy.h"
#include "milter/recorder.h"
#include "milter/sessions.h"
#include "milter/settings.h"
#include "milter/store.h"
#include "milter/suppression.h"
#include "milter/tables.h"
#include "milter/ticker.h"

struct event;
struct event_base;
struct control;

/* The sockets, in the order of their listeners. */
enum app_socket { SOCKET_MILTER, SOCKET_TABLES, SOCKET_POLICY, SOCKET_CONTROL, SOCKET_COUNT };

/* What the loop does by the clock. */
enum app_ticker { TICKER_SWEEP, TICKER_SUPPRESSION, TICKER_SETTLE, TICKER_WATCHDOG, TICKER_COUNT };

/* What came of the last try to load the configuration. */
struct load_outcome {
    int64_t wall_ms;
    int64_t succeeded_wall_ms; /* the last one that went well */
    bool failed;
    char text[SETTINGS_ERROR_SIZE]; /* "ok" or what is wrong */
};

struct app {
    struct event_base *base;
    struct log *log;
    const char *config_path; /* NULL = defaults only */
    const struct settings *settings;
    struct load_outcome loaded;
    int64_t started_wall_ms;
    int64_t started_ms;
    struct inbox *inbox;
    struct joins *joins;
    struct recorder *recorder;
    struct suppression *suppression;
    struct store *store; /* NULL = store.type is "none" */
    struct sessions *sessions;
    struct tables *tables;
    struct policy *policy;
    struct control *control;
    const struct settings *initial; /* what it began with: whose paths `listeners` names, and whose
                                       options are in force that a reload does not take */
    struct listener_options listeners[SOCKET_COUNT];
    struct listener_place places[SOCKET_COUNT];
    int fds[SOCKET_COUNT];
    size_t resync_cursor;
    struct event *signals[3];
    size_t signal_count;
    struct ticker *tickers[TICKER_COUNT];
    bool failed;             /* the loop ended because something of ours broke */
};

/* Opens everything and begins to serve; the configuration is loaded already. 0, or -1 with a
 * text in `error`; app_close() is wanted in either case. */
int app_open(struct app *app, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Serves until SIGTERM or SIGINT. Returns the exit status. */
int app_run(struct app *app);

/* Ends all, in the order that loses nothing. Idempotent. */
void app_close(struct app *app);

/* Loads the configuration anew. A bad file leaves the running configuration: -1, with a text in
 * app->loaded. */
int app_reload(struct app *app);

#endif
