/*
 * Plays Postfix's part at the daemon's hooks, without Postfix: what a BDAT transfer costs the
 * daemon, and whether the cost grows.
 *
 *   hook-replay [-n TRANSFERS] [-m TRANSFERS_PER_SESSION] [-k SLICES] [-f EVERY] [-d]
 *               -P DAEMON_PID TABLES POLICY MILTER
 *
 * One session after the other asks what smtpd(8) asks, in its order: ehlo table, command table,
 * policy at DATA, milter at DATA, policy at END-OF-MESSAGE, milter's body and end of message.
 * Every EVERY-th session, from a client address of its own, is lost after its first chunk, so that
 * strikes and clients grow as well. -d sends by DATA. Prints one JSON line: for each slice of the
 * transfers the daemon's CPU and the time that one of them took, microseconds.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BODY_OCTETS 9216
#define MESSAGE_OCTETS 10240
#define SLICES_MAX 1000

struct options {
    unsigned long transfers;
    unsigned long per_session;
    unsigned long slices;
    unsigned long lost_every;
    bool by_data;
    pid_t daemon;
    const char *tables;
    const char *policy;
    const char *milter;
};

struct replay {
    struct options options;
    clockid_t daemon_clock;
    int tables;
    int policy;
    int milter;
    unsigned long sessions;
    unsigned long done;
    char client[32];
    char queue_id[24];
};

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "hook-replay: %s: %s\n", what, detail);
    exit(1);
}

static double read_clock_us(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        die("clock_gettime", strerror(errno));
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* ---- sockets ---- */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        die(path, strerror(errno));
    return fd;
}

static void send_all(int fd, const void *data, size_t length)
{
    if (send(fd, data, length, MSG_NOSIGNAL) != (ssize_t)length)
        die("send", strerror(errno));
}

/* Reads until the answer ends in `end`. */
static void await(int fd, const char *end)
{
    char answer[512];
    size_t length = 0, wanted = strlen(end);
    while (length < wanted || memcmp(answer + length - wanted, end, wanted) != 0) {
        ssize_t got = recv(fd, answer + length, sizeof(answer) - length, 0);
        if (got <= 0)
            die("the daemon", got < 0 ? strerror(errno) : "hung up");
        length += (size_t)got;
    }
}

/* ---- tables and policy ---- */

static void __attribute__((format(printf, 2, 3)))
look_up(const struct replay *replay, const char *format, ...)
{
    char key[400], wire[420];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(key, sizeof(key), format, arguments);
    va_end(arguments);
    int size = snprintf(wire, sizeof(wire), "%d:%s,", length, key);
    send_all(replay->tables, wire, (size_t)size);
    await(replay->tables, ",");
}

/* As smtpd_check.c sends it, with the attributes it sends whether they are set or not. */
static void ask_policy(const struct replay *replay, const char *state, size_t octets)
{
    char request[1500];
    int length = snprintf(
        request, sizeof(request),
        "request=smtpd_access_policy\nprotocol_state=%s\nprotocol_name=ESMTP\n"
        "client_address=%s\nclient_name=client.example.org\nclient_port=40000\n"
        "reverse_client_name=client.example.org\nserver_address=192.0.2.25\nserver_port=25\n"
        "helo_name=client.example.org\nsender=sender@example.org\nrecipient=\n"
        "recipient_count=1\nqueue_id=%s\ninstance=%x.6a0a0a0a.1.0\nsize=%zu\netrn_domain=\n"
        "stress=\nsasl_method=\nsasl_username=\nsasl_sender=\nccert_subject=\nccert_issuer=\n"
        "ccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=\n"
        "encryption_cipher=\nencryption_keysize=0\npolicy_context=\n\n",
        state, replay->client, replay->queue_id, (unsigned)getpid(), octets);
    send_all(replay->policy, request, (size_t)length);
    await(replay->policy, "\n\n");
}

/* ---- milter ---- */

static void send_packet(const struct replay *replay, char command, const void *data, size_t length)
{
    char packet[BODY_OCTETS + 64];
    uint32_t size = (uint32_t)length + 1;
    const unsigned char head[5] = {(unsigned char)(size >> 24), (unsigned char)(size >> 16),
                                   (unsigned char)(size >> 8), (unsigned char)size,
                                   (unsigned char)command};
    memcpy(packet, head, sizeof(head));
    if (length > 0)
        memcpy(packet + sizeof(head), data, length);
    send_all(replay->milter, packet, sizeof(head) + length);
}

/* Reads one packet; returns its command. */
static char read_packet(const struct replay *replay)
{
    unsigned char head[5];
    char rest[1024];
    if (recv(replay->milter, head, sizeof(head), MSG_WAITALL) != (ssize_t)sizeof(head))
        die("the milter", "hung up");
    size_t size = ((size_t)head[2] << 8 | head[3]) - 1;
    if (size > sizeof(rest) || (size > 0 && recv(replay->milter, rest, size, MSG_WAITALL) < 0))
        die("the milter", "sent too much");
    return (char)head[4];
}

/* Version 6, all actions and steps that Postfix knows (milter8.h). */
static void negotiate(struct replay *replay)
{
    static const unsigned char offer[12] = {0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff};
    replay->milter = connect_to(replay->options.milter);
    send_packet(replay, 'O', offer, sizeof(offer));
    if (read_packet(replay) != 'O')
        die("the milter", "does not negotiate");
}

