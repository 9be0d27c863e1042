/* The store: what is written is there again, and nothing that befalls the file stops anybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "config.h"
#include "milter/store.h"

#define DAY 86400
#define NOW INT64_C(1800000000)
#define PATIENCE_MS 30000

/* The log of these tests counts what is written to it. */
struct log {
    pthread_mutex_t lock;
    unsigned counts[LOG_LEVEL_COUNT];
    char last[512];
};

void log_write(struct log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    pthread_mutex_lock(&log->lock);
    log->counts[level]++;
    vsnprintf(log->last, sizeof(log->last), format, arguments);
    pthread_mutex_unlock(&log->lock);
    va_end(arguments);
}

static unsigned warnings(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    unsigned count = log->counts[LOG_LEVEL_WARNING] + log->counts[LOG_LEVEL_ERROR];
    pthread_mutex_unlock(&log->lock);
    return count;
}

/* Clients as they were given back, by the last two octets of their address. */
struct loaded {
    pthread_mutex_t lock;
    struct client_record records[300];
    size_t count;
    unsigned resyncs;
};

struct bench {
    char folder[256];
    char path[300];
    struct log log;
    struct loaded loaded;
    struct store_options options;
    struct store *store;
    bool mounted;
};

static bool note_loaded(void *context, const struct client_record *record)
{
    struct loaded *loaded = context;

    pthread_mutex_lock(&loaded->lock);
    if (loaded->count < 300)
        loaded->records[loaded->count] = *record;
    loaded->count++;
    pthread_mutex_unlock(&loaded->lock);
    return true;
}

static void note_late(void *context, const struct client_record *records, size_t count)
{
    struct bench *bench = context;

    for (size_t i = 0; i < count; i++)
        note_loaded(&bench->loaded, &records[i]);
}

static void note_resync(void *context)
{
    struct bench *bench = context;

    pthread_mutex_lock(&bench->loaded.lock);
    bench->loaded.resyncs++;
    pthread_mutex_unlock(&bench->loaded.lock);
}

static size_t late_count(struct bench *bench)
{
    pthread_mutex_lock(&bench->loaded.lock);
    size_t count = bench->loaded.count;
    pthread_mutex_unlock(&bench->loaded.lock);
    return count;
}

static unsigned resync_count(struct bench *bench)
{
    pthread_mutex_lock(&bench->loaded.lock);
    unsigned count = bench->loaded.resyncs;
    pthread_mutex_unlock(&bench->loaded.lock);
    return count;
}

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    const char *base = getenv("TMPDIR");

    assert_non_null(b);
    snprintf(b->folder, sizeof(b->folder), "%s/bdat-store-XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(b->folder));
    snprintf(b->path, sizeof(b->path), "%s/state.db", b->folder);
    pthread_mutex_init(&b->log.lock, NULL);
    pthread_mutex_init(&b->loaded.lock, NULL);
    b->options = (struct store_options){
        .path = b->path,
        .keep = 90 * DAY,
        .max_clients = 1000000,
        .log = &b->log,
        .retry_ms = 20,
        .busy_ms = 50,
        .commit_ms = 1,
        .context = b,
        .late_clients = note_late,
        .resync = note_resync,
    };
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    char path[600];

    store_close(&b->store, 1000);
    if (b->mounted)
        assert_int_equal(umount2(b->folder, MNT_DETACH), 0);
    DIR *folder = opendir(b->folder);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        snprintf(path, sizeof(path), "%s/%s", b->folder, entry->d_name);
        unlink(path);
    }
    if (folder != NULL)
        closedir(folder);
    assert_int_equal(rmdir(b->folder), 0);
    pthread_mutex_destroy(&b->log.lock);
    pthread_mutex_destroy(&b->loaded.lock);
    free(b);
    return 0;
}

/* Opens the store, loads its clients into b->loaded, and starts it. */
static void start(struct bench *b)
{
    b->loaded.count = 0;
    b->store = store_open(&b->options);
    assert_non_null(b->store);
    (void)!store_load_clients(b->store, note_loaded, &b->loaded);
    assert_int_equal(store_start(b->store), 0);
}

static void stop(struct bench *b)
{
    store_close(&b->store, 5000);
    assert_null(b->store);
}

static void restart(struct bench *b)
{
    stop(b);
    start(b);
}

static struct store_status status_of(struct bench *b)
{
    struct store_status status;

    store_status(b->store, &status);
    return status;
}

typedef bool condition(struct bench *b);

static void pause_ms(long ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000};

    nanosleep(&time, NULL);
}

#define wait_for(b, what) wait_for_condition(b, what, #what)
static void wait_for_condition(struct bench *b, condition *what, const char *name)
{
    for (int i = 0; i < PATIENCE_MS; i++) {
        if (what(b))
            return;
        pause_ms(1);
    }
    fail_msg("waited in vain: %s; %s", name, status_of(b).reason);
}

static bool all_written(struct bench *b)
{
    struct store_status status = status_of(b);

    return !status.degraded && status.pending_clients == 0 && status.pending_incidents == 0;
}

static bool is_degraded(struct bench *b)
{
    return status_of(b).degraded;
}

static bool is_well(struct bench *b)
{
    return !status_of(b).degraded;
}

