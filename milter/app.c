#include "config.h"

#include "milter/app.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <jansson.h>
#ifdef HAVE_MALLOC_TRIM
#include <malloc.h>
#endif
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "milter/clock.h"
#include "milter/control.h"
#include "milter/filter.h"
#include "milter/json.h"
#include "milter/notify.h"

#define SWEEP_SECONDS 5
#define SUPPRESSION_SWEEP_SECONDS 1
#define STOP_TIMEOUT_MS 3000
#define STORE_TIMEOUT_MS 5000

/* Clients given to the store in one go after an outage. */
#define RESYNC_BATCH 2000

/* ---- the store ---- */

struct resync_letter {
    struct letter letter;
};

struct late_letter {
    struct letter letter;
    size_t count;
    struct client_record records[];
};

static void save_client(void *context, const struct suppression_change *change)
{
    struct app *app = context;
    if (app->store == NULL)
        return;
    if (change->events & SUPPRESSION_FORGOTTEN)
        store_delete_client(app->store, &change->record.client);
    else
        store_put_client(app->store, &change->record);
}

static void save_incident(void *context, const struct record *record)
{
    struct app *app = context;
    if (app->store == NULL)
        return;
    char *text = json_record_text(record);
    if (text == NULL)
        return;
    const struct incident incident = {
        .time = record->time_wall_ms / 1000,
        .client = record->transfer.client,
        .verdict = record->verdict,
        .queue_id = record->transfer.queue_id,
        .json = text,
    };
    store_put_incident(app->store, &incident);
    free(text);
}

static void deliver_resync(void *context, struct letter *letter)
{
    struct app *app = context;
    app->resync_cursor = 1; /* on_resync() begins at its next tick */
    free(letter);
}

static void deliver_late(void *context, struct letter *letter)
{
    struct app *app = context;
    struct late_letter *late = (struct late_letter *)letter;
    int64_t now = clock_wall_ms() / 1000;
    for (size_t i = 0; i < late->count; i++)
        if (!suppression_import(app->suppression, &late->records[i], now))
            log_write(app->log, LOG_LEVEL_DEBUG, "store: a late client was not taken");
    free(late);
}

static void on_store_resync(void *context)
{
    struct app *app = context;
    struct resync_letter *resync = calloc(1, sizeof(*resync));
    if (resync == NULL)
        return;
    resync->letter.deliver = deliver_resync;
    inbox_post(app->inbox, &resync->letter);
}

static void on_late_clients(void *context, const struct client_record *records, size_t count)
{
    struct app *app = context;
    struct late_letter *late = malloc(sizeof(*late) + count * sizeof(records[0]));
    if (late == NULL)
        return;
    late->letter.deliver = deliver_late;
    late->count = count;
    memcpy(late->records, records, count * sizeof(records[0]));
    inbox_post(app->inbox, &late->letter);
}

struct import {
    struct app *app;
    size_t taken;
    int64_t now;
};

static bool import_client(void *context, const struct client_record *record)
{
    struct import *import = context;
    import->taken += suppression_import(import->app->suppression, record, import->now);
    return true;
}

static bool resync_client(void *context, const struct client_record *record)
{
    store_put_client(context, record);
    return true;
}

/* What the load took and gave back lies in pieces all over the heap: twice what the clients take. */
static void give_memory_back(void)
{
#ifdef HAVE_MALLOC_TRIM
    malloc_trim(0);
#endif
}

static int open_store(struct app *app, char *error, size_t error_size)
{
    const struct settings *settings = app->settings;
    if (settings->store_type == STORE_NONE)
        return 0;
    const struct store_options options = {
        .path = settings->store_path,
        .keep = settings->store_keep,
        .max_clients = settings->suppression.max_clients,
        .log = app->log,
        .context = app,
        .late_clients = on_late_clients,
        .resync = on_store_resync,
    };
    app->store = store_open(&options);
    if (app->store == NULL) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    struct import import = {app, 0, clock_wall_ms() / 1000};
    if (store_load_clients(app->store, import_client, &import) == 0)
        log_write(app->log, LOG_LEVEL_INFO, "store: %zu clients loaded from %s", import.taken,
                  settings->store_path);
    give_memory_back();
    if (store_start(app->store) != 0) {
        snprintf(error, error_size, "cannot start the store's thread");
        return -1;
    }
    return 0;
}

/* ---- timers and signals ---- */

