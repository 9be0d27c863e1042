/* Listening sockets: bound with the right mode, taken over from a dead daemon, never from a living
 * one, and gone afterwards. */
#include "config.h"

#include "tests/unit/cmocka_all.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "milter/listener.h"

struct log {
    unsigned warnings;
    char last[512];
};

void log_write(struct log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;
    (void)level;
    va_start(arguments, format);
    vsnprintf(log->last, sizeof(log->last), format, arguments);
    va_end(arguments);
    log->warnings++;
}

struct bench {
    char folder[64];
    char path[96];
    char error[512];
    struct listener_options options;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/bdat-listener-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof(bench->path), "%s/a/test.sock", bench->folder);
    bench->options =
        (struct listener_options){.name = "test", .path = bench->path, .group = "", .mode = 0660};
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    char folder[96];
    unlink(bench->path);
    snprintf(folder, sizeof(folder), "%s/a", bench->folder);
    rmdir(folder);
    assert_int_equal(rmdir(bench->folder), 0); /* nothing else was left */
    free(bench);
    return 0;
}

static int open_socket(struct bench *bench)
{
    return listener_open(&bench->options, bench->error, sizeof(bench->error));
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void test_bound(void **state)
{
    struct bench *bench = *state;
    struct stat status;
    int fd = open_socket(bench);
    assert_true(fd >= 0);
    assert_int_equal(stat(bench->path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0660);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    int peer = connect_to(bench->path);
    assert_true(peer >= 0);
    close(peer);
    close(fd);
}

/* Removed while it still listens, as libmilter's socket does to the end; what a daemon that was
 * started since has put there is not touched. */
static void test_removed(void **state)
{
    struct bench *bench = *state;
    const struct listener_place unknown = {0};
    int first = open_socket(bench);
    const struct listener_place place = listener_find_place(&bench->options);
    assert_true(first >= 0);
    assert_true(place.known);
    listener_remove(&bench->options, first, &unknown);
    assert_true(listener_is_in_place(&bench->options, &place));
    listener_remove(&bench->options, first, &place);
    assert_int_not_equal(access(bench->path, F_OK), 0);
    assert_false(listener_is_in_place(&bench->options, &place));

    int second = open_socket(bench);
    assert_true(second >= 0);
    listener_remove(&bench->options, first, &place);
    int peer = connect_to(bench->path);
    assert_true(peer >= 0);
    close(peer);
    close(first);
    close(second);
}

/* Left to the service manager, which hands it to the next daemon. */
static void test_passed(void **state)
{
    struct bench *bench = *state;
    int status, child;
#ifndef HAVE_LIBSYSTEMD
    skip();
#endif
    int fd = open_socket(bench);
    assert_true(fd >= 0);
    child = fork(); /* what sd_listen_fds(3) takes is a matter of the whole process */
    assert_true(child >= 0);
    if (child == 0) {
        char pid[24];
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
        setenv("LISTEN_FDNAMES", "test", 1);
        if (fd != 3 && dup2(fd, 3) != 3)
            _exit(1);
        if (listener_take_passed() != 1 || open_socket(bench) != 3)
            _exit(2);
        const struct listener_place place = listener_find_place(&bench->options);
        listener_remove(&bench->options, 3, &place);
        _exit(place.known && access(bench->path, F_OK) == 0 ? 0 : 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(fd);
}

static void test_modes(void **state)
{
    static const mode_t modes[] = {0600, 0660, 0666};
    struct bench *bench = *state;
    for (size_t i = 0; i < COUNT(modes); i++) {
        struct stat status;
        bench->options.mode = modes[i];
        int fd = open_socket(bench);
        assert_true(fd >= 0);
        assert_int_equal(stat(bench->path, &status), 0);
        assert_int_equal(status.st_mode & 07777, modes[i]);
        close(fd);
    }
}

/* What a daemon that was killed leaves behind is taken over; the path is there all the while. */
static void test_left_behind(void **state)
{
    struct bench *bench = *state;
    int dead = open_socket(bench);
    assert_true(dead >= 0);
    close(dead);
    assert_int_equal(access(bench->path, F_OK), 0);
    int fd = open_socket(bench);
    assert_true(fd >= 0);
    int peer = connect_to(bench->path);
    assert_true(peer >= 0);
    close(peer);
    close(fd);
}

static void test_served_by_another(void **state)
{
    struct bench *bench = *state;
    int first = open_socket(bench);
    assert_true(first >= 0);
    assert_int_equal(open_socket(bench), -1);
    assert_non_null(strstr(bench->error, "another daemon answers there"));
    int peer = connect_to(bench->path);
    assert_true(peer >= 0);
    close(peer);
    close(first);
}

static void test_refusals(void **state)
{
    struct bench *bench = *state;
    char longer[200];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    bench->options.path = longer;
    assert_int_equal(open_socket(bench), -1);
    assert_non_null(strstr(bench->error, "too long"));
    bench->options.path = "/proc/no/such.sock";
    assert_int_equal(open_socket(bench), -1);
    assert_non_null(strstr(bench->error, "/proc/no/such.sock"));
    bench->options.path = bench->path;
    bench->options.group = "no-such-group";
    assert_int_equal(open_socket(bench), -1);
    assert_non_null(strstr(bench->error, "there is no such group"));
    assert_int_not_equal(access(bench->path, F_OK), 0);
}

static void test_folder_is_checked(void **state)
{
    struct bench *bench = *state;
    struct log log = {0};
    char folder[96];
    int fd = open_socket(bench);
    assert_true(fd >= 0);
    listener_check_folder(&bench->options, &log);
    assert_int_equal(log.warnings, 0);
    snprintf(folder, sizeof(folder), "%s/a", bench->folder);
    assert_int_equal(chmod(folder, 0777), 0);
    listener_check_folder(&bench->options, &log);
    assert_int_equal(log.warnings, 1);
    assert_non_null(strstr(log.last, "chmod o-w"));
    assert_int_equal(chmod(folder, 01777), 0);
    bench->options.mode = 0666;
    listener_check_folder(&bench->options, &log);
    assert_int_equal(log.warnings, 2);
    assert_non_null(strstr(log.last, "everybody"));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_passed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_left_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_served_by_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_folder_is_checked, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
