/*
 * Asks socketmap servers one lookup after the other and tells how long the answers take.
 *
 *   table-load [-c CONNECTIONS] [-n LOOKUPS] [-r ROUNDS] [-k command|ehlo] SOCKET ...
 *
 * The servers take turns, LOOKUPS lookups each in every round; on each of CONNECTIONS connections
 * one lookup is under way at a time. Connections are made by processes of their own, as those of
 * smtpd(8) are. Prints one JSON line: for each socket the medians of the rounds, a second and
 * microseconds, and of the ratio to the first socket in the same round.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 2000
#define ROUNDS_MAX 100
#define SERVERS_MAX 8

struct connection {
    int fd;
    pid_t owner;
    unsigned turn; /* of the keys */
    int64_t asked_ns;
};

struct figures {
    double rate, p50_us, p99_us;
};

struct server {
    const char *path;
    struct connection connections[CONNECTIONS_MAX];
    struct figures rounds[ROUNDS_MAX];
};

struct options {
    unsigned connections;
    unsigned lookups;
    unsigned rounds;
    bool ehlo;
};

static struct server servers[SERVERS_MAX];

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "table-load: %s: %s\n", what, detail);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The server sees the process that calls connect(2); it lives until we end. */
static void open_connection(const char *path, struct connection *connection)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int done[2];
    char byte = 0;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || pipe(done) != 0)
        die("socket", strerror(errno));
    connection->owner = fork();
    if (connection->owner == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        byte = connect(connection->fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
        if (write(done[1], &byte, 1) != 1 || !byte)
            _exit(1);
        close(connection->fd);
        for (;;)
            pause();
    }
    if (connection->owner < 0 || read(done[0], &byte, 1) != 1 || !byte)
        die(path, "cannot connect");
    close(done[0]);
    close(done[1]);
}

/* What a session asks between two messages; nothing that begins a transfer. */
static size_t write_key(char *wire, const struct options *options, struct connection *connection,
                        unsigned number)
{
    static const char *const commands[] = {"MAIL FROM:<sender@example.org> SIZE=10240",
                                           "RCPT TO:<user@example.test>", "RSET"};
    char key[128];
    unsigned turn = connection->turn++;
    int length;
    if (options->ehlo)
        length = snprintf(key, sizeof(key), "ehlo 10.%u.%u.%u", turn >> 6 & 15, turn * 37 & 255,
                          (number + turn) & 255);
    else
        length = snprintf(key, sizeof(key), "command %s", commands[turn % 3]);
    return (size_t)sprintf(wire, "%d:%s,", length, key);
}

static void ask(const struct options *options, struct connection *connection, unsigned number)
{
    char wire[160];
    size_t length = write_key(wire, options, connection, number);
    connection->asked_ns = now_ns();
    if (send(connection->fd, wire, length, MSG_NOSIGNAL) != (ssize_t)length)
        die("send", strerror(errno));
}

static void take_answer(const struct connection *connection)
{
    char answer[256];
    size_t length = 0;
    while (length == 0 || answer[length - 1] != ',') {
        ssize_t got = recv(connection->fd, answer + length, sizeof(answer) - length, 0);
        if (got <= 0)
            die("recv", got < 0 ? strerror(errno) : "hung up");
        length += (size_t)got;
    }
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static struct figures summarize(double *latencies_us, unsigned count, int64_t elapsed_ns)
{
    qsort(latencies_us, count, sizeof(latencies_us[0]), compare);
    return (struct figures){(double)count * 1e9 / (double)elapsed_ns, latencies_us[count / 2],
                            latencies_us[(uint64_t)count * 99 / 100]};
}

/* One connection needs no epoll: recv() waits. */
static struct figures run_single(const struct options *options, struct server *server,
                                 double *latencies_us)
{
    struct connection *connection = &server->connections[0];
    int64_t started = now_ns();
    for (unsigned i = 0; i < options->lookups; i++) {
        ask(options, connection, 0);
        take_answer(connection);
        latencies_us[i] = (double)(now_ns() - connection->asked_ns) / 1e3;
    }
    return summarize(latencies_us, options->lookups, now_ns() - started);
}

static struct figures run_many(const struct options *options, struct server *server, int epoll,
                               double *latencies_us)
{
    struct epoll_event events[256];
    unsigned asked = 0, answered = 0;
    int64_t started = now_ns();
    for (; asked < options->connections && asked < options->lookups; asked++)
        ask(options, &server->connections[asked], asked);
    while (answered < asked) {
        int count = epoll_wait(epoll, events, 256, 60000);
        if (count <= 0)
            die(server->path, "no answer");
        for (int i = 0; i < count; i++) {
            struct connection *connection = &server->connections[events[i].data.u32];
            take_answer(connection);
            latencies_us[answered++] = (double)(now_ns() - connection->asked_ns) / 1e3;
            if (asked < options->lookups) {
                ask(options, connection, events[i].data.u32);
                asked++;
            }
        }
    }
    return summarize(latencies_us, answered, now_ns() - started);
}

static int open_server(const struct options *options, struct server *server)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < options->connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        open_connection(server->path, &server->connections[i]);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, server->connections[i].fd, &event) != 0)
            die("epoll_ctl", strerror(errno));
    }
    return epoll;
}

