/*
 * Which transfers, incidents or clients somebody asks for on the control socket.
 */
#ifndef BDAT_TRANSFER_QUERY_H
#define BDAT_TRANSFER_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/network.h"
#include "milter/recorder.h"
#include "milter/store.h"
#include "milter/suppression.h"

/* Rows given when nothing is said, and at the most, however many are asked for. */
#define QUERY_LIMIT_DEFAULT 50
#define QUERY_LIMIT_MAX RECORDER_RING_SIZE

/* The parameters as they came; NULL = not given. */
struct query_texts {
    const char *limit;
    const char *client;   /* an address or a network */
    const char *verdict;
    const char *queue_id;
    const char *since;    /* RFC 3339, or a time back from now: "2h" */
    const char *state;    /* of a client */
};

struct transfer_query {
    size_t limit;
    bool has_client;
    struct network client;
    enum verdict verdict; /* VERDICT_NONE = any */
    char queue_id[TRANSFER_QUEUE_ID_SIZE]; /* "" = any */
    int64_t since_wall_ms;                 /* 0 = any time */
    bool has_state;
    enum client_state state;
};

/* Returns 0, or -1 with what is wrong in `error`. */
int transfer_query_parse(const struct query_texts *texts, struct transfer_query *query,
                         char *error, size_t error_size) __attribute__((warn_unused_result));

bool transfer_query_matches(const struct transfer_query *query, const struct record *record);

void transfer_query_to_filter(const struct transfer_query *query, struct incident_filter *filter);

#endif