static char tell_data(const struct replay *replay)
{
    char macros[64];
    size_t length = (size_t)sprintf(macros, "Ti%c%s", 0, replay->queue_id) + 1;
    send_packet(replay, 'D', macros, length);
    send_packet(replay, 'T', NULL, 0);
    return read_packet(replay);
}

static void tell_body(const struct replay *replay)
{
    static char body[BODY_OCTETS];
    if (body[0] == '\0')
        for (size_t i = 0; i < sizeof(body); i++)
            body[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : 'x';
    send_packet(replay, 'B', body, sizeof(body));
    send_packet(replay, 'E', NULL, 0);
    char answer = read_packet(replay);
    if (answer != 'a' && answer != 'c')
        die("the milter", "refuses a sound message");
}

/* ---- sessions ---- */

static void begin_session(struct replay *replay, bool lost)
{
    unsigned long number = ++replay->sessions;
    if (lost)
        snprintf(replay->client, sizeof(replay->client), "10.%lu.%lu.%lu", number >> 16 & 255,
                 number >> 8 & 255, number & 255);
    else
        snprintf(replay->client, sizeof(replay->client), "192.0.2.%lu", number & 127);
    look_up(replay, "ehlo %s", replay->client);
    negotiate(replay);
    look_up(replay, "command EHLO client.example.org");
}

static void begin_message(struct replay *replay)
{
    snprintf(replay->queue_id, sizeof(replay->queue_id), "%lX", 0xA00000000 + ++replay->done);
    look_up(replay, "command MAIL FROM:<sender@example.org> SIZE=%d", MESSAGE_OCTETS);
    look_up(replay, "command RCPT TO:<user@example.test>");
}

static void send_message(struct replay *replay)
{
    begin_message(replay);
    if (replay->options.by_data)
        look_up(replay, "command DATA");
    else
        look_up(replay, "command BDAT %d LAST", MESSAGE_OCTETS);
    ask_policy(replay, "DATA", 0);
    char answer = tell_data(replay);
    ask_policy(replay, "END-OF-MESSAGE", MESSAGE_OCTETS);
    if (answer == 'c')
        tell_body(replay);
}

/* The client vanishes after its first chunk. */
static void lose_message(struct replay *replay)
{
    begin_message(replay);
    look_up(replay, "command BDAT 512");
    ask_policy(replay, "DATA", 0);
    if (tell_data(replay) == 'c')
        send_packet(replay, 'A', NULL, 0);
}

static void run_session(struct replay *replay, unsigned long limit)
{
    unsigned long every = replay->options.lost_every;
    bool lost = every > 0 && replay->sessions % every == every - 1;
    begin_session(replay, lost);
    for (unsigned long i = 0; !lost && i < replay->options.per_session && replay->done < limit; i++)
        send_message(replay);
    if (lost)
        lose_message(replay);
    else
        look_up(replay, "command QUIT");
    send_packet(replay, 'Q', NULL, 0);
    close(replay->milter);
}

static void run(struct replay *replay)
{
    const struct options *options = &replay->options;
    const char *between = "";
    printf("{\"transfers\": %lu, \"slices\": [", options->transfers);
    for (unsigned long slice = 1; slice <= options->slices; slice++) {
        unsigned long limit = options->transfers / options->slices * slice, begun = replay->done;
        double cpu = read_clock_us(replay->daemon_clock), wall = read_clock_us(CLOCK_MONOTONIC);
        while (replay->done < limit)
            run_session(replay, limit);
        double count = (double)(replay->done - begun);
        printf("%s{\"cpu_us\": %.3f, \"wall_us\": %.3f}", between,
               (read_clock_us(replay->daemon_clock) - cpu) / count,
               (read_clock_us(CLOCK_MONOTONIC) - wall) / count);
        between = ", ";
        fflush(stdout);
    }
    printf("], \"sessions\": %lu}\n", replay->sessions);
}

static void usage(void)
{
    fputs(
        "usage: hook-replay [-n TRANSFERS] [-m TRANSFERS_PER_SESSION] [-k SLICES] [-f EVERY] [-d]\n"
        "                   -P DAEMON_PID TABLES POLICY MILTER\n",
        stderr);
    exit(2);
}

static struct options parse_options(int argc, char **argv)
{
    struct options options = {.transfers = 10000, .per_session = 5, .slices = 1};
    int option;
    while ((option = getopt(argc, argv, "n:m:k:f:dP:")) != -1) {
        switch (option) {
        case 'n':
            options.transfers = strtoul(optarg, NULL, 10);
            break;
        case 'm':
            options.per_session = strtoul(optarg, NULL, 10);
            break;
        case 'k':
            options.slices = strtoul(optarg, NULL, 10);
            break;
        case 'f':
            options.lost_every = strtoul(optarg, NULL, 10);
            break;
        case 'd':
            options.by_data = true;
            break;
        case 'P':
            options.daemon = (pid_t)strtol(optarg, NULL, 10);
            break;
        default:
            usage();
        }
    }
    if (argc - optind != 3 || options.daemon <= 0 || options.per_session == 0 ||
        options.slices == 0 || options.slices > SLICES_MAX || options.transfers < options.slices)
        usage();
    options.tables = argv[optind];
    options.policy = argv[optind + 1];
    options.milter = argv[optind + 2];
    return options;
}

int main(int argc, char **argv)
{
    struct replay replay = {.options = parse_options(argc, argv)};
    if (clock_getcpuclockid(replay.options.daemon, &replay.daemon_clock) != 0)
        die("-P", "no such process");
    replay.tables = connect_to(replay.options.tables);
    replay.policy = connect_to(replay.options.policy);
    run(&replay);
    return 0;
}