static double median_of(const struct server *server, unsigned rounds, size_t offset)
{
    double values[ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++)
        memcpy(&values[i], (const char *)&server->rounds[i] + offset, sizeof(values[0]));
    qsort(values, rounds, sizeof(values[0]), compare);
    return (values[(rounds - 1) / 2] + values[rounds / 2]) / 2;
}

/* Round by round against the first server, then the median: drift cancels out. */
static double median_ratio(const struct server *server, unsigned rounds)
{
    double values[ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++)
        values[i] = server->rounds[i].p50_us / servers[0].rounds[i].p50_us;
    qsort(values, rounds, sizeof(values[0]), compare);
    return (values[(rounds - 1) / 2] + values[rounds / 2]) / 2;
}

static void run(const struct options *options, unsigned server_count)
{
    double *latencies_us = calloc(options->lookups, sizeof(latencies_us[0]));
    int epolls[SERVERS_MAX];
    if (latencies_us == NULL)
        die("memory", strerror(errno));
    for (unsigned s = 0; s < server_count; s++)
        epolls[s] = open_server(options, &servers[s]);
    for (unsigned round = 0; round <= options->rounds; round++) {
        for (unsigned s = 0; s < server_count; s++) {
            struct figures figures = options->connections == 1
                                         ? run_single(options, &servers[s], latencies_us)
                                         : run_many(options, &servers[s], epolls[s], latencies_us);
            if (round > 0) /* the first fills the caches */
                servers[s].rounds[round - 1] = figures;
        }
    }
    free(latencies_us);
}

static void report(const struct options *options, unsigned server_count)
{
    unsigned rounds = options->rounds;
    printf("[");
    for (unsigned s = 0; s < server_count; s++)
        printf("%s{\"rate\": %.0f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p50_ratio\": %.3f}",
               s > 0 ? ", " : "", median_of(&servers[s], rounds, offsetof(struct figures, rate)),
               median_of(&servers[s], rounds, offsetof(struct figures, p50_us)),
               median_of(&servers[s], rounds, offsetof(struct figures, p99_us)),
               median_ratio(&servers[s], rounds));
    printf("]\n");
}

static void close_servers(const struct options *options, unsigned server_count)
{
    for (unsigned s = 0; s < server_count; s++) {
        for (unsigned i = 0; i < options->connections; i++) {
            kill(servers[s].connections[i].owner, SIGKILL);
            waitpid(servers[s].connections[i].owner, NULL, 0);
        }
    }
}

int main(int argc, char **argv)
{
    struct options options = {1, 10000, 5, false};
    int option;
    bool good = true;
    while ((option = getopt(argc, argv, "c:n:r:k:")) != -1) {
        switch (option) {
        case 'c':
            options.connections = (unsigned)atoi(optarg);
            break;
        case 'n':
            options.lookups = (unsigned)atoi(optarg);
            break;
        case 'r':
            options.rounds = (unsigned)atoi(optarg);
            break;
        case 'k':
            options.ehlo = strcmp(optarg, "ehlo") == 0;
            break;
        default:
            good = false;
        }
    }
    unsigned count = (unsigned)(argc - optind);
    if (!good || count < 1 || count > SERVERS_MAX || options.connections < 1 ||
        options.connections > CONNECTIONS_MAX || options.rounds < 1 ||
        options.rounds > ROUNDS_MAX || options.lookups < 1) {
        fputs("usage: table-load [-c CONNECTIONS] [-n LOOKUPS] [-r ROUNDS] [-k command|ehlo] "
              "SOCKET ...\n",
              stderr);
        return 2;
    }
    for (unsigned s = 0; s < count; s++)
        servers[s].path = argv[optind + (int)s];
    run(&options, count);
    report(&options, count);
    close_servers(&options, count);
    return 0;
}
