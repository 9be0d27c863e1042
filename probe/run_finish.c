/* The end of a case: RSET and QUIT, and whether client and server are still in step. */
#include "probe/run.h"

#include <stdio.h>

#define STRAY_WAIT_MS 300 /* to collect replies once a session is known to be out of step */
#define STRAY_MAX 40

/* One of the two closing commands, and what the case allows. */
struct closing {
    const char *command;
    int expected;
    bool payload_sent;
    int refusal; /* code of a refusal after which the server may hang up; 0: it may not */
};

/* There was a reply too many, or one that shows that a command did not arrive whole. */
static bool out_of_step(struct run *run, const struct closing *closing, const char *answer)
{
    if (closing->payload_sent)
        return run_ran_payload(run, closing->command, answer);
    if (answer[0] == '5')
        return run_fail(run, FINDING_MISCOUNTED,
                        "The server read fewer octets than were declared and took the rest for "
                        "commands: %s was answered '%s'.",
                        closing->command, answer);
    return run_fail(run, FINDING_TWICE,
                    "The server gave more replies than there were commands: %s was answered '%s'. "
                    "A sender takes each reply for that of the next command from here on.",
                    closing->command, answer);
}

/* Collects the replies that nobody asked for. True if there were any. */
static bool strays_come(struct session *session)
{
    struct reply reply;
    unsigned strays = 0;
    while (strays < STRAY_MAX && session_stray_reply(session, &reply, STRAY_WAIT_MS))
        strays++;
    return strays > 0;
}

/* An answer that was not expected. Octets of a chunk that were left over spoil just the next
 * command; a server that does not want the command says the same of it again. */
static bool unexpected(struct run *run, const struct closing *closing, const char *answer)
{
    struct session *session = &run->session;
    struct reply again;
    if (strays_come(session))
        return out_of_step(run, closing, answer);
    bool answered = session_command(session, &again, "%s", closing->command);
    if (session->trouble == TROUBLE_UNASKED || (answered && again.code == closing->expected))
        return out_of_step(run, closing, answer);
    return run_warn(run, FINDING_UNTIDY,
                    "%s was answered '%s', and %s. Every server must know it (RFC 5321, section "
                    "4.5.1).",
                    closing->command, answer,
                    answered ? "no better when it was repeated" : "no more came after that");
}

static bool closing_trouble(struct run *run, const struct closing *closing)
{
    struct session *session = &run->session;
    int refusal = closing->refusal;
    if (session->trouble == TROUBLE_UNASKED)
        return out_of_step(run, closing, session->last_words);
    if (session->trouble == TROUBLE_DROPPED && (refusal == 421 || refusal == 521))
        return true;
    if (session->trouble == TROUBLE_DROPPED && refusal != 0)
        return run_hung_up(run, refusal);
    return run_trouble(run, closing->command);
}

static bool close_by(struct run *run, const struct closing *closing)
{
    struct reply reply;
    char text[160];
    if (!session_command(&run->session, &reply, "%s", closing->command))
        return closing_trouble(run, closing);
    if (reply.code == closing->expected || (reply.code == 421 && closing->refusal != 0))
        return true;
    reply_summary(&reply, text, sizeof(text));
    if (reply.code == 421)
        return run_skip(run, FINDING_UNREACHABLE, "Not finished: %s was answered '%s'.",
                        closing->command, text);
    return unexpected(run, closing, text);
}

bool run_finish_in_step(struct run *run, bool payload_sent, int refusal)
{
    const struct closing reset = {"RSET", 250, payload_sent, refusal};
    const struct closing quit = {"QUIT", 221, payload_sent, refusal};
    if (!close_by(run, &reset))
        return false;
    return run->session.trouble != TROUBLE_NONE || close_by(run, &quit);
}