static struct client_record client_number(unsigned number)
{
    struct client_record record = {
        .client = {.address = {.octets = {[10] = 0xff, [11] = 0xff, [12] = 10}}, .prefix = 128},
        .state = CLIENT_SUPPRESSED,
        .by_operator = true,
        .needs_chunking = true,
        .strikes = 3,
        .since = NOW,
        .until = NOW + DAY,
        .hold_seconds = DAY,
        .last_seen = NOW + number,
        .last_clean = NOW - 1,
        .last_bare_lf = NOW - 2,
        .last_data_failure = NOW - 3,
        .last_verdict = VERDICT_STALLED,
        .bdat_transfers = 4000000000,
        .data_transfers = 5,
        .data_good = 65535,
        .data_failures = 255,
        .strike_events = {{NOW - 5, 1}, {NOW, 2}},
        .reason = "it's \"said\"; DROP TABLE clients; \xc3\xa4",
    };

    record.client.address.octets[13] = (uint8_t)(number >> 16);
    record.client.address.octets[14] = (uint8_t)(number >> 8);
    record.client.address.octets[15] = (uint8_t)number;
    return record;
}

static void put_client(struct bench *b, unsigned number)
{
    struct client_record record = client_number(number);

    store_put_client(b->store, &record);
}

/* What the store need not keep, since it follows from the rest. */
static void drop_derived(struct client_record *record)
{
    record->needs_chunking = record->proven = false;
    record->strikes = 0;
}

static void test_clients_are_there_again(void **state)
{
    struct bench *b = *state;

    start(b);
    assert_true(is_well(b));
    for (unsigned i = 0; i < 200; i++)
        put_client(b, i);
    restart(b);
    assert_int_equal(b->loaded.count, 200);
    for (unsigned i = 0; i < 200; i++) {
        struct client_record want = client_number(i);

        drop_derived(&want);
        assert_memory_equal(&b->loaded.records[i], &want, sizeof(want));
    }
    assert_int_equal(warnings(&b->log), 0);
    assert_int_equal(resync_count(b), 0);
}

static void test_networks_and_bare_records_too(void **state)
{
    struct bench *b = *state;
    struct client_record record = {.last_verdict = VERDICT_NONE, .last_seen = NOW};
    static const char *const texts[] = {"192.0.2.0/24", "2001:db8::/64", "2001:db8::1"};
    char error[100], text[NETWORK_TEXT_SIZE];

    start(b);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(network_parse(texts[i], &record.client, error, sizeof(error)), 0);
        record.last_seen++;
        store_put_client(b->store, &record);
    }
    restart(b);
    assert_int_equal(b->loaded.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(network_format(&b->loaded.records[i].client, text), texts[i]);
    assert_memory_equal(&b->loaded.records[2], &record, sizeof(record));
}

static void test_the_newest_state_of_a_client_counts(void **state)
{
    struct bench *b = *state;
    struct client_record record = client_number(1);

    start(b);
    for (unsigned i = 0; i <= 20000; i++) {
        record.bdat_transfers = i;
        store_put_client(b->store, &record);
    }
    wait_for(b, all_written);
    store_delete_client(b->store, &record.client);
    record = client_number(2);
    store_put_client(b->store, &record);
    store_delete_client(b->store, &record.client);
    struct client_record stranger = client_number(3);
    store_delete_client(b->store, &stranger.client);
    record.bdat_transfers = 77;
    store_put_client(b->store, &record);
    restart(b);
    assert_int_equal(b->loaded.count, 1);
    assert_int_equal(b->loaded.records[0].bdat_transfers, 77);
    assert_int_equal(status_of(b).clients_left_out, 0);
}

static void test_rows_beyond_max_clients_go(void **state)
{
    struct bench *b = *state;

    start(b);
    for (unsigned i = 0; i < 20; i++) {
        struct client_record record = client_number(i);
        record.last_seen = NOW + (i * 7) % 20;
        if (i % 2) { /* nothing held against it: goes first, be it ever so new */
            record.state = CLIENT_OFFERED;
            record.strikes = 0;
            record.needs_chunking = false;
            record.last_seen += 1000;
        }
        store_put_client(b->store, &record);
    }
    stop(b);
    b->options.max_clients = 7;
    start(b);
    assert_int_equal(b->loaded.count, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(b->loaded.records[i].state, CLIENT_SUPPRESSED);
        assert_int_equal(b->loaded.records[i].last_seen, NOW + 6 + 2 * i);
    }
}

/* Incidents. */

static struct incident incident_number(unsigned number)
{
    static char ids[200][16], texts[200][64];
    struct client_record client = client_number(number);

    snprintf(ids[number % 200], sizeof(ids[0]), "4QUEUE%u", number);
    snprintf(texts[number % 200], sizeof(texts[0]), "{\"n\": %u, \"s\": \"a'b\"}", number);
    return (struct incident){
        .time = (int64_t)time(NULL) - 1000 + number,
        .client = client.client.address,
        .verdict = number % 3 ? VERDICT_STALLED : VERDICT_TRUNCATED,
        .queue_id = ids[number % 200],
        .json = texts[number % 200],
    };
}

static void put_incident(struct bench *b, unsigned number)
{
    struct incident incident = incident_number(number);

    store_put_incident(b->store, &incident);
}

/* An answer, once it is there. */
struct answer {
    pthread_mutex_t lock;
    struct incident_list *list;
    unsigned calls;
};

