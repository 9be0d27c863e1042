/* The service below tables and policy: requests in pieces and in heaps, peers that do not read,
 * say half a request or none, a full house, and no memory of what was said. */
#include "tests/unit/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "milter/service.h"

#define MAX_REQUEST 1000

struct log {
    unsigned lines;
    char last[512];
};

void log_write(struct log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;
    (void)level;
    va_start(arguments, format);
    vsnprintf(log->last, sizeof(log->last), format, arguments);
    va_end(arguments);
    log->lines++;
}

struct bench {
    struct log log;
    struct event_base *base;
    struct service *service;
    char path[64];
    unsigned requests;
    unsigned farewells;
    pid_t pid;
    uint64_t last_id;
    size_t answer_size; /* octets of an answer; 0 = the line itself */
};

/* A request is a line; "bye\n" closes. The answer is the line, or `answer_size` octets. */
static size_t handle(void *context, struct peer *peer, char *data, size_t length)
{
    struct bench *bench = context;
    const char *end = memchr(data, '\n', length);
    if (end == NULL)
        return 0;
    size_t used = (size_t)(end - data) + 1;
    bench->requests++;
    bench->pid = peer_pid(peer);
    bench->last_id = peer_id(peer);
    if (bench->answer_size > 0) {
        char *answer = calloc(1, bench->answer_size);
        assert_non_null(answer);
        peer_reply(peer, answer, bench->answer_size);
        free(answer);
    } else if (used == 4 && memcmp(data, "bye", 3) == 0) {
        peer_reply_and_close(peer, "ciao\n", 5);
    } else {
        peer_reply(peer, data, used);
    }
    return used;
}

static void say_farewell(void *context, struct peer *peer)
{
    struct bench *bench = context;
    assert_true(peer_id(peer) > 0);
    bench->farewells++;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1024), 0);
    return fd;
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    snprintf(bench->path, sizeof(bench->path), "/tmp/bdat-service-%d.sock", (int)getpid());
    bench->base = event_base_new();
    const struct service_options options = {
        .name = "test",
        .listen_fd = listen_at(bench->path),
        .max_request = MAX_REQUEST,
        .handle = handle,
        .farewell = say_farewell,
        .context = bench,
        .log = &bench->log,
    };
    bench->service = service_new(bench->base, &options);
    assert_non_null(bench->service);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    service_free(&bench->service);
    assert_null(bench->service);
    service_free(&bench->service);
    event_base_free(bench->base);
    unlink(bench->path);
    free(bench);
    return 0;
}

static int connect_peer(const struct bench *bench)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", bench->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Runs the loop until nothing is left to do. */
static void settle(struct bench *bench)
{
    for (int i = 0; i < 8; i++)
        event_base_loop(bench->base, EVLOOP_NONBLOCK);
}

static void say(struct bench *bench, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    settle(bench);
}

/* What there is to read: its length, 0 at the end, -1 if there is nothing. */
static ssize_t hear(int fd, char *text, size_t size)
{
    ssize_t length = recv(fd, text, size - 1, MSG_DONTWAIT);
    text[length > 0 ? length : 0] = '\0';
    return length;
}

static void test_pieces(void **state)
{
    struct bench *bench = *state;
    char answer[64];
    int fd = connect_peer(bench);
    settle(bench);
    say(bench, fd, "he");
    assert_int_equal(hear(fd, answer, sizeof(answer)), -1);
    say(bench, fd, "llo\nwor");
    hear(fd, answer, sizeof(answer));
    assert_string_equal(answer, "hello\n");
    say(bench, fd, "ld\na\nb\nc");
    hear(fd, answer, sizeof(answer));
    assert_string_equal(answer, "world\na\nb\n");
    assert_int_equal(bench->requests, 4);
    assert_int_equal(bench->pid, getpid());
    assert_int_equal(service_connections(bench->service), 1);
    close(fd);
    settle(bench);
    assert_int_equal(service_connections(bench->service), 0);
    assert_int_equal(bench->farewells, 1);
    assert_int_equal(bench->log.lines, 0);
}

static void test_split_at_each_octet(void **state)
{
    static const char text[] = "one\ntwo\nthree\n";
    struct bench *bench = *state;
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        char first[sizeof(text)], answer[64];
        int fd = connect_peer(bench);
        snprintf(first, sizeof(first), "%.*s", (int)cut, text);
        say(bench, fd, first);
        say(bench, fd, text + cut);
        hear(fd, answer, sizeof(answer));
        assert_string_equal(answer, text);
        assert_int_equal(bench->last_id, cut);
        close(fd);
        settle(bench);
    }
    assert_int_equal(service_connections_total(bench->service), sizeof(text) - 2);
}