/* What an operator should act on first. */
static const char *find_trouble(const struct app *app, struct store_status *store)
{
    if (app->loaded.failed)
        return "the last reload failed, the configuration before it is in force";
    if (app->store != NULL) {
        store_status(app->store, store);
        if (store->degraded)
            return store->reason;
    }
    return sessions_hint(app->sessions);
}

static void tell_status(const struct app *app)
{
    struct store_status store;
    notify_status(app->sessions, app->recorder, app->suppression, find_trouble(app, &store));
}

static void on_sweep(void *context)
{
    struct app *app = context;
    sessions_sweep(app->sessions);
    if (!filter_is_running()) {
        log_write(app->log, LOG_LEVEL_ERROR, "libmilter has stopped; ending, to be started anew");
        app->failed = true;
        event_base_loopbreak(app->base);
    }
    tell_status(app);
}

static void on_settle(void *context)
{
    struct app *app = context;
    sessions_settle(app->sessions);
}

static bool milter_is_attached(void *context)
{
    (void)context;
    return filter_counts().sessions > 0;
}

static void want_settle(void *context)
{
    struct app *app = context;
    ticker_arm(app->tickers[TICKER_SETTLE], SESSIONS_SETTLE_MS);
}

static void on_suppression_sweep(void *context)
{
    struct app *app = context;
    struct suppression_change change = {0};
    size_t budget = 1000 + suppression_counts(app->suppression).clients / 100;
    while (suppression_sweep(app->suppression, &budget, clock_wall_ms() / 1000, &change))
        if (change.save)
            save_client(app, &change);
    if (app->resync_cursor == 0 || app->store == NULL)
        return;
    size_t room = store_client_room(app->store);
    size_t cursor = app->resync_cursor - 1;
    bool more = suppression_walk(app->suppression, &cursor, room < RESYNC_BATCH ? room : RESYNC_BATCH,
                                 clock_wall_ms() / 1000, resync_client, app->store);
    app->resync_cursor = more ? cursor + 1 : 0;
}

static void on_watchdog(void *context)
{
    (void)context;
    notify_alive();
}

static void on_hangup(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    app_reload(context);
}

static void on_stop(evutil_socket_t fd, short what, void *context)
{
    struct app *app = context;
    (void)what;
    log_write(app->log, LOG_LEVEL_INFO, "stopping on signal %d", (int)fd);
    event_base_loopbreak(app->base);
}

static int add_signal(struct app *app, int number, event_callback_fn callback)
{
    struct event *event = evsignal_new(app->base, number, callback, app);
    if (event == NULL)
        return -1;
    app->signals[app->signal_count++] = event;
    return event_add(event, NULL);
}

static int open_signals(struct app *app)
{
    if (add_signal(app, SIGHUP, on_hangup) != 0 || add_signal(app, SIGTERM, on_stop) != 0)
        return -1;
    return add_signal(app, SIGINT, on_stop);
}

static int open_tickers(struct app *app)
{
    static void (*const ticks[TICKER_COUNT])(void *context) = {
        [TICKER_SWEEP] = on_sweep,
        [TICKER_SUPPRESSION] = on_suppression_sweep,
        [TICKER_SETTLE] = on_settle,
        [TICKER_WATCHDOG] = on_watchdog,
    };
    for (size_t i = 0; i < TICKER_COUNT; i++)
        if ((app->tickers[i] = ticker_new(app->base, ticks[i], app)) == NULL)
            return -1;
    ticker_run(app->tickers[TICKER_SWEEP], SWEEP_SECONDS * 1000);
    ticker_run(app->tickers[TICKER_SUPPRESSION], SUPPRESSION_SWEEP_SECONDS * 1000);
    if (notify_watchdog_ms() > 0)
        ticker_run(app->tickers[TICKER_WATCHDOG], notify_watchdog_ms() / 2);
    return 0;
}

/* ---- sockets and privileges ---- */

static void name_listeners(struct app *app)
{
    const struct settings *settings = app->initial = settings_ref(app->settings);
    const struct listener_options all[SOCKET_COUNT] = {
        [SOCKET_MILTER] = {"milter", settings->milter_socket, settings->socket_group,
                           settings->socket_mode},
        [SOCKET_TABLES] = {"tables", settings->tables_socket, settings->socket_group,
                           settings->socket_mode},
        [SOCKET_POLICY] = {"policy", settings->policy_socket, settings->socket_group,
                           settings->socket_mode},
        [SOCKET_CONTROL] = {"control", settings->control_socket, settings->socket_group,
                            settings->socket_mode},
    };
    memcpy(app->listeners, all, sizeof(all));
}