static void note_answer(void *context, struct incident_list *list)
{
    struct answer *answer = context;

    pthread_mutex_lock(&answer->lock);
    incident_list_free(&answer->list);
    answer->list = list;
    answer->calls++;
    pthread_mutex_unlock(&answer->lock);
}

static struct incident_list *ask(struct bench *b, const struct incident_filter *filter)
{
    struct answer answer = {.lock = PTHREAD_MUTEX_INITIALIZER};
    unsigned calls = 0;

    assert_true(store_query_incidents(b->store, filter, note_answer, &answer));
    for (int i = 0; i < PATIENCE_MS && calls == 0; i++) {
        pause_ms(1);
        pthread_mutex_lock(&answer.lock);
        calls = answer.calls;
        pthread_mutex_unlock(&answer.lock);
    }
    assert_int_equal(calls, 1);
    assert_non_null(answer.list);
    return answer.list;
}

static void test_incidents_are_found(void **state)
{
    struct bench *b = *state;
    int64_t now = time(NULL);
    struct network one = {.address = incident_number(7).client, .prefix = 128};
    struct network some = {.address = incident_number(0).client, .prefix = 125};
    const struct {
        struct incident_filter filter;
        size_t count;
        unsigned first; /* the newest */
    } rows[] = {
        {{.verdict = VERDICT_NONE, .limit = 1000}, 100, 99},
        {{.verdict = VERDICT_NONE, .limit = 5}, 5, 99},
        {{.verdict = VERDICT_NONE, .limit = 0}, 0, 0},
        {{.verdict = VERDICT_TRUNCATED, .limit = 1000}, 34, 99},
        {{.verdict = VERDICT_STALLED, .limit = 1000}, 66, 98},
        {{.verdict = VERDICT_LOST, .limit = 1000}, 0, 0},
        {{.verdict = VERDICT_NONE, .since = now - 1000 + 90, .limit = 1000}, 10, 99},
        {{.verdict = VERDICT_NONE, .queue_id = "4QUEUE42", .limit = 1000}, 1, 42},
        {{.verdict = VERDICT_STALLED, .queue_id = "4QUEUE42", .limit = 1000}, 0, 0},
        {{.verdict = VERDICT_NONE, .queue_id = "' OR 1=1 --", .limit = 1000}, 0, 0},
        {{.verdict = VERDICT_NONE, .has_client = true, .client = one, .limit = 9}, 1, 7},
        {{.verdict = VERDICT_NONE, .has_client = true, .client = some, .limit = 9}, 8, 7},
        {{.verdict = VERDICT_TRUNCATED, .has_client = true, .client = some, .limit = 9}, 3, 6},
        {{.verdict = VERDICT_NONE, .has_client = true, .client = {.prefix = 0}, .limit = 999},
         100,
         99},
    };

    start(b);
    for (unsigned i = 0; i < 100; i++) {
        struct incident incident = incident_number(i);
        incident.time = now - 1000 + i;
        store_put_incident(b->store, &incident);
    }
    /* What was put before is seen, written or not: no wait in between. */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct incident_list *list = ask(b, &rows[i].filter);
        struct incident want = incident_number(rows[i].first);

        assert_string_equal(list->error, "");
        if (list->count != rows[i].count)
            fail_msg("row %zu: %zu incidents, not %zu", i, list->count, rows[i].count);
        if (list->count > 0) {
            assert_string_equal(list->incidents[0].queue_id, want.queue_id);
            assert_string_equal(list->incidents[0].json, want.json);
            assert_int_equal(list->incidents[0].verdict, want.verdict);
            assert_memory_equal(&list->incidents[0].client, &want.client, sizeof(want.client));
            assert_int_equal(list->incidents[0].time, now - 1000 + rows[i].first);
        }
        for (size_t k = 1; k < list->count; k++)
            assert_true(list->incidents[k].id < list->incidents[k - 1].id);
        incident_list_free(&list);
        assert_null(list);
    }
    assert_int_equal(status_of(b).incidents_written, 100);
}

/* However put, write and query fall together: what was put before the query is seen. */
static void test_a_query_sees_what_was_put_before(void **state)
{
    struct bench *b = *state;
    struct incident_filter filter = {.verdict = VERDICT_NONE, .limit = 1000};

    start(b);
    for (unsigned i = 0; i < 50; i++) {
        struct incident incident = incident_number(i);

        for (unsigned k = 0; k < 900; k++) { /* so many that a batch leaves in their midst */
            store_put_incident(b->store, &incident);
            if (k % 100 == i)
                pause_ms(1);
        }
        snprintf(filter.queue_id, sizeof(filter.queue_id), "%s", incident.queue_id);
        struct incident_list *list = ask(b, &filter);
        assert_int_equal(list->count, 900);
        incident_list_free(&list);
    }
}

static void test_incidents_are_kept_so_long(void **state)
{
    struct bench *b = *state;
    const struct incident_filter all = {.verdict = VERDICT_NONE, .limit = 1000};

    start(b);
    for (unsigned i = 0; i < 1200; i++) {
        struct incident incident = incident_number(i % 200);
        incident.time = (int64_t)time(NULL) - (i < 1100 ? 91 : 89) * DAY;
        store_put_incident(b->store, &incident);
    }
    wait_for(b, all_written);
    stop(b);
    start(b); /* old rows are looked for at start; in slices, so ask until they are gone */
    size_t count = 0;
    for (int i = 0; i < 1000 && count != 100; i++) {
        struct incident_list *list = ask(b, &all);
        count = list->count;
        incident_list_free(&list);
    }
    assert_int_equal(count, 100);
    store_set_keep(b->store, 88 * DAY);
    restart(b); /* b->options still say 90 days: nothing goes */
    struct incident_list *list = ask(b, &all);
    assert_int_equal(list->count, 100);
    incident_list_free(&list);
}

