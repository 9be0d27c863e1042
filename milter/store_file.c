#include "milter/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "milter/store_schema.h"

#define FILE_MODE 0640
#define ERROR_SIZE 200
/* How often SQLite asks whether to give up, in steps of its virtual machine. */
#define PROGRESS_STEPS 20000
/* A query or check that takes longer is broken off. */
#define PATIENCE_MS 3000
#define LOCK_STEP_MS 10
/* Loading goes through the clients by age, that is all over the file. */
#define LOAD_CACHE "PRAGMA cache_size = -131072"
#define USUAL_CACHE "PRAGMA cache_size = -2000"

enum statement {
    PUT_CLIENT,
    DELETE_CLIENT,
    PUT_INCIDENT,
    LOAD_CLIENTS,
    COUNT_CLIENTS,
    PRUNE_CLIENTS,
    EXPIRE_INCIDENTS,
    FIND_BY_TIME,
    FIND_BY_ADDRESS,
    FIND_BY_VERDICT,
    FIND_BY_QUEUE_ID,
    STATEMENT_COUNT
};

#define CLIENT_COLUMNS                                                                            \
    "client, state, last_verdict, strikes, reason, held, seen, by_operator, since, until, hold, " \
    "clean, bare_lf, data_failed, bdat_transfers, data_transfers, data_good, data_failures"

/* What is not asked for is NULL and matches all. Each statement leads with what an index is for. */
#define FIND(BY)                                                                           \
    "SELECT id, time, address, verdict, queue_id, detail FROM incidents WHERE " BY " AND " \
    "+time >= ?1 AND (?2 IS NULL OR +address BETWEEN ?2 AND ?3) AND "                      \
    "(?4 IS NULL OR +verdict = ?4) AND (?5 IS NULL OR +queue_id = ?5) "                    \
    "ORDER BY time DESC, id DESC LIMIT ?6"

static const char *const statement_texts[STATEMENT_COUNT] = {
    [PUT_CLIENT] = "INSERT OR REPLACE INTO clients (" CLIENT_COLUMNS ") VALUES "
                   "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
                   "?18)",
    [DELETE_CLIENT] = "DELETE FROM clients WHERE client = ?1",
    [PUT_INCIDENT] = "INSERT INTO incidents (time, address, verdict, queue_id, detail) VALUES "
                     "(?1, ?2, ?3, ?4, ?5)",
    [LOAD_CLIENTS] = "SELECT " CLIENT_COLUMNS " FROM clients ORDER BY held, seen",
    [COUNT_CLIENTS] = "SELECT count(*) FROM clients",
    [PRUNE_CLIENTS] = "DELETE FROM clients WHERE client IN "
                      "(SELECT client FROM clients ORDER BY held, seen LIMIT ?1)",
    [EXPIRE_INCIDENTS] = "DELETE FROM incidents WHERE id IN "
                         "(SELECT id FROM incidents WHERE time < ?1 ORDER BY time LIMIT ?2)",
    [FIND_BY_TIME] = FIND("time >= ?1"),
    [FIND_BY_ADDRESS] = FIND("address BETWEEN ?2 AND ?3"),
    [FIND_BY_VERDICT] = FIND("verdict = ?4 AND time >= ?1"),
    [FIND_BY_QUEUE_ID] = FIND("queue_id = ?5"),
};

struct store_file {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct store_file_options options;
    int64_t deadline; /* of what runs now, milliseconds; 0 = none */
    char error[ERROR_SIZE];
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* SQLite waits for a lock: sleep a little and go on, or give up. */
static int wait_for_lock(void *context, int tries)
{
    struct store_file *file = context;
    struct timespec pause = {.tv_nsec = LOCK_STEP_MS * 1000000L};

    if ((unsigned)tries * LOCK_STEP_MS >= file->options.busy_ms ||
        (file->options.give_up != NULL && file->options.give_up(file->options.context)))
        return 0;
    nanosleep(&pause, NULL);
    return 1;
}

/* SQLite asks in the middle of a statement: non-zero breaks it off. */
static int check_patience(void *context)
{
    struct store_file *file = context;

    return file->deadline != 0 && now_ms() > file->deadline;
}

static void start_patience(struct store_file *file)
{
    file->deadline = now_ms() + PATIENCE_MS;
}

/* Keeps the text of an error and tells what kind it is. */
static enum store_result fail(struct store_file *file, int code)
{
    int cause = file->db != NULL ? sqlite3_system_errno(file->db) : 0;
    int kind = code & 0xff;
    bool known = cause != 0 && (kind == SQLITE_CANTOPEN || kind == SQLITE_IOERR);

