/*
 * Opens sessions with the daemon that then say nothing: smtpd processes whose clients wait.
 *
 *   idle-sessions COUNT TABLES [POLICY MILTER]
 *
 * Each session belongs to a process of its own and has asked the ehlo table and for its EHLO; with
 * POLICY and MILTER it holds a connection to each of those as well, the milter's negotiated. Prints
 * "ready" when all stand, and ends with its standard input.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return -1;
    return fd;
}

static bool look_up(int fd, const char *key)
{
    char wire[160], answer[160];
    int length = snprintf(wire, sizeof(wire), "%zu:%s,", strlen(key), key);
    return send(fd, wire, (size_t)length, MSG_NOSIGNAL) == length &&
           recv(fd, answer, sizeof(answer), 0) > 0;
}

static bool negotiate(int fd)
{
    static const unsigned char offer[17] = {0, 0, 0, 13,   'O', 0,    0,    0,   6,
                                            0, 0, 1, 0xff, 0,   0x1f, 0xff, 0xff};
    char answer[512];
    return send(fd, offer, sizeof(offer), MSG_NOSIGNAL) == (ssize_t)sizeof(offer) &&
           recv(fd, answer, sizeof(answer), 0) > 0;
}

static bool open_session(unsigned number, char **paths, int path_count)
{
    char key[64];
    int tables = connect_to(paths[0]);
    snprintf(key, sizeof(key), "ehlo 172.16.%u.%u", number >> 8 & 255, number & 255);
    if (tables < 0 || !look_up(tables, key) || !look_up(tables, "command EHLO client.example.org"))
        return false;
    return path_count < 3 || (connect_to(paths[1]) >= 0 && negotiate(connect_to(paths[2])));
}

/* Returns the process that holds the session; 0 if it could not be opened. */
static pid_t start_session(unsigned number, char **paths, int path_count)
{
    int done[2];
    char byte = 0;
    if (pipe(done) != 0)
        return 0;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(STDIN_FILENO);
        byte = open_session(number, paths, path_count);
        if (write(done[1], &byte, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    bool open = pid > 0 && read(done[0], &byte, 1) == 1 && byte;
    close(done[0]);
    close(done[1]);
    return open ? pid : 0;
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    pid_t *pids = calloc(count + 1, sizeof(*pids));
    char byte;
    if (count == 0 || pids == NULL || (argc != 3 && argc != 5)) {
        fputs("usage: idle-sessions COUNT TABLES [POLICY MILTER]\n", stderr);
        free(pids);
        return 2;
    }
    for (unsigned i = 0; i < count; i++) {
        pids[i] = start_session(i, argv + 2, argc - 2);
        if (pids[i] == 0) {
            fprintf(stderr, "idle-sessions: session %u: %s\n", i, strerror(errno));
            return 1;
        }
    }
    puts("ready");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    for (unsigned i = 0; i < count; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    free(pids);
    return 0;
}