static void test_queries_are_bounded_and_answered_at_the_end(void **state)
{
    struct bench *b = *state;
    struct answer answer = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const struct incident_filter all = {.verdict = VERDICT_NONE, .limit = 1};
    unsigned taken = 0;

    b->store = store_open(&b->options);
    assert_false(store_query_incidents(b->store, &all, note_answer, &answer));
    assert_int_equal(store_start(b->store), 0);
    for (int i = 0; i < 20000; i++)
        taken += store_query_incidents(b->store, &all, note_answer, &answer);
    stop(b);
    assert_int_equal(answer.calls, taken);
    incident_list_free(&answer.list);
}

/* Somebody else's look at the file. */
static sqlite3 *open_beside(const char *path)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, PATIENCE_MS);
    return db;
}

static void run_sql(sqlite3 *db, const char *sql)
{
    char *error = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
}

/* The first column of the first row. */
static void get_text(const char *path, const char *sql, char *text, size_t size)
{
    sqlite3 *db = open_beside(path);
    sqlite3_stmt *statement;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    snprintf(text, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static long long get_number(const char *path, const char *sql)
{
    char text[64];

    get_text(path, sql, text, sizeof(text));
    return atoll(text);
}

static void assert_sound(const char *path)
{
    char text[200];

    get_text(path, "PRAGMA integrity_check", text, sizeof(text));
    assert_string_equal(text, "ok");
}

static void test_the_file_is_private_and_ours(void **state)
{
    struct bench *b = *state;
    struct stat info;

    start(b);
    put_client(b, 1);
    stop(b);
    assert_int_equal(stat(b->path, &info), 0);
    assert_int_equal(info.st_mode & 0777 & ~0640, 0);
    assert_int_equal(get_number(b->path, "PRAGMA application_id"), 0x42444154);
    assert_int_equal(get_number(b->path, "PRAGMA user_version"), STORE_SCHEMA_VERSION);
    assert_sound(b->path);
}

static void test_the_indexes_are_there(void **state)
{
    struct bench *b = *state;
    static const char *const names[] = {"clients_by_age", "incidents_by_time",
                                        "incidents_by_address", "incidents_by_verdict",
                                        "incidents_by_queue_id"};

    start(b);
    stop(b);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char sql[200];

        snprintf(sql, sizeof(sql), "SELECT count(*) FROM sqlite_master WHERE name = '%s'",
                 names[i]);
        assert_int_equal(get_number(b->path, sql), 1);
    }
}

/* A file of schema version 1, as that version made it. */
static const char version_1[] =
    "PRAGMA application_id = 1111769428;"
    "CREATE TABLE clients (client TEXT PRIMARY KEY, state TEXT NOT NULL,"
    " last_verdict TEXT NOT NULL, strikes TEXT NOT NULL, reason TEXT NOT NULL,"
    " held INTEGER NOT NULL, seen INTEGER NOT NULL, by_operator INTEGER NOT NULL,"
    " since INTEGER NOT NULL, until INTEGER NOT NULL, hold INTEGER NOT NULL,"
    " clean INTEGER NOT NULL, bare_lf INTEGER NOT NULL, data_failed INTEGER NOT NULL,"
    " bdat_transfers INTEGER NOT NULL, data_transfers INTEGER NOT NULL,"
    " data_good INTEGER NOT NULL, data_failures INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE incidents (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
    " address BLOB NOT NULL, verdict TEXT NOT NULL, queue_id TEXT NOT NULL,"
    " detail TEXT NOT NULL);"
    "CREATE INDEX incidents_by_time ON incidents (time);"
    "INSERT INTO clients VALUES ('192.0.2.1', 'suppressed', 'stalled', '1800000000:2', 'why', 1,"
    " 1800000000, 0, 1800000000, 1800086400, 86400, 0, 0, 0, 1, 0, 0, 0);"
    "INSERT INTO clients VALUES ('no address', 'suppressed', 'stalled', '', '', 1,"
    " 1800000000, 0, 1800000000, 1800086400, 86400, 0, 0, 0, 1, 0, 0, 0);"
    "INSERT INTO clients VALUES ('192.0.2.2', 'no state', 'stalled', '', '', 1,"
    " 1800000000, 0, 1800000000, 1800086400, 86400, 0, 0, 0, 1, 0, 0, 0);"
    "INSERT INTO clients VALUES ('192.0.2.3', 'suppressed', 'stalled', '12:x', '', 1,"
    " 1800000000, 0, 1800000000, 1800086400, 86400, 0, 0, 0, 1, 0, 0, 0);"
    "INSERT INTO incidents VALUES (1, 4000000000, x'00000000000000000000ffffc0000201',"
    " 'stalled', '4OLD', '{}');"
    "PRAGMA user_version = 1;";

static void test_a_file_of_version_1_is_migrated(void **state)
{
    struct bench *b = *state;
    char text[NETWORK_TEXT_SIZE];
    const struct incident_filter filter = {.verdict = VERDICT_NONE, .queue_id = "4OLD", .limit = 9};
    sqlite3 *db = open_beside(b->path);

    run_sql(db, version_1);
    sqlite3_close(db);
    start(b);
    assert_true(is_well(b));
    assert_int_equal(b->loaded.count, 1);
    assert_string_equal(network_format(&b->loaded.records[0].client, text), "192.0.2.1");
    assert_int_equal(b->loaded.records[0].strike_events[0].weight, 2);
    assert_string_equal(b->loaded.records[0].reason, "why");
    assert_int_equal(warnings(&b->log), 1); /* the three that make no sense */
    struct incident_list *list = ask(b, &filter);
    assert_int_equal(list->count, 1);
    incident_list_free(&list);
    stop(b);
    assert_int_equal(get_number(b->path, "PRAGMA user_version"), STORE_SCHEMA_VERSION);
    assert_sound(b->path);
    /* The same schema as that of a new file. */
    char migrated[4000], made[4000];
    const char *sql = "SELECT group_concat(name || ':' || replace(replace(sql, ' ', ''), '\n', ''))"
                      " FROM (SELECT * FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name)";
    get_text(b->path, sql, migrated, sizeof(migrated));
    assert_int_equal(unlink(b->path), 0);
    start(b);
    stop(b);
    get_text(b->path, sql, made, sizeof(made));
    assert_string_equal(migrated, made);
}

/* Names in the folder that begin so. */
static unsigned count_names(struct bench *b, const char *begin)
{
    DIR *folder = opendir(b->folder);
    unsigned count = 0;

    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += strncmp(entry->d_name, begin, strlen(begin)) == 0;
    closedir(folder);
    return count;
}

static void write_file(const char *path, const char *octets, size_t size)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(octets, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void test_what_is_no_database_is_set_aside(void **state)
{
    struct bench *b = *state;
    static const char zeros[65536];
    static const char prose[] = "This is a text of more than a hundred octets, which somebody has "
                                "put in the place of the database for whatever reason.\n";

    write_file(b->path, zeros, sizeof(zeros));
    start(b);
    assert_true(is_well(b));
    assert_int_equal(status_of(b).files_set_aside, 1);
    assert_int_equal(count_names(b, "state.db.bad-2"), 1);
    assert_int_equal(warnings(&b->log), 1);
    put_client(b, 1);
    stop(b);
    write_file(b->path, prose, sizeof(prose));
    start(b);
    assert_true(is_well(b));
    assert_int_equal(b->loaded.count, 0);
    assert_int_equal(count_names(b, "state.db.bad-2"), 2); /* even within one second */
    put_client(b, 2);
    restart(b);
    assert_int_equal(b->loaded.count, 1);
}

/* An empty file is what a killed beginner leaves: it is simply filled. */
static void test_an_empty_file_is_taken(void **state)
{
    struct bench *b = *state;

    write_file(b->path, "", 0);
    start(b);
    assert_true(is_well(b));
    assert_int_equal(count_names(b, "state.db.bad"), 0);
}

/* Octets in the midst of a good file are overwritten. */
static void scribble(const char *path)
{
    struct stat info;
    char junk[4096];
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &info), 0);
    memset(junk, 0x5a, sizeof(junk));
    for (off_t at = 8192; at + 4096 <= info.st_size; at += 4096)
        assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
    close(fd);
}