static int open_listeners(struct app *app, char *error, size_t error_size)
{
    listener_take_passed();
    name_listeners(app);
    for (size_t i = 0; i < SOCKET_COUNT; i++) {
        app->fds[i] = listener_open(&app->listeners[i], error, error_size);
        if (app->fds[i] < 0)
            return -1;
        app->places[i] = listener_find_place(&app->listeners[i]);
        listener_check_folder(&app->listeners[i], app->log);
    }
    return 0;
}

static int drop_privileges(const struct settings *settings, char *error, size_t error_size)
{
    if (geteuid() != 0 || settings->user[0] == '\0')
        return 0;
    const struct passwd *entry = getpwnam(settings->user);
    if (entry == NULL) {
        snprintf(error, error_size, "user \"%s\": there is no such user", settings->user);
        return -1;
    }
    if (initgroups(entry->pw_name, entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 ||
        setuid(entry->pw_uid) != 0) {
        snprintf(error, error_size, "cannot become user \"%s\": %s", settings->user,
                 strerror(errno));
        return -1;
    }
    return 0;
}

static void raise_descriptors(struct log *log)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_write(log, LOG_LEVEL_WARNING, "cannot raise the number of open files");
}

static int open_state(struct app *app, char *error, size_t error_size)
{
    uint8_t seed[SUPPRESSION_SEED_OCTETS];
    snprintf(error, error_size, "out of memory");
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        snprintf(error, error_size, "no random numbers: %s", strerror(errno));
        return -1;
    }
    app->inbox = inbox_new(app->base, app);
    app->joins = joins_new();
    app->recorder = recorder_new(app->log);
    app->suppression = suppression_new(seed);
    if (app->inbox == NULL || app->joins == NULL || app->recorder == NULL ||
        app->suppression == NULL)
        return -1;
    suppression_configure(app->suppression, &app->settings->suppression);
    const struct sessions_options options = {
        .log = app->log,
        .joins = app->joins,
        .recorder = app->recorder,
        .suppression = app->suppression,
        .want_settle = want_settle,
        .save_client = save_client,
        .save_incident = save_incident,
        .milter_is_attached = milter_is_attached,
        .context = app,
    };
    app->sessions = sessions_new(&options, app->settings);
    if (app->sessions == NULL)
        return -1;
    return open_store(app, error, error_size);
}

static int open_services(struct app *app, char *error, size_t error_size)
{
    snprintf(error, error_size, "out of memory or descriptors");
    const struct tables_options tables = {
        .listen_fd = app->fds[SOCKET_TABLES],
        .sessions = app->sessions,
        .inbox = app->inbox,
        .log = app->log,
    };
    const struct policy_options policy = {
        .listen_fd = app->fds[SOCKET_POLICY],
        .sessions = app->sessions,
        .inbox = app->inbox,
        .log = app->log,
    };
    app->tables = tables_new(app->base, &tables, app->settings->suppression.keywords);
    app->policy = policy_new(app->base, &policy);
    app->control = control_new(app, app->fds[SOCKET_CONTROL]);
    if (app->tables == NULL || app->policy == NULL || app->control == NULL)
        return -1;
    if (open_signals(app) != 0)
        return -1;
    return open_tickers(app);
}

static int open_filter(struct app *app, char *error, size_t error_size)
{
    const struct filter_options options = {
        .inbox = app->inbox,
        .sessions = app->sessions,
        .joins = app->joins,
        .log = app->log,
        .settings = app->settings,
    };
    bool took_fd = false;
    if (filter_open(&options, app->fds[SOCKET_MILTER], app->settings->milter_socket, &took_fd,
                    error, error_size) != 0)
        return -1;
    if (!took_fd) {
        log_write(app->log, LOG_LEVEL_WARNING,
                  "this libmilter takes no socket from the service manager; it binds %s itself",
                  app->settings->milter_socket);
        app->places[SOCKET_MILTER] = listener_find_place(&app->listeners[SOCKET_MILTER]);
    }
    if (filter_start() != 0) {
        snprintf(error, error_size, "cannot start libmilter's thread");
        return -1;
    }
    return 0;
}

/* No other thread calls libevent (inbox.h), so its locks are left out. */
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    if (config == NULL)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

