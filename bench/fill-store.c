/*
 * Makes a store that holds COUNT suppressed clients: 10.0.0.0 and the addresses behind it.
 *
 *   fill-store FILE COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "milter/store_file.h"

static enum store_result put_clients(struct store_file *file, uint32_t count)
{
    int64_t now = time(NULL);
    enum store_result result = store_file_begin(file);
    for (uint32_t i = 0; i < count && result == STORE_DONE; i++) {
        char text[32];
        struct client_record record = {
            .state = CLIENT_SUPPRESSED,
            .since = now,
            .until = now + 86400,
            .hold_seconds = 86400,
            .last_seen = now,
            .last_verdict = VERDICT_STALLED,
            .bdat_transfers = 2,
        };
        snprintf(text, sizeof(text), "10.%u.%u.%u/32", i >> 16 & 255, i >> 8 & 255, i & 255);
        char error[128];
        if (network_parse(text, &record.client, error, sizeof(error)) != 0)
            return STORE_FAILED;
        result = store_file_put_client(file, &record);
    }
    return result == STORE_DONE ? store_file_commit(file) : result;
}

int main(int argc, char **argv)
{
    char error[256];
    bool made;
    struct store_file *file = NULL;
    if (argc != 3) {
        fputs("usage: fill-store FILE COUNT\n", stderr);
        return 2;
    }
    const struct store_file_options options = {.path = argv[1], .busy_ms = 1000};
    if (store_file_open(&file, &options, &made, error, sizeof(error)) != STORE_DONE) {
        fprintf(stderr, "fill-store: %s\n", error);
        return 1;
    }
    enum store_result result = put_clients(file, (uint32_t)strtoul(argv[2], NULL, 10));
    if (result != STORE_DONE)
        fprintf(stderr, "fill-store: %s\n", store_file_error(file));
    store_file_close(&file);
    return result == STORE_DONE ? 0 : 1;
}
