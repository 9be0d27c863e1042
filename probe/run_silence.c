/* A chunk without an answer: is the server late, does it want more octets, or does it stall? */
#include "probe/run.h"

#include <stdio.h>
#include <string.h>

/*
 * The server is offered more octets than were declared, as a command that does no harm, and
 * then the replies are counted:
 *
 *   reply to   the chunk   the command     the server
 *              2xx         2xx             was late, and is in step again
 *              2xx         5xx             took the head of the command for message text
 *              2xx         -               took all of it for message text
 *              -           2xx             does not answer the chunk
 *              -           -               stalls
 *
 * One reply alone is told apart by asking the command again: is that the same reply?
 */
#define BAIT_PADDING 400

static bool send_bait(struct run *run)
{
    char line[BAIT_PADDING + 16];
    memset(line, 'x', sizeof(line));
    memcpy(line, "NOOP ", 5);
    memcpy(line + 5 + BAIT_PADDING, "\r\n", 2);
    run->session.trouble = TROUBLE_NONE;
    return session_send_ahead(&run->session, line, 5 + BAIT_PADDING + 2,
                              "NOOP xxx... (does it wait for more octets?)");
}

/* What the chunk was answered at last, and what is said of that. */
struct silence {
    const char *label;
    double waited; /* seconds, before the command was sent */
    struct reply *first;
};

static bool wants_more(struct run *run, const struct silence *silence)
{
    return run_fail(run, FINDING_MISCOUNTED,
                    "No answer to %s within %.3g s, but one came as soon as more octets were "
                    "sent: the server waits for more octets than were declared, and takes "
                    "the next command for message text.",
                    silence->label, silence->waited);
}

static bool stalls(struct run *run, const struct silence *silence)
{
    if (run->session.trouble == TROUBLE_DROPPED)
        return run_fail(run, FINDING_STALLED,
                        "No answer to %s within %.3g s; when more octets came, the server closed "
                        "the connection.",
                        silence->label, silence->waited);
    if (run->session.trouble != TROUBLE_SILENT)
        return run_trouble(run, silence->label);
    return run_fail(run, FINDING_STALLED,
                    "No answer to %s within %.3g s, nor after more octets: the transfer stalls.",
                    silence->label, silence->waited);
}

/* Two replies, the second of which is a refusal: of the command, or of what was left of it? */
static bool second_refused(struct run *run, const struct silence *silence)
{
    struct reply again;
    if (send_bait(run) && session_reply(&run->session, &again, run->options->timeout_ms) &&
        reply_is_success(&again))
        return wants_more(run, silence);
    return run_fail(run, FINDING_STALLED,
                    "No answer to %s within %.3g s. One came behind that, when more octets had "
                    "been sent: either it is late, or the server waits for more octets than were "
                    "declared.",
                    silence->label, silence->waited);
}

/* One reply to two questions: which of them was it for? */
static bool single_reply(struct run *run, const struct silence *silence)
{
    struct reply again;
    char first[160], second[160];
    reply_summary(silence->first, first, sizeof(first));
    if (run->session.trouble == TROUBLE_DROPPED)
        return run_fail(run, FINDING_STALLED,
                        "No answer to %s within %.3g s; when more octets came, the server said "
                        "'%s' and closed the connection.",
                        silence->label, silence->waited, first);
    if (!run_can_wait(run) || !send_bait(run) ||
        !session_reply(&run->session, &again, run->options->timeout_ms))
        return run_trouble(run, silence->label);
    if (strcmp(first, reply_summary(&again, second, sizeof(second))) != 0)
        return wants_more(run, silence);
    return run_fail(run, FINDING_STALLED,
                    "%s is not answered, neither within %.3g s nor later, though the server goes "
                    "on: it answers the next command ('%s'). A chunk must have its reply (RFC "
                    "3030, section 2).",
                    silence->label, silence->waited, first);
}

/* The reply took more than the timeout, but it is there. */
static void note_late(struct session *session, int64_t waited_ms)
{
    session->last_ms += waited_ms;
    if (session->slowest_ms < session->last_ms)
        session->slowest_ms = session->last_ms;
}

bool run_can_wait(const struct run *run)
{
    return run->session.trouble == TROUBLE_SILENT && connection_clock() < run->session.give_up_at;
}

bool run_sound_silence(struct run *run, const char *label, struct reply *reply)
{
    struct session *session = &run->session;
    struct reply second;
    int64_t waited_ms = session->last_ms;
    struct silence silence = {.label = label, .waited = waited_ms / 1000.0, .first = reply};
    if (!send_bait(run) || !session_reply(session, reply, run->options->timeout_ms / 2))
        return stalls(run, &silence);
    note_late(session, waited_ms);
    if (!session_reply(session, &second, run->options->timeout_ms))
        return single_reply(run, &silence);
    return reply_is_success(&second) || second_refused(run, &silence);
}

bool run_reply(struct run *run, struct reply *reply)
{
    struct session *session = &run->session;
    if (session_reply(session, reply, run->options->timeout_ms))
        return true;
    if (!run_can_wait(run))
        return false;
    int64_t waited_ms = session->last_ms;
    session->trouble = TROUBLE_NONE;
    bool came = session_reply(session, reply, run->options->timeout_ms / 2);
    note_late(session, waited_ms);
    return came;
}
