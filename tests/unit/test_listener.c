/* Listening sockets: bound with the right mode, taken over from a dead daemon, never from a living
 * one, and gone afterwards. */
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
    listener_remove(&bench->options, fd);
    assert_int_not_equal(access(bench->path, F_OK), 0);
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
    listener_remove(&bench->options, -2); /* not ours: stays */
    assert_int_equal(access(bench->path, F_OK), 0);
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
        cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_left_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_served_by_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_folder_is_checked, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
