/* Messages by DATA (RFC 5321, section 4.1.1.4). */
#include "probe/case_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/run.h"

/* The message with its dots doubled and a line end at its end, but without the final dot. */
static char *stuff_dots(const struct message *message, size_t *length)
{
    char *stuffed = malloc(message->length * 2 + 2);
    size_t out = 0;
    bool line_start = true;
    for (size_t i = 0; stuffed && i < message->length; i++) {
        char c = message->data[i];
        if (line_start && c == '.')
            stuffed[out++] = '.';
        stuffed[out++] = c;
        line_start = c == '\n';
    }
    if (stuffed && !line_start) {
        stuffed[out++] = '\r';
        stuffed[out++] = '\n';
    }
    *length = out;
    return stuffed;
}

static bool send_text(struct run *run)
{
    size_t length;
    char label[80];
    char *stuffed = stuff_dots(&run->message, &length);
    if (!stuffed)
        return run_fail(run, FINDING_NONE, "Out of memory.");
    snprintf(label, sizeof(label), "%zu octets of message", length);
    bool sent = session_send(&run->session, stuffed, length, label);
    free(stuffed);
    return sent ? true : run_trouble(run, label);
}

/* Stops before the dot: the message is never complete. */
static void stop_before_dot(struct run *run)
{
    struct reply reply;
    char text[160];
    if (!session_drain(&run->session)) {
        run_trouble(run, "the message by DATA");
        return;
    }
    if (session_stray_reply(&run->session, &reply, 0)) {
        run_fail(run, FINDING_REFUSED, "In the middle of the message by DATA came '%s'.",
                 reply_summary(&reply, text, sizeof(text)));
        return;
    }
    dialog_add(&run->result->dialog, DIALOG_NOTE, 0,
               "connection closed by bdat-probe, before the final dot");
    run_pass(run,
             "DATA was answered 354 and the whole message (%zu octets) went through. The "
             "final dot was left out, so that nothing is delivered.",
             run->message.length);
}

static void send_dot(struct run *run)
{
    struct reply reply;
    char text[160];
    if (!session_send(&run->session, ".\r\n", 3, ".") || !run_reply(run, &reply))
        run_trouble(run, "the final dot of DATA");
    else if (run_expect_taken(run, &reply, "The message by DATA") &&
             run_finish_in_step(run, false, 0))
        run_pass(run, "By DATA %zu octets were delivered: '%s'.", run->message.length,
                 reply_summary(&reply, text, sizeof(text)));
}

void case_data(struct run *run)
{
    struct reply reply;
    char text[160];
    if (!run_open(run) || !run_envelope(run))
        return;
    if (!session_command(&run->session, &reply, "DATA")) {
        run_trouble(run, "DATA");
        return;
    }
    if (reply.code != 354) {
        run_fail(run, FINDING_REFUSED, "DATA was answered '%s'.",
                 reply_summary(&reply, text, sizeof(text)));
        return;
    }
    if (!send_text(run))
        return;
    if (run->options->deliver)
        send_dot(run);
    else
        stop_before_dot(run);
}
