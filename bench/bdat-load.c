/*
 * Sends mail to an SMTP server as fast as it takes it, by BDAT or by DATA, and tells how long it
 * took.
 *
 *   bdat-load -p PORT [-a ADDRESS] [-n MESSAGES] [-s SESSIONS] [-m MESSAGES_PER_SESSION]
 *             [-b OCTETS] [-H HEADERS] [-c CHUNKS]
 *
 * SESSIONS sessions run side by side, one command at a time each, as a client that does not
 * pipeline; after MESSAGES_PER_SESSION messages a session ends and the next begins. -c 0 sends by
 * DATA. A message is OCTETS long, header and all. Latency is the time from MAIL to the reply to
 * the last octet. Prints one JSON line. Any reply that is not the expected one ends the run with
 * exit status 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SESSIONS_MAX 1024
#define CHUNKS_MAX 4096
#define STEPS_MAX (CHUNKS_MAX + 8)
#define REPLY_SIZE 4096

struct options {
    const char *address;
    unsigned port;
    unsigned messages;
    unsigned sessions;
    unsigned per_session;
    size_t octets;
    unsigned headers;
    unsigned chunks;
};

/* What is sent, and the first digit of the reply that lets the session go on. */
struct step {
    char *text;
    size_t length;
    char expected;
};

/* The same for every session: greeting and EHLO, one message, QUIT. */
struct script {
    struct step hello[2];
    struct step message[STEPS_MAX];
    size_t message_steps;
    struct step quit;
};

struct session {
    int fd;
    const struct step *step; /* whose reply is awaited */
    size_t sent;             /* octets of it */
    bool full;               /* the socket takes no more for now */
    size_t at;               /* of the message's steps */
    unsigned left;           /* messages to begin in this session */
    int64_t started_ns;      /* of the message at hand */
    size_t reply_length;
    char reply[REPLY_SIZE];
};

struct load {
    struct options options;
    struct script script;
    struct session sessions[SESSIONS_MAX];
    int epoll;
    unsigned begun;
    unsigned done;
    unsigned open; /* sessions */
    int64_t *latencies_ns;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "bdat-load: %s: %s\n", what, detail);
    exit(1);
}

static void *must_allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        die("memory", strerror(errno));
    return memory;
}

/* ---- the message ---- */

/* Header and body of exactly `size` octets, all lines ended by CRLF, none that begins with a dot.
 */
static char *make_message(size_t size, unsigned headers)
{
    char *text = must_allocate(size + 256);
    size_t at = (size_t)sprintf(text,
                                "From: <sender@example.org>\r\nTo: <user@example.test>\r\n"
                                "Subject: a message of %zu octets\r\n"
                                "Date: Mon, 17 Aug 2026 10:00:00 +0000\r\n"
                                "Message-Id: <bench@example.org>\r\n",
                                size);
    for (unsigned i = 5; i < headers && at + 96 < size; i++)
        at += (size_t)sprintf(text + at, "X-Header-%02u: %.*s\r\n", i, 40,
                              "forty letters of value, or some more, or so");
    if (at + 4 > size)
        die("-b", "too short for the header");
    memcpy(text + at, "\r\n", 2);
    at += 2;
    for (size_t column = 0; at < size - 2; at++, column = (column + 1) % 78)
        text[at] = column == 76 ? '\r' : column == 77 ? '\n' : (char)('A' + (at * 7 + column) % 26);
    if (text[size - 3] == '\r')
        text[size - 3] = 'x';
    memcpy(text + size - 2, "\r\n", 2);
    return text;
}

/* ---- the script ---- */

static struct step make_step(const char *head, const char *data, size_t length, char expected)
{
    size_t head_length = strlen(head);
    struct step step = {must_allocate(head_length + length + 1), head_length + length, expected};
    memcpy(step.text, head, head_length);
    if (length > 0)
        memcpy(step.text + head_length, data, length);
    return step;
}

static void add_step(struct script *script, struct step step)
{
    script->message[script->message_steps++] = step;
}