    snprintf(file->error, sizeof(file->error), "%s%s%s",
             file->db != NULL ? sqlite3_errmsg(file->db) : sqlite3_errstr(code), known ? ": " : "",
             known ? strerror(cause) : "");
    switch (kind) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return STORE_DAMAGED;
    default:
        return STORE_FAILED;
    }
}

static enum store_result run_text(struct store_file *file, const char *text)
{
    int code = sqlite3_exec(file->db, text, NULL, NULL, NULL);

    return code == SQLITE_OK ? STORE_DONE : fail(file, code);
}

/* Gets the first column of the first row as a number. */
static enum store_result get_number(struct store_file *file, const char *text, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(file->db, text, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *number = sqlite3_column_int64(statement, 0);
    enum store_result result = code == SQLITE_ROW ? STORE_DONE : fail(file, code);
    sqlite3_finalize(statement);
    return result;
}

/* Whether the file is sound, as far as can be told in the time there is. */
static enum store_result check_soundness(struct store_file *file)
{
    sqlite3_stmt *statement = NULL;
    enum store_result result = STORE_DONE;

    start_patience(file);
    int code = sqlite3_prepare_v2(file->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);

        if (text == NULL || strcmp(text, "ok") != 0) {
            snprintf(file->error, sizeof(file->error), "%s", text != NULL ? text : "no answer");
            result = STORE_DAMAGED;
        }
    } else if (code != SQLITE_INTERRUPT) {
        result = fail(file, code);
    }
    sqlite3_finalize(statement);
    file->deadline = 0;
    return result;
}

/* Takes the schema from `version` to the newest, one step after the other. */
static enum store_result migrate(struct store_file *file, int64_t version)
{
    enum store_result result = run_text(file, "BEGIN IMMEDIATE");

    while (result == STORE_DONE && version < STORE_SCHEMA_VERSION)
        result = run_text(file, store_schema_steps[version++]);
    if (result == STORE_DONE)
        result = run_text(file, "COMMIT");
    if (result != STORE_DONE && !sqlite3_get_autocommit(file->db))
        sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

/* Looks whose file it is, and brings it up to date. */
static enum store_result adopt(struct store_file *file, bool *made)
{
    int64_t application = 0, version = 0, tables = 0;
    enum store_result result = get_number(file, "PRAGMA application_id", &application);

    if (result == STORE_DONE)
        result = get_number(file, "PRAGMA user_version", &version);
    if (result == STORE_DONE)
        result = get_number(file, "SELECT count(*) FROM sqlite_master", &tables);
    if (result != STORE_DONE)
        return result;
    *made = application == 0 && version == 0 && tables == 0;
    if (!*made && application != STORE_APPLICATION_ID) {
        snprintf(file->error, sizeof(file->error), "it is a database of another program");
        return STORE_FOREIGN;
    }
    if (version > STORE_SCHEMA_VERSION) {
        snprintf(file->error, sizeof(file->error),
                 "it was made by a newer bdat-milter (schema %" PRId64 ", known are up to %d)",
                 version, STORE_SCHEMA_VERSION);
        return STORE_FOREIGN;
    }
    if (!*made && file->options.check)
        result = check_soundness(file);
    if (result == STORE_DONE && version < STORE_SCHEMA_VERSION)
        result = migrate(file, version);
    return result;
}

static enum store_result prepare_all(struct store_file *file)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        int code = sqlite3_prepare_v3(file->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &file->statements[i], NULL);
        if (code != SQLITE_OK)
            return fail(file, code);
    }
    return STORE_DONE;
}

/* SQLite would make the file readable for all. */
static void make_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);

    if (fd >= 0)
        close(fd);
}

static enum store_result open_database(struct store_file *file, bool *made)
{
    const char *path = file->options.path;
    enum store_result result;

