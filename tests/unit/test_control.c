/* The control socket's connections: how they end. What is answered on them is tested end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include <event2/event.h>

#include "milter/app.h"
#include "milter/control.h"
#include "tests/listen_somewhere.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Rounds of the loop that a connection gets; none takes half as many. */
#define ROUNDS 20

static unsigned removals, failed;

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);

/* Stands in front of the C library's: counts what libevent takes out of the loop. */
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    int result = (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
    if (op == EPOLL_CTL_DEL) {
        removals++;
        failed += result != 0;
    }
    return result;
}

static void run(struct event_base *base)
{
    for (int i = 0; i < ROUNDS; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

/* A descriptor is taken out of the loop before it is closed: other threads open descriptors at any
 * time, and the kernel gives them the number that has just become free. */
static void test_leaves_the_loop_before_it_closes(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "",
        "GET /nothing",
        "junk\r\n\r\n",
        "GET /v1/follow HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /nothing HTTP/1.0\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
    };
    struct log *log = log_open("test", LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
    struct app app = {.base = event_base_new(), .log = log, .recorder = recorder_new(log)};
    struct sockaddr_un address;
    socklen_t size;
    app.inbox = inbox_new(app.base, &app);
    app.control = control_new(&app, listen_somewhere(&address, &size));
    assert_non_null(app.control);
    for (size_t i = 0; i < COUNT(requests); i++) {
        size_t length = strlen(requests[i]);
        unsigned before = removals;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
        assert_int_equal(send(fd, requests[i], length, MSG_NOSIGNAL), length);
        run(app.base);
        close(fd);
        run(app.base);
        if (removals == before || failed > 0)
            fail_msg("request %zu: %u taken out, %u of them late", i, removals - before, failed);
    }
    control_free(&app.control);
    inbox_free(&app.inbox);
    recorder_free(&app.recorder);
    event_base_free(app.base);
    log_close(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves_the_loop_before_it_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
