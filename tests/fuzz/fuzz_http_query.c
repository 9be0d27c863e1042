/*
 * The control socket: any octets as an HTTP request. Whatever they are, the daemon's middle stays
 * sound, and an answer of 200 is valid JSON or the text of metrics and health.
 */
#include "config.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "milter/app.h"
#include "milter/clock.h"
#include "milter/control.h"
#include "tests/fuzz/require.h"
#include "tests/listen_somewhere.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bench {
    struct app app;
    struct sockaddr_un address;
    socklen_t size;
};

/* Something to find: a judged transfer and a struck client. */
static void fill(struct app *app)
{
    struct record record = {.verdict = VERDICT_LOST, .time_wall_ms = 1000};
    struct suppression_change change;
    record.transfer.mode = TRANSFER_BDAT;
    record.transfer.chunk_count = 2;
    snprintf(record.transfer.queue_id, sizeof(record.transfer.queue_id), "8045F2AB23");
    record.transfer.has_client = address_parse("192.0.2.1", 9, &record.transfer.client);
    recorder_add(app->recorder, &record);
    suppression_record_bdat(app->suppression, &record.transfer.client, VERDICT_LOST, 0, true,
                            clock_wall_ms() / 1000, &change);
}

static struct bench *get_bench(void)
{
    static struct bench bench;
    static const uint8_t seed[SUPPRESSION_SEED_OCTETS];
    struct app *app = &bench.app;
    struct sockaddr_un other;
    socklen_t size;
    char error[SETTINGS_ERROR_SIZE];
    if (app->base != NULL)
        return &bench;
    app->base = event_base_new();
    app->log = log_open("fuzz", LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
    app->settings = settings_load(NULL, error, sizeof(error));
    app->initial = settings_ref(app->settings);
    app->inbox = inbox_new(app->base, app);
    app->joins = joins_new();
    app->recorder = recorder_new(app->log);
    app->suppression = suppression_new(seed);
    snprintf(app->loaded.text, sizeof(app->loaded.text), "ok");
    const struct sessions_options options = {.log = app->log,
                                             .joins = app->joins,
                                             .recorder = app->recorder,
                                             .suppression = app->suppression};
    app->sessions = sessions_new(&options, app->settings);
    const struct tables_options tables = {listen_somewhere(&other, &size), app->sessions,
                                          app->inbox, app->log};
    const struct policy_options policy = {listen_somewhere(&other, &size), app->sessions,
                                          app->inbox, app->log};
    app->tables = tables_new(app->base, &tables, "chunking");
    app->policy = policy_new(app->base, &policy);
    app->control = control_new(app, listen_somewhere(&bench.address, &bench.size));
    require(app->tables != NULL && app->policy != NULL && app->control != NULL, "a daemon");
    fill(app);
    return &bench;
}

/* Looks at an answer that says how long it is and has come whole: the peer has hung up, so that a
 * long one may be cut. */
static void check_answer(const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");
    if (strncmp(answer, "HTTP/1.", 7) != 0 || body == NULL ||
        strstr(answer, "application/json") == NULL || strstr(answer, "Transfer-Encoding") != NULL)
        return;
    const char *declared = strstr(answer, "Content-Length: ");
    if (declared == NULL || declared > body ||
        strlen(body + 4) < strtoul(declared + strlen("Content-Length: "), NULL, 10))
        return;
    require(strstr(answer, "{\"error\":\"out of memory\"}") == NULL, "memory is not short here");
    json_t *object = json_loads(body + 4, JSON_DISABLE_EOF_CHECK, NULL);
    require(object != NULL, "the answer is JSON");
    json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char answer[1 << 20];
    struct bench *bench = get_bench();
    size_t length = 0;
    /* A reload reads files and tells libmilter, which is not here. */
    if (size > 4096 || memmem(data, size, "reload", 6) != NULL)
        return 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    require(fd >= 0 && connect(fd, (struct sockaddr *)&bench->address, bench->size) == 0,
            "a connection");
    if (size > 0)
        require(send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size, "all is sent");
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 6; i++) {
        event_base_loop(bench->app.base, EVLOOP_NONBLOCK);
        ssize_t got = recv(fd, answer + length, sizeof(answer) - 1 - length, MSG_DONTWAIT);
        if (got == 0)
            break;
        length += got > 0 ? (size_t)got : 0;
    }
    answer[length] = '\0';
    check_answer(answer);
    close(fd);
    for (int i = 0; i < 3; i++)
        event_base_loop(bench->app.base, EVLOOP_NONBLOCK);
    return 0;
}