static void test_close_after_answer(void **state)
{
    struct bench *bench = *state;
    char answer[64];
    int fd = connect_peer(bench);
    say(bench, fd, "a\nbye\nnever\n");
    assert_int_equal(hear(fd, answer, sizeof(answer)), 7);
    assert_string_equal(answer, "a\nciao\n");
    assert_true(hear(fd, answer, sizeof(answer)) <= 0);
    assert_int_equal(bench->requests, 2);
    assert_int_equal(service_connections(bench->service), 0);
    close(fd);
}

static void test_request_without_end(void **state)
{
    struct bench *bench = *state;
    char text[MAX_REQUEST + 2], answer[64];
    int fd = connect_peer(bench), other = connect_peer(bench);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    say(bench, fd, text);
    assert_true(hear(fd, answer, sizeof(answer)) <= 0);
    assert_int_equal(service_connections(bench->service), 1);
    assert_non_null(strstr(bench->log.last, "a request without an end"));
    say(bench, other, "still here\n");
    assert_int_equal(hear(other, answer, sizeof(answer)), 11);
    close(fd);
    close(other);
}

/* A peer that asks and asks and reads nothing: it is not read from any more, costs no more than one
 * answer, and gets all its answers in order once it reads. */
static void test_peer_that_does_not_read(void **state)
{
    struct bench *bench = *state;
    int fd = connect_peer(bench);
    size_t wanted = 0, got = 0;
    char sink[65536];
    bench->answer_size = 100000;
    for (int i = 0; i < 500; i++) {
        if (send(fd, "a\n", 2, MSG_DONTWAIT | MSG_NOSIGNAL) != 2)
            break;
        wanted += bench->answer_size;
        event_base_loop(bench->base, EVLOOP_NONBLOCK);
    }
    assert_true(bench->requests < 20);
    for (int idle = 0; idle < 100 && got < wanted;) {
        ssize_t length = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
        if (length > 0)
            got += (size_t)length;
        idle = length > 0 ? 0 : idle + 1;
        event_base_loop(bench->base, EVLOOP_NONBLOCK);
    }
    assert_int_equal(got, wanted);
    close(fd);
    settle(bench);
    assert_int_equal(service_connections(bench->service), 0);
}

static void test_peer_gone_before_its_answer(void **state)
{
    struct bench *bench = *state;
    int fd = connect_peer(bench);
    bench->answer_size = 1000000;
    assert_int_equal(send(fd, "a\nb\n", 4, MSG_NOSIGNAL), 4);
    close(fd);
    settle(bench);
    assert_int_equal(service_connections(bench->service), 0);
    assert_int_equal(bench->farewells, 1);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Descriptors run out: the peers that find none left are told so at once, the log says it once, the
 * loop does not spin, and a peer that comes after one has left is served. */
static void test_full_house(void **state)
{
    struct bench *bench = *state;
    struct rlimit old, low;
    char answer[64];
    int first = connect_peer(bench), second = connect_peer(bench), third = connect_peer(bench);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int next = dup(first);
    close(next);
    low = (struct rlimit){(rlim_t)next + 1, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    settle(bench);
    assert_int_equal(service_connections(bench->service), 1);
    assert_int_equal(bench->log.lines, 1);
    assert_non_null(strstr(bench->log.last, "out of file descriptors"));
    assert_int_equal(hear(second, answer, sizeof(answer)), 0);
    assert_int_equal(hear(third, answer, sizeof(answer)), 0);
    close(third);
    int64_t begun = now_ms();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    third = connect_peer(bench);
    while (service_connections(bench->service) < 2 && now_ms() - begun < 20000)
        event_base_loop(bench->base, EVLOOP_ONCE);
    assert_int_equal(bench->log.lines, 1);
    say(bench, third, "served\n");
    assert_int_equal(hear(third, answer, sizeof(answer)), 7);
    close(first);
    close(second);
    close(third);
}

/* Peers that say nothing cost a descriptor each; the end closes them all. */
static void test_many_idle_peers(void **state)
{
    struct bench *bench = *state;
    int fds[300];
    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] = connect_peer(bench);
    settle(bench);
    assert_int_equal(service_connections(bench->service), COUNT(fds));
    for (size_t i = 0; i < COUNT(fds); i += 2)
        close(fds[i]);
    settle(bench);
    assert_int_equal(service_connections(bench->service), COUNT(fds) / 2);
    service_free(&bench->service);
    assert_int_equal(bench->farewells, COUNT(fds));
    for (size_t i = 1; i < COUNT(fds); i += 2)
        close(fds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_split_at_each_octet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_after_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_request_without_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_that_does_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_gone_before_its_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_house, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_idle_peers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
