/*
 * The control socket of the running daemon: HTTP over a Unix socket, JSON in the answers.
 *
 * Functions that return an exit code of bdatctl have already said on standard error what is
 * wrong and what to do about it, when it is not EXIT_DONE.
 */
#ifndef BDAT_CTL_DAEMON_H
#define BDAT_CTL_DAEMON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What bdatctl exits with. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_NO = 1,          /* the answer is no, not found, or there is a finding */
    EXIT_USAGE = 2,       /* the command line is wrong */
    EXIT_NOT_RUNNING = 3, /* the daemon cannot be reached */
};

/* What every command is given. */
struct ctl {
    const char *socket;   /* path of the control socket */
    long timeout_seconds; /* how long an answer may take */
    bool json;            /* --json */
    bool colour;          /* standard output may be coloured */
};

/* Says on standard error "bdatctl: …" with the text made harmless. */
void ctl_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Asks GET `path` (or POST) and gives the JSON of a 200 answer, which the caller
 * decrefs. */
enum exit_code daemon_get(const struct ctl *ctl, const char *path, json_t **answer);
enum exit_code daemon_post(const struct ctl *ctl, const char *path, json_t **answer);

/* The same where HTTP status 404 is an answer, too: *answer is NULL then. */
enum exit_code daemon_find(const struct ctl *ctl, const char *path, json_t **answer);

/* Asks GET and gives the JSON, or NULL without a word: for what is only a help. */
json_t *daemon_try(const struct ctl *ctl, const char *path);

/* True if a daemon answers on the socket; says nothing. */
bool daemon_answers(const struct ctl *ctl);

/* A streamed answer: how one ended. */
enum stream_end {
    STREAM_STOPPED, /* the consumer wanted no more */
    STREAM_ENDED,   /* the daemon ended it or went away */
    STREAM_FAILED,  /* it never began; an error was printed */
};

/* Gets one line without its line end, empty lines too; false stops the stream. */
typedef bool daemon_line_fn(void *context, const char *line);

/* Asks GET `path` and hands over line by line for as long as the daemon goes on. `*code` is the
 * exit code when it failed. */
enum stream_end daemon_stream(const struct ctl *ctl, const char *path, daemon_line_fn *consume,
                              void *context, enum exit_code *code);

/* Builds a query from names and values by turns; pairs with a NULL value are left out, values are
 * percent-encoded: daemon_path("/v1/transfers", "limit", "5", "client", NULL) gives
 * "/v1/transfers?limit=5". The caller frees. */
#define daemon_path(path, ...)                                  \
    daemon_build_path(path, (const char *const[]){__VA_ARGS__}, \
                      sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
char *daemon_build_path(const char *path, const char *const *words, size_t count);

/* Percent-encodes one path segment; the caller frees. */
char *daemon_segment(const char *text);

/* Members of a JSON object: text ("" when absent or null), number (`otherwise` when absent). */
const char *json_get_text(const json_t *object, const char *name);
double json_get_number(const json_t *object, const char *name, double otherwise);
bool json_has_number(const json_t *object, const char *name);
bool json_get_bool(const json_t *object, const char *name);

/* Writes a JSON answer to standard output, indented, with a line end. */
void daemon_print_json(const json_t *answer);

#endif