    make_private(path);
    int code = sqlite3_open_v2(
        path, &file->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return fail(file, code);
    sqlite3_extended_result_codes(file->db, 1);
    sqlite3_busy_handler(file->db, wait_for_lock, file);
    sqlite3_progress_handler(file->db, PROGRESS_STEPS, check_patience, file);
    if (sqlite3_db_readonly(file->db, "main") == 1) {
        snprintf(file->error, sizeof(file->error), "it cannot be written to");
        return STORE_FAILED;
    }
    result = run_text(file, "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY");
    if (result == STORE_DONE)
        result = adopt(file, made);
    if (result == STORE_DONE)
        result = run_text(file, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; "
                                "PRAGMA journal_size_limit = 16777216");
    return result == STORE_DONE ? prepare_all(file) : result;
}

enum store_result store_file_open(struct store_file **pointer,
                                  const struct store_file_options *options, bool *made, char *error,
                                  size_t error_size)
{
    struct store_file *file = calloc(1, sizeof(*file));

    *pointer = file;
    *made = false;
    if (file == NULL) {
        snprintf(error, error_size, "memory is short");
        return STORE_FAILED;
    }
    file->options = *options;
    enum store_result result = open_database(file, made);
    if (result != STORE_DONE) {
        snprintf(error, error_size, "%s", file->error);
        store_file_close(pointer);
    }
    return result;
}

void store_file_close(struct store_file **file)
{
    if (*file == NULL)
        return;
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize((*file)->statements[i]);
    sqlite3_close((*file)->db);
    free(*file);
    *file = NULL;
}

int store_file_set_aside(const char *path, int64_t now, char *name, size_t size)
{
    char stamp[32], from[4096], to[4096];
    time_t seconds = (time_t)now;
    struct tm utc;

    gmtime_r(&seconds, &utc);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
    snprintf(name, size, "%s.bad-%s", path, stamp);
    for (unsigned i = 1; access(name, F_OK) == 0 && i < 100; i++)
        snprintf(name, size, "%s.bad-%s.%u", path, stamp, i);
    if (rename(path, name) != 0) {
        snprintf(name, size, "it cannot be set aside: %s", strerror(errno));
        return -1;
    }
    snprintf(from, sizeof(from), "%s-wal", path);
    snprintf(to, sizeof(to), "%s-wal", name);
    if (rename(from, to) != 0 && errno != ENOENT)
        unlink(from); /* it must not be taken for the new file's */
    snprintf(from, sizeof(from), "%s-shm", path);
    unlink(from);
    return 0;
}

const char *store_file_error(const struct store_file *file)
{
    return file->error;
}

bool store_file_is_gone(struct store_file *file)
{
    int moved = 0;

    return sqlite3_file_control(file->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
           moved != 0;
}

enum store_result store_file_begin(struct store_file *file)
{
    return run_text(file, "BEGIN IMMEDIATE");
}

enum store_result store_file_commit(struct store_file *file)
{
    return run_text(file, "COMMIT");
}

void store_file_rollback(struct store_file *file)
{
    if (!sqlite3_get_autocommit(file->db))
        sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
}

/* Runs a statement that gives no rows, and makes it ready for the next time. */
static enum store_result run(struct store_file *file, enum statement which)
{
    sqlite3_stmt *statement = file->statements[which];
    int code = sqlite3_step(statement);
    enum store_result result = code == SQLITE_DONE ? STORE_DONE : fail(file, code);

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result;
}

static void bind_text(sqlite3_stmt *statement, int place, const char *text)
{
    sqlite3_bind_text(statement, place, text, -1, SQLITE_TRANSIENT);
}

/* Strikes as text: "TIME:WEIGHT TIME:WEIGHT", the oldest first. */
static const char *strikes_text(const struct client_record *record, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < SUPPRESSION_STRIKE_EVENTS; i++) {
        if (record->strike_events[i].weight == 0)
            continue;
        used += (size_t)snprintf(text + used, size - used, "%s%" PRId64 ":%u", used > 0 ? " " : "",
                                 record->strike_events[i].time, record->strike_events[i].weight);
    }
    return text;
}

static bool parse_strikes(const char *text, struct client_record *record)
{
    for (size_t i = 0; i < SUPPRESSION_STRIKE_EVENTS && *text != '\0'; i++) {
        char *end;
        long long time = strtoll(text, &end, 10);

        if (end == text || *end != ':')
            return false;
        text = end + 1;
        unsigned long weight = strtoul(text, &end, 10);
        if (end == text || weight > UINT8_MAX || (*end != ' ' && *end != '\0'))
            return false;
        record->strike_events[i].time = time;
        record->strike_events[i].weight = (uint8_t)weight;
        text = *end == ' ' ? end + 1 : end;
    }
    return *text == '\0';
}

enum store_result store_file_put_client(struct store_file *file, const struct client_record *record)
{
    sqlite3_stmt *statement = file->statements[PUT_CLIENT];
    char text[NETWORK_TEXT_SIZE], strikes[SUPPRESSION_STRIKE_EVENTS * 26];
    bool held = record->state != CLIENT_OFFERED || record->strikes > 0 || record->needs_chunking;
    const int64_t numbers[] = {
        held,
        record->last_seen,
        record->by_operator,
        record->since,
        record->until,
        record->hold_seconds,
        record->last_clean,
        record->last_bare_lf,
        record->last_data_failure,
        record->bdat_transfers,
        record->data_transfers,
        record->data_good,
        record->data_failures,
    };