static void add_chunks(struct script *script, const char *message, size_t size, unsigned chunks)
{
    char head[64];
    for (unsigned i = 0; i < chunks; i++) {
        size_t from = size / chunks * i;
        size_t length = i + 1 == chunks ? size - from : size / chunks;
        snprintf(head, sizeof(head), "BDAT %zu%s\r\n", length, i + 1 == chunks ? " LAST" : "");
        add_step(script, make_step(head, message + from, length, '2'));
    }
}

static void make_script(struct script *script, const struct options *options)
{
    char mail[128];
    char *message = make_message(options->octets, options->headers);
    script->hello[0] = make_step("", NULL, 0, '2');
    script->hello[1] = make_step("EHLO client.example.org\r\n", NULL, 0, '2');
    snprintf(mail, sizeof(mail), "MAIL FROM:<sender@example.org> SIZE=%zu\r\n", options->octets);
    add_step(script, make_step(mail, NULL, 0, '2'));
    add_step(script, make_step("RCPT TO:<user@example.test>\r\n", NULL, 0, '2'));
    if (options->chunks > 0) {
        add_chunks(script, message, options->octets, options->chunks);
    } else {
        add_step(script, make_step("DATA\r\n", NULL, 0, '3'));
        memcpy(message + options->octets, ".\r\n", 3);
        add_step(script, make_step("", message, options->octets + 3, '2'));
    }
    script->quit = make_step("QUIT\r\n", NULL, 0, '2');
    free(message);
}

/* ---- sessions ---- */

static void watch(const struct load *load, struct session *session, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = session};
    if (epoll_ctl(load->epoll, operation, session->fd, &event) != 0)
        die("epoll_ctl", strerror(errno));
}

