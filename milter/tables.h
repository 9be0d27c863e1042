/*
 * The command and ehlo tables: a socketmap server (socketmap_table(5)).
 *
 *   command <line>     every command line a client sends (smtpd_command_filter)
 *   ehlo <address>     a client has connected (smtpd_discard_ehlo_keyword_address_maps)
 *
 * Postfix answers its client 421 when a table does not answer, so each request is answered at
 * once from memory. A request that is no request gets PERM and the connection is closed.
 */
#ifndef BDAT_TABLES_H
#define BDAT_TABLES_H

#include <stdint.h>

#include "milter/histogram.h"
#include "milter/inbox.h"
#include "milter/log.h"
#include "milter/sessions.h"

struct event_base;
struct tables;

struct tables_options {
    int listen_fd;
    struct sessions *sessions;
    struct inbox *inbox; /* emptied before each answer */
    struct log *log;
};

/* Begins to serve. `keywords` is what the ehlo table answers for a client that is not offered
 * CHUNKING; copied. NULL when memory is short. */
struct tables *tables_new(struct event_base *base, const struct tables_options *options,
                          const char *keywords);

/* Other keywords after a reload. False when memory is short: the old ones stay. */
bool tables_set_keywords(struct tables *tables, const char *keywords)
    __attribute__((warn_unused_result));

void tables_free(struct tables **tables);

struct tables_counts {
    size_t connections;
    uint64_t lookups;
    uint64_t errors;
    int64_t last_seen_ms; /* wall clock; 0 = never */
};
struct tables_counts tables_counts(const struct tables *tables);

/* How long the lookups took from the request's last octet to the answer handed to the kernel,
 * nanoseconds; what is in the inbox is dealt with in that time, since Postfix waits for it. */
enum table { TABLE_COMMAND, TABLE_EHLO, TABLE_COUNT };
const struct histogram *tables_durations(const struct tables *tables, enum table table);

/* The name by which Postfix asks ("command"). Static storage. */
const char *table_name(enum table table);

#endif