    bind_text(statement, 1, network_format(&record->client, text));
    bind_text(statement, 2, client_state_name(record->state));
    bind_text(statement, 3, verdict_name(record->last_verdict));
    bind_text(statement, 4, strikes_text(record, strikes, sizeof(strikes)));
    bind_text(statement, 5, record->reason);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sqlite3_bind_int64(statement, 6 + (int)i, numbers[i]);
    return run(file, PUT_CLIENT);
}

enum store_result store_file_delete_client(struct store_file *file, const struct network *client)
{
    char text[NETWORK_TEXT_SIZE];

    bind_text(file->statements[DELETE_CLIENT], 1, network_format(client, text));
    return run(file, DELETE_CLIENT);
}

enum store_result store_file_put_incident(struct store_file *file, const struct incident *incident)
{
    sqlite3_stmt *statement = file->statements[PUT_INCIDENT];

    sqlite3_bind_int64(statement, 1, incident->time);
    sqlite3_bind_blob(statement, 2, incident->client.octets, sizeof(incident->client.octets),
                      SQLITE_TRANSIENT);
    bind_text(statement, 3, verdict_name(incident->verdict));
    bind_text(statement, 4, incident->queue_id);
    bind_text(statement, 5, incident->json);
    return run(file, PUT_INCIDENT);
}

/* A column's text; "" if it has none. */
static const char *column_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);

    return text != NULL ? (const char *)text : "";
}

/* Makes a record of the row; false if it makes no sense. */
static bool read_client(sqlite3_stmt *row, struct client_record *record)
{
    char error[200];

    *record = (struct client_record){
        .last_verdict = verdict_from_name(column_text(row, 2)),
        .last_seen = sqlite3_column_int64(row, 6),
        .by_operator = sqlite3_column_int(row, 7) != 0,
        .since = sqlite3_column_int64(row, 8),
        .until = sqlite3_column_int64(row, 9),
        .hold_seconds = sqlite3_column_int64(row, 10),
        .last_clean = sqlite3_column_int64(row, 11),
        .last_bare_lf = sqlite3_column_int64(row, 12),
        .last_data_failure = sqlite3_column_int64(row, 13),
        .bdat_transfers = (uint32_t)sqlite3_column_int64(row, 14),
        .data_transfers = (uint32_t)sqlite3_column_int64(row, 15),
        .data_good = (uint16_t)sqlite3_column_int(row, 16),
        .data_failures = (uint8_t)sqlite3_column_int(row, 17),
    };
    snprintf(record->reason, sizeof(record->reason), "%s", column_text(row, 4));
    return network_parse(column_text(row, 0), &record->client, error, sizeof(error)) == 0 &&
           client_state_from_name(column_text(row, 1), &record->state) &&
           parse_strikes(column_text(row, 3), record);
}

enum store_result store_file_load_clients(struct store_file *file, client_visitor *visit,
                                          void *context, size_t *odd)
{
    sqlite3_stmt *statement = file->statements[LOAD_CLIENTS];
    enum store_result result = run_text(file, LOAD_CACHE);
    int code = SQLITE_DONE;

    while (result == STORE_DONE && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct client_record record;

        if (!read_client(statement, &record))
            (*odd)++;
        else if (!visit(context, &record))
            break;
    }
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        result = fail(file, code);
    sqlite3_reset(statement);
    sqlite3_exec(file->db, USUAL_CACHE, NULL, NULL, NULL);
    sqlite3_db_release_memory(file->db);
    return result;
}

