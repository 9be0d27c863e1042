/*
 * The configuration as a read-only snapshot.
 *
 * settings_load() builds a new snapshot; nothing changes it afterwards, and whoever uses it
 * across threads or time holds a reference. One declarative option table (option_table.c) has
 * name, type, default, range and whether a reload takes it, and drives loading, -t, the dump
 * and the tests that manual and sample file name every option.
 */
#ifndef BDAT_SETTINGS_H
#define BDAT_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "milter/log.h"
#include "milter/mta.h"
#include "milter/network.h"
#include "milter/rules.h"
#include "milter/verdict.h"

enum mode { MODE_ENFORCE, MODE_OBSERVE };
enum store_type { STORE_NONE, STORE_SQLITE };

/* limits{}: octets and counts; 0 = no limit. */
struct limits {
    uint64_t max_chunks;
    uint64_t max_chunk;
    uint64_t min_chunk;
    uint64_t max_message;
    uint64_t size_slack;
    int64_t stall_seconds;
};

/* suppression{}: times in seconds. */
struct suppression_settings {
    bool enabled;
    unsigned threshold;
    unsigned proven_threshold;
    int64_t window;
    int64_t hold;
    int64_t max_hold;
    unsigned ipv4_prefix;
    unsigned ipv6_prefix;
    size_t max_clients;
    const char *keywords;
};

struct settings {
    enum mode mode;
    enum mta mta;
    const char *milter_socket;
    const char *tables_socket;
    const char *policy_socket;
    const char *control_socket;
    const char *socket_group; /* "" = leave the group as it is */
    mode_t socket_mode;
    const char *user; /* whom to become when started as root; "" = nobody else */
    enum action actions[VERDICT_COUNT];
    const char *replies[VERDICT_COUNT]; /* for reply_parse(); NULL = verdict is never answered */
    struct limits limits;
    struct suppression_settings suppression;
    bool guard_enabled;
    const struct rules *rules; /* NULL = none */
    enum store_type store_type;
    const char *store_path;
    int64_t store_keep; /* seconds */
    enum log_target log_target;
    enum log_level log_level;
};

/* Reads a configuration file and what it includes; NULL as path gives the defaults. Returns a
 * snapshot with one reference, or NULL with one line "FILE:LINE: what is wrong, did you mean …"
 * in `error` ("FILE: cannot be read: …" for the file itself); SETTINGS_ERROR_SIZE is enough. */
struct settings *settings_load(const char *path, char *error, size_t error_size);
#define SETTINGS_ERROR_SIZE 1024

/* The same for a text in memory of that name, which cannot include files. */
struct settings *settings_load_text(const char *name, const char *text, size_t length, char *error,
                                    size_t error_size);

/* Takes one more reference; any thread. */
const struct settings *settings_ref(const struct settings *settings);

/* Gives a reference back and nulls the pointer; the last one frees. Any thread; NULL is fine. */
void settings_unref(const struct settings **settings);

/* What the rules say of this address; see rules_match(). */
struct rule_match settings_match_rules(const struct settings *settings,
                                       const struct address *client);

/* The action for a verdict of this client's transfer: rules first, then `actions`. */
enum action settings_action(const struct settings *settings, const struct address *client,
                            enum verdict verdict);

/* Names, one with each call, the options that a reload does not take (sockets, store.path, user …)
 * and that differ: `running` are the settings the daemon began with. *cursor is 0 at first. NULL =
 * there are no more. Static storage. */
const char *settings_next_restart(const struct settings *running, const struct settings *loaded,
                                  size_t *cursor);

/* One option as it is in force, for `bdatctl config` and the tests. Texts live as long as the
 * snapshot. */
struct option_view {
    const char *name;   /* "limits.max_chunk" */
    const char *type;   /* "string", "boolean", "count", "size", "time", "mode", "word", "list" */
    const char *value;  /* as one would write it in the file, quotes and all */
    const char *preset; /* the default, likewise */
    unsigned line;      /* where the file sets it; 0 = default */
    const char *file;   /* likewise; NULL = default */
    bool reloadable;
    const char *help; /* one line */
};

/* Number of options, and the view of number `index` below it, of a snapshot of settings_load().
 * NAME = VALUE; lines of all views, groups written out, load to an equal snapshot. */
size_t settings_option_count(void);
void settings_option_view(const struct settings *settings, size_t index, struct option_view *view);

#endif