static void test_a_damaged_file_is_set_aside_at_start(void **state)
{
    struct bench *b = *state;

    start(b);
    for (unsigned i = 0; i < 1000; i++)
        put_client(b, i);
    stop(b);
    scribble(b->path);
    start(b);
    assert_true(is_well(b));
    assert_int_equal(status_of(b).files_set_aside, 1);
    assert_int_equal(b->loaded.count, 0);
    put_client(b, 5);
    restart(b);
    assert_int_equal(b->loaded.count, 1);
    assert_sound(b->path);
}

static bool has_resync(struct bench *b)
{
    return resync_count(b) > 0;
}

/* Damage that shows while the daemon runs: a new file, and all clients are asked for again. */
static void test_a_file_damaged_at_run_time_is_set_aside(void **state)
{
    struct bench *b = *state;
    char json[2000];
    struct incident incident = incident_number(1);
    const struct incident_filter all = {.verdict = VERDICT_NONE, .limit = 1000};

    memset(json, 'x', sizeof(json) - 1);
    json[sizeof(json) - 1] = '\0';
    incident.json = json;
    start(b);
    for (unsigned i = 0; i < 3000; i++)
        store_put_incident(b->store, &incident);
    wait_for(b, all_written);
    sqlite3 *db = open_beside(b->path);
    run_sql(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    sqlite3_close(db);
    scribble(b->path);
    struct incident_list *list = ask(b, &all);
    incident_list_free(&list);
    wait_for(b, has_resync);
    assert_int_equal(status_of(b).files_set_aside, 1);
    put_client(b, 5);
    wait_for(b, all_written);
    restart(b);
    assert_int_equal(b->loaded.count, 1);
}

static void test_foreign_files_are_left_alone(void **state)
{
    struct bench *b = *state;
    static const char *const sqls[] = {
        "CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup')",
        "PRAGMA application_id = 1111769428; PRAGMA user_version = 999; CREATE TABLE recipes (x);",
    };

    for (size_t i = 0; i < 2; i++) {
        sqlite3 *db = open_beside(b->path);

        run_sql(db, sqls[i]);
        sqlite3_close(db);
        start(b);
        assert_true(is_degraded(b));
        put_client(b, 1);
        stop(b);
        assert_int_equal(count_names(b, "state.db.bad"), 0);
        assert_int_equal(get_number(b->path, "SELECT count(*) FROM sqlite_master"), 1);
        assert_int_equal(warnings(&b->log), i + 1);
        assert_int_equal(unlink(b->path), 0);
    }
    assert_non_null(strstr(b->log.last, "newer"));
}

/* Outages. */

static double seconds_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Puts clients and incidents; nobody waits for that. */
static void put_many(struct bench *b, unsigned first, unsigned count)
{
    double before = seconds_now();

    for (unsigned i = first; i < first + count; i++) {
        put_client(b, i);
        put_incident(b, i);
    }
    assert_true(seconds_now() - before < 5); /* a lock would be waited for much longer */
}

static void test_a_locked_file_is_waited_for_by_nobody(void **state)
{
    struct bench *b = *state;

    start(b);
    put_many(b, 0, 10);
    wait_for(b, all_written);
    sqlite3 *db = open_beside(b->path);
    run_sql(db, "BEGIN IMMEDIATE");
    put_many(b, 5, 100);
    wait_for(b, is_degraded);
    assert_non_null(strstr(status_of(b).reason, "locked"));
    struct client_record record = client_number(7);
    for (unsigned i = 0; i < 5; i++) { /* several tries go by: still one warning */
        uint64_t failures = status_of(b).failures;
        record.bdat_transfers = i;
        store_put_client(b->store, &record);
        while (status_of(b).failures == failures)
            pause_ms(1);
    }
    assert_int_equal(warnings(&b->log), 1);
    struct incident_list *list =
        ask(b, &(struct incident_filter){.verdict = VERDICT_NONE, .limit = 1});
    assert_string_not_equal(list->error, "");
    assert_int_equal(list->count, 0);
    incident_list_free(&list);
    run_sql(db, "COMMIT");
    sqlite3_close(db);
    wait_for(b, all_written);
    assert_string_equal(status_of(b).reason, "");
    assert_int_equal(status_of(b).incidents_written, 110);
    restart(b);
    assert_int_equal(b->loaded.count, 105);
    for (size_t i = 0; i < 105; i++)
        if (b->loaded.records[i].client.address.octets[15] == 7)
            assert_int_equal(b->loaded.records[i].bdat_transfers, 4);
    assert_int_equal(resync_count(b), 0);
}

static bool all_came_late(struct bench *b)
{
    return late_count(b) == 300;
}

static void test_clients_of_a_file_locked_at_start_come_late(void **state)
{
    struct bench *b = *state;

    start(b);
    for (unsigned i = 0; i < 300; i++)
        put_client(b, i);
    stop(b);
    sqlite3 *db = open_beside(b->path);
    run_sql(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    start(b);
    assert_true(is_degraded(b));
    assert_int_equal(b->loaded.count, 0);
    struct client_record newer = client_number(7);
    newer.state = CLIENT_OFFERED;
    store_put_client(b->store, &newer);
    sqlite3_close(db);
    wait_for(b, all_came_late);
    wait_for(b, all_written);
    assert_int_equal(b->loaded.records[7].state, CLIENT_SUPPRESSED); /* as it was in the file */
    restart(b);
    assert_int_equal(b->loaded.count, 300);
    assert_int_equal(warnings(&b->log), 1);
}

/* Exactly what may wait waits: not in the midst of a try, when a batch is under way. */
static bool queue_is_full(struct bench *b)
{
    struct store_status status = status_of(b);

    return status.pending_clients == 10 && status.pending_incidents == 10;
}

static void test_what_finds_no_room_is_counted_and_asked_for(void **state)
{
    struct bench *b = *state;

    b->options.max_pending = 10;
    start(b);
    sqlite3 *db = open_beside(b->path);
    run_sql(db, "BEGIN IMMEDIATE");
    assert_int_equal(store_client_room(b->store), 10);
    put_many(b, 0, 50);
    wait_for(b, is_degraded);
    wait_for(b, queue_is_full);
    struct store_status status = status_of(b);
    assert_true(status.clients_left_out >= 30 && status.clients_left_out <= 40);
    assert_true(status.incidents_dropped >= 30 && status.incidents_dropped <= 40);
    assert_int_equal(store_client_room(b->store), 0);
    run_sql(db, "COMMIT");
    sqlite3_close(db);
    wait_for(b, has_resync);
    for (unsigned i = 0; i < 50; i++) {
        while (store_client_room(b->store) == 0)
            pause_ms(1);
        put_client(b, i);
    }
    wait_for(b, all_written);
    assert_int_equal(resync_count(b), 1);
    restart(b);
    assert_int_equal(b->loaded.count, 50);
}

static void test_a_file_that_was_removed_is_made_anew(void **state)
{
    struct bench *b = *state;

    start(b);
    put_client(b, 1);
    wait_for(b, all_written);
    assert_int_equal(unlink(b->path), 0);
    put_client(b, 2);
    wait_for(b, has_resync);
    put_client(b, 1);
    wait_for(b, all_written);
    assert_int_equal(warnings(&b->log), 1);
    restart(b);
    assert_int_equal(b->loaded.count, 2);
}

/* Mounts a small file system over the folder; false without the right to. */
static bool mount_small(struct bench *b, unsigned long flags, const char *size)
{
    b->mounted = mount("tmpfs", b->folder, "tmpfs", flags | MS_NOSUID | MS_NODEV, size) == 0;
    if (b->mounted)
        return true;
    print_message("skipped: mounting a file system needs root: %s\n", strerror(errno));
    return false;
}

static void test_a_read_only_folder(void **state)
{
    struct bench *b = *state;

    if (!mount_small(b, MS_RDONLY, "size=1m"))
        skip();
    start(b);
    assert_true(is_degraded(b));
    put_many(b, 0, 20);
    assert_int_equal(warnings(&b->log), 1);
    assert_int_equal(mount(NULL, b->folder, NULL, MS_REMOUNT, "size=1m"), 0);
    wait_for(b, all_written);
    assert_int_equal(status_of(b).clients_written, 20);
    restart(b);
    assert_int_equal(b->loaded.count, 20);
    /* And one that becomes so later. */
    stop(b);
    assert_int_equal(mount(NULL, b->folder, NULL, MS_REMOUNT | MS_RDONLY, "size=1m"), 0);
    start(b);
    assert_true(is_degraded(b));
    put_many(b, 20, 20);
    assert_int_equal(mount(NULL, b->folder, NULL, MS_REMOUNT, "size=1m"), 0);
    wait_for(b, all_written);
    assert_int_equal(late_count(b), 20);
    restart(b);
    assert_int_equal(b->loaded.count, 40);
    assert_sound(b->path);
}

/* The same for one who is not root, where no file system can be mounted. */
static void test_a_folder_that_is_not_there(void **state)
{
    struct bench *b = *state;
    char folder[300], path[400];

    snprintf(folder, sizeof(folder), "%s/missing", b->folder);
    snprintf(path, sizeof(path), "%s/state.db", folder);
    b->options.path = path;
    start(b);
    assert_true(is_degraded(b));
    assert_non_null(strstr(status_of(b).reason, "No such file"));
    put_many(b, 0, 20);
    assert_int_equal(mkdir(folder, 0700), 0);
    wait_for(b, all_written);
    assert_int_equal(warnings(&b->log), 1);
    restart(b);
    assert_int_equal(b->loaded.count, 20);
    stop(b);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* Fills what is left of the disk. */
static void fill_disk(const char *path)
{
    static const char octets[4096] = "x";
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    while (write(fd, octets, sizeof(octets)) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static bool is_settled(struct bench *b)
{
    return is_degraded(b) || all_written(b);
}

static void test_a_full_disk(void **state)
{
    struct bench *b = *state;
    char filler[300];

    if (!mount_small(b, 0, "size=2m"))
        skip();
    snprintf(filler, sizeof(filler), "%s/filler", b->folder);
    start(b);
    put_many(b, 0, 20);
    wait_for(b, all_written);
    fill_disk(filler);
    unsigned sent = 20; /* until there is no room in the blocks that were taken already */
    for (; !is_degraded(b) && sent < 5000; sent += 20) {
        put_many(b, sent, 20);
        wait_for(b, is_settled);
    }
    assert_true(is_degraded(b));
    assert_int_equal(warnings(&b->log), 1);
    struct client_record record = client_number(3);
    record.bdat_transfers = 33;
    store_put_client(b->store, &record);
    assert_int_equal(unlink(filler), 0);
    wait_for(b, all_written);
    assert_int_equal(status_of(b).files_set_aside, 0);
    stop(b);
    assert_int_equal(get_number(b->path, "SELECT count(*) FROM clients"), sent);
    assert_int_equal(get_number(b->path, "SELECT count(*) FROM incidents"), sent);
    assert_int_equal(
        get_number(b->path, "SELECT bdat_transfers FROM clients WHERE client = '10.0.0.3'"), 33);
    assert_sound(b->path);
    /* Full at start. */
    assert_int_equal(unlink(b->path), 0);
    fill_disk(filler);
    start(b);
    put_client(b, 1);
    wait_for(b, is_degraded);
    assert_int_equal(unlink(filler), 0);
    wait_for(b, all_written);
    restart(b);
    assert_int_equal(b->loaded.count, 1);
}

/* A child that writes one client over and over, and tells what is surely in the file. */
static void write_for_ever(struct bench *b, int tell)
{
    uint32_t number;
    struct client_record record = client_number(1);

    b->store = store_open(&b->options);
    if (b->store == NULL || store_load_clients(b->store, note_loaded, &b->loaded) != 0 ||
        store_start(b->store) != 0)
        _exit(1);
    number = b->loaded.count > 0 ? b->loaded.records[0].bdat_transfers : 0;
    for (;;) {
        uint64_t written = status_of(b).clients_written;

        record.bdat_transfers = ++number;
        store_put_client(b->store, &record);
        for (unsigned i = 0; i < 20; i++)
            put_incident(b, i);
        while (status_of(b).clients_written == written)
            sched_yield();
        if (write(tell, &number, sizeof(number)) != sizeof(number))
            _exit(1);
    }
}

/* Reads what the child says until it has said `count` numbers; then kills it at a moment that
 * differs each time. Returns the last number that it has told. */
static uint32_t kill_after(int hear, pid_t child, unsigned count, unsigned spin)
{
    uint32_t number = 0, next;

    for (unsigned i = 0; i < count; i++)
        assert_int_equal(read(hear, &number, sizeof(number)), sizeof(number));
    double until = seconds_now() + spin * 20e-6;
    while (seconds_now() < until)
        ;
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(hear, &next, sizeof(next)) == sizeof(next))
        number = next;
    return number;
}

static void test_kill_9_in_mid_write_100_times(void **state)
{
    struct bench *b = *state;

    for (unsigned round = 0; round < 100; round++) {
        int ends[2], how;

        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            write_for_ever(b, ends[1]);
        }
        close(ends[1]);
        uint32_t told = kill_after(ends[0], child, 1 + round % 4, round * 7 % 100);
        close(ends[0]);
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);

        start(b);
        assert_true(is_well(b));
        assert_int_equal(b->loaded.count, 1);
        assert_true(b->loaded.records[0].bdat_transfers >= told);
        assert_true(b->loaded.records[0].bdat_transfers <= told + 1);
        stop(b);
        assert_sound(b->path);
    }
    assert_int_equal(count_names(b, "state.db.bad"), 0);
    assert_int_equal(warnings(&b->log), 0);
}

/* Many threads put and ask at once; for the thread sanitizer above all. */
static void *put_and_ask(void *context)
{
    struct bench *b = context;

    for (unsigned i = 0; i < 500; i++) {
        struct client_record record = client_number(i);
        struct incident incident = {.time = time(NULL),
                                    .client = record.client.address,
                                    .verdict = VERDICT_LOST,
                                    .queue_id = "4Q",
                                    .json = "{}"};
        struct store_status status;

        store_put_client(b->store, &record);
        store_put_incident(b->store, &incident);
        store_delete_client(b->store, &record.client);
        store_status(b->store, &status);
        store_set_keep(b->store, 80 * DAY + i);
        (void)store_client_room(b->store);
        if (i % 100 == 0) {
            struct incident_list *list =
                ask(b, &(struct incident_filter){.verdict = VERDICT_LOST, .limit = 3});
            incident_list_free(&list);
        }
    }
    return NULL;
}

static void test_many_threads_at_once(void **state)
{
    struct bench *b = *state;
    pthread_t threads[4];

    start(b);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_and_ask, b), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    stop(b);
    assert_int_equal(get_number(b->path, "SELECT count(*) FROM incidents"), 2000);
    assert_int_equal(get_number(b->path, "SELECT count(*) FROM clients"), 0);
}

static bool count_only(void *context, const struct client_record *record)
{
    (void)record;
    ++*(size_t *)context;
    return true;
}

static void test_a_million_clients_load_in_seconds(void **state)
{
    struct bench *b = *state;
#ifdef SANITIZER
    const unsigned rows = 20000;
#else
    const unsigned rows = 1000000;
#endif
    char sql[800];
    size_t count = 0;

    start(b);
    stop(b);
    sqlite3 *db = open_beside(b->path);
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %u) "
             "INSERT INTO clients SELECT '10.' || (i * 7919 %% %u >> 16) || '.' ||"
             " (i * 7919 %% %u >> 8 & 255) || '.' || (i * 7919 %% %u & 255), 'suppressed',"
             " 'stalled', '1800000000:2', '', 1, 1800000000 + i %% 1000, 0, 1800000000, 1800086400,"
             " 86400, 0, 0, 0, 1, 0, 0, 0 FROM n",
             rows, rows, rows, rows);
    run_sql(db, sql);
    sqlite3_close(db);
    double before = seconds_now();
    b->store = store_open(&b->options);
    double opened = seconds_now();
    assert_int_equal(store_load_clients(b->store, count_only, &count), 0);
    print_message("opening %.2f s, loading %u clients %.2f s\n", opened - before, rows,
                  seconds_now() - opened);
    assert_int_equal(count, rows);
    assert_true(seconds_now() - before < 30);
    stop(b);
}