enum store_result store_file_prune_clients(struct store_file *file, size_t max_clients, size_t most,
                                           size_t *removed)
{
    sqlite3_stmt *count = file->statements[COUNT_CLIENTS];
    size_t clients = 0;

    *removed = 0;
    int code = sqlite3_step(count);
    if (code == SQLITE_ROW)
        clients = (size_t)sqlite3_column_int64(count, 0);
    enum store_result result = code == SQLITE_ROW ? STORE_DONE : fail(file, code);
    sqlite3_reset(count);
    if (result != STORE_DONE || clients <= max_clients)
        return result;
    size_t beyond = clients - max_clients;
    sqlite3_bind_int64(file->statements[PRUNE_CLIENTS], 1,
                       (int64_t)(beyond < most ? beyond : most));
    result = run(file, PRUNE_CLIENTS);
    if (result == STORE_DONE)
        *removed = (size_t)sqlite3_changes(file->db);
    return result;
}

enum store_result store_file_expire_incidents(struct store_file *file, int64_t before, size_t most,
                                              size_t *removed)
{
    sqlite3_stmt *statement = file->statements[EXPIRE_INCIDENTS];

    sqlite3_bind_int64(statement, 1, before);
    sqlite3_bind_int64(statement, 2, (int64_t)most);
    enum store_result result = run(file, EXPIRE_INCIDENTS);
    *removed = result == STORE_DONE ? (size_t)sqlite3_changes(file->db) : 0;
    return result;
}

/* The statement whose index leaves the least to look at. */
static enum statement statement_for(const struct incident_filter *filter)
{
    if (filter->queue_id[0] != '\0')
        return FIND_BY_QUEUE_ID;
    if (filter->has_client)
        return FIND_BY_ADDRESS;
    return filter->verdict != VERDICT_NONE ? FIND_BY_VERDICT : FIND_BY_TIME;
}

/* Binds what is asked for; what is not stays NULL, which matches all. */
static void bind_filter(sqlite3_stmt *statement, const struct incident_filter *filter)
{
    struct address last = filter->client.address;
    size_t limit = filter->limit < STORE_MAX_INCIDENTS ? filter->limit : STORE_MAX_INCIDENTS;

    sqlite3_bind_int64(statement, 1, filter->since > 0 ? filter->since : INT64_MIN);
    if (filter->has_client) {
        for (unsigned bit = filter->client.prefix; bit < 128; bit++)
            last.octets[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        sqlite3_bind_blob(statement, 2, filter->client.address.octets, 16, SQLITE_TRANSIENT);
        sqlite3_bind_blob(statement, 3, last.octets, 16, SQLITE_TRANSIENT);
    }
    if (filter->verdict != VERDICT_NONE)
        bind_text(statement, 4, verdict_name(filter->verdict));
    if (filter->queue_id[0] != '\0')
        bind_text(statement, 5, filter->queue_id);
    sqlite3_bind_int64(statement, 6, (int64_t)limit);
}

/* Adds the row to the list; false when memory is short. */
static bool read_incident(sqlite3_stmt *row, struct incident_list *list)
{
    struct incident *incidents =
        realloc(list->incidents, (list->count + 1) * sizeof(*list->incidents));

    if (incidents == NULL)
        return false;
    list->incidents = incidents;
    struct incident *incident = &incidents[list->count];
    *incident = (struct incident){
        .id = sqlite3_column_int64(row, 0),
        .time = sqlite3_column_int64(row, 1),
        .verdict = verdict_from_name(column_text(row, 3)),
        .queue_id = strdup(column_text(row, 4)),
        .json = strdup(column_text(row, 5)),
    };
    if (sqlite3_column_bytes(row, 2) == sizeof(incident->client.octets))
        memcpy(incident->client.octets, sqlite3_column_blob(row, 2),
               sizeof(incident->client.octets));
    list->count++; /* incident_list_free() frees what there is of it */
    return incident->queue_id != NULL && incident->json != NULL;
}

enum store_result store_file_find_incidents(struct store_file *file,
                                            const struct incident_filter *filter,
                                            struct incident_list *list)
{
    sqlite3_stmt *statement = file->statements[statement_for(filter)];
    enum store_result result = STORE_DONE;
    int code;

    bind_filter(statement, filter);
    start_patience(file);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (!read_incident(statement, list)) {
            snprintf(file->error, sizeof(file->error), "memory is short");
            result = STORE_FAILED;
            break;
        }
    }
    file->deadline = 0;
    if (code == SQLITE_INTERRUPT) {
        snprintf(file->error, sizeof(file->error), "the search took too long");
        result = STORE_FAILED;
    } else if (code != SQLITE_DONE && code != SQLITE_ROW) {
        result = fail(file, code);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result;
}