static void open_session(struct load *load, struct session *session)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)load->options.port),
        .sin_addr.s_addr = inet_addr(load->options.address),
    };
    int on = 1;
    unsigned left = load->options.messages - load->begun;
    memset(session, 0, sizeof(*session));
    session->left = left < load->options.per_session ? left : load->options.per_session;
    load->begun += session->left;
    session->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (session->fd < 0 ||
        connect(session->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        die("connect", strerror(errno));
    setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(session->fd, F_SETFL, O_NONBLOCK);
    session->step = &load->script.hello[0];
    load->open++;
    watch(load, session, EPOLL_CTL_ADD, EPOLLIN);
}

static void send_step(const struct load *load, struct session *session)
{
    const struct step *step = session->step;
    bool was_full = session->full;
    while (session->sent < step->length) {
        ssize_t sent = send(session->fd, step->text + session->sent, step->length - session->sent,
                            MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            if (!was_full)
                watch(load, session, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            session->full = true;
            return;
        }
        if (sent < 0)
            die("send", strerror(errno));
        session->sent += (size_t)sent;
    }
    session->full = false;
    if (was_full)
        watch(load, session, EPOLL_CTL_MOD, EPOLLIN);
}

static void begin_step(const struct load *load, struct session *session, const struct step *step)
{
    session->step = step;
    session->sent = 0;
    session->reply_length = 0;
    send_step(load, session);
}

static void begin_message(struct load *load, struct session *session)
{
    if (session->left == 0) {
        begin_step(load, session, &load->script.quit);
        return;
    }
    session->left--;
    session->at = 0;
    session->started_ns = now_ns();
    begin_step(load, session, &load->script.message[0]);
}

static void end_session(struct load *load, struct session *session)
{
    close(session->fd);
    load->open--;
    if (load->begun < load->options.messages)
        open_session(load, session);
}

/* The reply to the step at hand is whole. */
static void advance(struct load *load, struct session *session)
{
    const struct script *script = &load->script;
    if (session->step == &script->hello[0]) {
        begin_step(load, session, &script->hello[1]);
    } else if (session->step == &script->hello[1]) {
        begin_message(load, session);
    } else if (session->step == &script->quit) {
        end_session(load, session);
    } else if (++session->at < script->message_steps) {
        begin_step(load, session, &script->message[session->at]);
    } else {
        load->latencies_ns[load->done++] = now_ns() - session->started_ns;
        begin_message(load, session);
    }
}

/* True once the last line of a reply is there: three digits and no hyphen. */
static bool reply_is_whole(const struct session *session)
{
    const char *text = session->reply;
    size_t length = session->reply_length;
    if (length < 5 || text[length - 1] != '\n')
        return false;
    size_t line = length - 1;
    while (line > 0 && text[line - 1] != '\n')
        line--;
    return length - line > 4 && text[line + 3] != '-';
}

static void on_reply(struct load *load, struct session *session)
{
    ssize_t got = recv(session->fd, session->reply + session->reply_length,
                       sizeof(session->reply) - 1 - session->reply_length, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        die("the server hung up after", session->step->text);
    session->reply_length += (size_t)got;
    session->reply[session->reply_length] = '\0';
    if (!reply_is_whole(session))
        return;
    if (session->reply[0] != session->step->expected)
        die("unexpected reply", session->reply);
    advance(load, session);
}

static void run(struct load *load)
{
    struct epoll_event events[64];
    for (unsigned i = 0; i < load->options.sessions && load->begun < load->options.messages; i++)
        open_session(load, &load->sessions[i]);
    while (load->open > 0) {
        int count = epoll_wait(load->epoll, events, 64, 60000);
        if (count == 0)
            die("timeout", "the server says nothing for a minute");
        for (int i = 0; i < count; i++) {
            struct session *session = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                send_step(load, session);
            else
                on_reply(load, session);
        }
    }
}

/* ---- the result ---- */

static int compare_latencies(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void report(const struct load *load, int64_t elapsed_ns)
{
    unsigned count = load->done;
    qsort(load->latencies_ns, count, sizeof(load->latencies_ns[0]), compare_latencies);
    printf("{\"messages\": %u, \"seconds\": %.6f, \"p50_us\": %" PRId64 ", \"p99_us\": %" PRId64
           "}\n",
           count, (double)elapsed_ns / 1e9, load->latencies_ns[count / 2] / 1000,
           load->latencies_ns[(uint64_t)count * 99 / 100] / 1000);
}

static void usage(void)
{
    fputs("usage: bdat-load -p PORT [-a ADDRESS] [-n MESSAGES] [-s SESSIONS]\n"
          "                 [-m MESSAGES_PER_SESSION] [-b OCTETS] [-H HEADERS] [-c CHUNKS]\n",
          stderr);
    exit(2);
}

static unsigned parse_number(const char *text, unsigned low, unsigned high)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < low || value > high)
        usage();
    return (unsigned)value;
}

static struct options parse_options(int argc, char **argv)
{
    struct options options = {"127.0.0.1", 0, 100, 8, 5, 10240, 20, 1};
    int option;
    while ((option = getopt(argc, argv, "a:p:n:s:m:b:H:c:")) != -1) {
        switch (option) {
        case 'a':
            options.address = optarg;
            break;
        case 'p':
            options.port = parse_number(optarg, 1, 65535);
            break;
        case 'n':
            options.messages = parse_number(optarg, 1, 100000000);
            break;
        case 's':
            options.sessions = parse_number(optarg, 1, SESSIONS_MAX);
            break;
        case 'm':
            options.per_session = parse_number(optarg, 1, 100000000);
            break;
        case 'b':
            options.octets = parse_number(optarg, 512, 1u << 30);
            break;
        case 'H':
            options.headers = parse_number(optarg, 5, 99);
            break;
        case 'c':
            options.chunks = parse_number(optarg, 0, CHUNKS_MAX);
            break;
        default:
            usage();
        }
    }
    if (options.port == 0 || optind != argc)
        usage();
    return options;
}

int main(int argc, char **argv)
{
    struct load *load = must_allocate(sizeof(*load));
    load->options = parse_options(argc, argv);
    make_script(&load->script, &load->options);
    load->latencies_ns = must_allocate(load->options.messages * sizeof(load->latencies_ns[0]));
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll < 0)
        die("epoll_create1", strerror(errno));
    int64_t started_ns = now_ns();
    run(load);
    report(load, now_ns() - started_ns);
    return 0;
}