#define with_bench(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_bench(test_clients_are_there_again),
        with_bench(test_networks_and_bare_records_too),
        with_bench(test_the_newest_state_of_a_client_counts),
        with_bench(test_rows_beyond_max_clients_go),
        with_bench(test_incidents_are_found),
        with_bench(test_a_query_sees_what_was_put_before),
        with_bench(test_incidents_are_kept_so_long),
        with_bench(test_queries_are_bounded_and_answered_at_the_end),
        with_bench(test_the_file_is_private_and_ours),
        with_bench(test_the_indexes_are_there),
        with_bench(test_a_file_of_version_1_is_migrated),
        with_bench(test_what_is_no_database_is_set_aside),
        with_bench(test_an_empty_file_is_taken),
        with_bench(test_a_damaged_file_is_set_aside_at_start),
        with_bench(test_a_file_damaged_at_run_time_is_set_aside),
        with_bench(test_foreign_files_are_left_alone),
        with_bench(test_a_locked_file_is_waited_for_by_nobody),
        with_bench(test_clients_of_a_file_locked_at_start_come_late),
        with_bench(test_what_finds_no_room_is_counted_and_asked_for),
        with_bench(test_a_file_that_was_removed_is_made_anew),
        with_bench(test_a_read_only_folder),
        with_bench(test_a_folder_that_is_not_there),
        with_bench(test_a_full_disk),
        with_bench(test_kill_9_in_mid_write_100_times),
        with_bench(test_many_threads_at_once),
        with_bench(test_a_million_clients_load_in_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
