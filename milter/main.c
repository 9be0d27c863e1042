/*
 * bdat-milter: options, start in the foreground or background, exit status.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "milter/app.h"
#include "milter/clock.h"

#define DEFAULT_CONFIG SYSCONFDIR "/bdat-milter.conf"

#define EXIT_USAGE 2

static const char usage[] =
    "usage: bdat-milter [-c FILE] [-f]     run; -f: stay in the foreground\n"
    "       bdat-milter [-c FILE] -t       test the configuration\n"
    "       bdat-milter -V | -h            version | this help\n"
    "Without -c the configuration is " DEFAULT_CONFIG ", if there is one.\n";

struct invocation {
    const char *config_path;
    bool foreground;
    bool test;
};

/* Returns an exit status if the program is to end here, -1 if it shall go on. */
static int parse_options(int argc, char **argv, struct invocation *invocation)
{
    int option;
    while ((option = getopt(argc, argv, "c:ftVh")) != -1) {
        switch (option) {
        case 'c':
            invocation->config_path = optarg;
            break;
        case 'f':
            invocation->foreground = true;
            break;
        case 't':
            invocation->test = true;
            break;
        case 'V':
            puts("bdat-milter " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (invocation->config_path == NULL && access(DEFAULT_CONFIG, F_OK) == 0)
        invocation->config_path = DEFAULT_CONFIG;
    return -1;
}

/* In the background the daemon lives in /, and a reload must find the file all the same. Returns
 * a text to be freed, NULL when memory is short; links are left to be followed at each reload. */
static char *make_absolute(const char *path)
{
    char *folder = path[0] != '/' ? getcwd(NULL, 0) : NULL;
    char *absolute = NULL;
    if (folder == NULL)
        return strdup(path);
    if (asprintf(&absolute, "%s/%s", folder, path) < 0)
        absolute = NULL;
    free(folder);
    return absolute;
}

/* In the parent: waits for the child's word that it serves, and passes its exit status on. */
static int await_child(int fd)
{
    unsigned char status = EXIT_FAILURE;
    ssize_t got;
    do
        got = read(fd, &status, 1);
    while (got < 0 && errno == EINTR);
    return got == 1 ? status : EXIT_FAILURE;
}

/* Goes into the background. Returns the descriptor to say success on, or -1 on failure. The
 * parent never returns. */
static int go_into_background(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (child > 0) {
        close(ends[1]);
        _exit(await_child(ends[0]));
    }
    close(ends[0]);
    if (setsid() < 0 || chdir("/") != 0)
        return -1;
    return ends[1];
}

static void detach_streams(void)
{
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        return;
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
}

static int serve(struct app *app, int ready_fd)
{
    char error[512];
    if (app_open(app, error, sizeof(error)) != 0) {
        fprintf(stderr, "bdat-milter: %s\n", error);
        log_write(app->log, LOG_LEVEL_ERROR, "cannot start: %s", error);
        return EXIT_FAILURE;
    }
    if (ready_fd >= 0) {
        unsigned char status = EXIT_SUCCESS;
        if (app->settings->log_target != LOG_TARGET_STDERR)
            detach_streams();
        if (write(ready_fd, &status, 1) != 1)
            log_write(app->log, LOG_LEVEL_WARNING, "nobody waits for our start");
        close(ready_fd);
    }
    if (log_start(app->log) != 0)
        log_write(app->log, LOG_LEVEL_WARNING, "the log gets no thread: a slow log slows us down");
    return app_run(app);
}

/* What the test finds amiss on this machine; the file may be meant for another one. */
static void warn_accounts(const struct settings *settings)
{
    if (settings->socket_group[0] != '\0' && getgrnam(settings->socket_group) == NULL)
        fprintf(stderr,
                "warning: socket_group: there is no group \"%s\" on this machine; the daemon would "
                "not start here\n",
                settings->socket_group);
    if (settings->user[0] != '\0' && getpwnam(settings->user) == NULL)
        fprintf(stderr,
                "warning: user: there is no user \"%s\" on this machine; started as root, the "
                "daemon would not run here\n",
                settings->user);
}

/* There in builds with LeakSanitizer only. */
extern void __lsan_do_leak_check(void) __attribute__((weak));

/* Ends the process without exit handlers: libmilter's would destroy a lock that its threads, which
 * are left running (filter_stop()), still use. */
static void leave(int status)
{
    fflush(NULL);
    if (__lsan_do_leak_check != NULL)
        __lsan_do_leak_check();
    _exit(status);
}

int main(int argc, char **argv)
{
    struct invocation invocation = {0};
    struct app app = {.fds = {-1, -1, -1, -1}};
    int status = parse_options(argc, argv, &invocation);
    if (status >= 0)
        return status;
    umask(027);
    app.config_path = invocation.config_path;
    app.loaded.wall_ms = app.loaded.succeeded_wall_ms = clock_wall_ms();
    app.settings =
        settings_load(app.config_path, app.loaded.text, sizeof(app.loaded.text));
    if (app.settings == NULL) {
        fprintf(stderr, "%s\n", app.loaded.text);
        return EXIT_FAILURE;
    }
    snprintf(app.loaded.text, sizeof(app.loaded.text), "ok");
    if (invocation.test) {
        warn_accounts(app.settings);
        puts("ok");
        settings_unref(&app.settings);
        return EXIT_SUCCESS;
    }
    int ready_fd = -1;
    char *path = app.config_path != NULL ? make_absolute(app.config_path) : NULL;
    if (path != NULL)
        app.config_path = path;
    if (!invocation.foreground && (ready_fd = go_into_background()) < 0) {
        fprintf(stderr, "bdat-milter: cannot go into the background: %s\n", strerror(errno));
        free(path);
        return EXIT_FAILURE;
    }
    app.log = log_open("bdat-milter", app.settings->log_target, app.settings->log_level);
    status = app.log != NULL ? serve(&app, ready_fd) : EXIT_FAILURE;
    app_close(&app);
    log_close(&app.log);
    free(path);
    leave(status);
}
