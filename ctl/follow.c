/* follow: transfers as they are judged, over one streamed answer. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/actions.h"
#include "ctl/show.h"
#include "ctl/text.h"

static void print_transfer(const struct ctl *ctl, const json_t *transfer)
{
    const char *verdict = json_get_text(transfer, "verdict");
    const char *id = json_get_text(transfer, "queue_id"),
               *name = json_get_text(transfer, "client_name");
    enum tone tone = style_verdict(verdict);
    char *time = show_time(transfer, "time"), *evidence = show_words(transfer, "evidence");
    char *chunks = show_number(transfer, "chunk_count"),
         *declared = show_number(transfer, "declared");
    char *received = show_number(transfer, "received"), *drift = show_number(transfer, "drift");
    char *head =
        text_format("%s %s: client=%s[%s] chunks=%s declared=%s received=%s drift=%s", time,
                    *id ? id : "NOQUEUE", *name ? name : "unknown",
                    json_get_text(transfer, "client_address"), chunks, declared, received, drift);
    char *tail = text_format(" action=%s%s%s", json_get_text(transfer, "action"),
                             *evidence ? " evidence=" : "", evidence);
    char *safe_head = text_safe(head, false), *safe_tail = text_safe(tail, false);
    char *safe_verdict = text_safe(verdict, false);
    printf("%s verdict=%s%s%s%s\n", safe_head, style_begin(ctl->colour, tone), safe_verdict,
           style_end(ctl->colour, tone), safe_tail);
    char *all[] = {time, evidence, chunks,    declared,  received,    drift,
                   head, tail,     safe_head, safe_tail, safe_verdict};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
}

/* An empty line is the daemon's keep-alive. */
static bool take_line(void *context, const char *line)
{
    const struct ctl *ctl = context;
    if (*line == '\0')
        return true;
    json_t *transfer = json_loads(line, 0, NULL);
    if (!json_is_object(transfer))
        ctl_complain("a line of the daemon's is not JSON, left out: %.80s", line);
    else if (ctl->json)
        puts(line);
    else
        print_transfer(ctl, transfer);
    json_decref(transfer);
    return fflush(stdout) == 0;
}

/* A second between two tries: the daemon is restarted at once, or not soon. */
static void wait_for_daemon(const struct ctl *ctl)
{
    const struct timespec second = {.tv_sec = 1};
    while (!daemon_answers(ctl))
        nanosleep(&second, NULL);
}

enum exit_code run_follow(const struct ctl *ctl, const struct invocation *invocation)
{
    struct ctl copy = *ctl;
    enum exit_code code = EXIT_DONE;
    enum stream_end end;
    char *path = daemon_path("/v1/follow", "client", invocation_value(invocation, "client"),
                             "verdict", invocation_value(invocation, "verdict"));
    bool connected = false;
    do {
        end = daemon_stream(ctl, path, take_line, &copy, &code);
        connected = connected || end != STREAM_FAILED;
        if (end == STREAM_STOPPED || !connected || code == EXIT_NO)
            break;
        ctl_complain("the daemon has gone; waiting for it to come back (Ctrl-C ends)");
        wait_for_daemon(ctl);
        ctl_complain("the daemon is back; what it judged meanwhile: bdatctl transfers");
    } while (true);
    free(path);
    return code;
}
