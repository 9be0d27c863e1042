#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/check.h"
#include "ctl/show.h"
#include "ctl/smtp.h"
#include "ctl/text.h"

#define TRIES 60 /* of 50 ms, until the daemon shows what it has seen */
#define CHUNK "\r\n"

/* The session of ours. */
struct live {
    struct report *report;
    const struct site *site;
    struct smtp smtp;
    char *host, *port;
    char helo[64]; /* by which the daemon's records know us */
    double begin;  /* when it began, by now() */
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Splits "HOST:PORT", "[::1]:25" or "PORT"; host is NULL where none stands. Both to be freed. */
static void split_address(const char *text, char **host, char **port)
{
    const char *colon = strrchr(text, ':');
    *host = NULL;
    if (colon == NULL || strchr(colon, ']') != NULL) {
        *port = text_copy(text);
        return;
    }
    *port = text_copy(colon + 1);
    bool bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    *host = bracketed ? text_format("%.*s", (int)(colon - text) - 2, text + 1)
                      : text_format("%.*s", (int)(colon - text), text);
}

/* The first address of inet_interfaces; 127.0.0.1 for all and loopback-only. */
static char *interface_address(const struct postfix *postfix)
{
    char *list = postfix_get(postfix, "inet_interfaces", true), *address;
    struct span item;
    if (!value_next(list, 0, &item) || strncmp(list + item.begin, "all", 3) == 0 ||
        strncmp(list + item.begin, "loopback-only", 13) == 0) {
        free(list);
        return text_copy("127.0.0.1");
    }
    address = text_format("%.*s", (int)(item.end - item.begin), list + item.begin);
    free(list);
    return address;
}

/* Where the local server listens: asked for, or the first such service of master.cf. */
static bool find_server(struct live *live, const struct postfix *postfix, const char *asked)
{
    const char *name = asked;
    for (size_t i = 0; i < postfix->service_count && name == NULL; i++) {
        const struct postfix_service *service = &postfix->services[i];
        if (strcmp(service->type, "inet") == 0 &&
            (strcmp(service->command, "smtpd") == 0 || strcmp(service->command, "postscreen") == 0))
            name = service->name;
    }
    if (name == NULL)
        return false;
    split_address(name, &live->host, &live->port);
    if (asked != NULL && live->host == NULL) {
        live->host = live->port;
        live->port = text_copy("25");
    }
    if (live->host == NULL)
        live->host = interface_address(postfix);
    return true;
}

/* Gets `path` again and again until `list` has an object of ours that `fits`; NULL if it never
 * has. The caller decrefs. */
static json_t *wait_for_ours(const struct live *live, const char *path, const char *list,
                             bool (*fits)(const json_t *object))
{
    const struct timespec pause = {.tv_nsec = 50000000};
    for (int i = 0; i < TRIES; i++) {
        json_t *answer = daemon_try(live->report->ctl, path), *found = NULL;
        size_t index;
        json_t *object;
        json_array_foreach(json_object_get(answer, list), index,
                           object) if (found == NULL &&
                                       strcmp(json_get_text(object, "helo"), live->helo) == 0 &&
                                       fits(object)) found = json_incref(object);
        json_decref(answer);
        if (found != NULL)
            return found;
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static bool has_chunk(const json_t *session)
{
    return json_get_number(session, "chunks", 0) >= 1 ||
           json_get_number(session, "declared", 0) >= (double)strlen(CHUNK);
}

static bool is_any(const json_t *object)
{
    (void)object;
    return true;
}

/* True if that hook was used since we began. */
static bool hook_was_used(const struct live *live, const char *name)
{
    json_t *status = daemon_try(live->report->ctl, "/v1/status");
    const char *seen =
        json_get_text(json_object_get(json_object_get(status, "hooks"), name), "last_seen");
    bool used = *seen != '\0' && now() + show_seconds_until(seen) >= live->begin - 0.01;
    json_decref(status);
    return used;
}

static void report_refusal(struct live *live, const char *step)
{
    bool recipient = strcmp(step, "RCPT") == 0;
    char *check = site_command(live->site, live->report->ctl, "check");
    report_add(live->report, LEVEL_WARN,
               text_format("live test: %s was answered \"%s\", so the hooks behind it could not be "
                           "seen",
                           step, smtp_first_line(&live->smtp)),
               recipient ? text_format("name a recipient that this server takes: %s --to ADDRESS "
                                       "(nothing is delivered)",
                                       check)
                         : text_copy("see Postfix's log for the reason"));
    free(check);
}

/* Up to the first chunk of a message that is never finished. False if the server would not. */
static bool begin_message(struct live *live, const char *sender, const char *recipient)
{
    struct smtp *smtp = &live->smtp;
    if (smtp_command(smtp, "EHLO %s", live->helo) != 250) {
        report_refusal(live, "EHLO");
        return false;
    }
    if (!smtp_offers(smtp, "CHUNKING")) {
        char *clients = command_line_of(live->report->ctl, "clients");
        report_add(live->report, LEVEL_WARN,
                   text_format("live test: %s port %s does not offer CHUNKING to this host",
                               live->host, live->port),
                   text_format("is it suppressed (%s), or does main.cf discard it?", clients));
        free(clients);
        return false;
    }
    if (smtp_command(smtp, "MAIL FROM:<%s>", sender) != 250) {
        report_refusal(live, "MAIL");
        return false;
    }
    if (smtp_command(smtp, "RCPT TO:<%s>", recipient) / 100 != 2) {
        report_refusal(live, "RCPT");
        return false;
    }
    static const char chunk[] = "BDAT 2\r\n" CHUNK;
    if (smtp_send(smtp, chunk, strlen(chunk)) != 250) {
        report_refusal(live, "BDAT");
        return false;
    }
    return true;
}

static void report_hook(struct live *live, bool seen, const char *hook, const char *what)
{
    if (seen) {
        report_add(live->report, LEVEL_OK, text_format("live test: %s: %s", hook, what), NULL);
        return;
    }
    char *dir = postfix_dir_option(&live->site->postfix);
    char *attach = site_command(live->site, live->report->ctl, "attach");
    report_add(live->report, LEVEL_FAIL,
               text_format("live test: the session did not appear at the %s hook", hook),
               text_format("postfix%s reload; if that does not help: %s, and see Postfix's log",
                           dir, attach));
    free(attach);
    free(dir);
}

/* Looks for our session while its message is open, ends it, and looks at what is left of it. */
static void look_at_hooks(struct live *live)
{
    json_t *session = wait_for_ours(live, "/v1/sessions", "sessions", has_chunk);
    char *pid = show_number(session, "pid");
    char *what = text_format("session of process %s, BDAT seen", pid);
    report_hook(live, session != NULL, "tables", what);
    free(what);
    free(pid);
    json_decref(session);
    smtp_command(&live->smtp, "RSET");
    json_t *transfer = wait_for_ours(live, "/v1/transfers?limit=200", "transfers", is_any);
    const char *id = json_get_text(transfer, "queue_id");
    bool policy = *id != '\0' || hook_was_used(live, "policy");
    what = text_format("asked before the first octet%s%s", *id ? ", queue id " : "", id);
    report_hook(live, policy, "policy", what);
    free(what);
    report_hook(live, hook_was_used(live, "milter"), "milter", "connected to by the session");
    json_decref(transfer);
    report_say(live->report, LEVEL_NOTE,
               "live test: what comes at a message's end was not tried, since that would deliver "
               "one",
               NULL);
}

void check_live(struct report *report, const struct site *site, const char *server,
                const char *sender, const char *recipient)
{
    struct live live = {.report = report, .site = site, .begin = now()};
    snprintf(live.helo, sizeof(live.helo), "bdatctl-check-%ld-%ld.localhost", (long)getpid(),
             (long)time(NULL));
    if (!find_server(&live, &site->postfix, server)) {
        report_say(report, LEVEL_WARN, "live test: master.cf has no service to connect to", NULL);
        return;
    }
    if (smtp_connect(&live.smtp, live.host, live.port, (int)report->ctl->timeout_seconds * 1000) !=
        0)
        report_add(report, LEVEL_FAIL,
                   text_format("live test: no SMTP session with %s port %s: %s", live.host,
                               live.port, smtp_first_line(&live.smtp)),
                   text_copy("postfix start; or name the server: bdatctl check --server "
                             "HOST:PORT"));
    else if (begin_message(&live, sender ? sender : "", recipient ? recipient : "postmaster"))
        look_at_hooks(&live);
    if (live.smtp.fd >= 0)
        smtp_command(&live.smtp, "QUIT");
    smtp_close(&live.smtp);
    free(live.host);
    free(live.port);
}