int app_open(struct app *app, char *error, size_t error_size)
{
    app->started_ms = clock_monotonic_ms();
    app->started_wall_ms = clock_wall_ms();
    signal(SIGPIPE, SIG_IGN);
    raise_descriptors(app->log);
    app->base = new_base();
    if (app->base == NULL) {
        snprintf(error, error_size, "no event loop: %s", strerror(errno));
        return -1;
    }
    if (open_listeners(app, error, error_size) != 0 ||
        drop_privileges(app->settings, error, error_size) != 0 ||
        open_state(app, error, error_size) != 0 ||
        open_services(app, error, error_size) != 0 || open_filter(app, error, error_size) != 0)
        return -1;
    log_write(app->log, LOG_LEVEL_INFO, "bdat-milter %s started, mode %s", PACKAGE_VERSION,
              app->settings->mode == MODE_OBSERVE ? "observe" : "enforce");
    return 0;
}

int app_run(struct app *app)
{
    tell_status(app);
    notify_ready();
    int result = event_base_dispatch(app->base);
    notify_stopping();
    return result < 0 || app->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The milter's socket, the first that a daemon opens, goes last: libmilter listens there to the end
 * of the process, so no other daemon takes any of the paths over before (listener_open()). */
static void remove_sockets(const struct app *app)
{
    for (size_t i = SOCKET_COUNT; app->initial != NULL && i-- > 0;)
        if (app->fds[i] >= 0)
            listener_remove(&app->listeners[i], app->fds[i], &app->places[i]);
}

void app_close(struct app *app)
{
    if (!filter_stop(STOP_TIMEOUT_MS)) {
        store_close(&app->store, STORE_TIMEOUT_MS);
        log_flush(app->log);
        _exit(EXIT_FAILURE); /* a callback is stuck: nothing may be freed below it */
    }
    for (size_t i = 0; i < app->signal_count; i++)
        event_free(app->signals[i]);
    app->signal_count = 0;
    control_free(&app->control);
    tables_free(&app->tables);
    policy_free(&app->policy);
    if (app->inbox != NULL)
        inbox_drain(app->inbox);
    if (app->sessions != NULL)
        sessions_settle(app->sessions);
    store_close(&app->store, STORE_TIMEOUT_MS);
    inbox_free(&app->inbox);
    for (size_t i = 0; i < TICKER_COUNT; i++)
        ticker_free(&app->tickers[i]);
    sessions_free(&app->sessions);
    suppression_free(&app->suppression);
    recorder_free(&app->recorder);
    joins_free(&app->joins);
    remove_sockets(app);
    settings_unref(&app->initial);
    settings_unref(&app->settings);
    if (app->base != NULL)
        event_base_free(app->base);
    app->base = NULL;
}

/* ---- reload ---- */

static void apply_settings(struct app *app, const struct settings *settings)
{
    const char *name;
    size_t cursor = 0;
    while ((name = settings_next_restart(app->initial, settings, &cursor)) != NULL)
        log_write(app->log, LOG_LEVEL_WARNING, "%s: takes effect after a restart only", name);
    log_reconfigure(app->log, settings->log_target, settings->log_level);
    suppression_configure(app->suppression, &settings->suppression);
    sessions_configure(app->sessions, settings);
    filter_configure(settings);
    if (!tables_set_keywords(app->tables, settings->suppression.keywords))
        log_write(app->log, LOG_LEVEL_ERROR, "out of memory: suppression.keywords stay");
    if (app->store != NULL)
        store_set_keep(app->store, settings->store_keep);
    settings_unref(&app->settings);
    app->settings = settings;
}

int app_reload(struct app *app)
{
    notify_reloading();
    app->loaded.wall_ms = clock_wall_ms();
    const struct settings *settings =
        settings_load(app->config_path, app->loaded.text, sizeof(app->loaded.text));
    app->loaded.failed = settings == NULL;
    if (settings == NULL) {
        log_write(app->log, LOG_LEVEL_ERROR, "reload: %s; the running configuration stays",
                  app->loaded.text);
    } else {
        snprintf(app->loaded.text, sizeof(app->loaded.text), "ok");
        app->loaded.succeeded_wall_ms = app->loaded.wall_ms;
        apply_settings(app, settings);
        log_write(app->log, LOG_LEVEL_INFO, "configuration reloaded");
    }
    notify_ready();
    tell_status(app);
    return app->loaded.failed ? -1 : 0;
}
