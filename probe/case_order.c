/* BDAT out of place. */
#include "probe/case_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/run.h"

void case_refused(struct run *run)
{
    struct reply reply;
    if (run_open(run) && run_mail(run) &&
        run_chunk(run, run->message.data, run->message.length, true, &reply) &&
        run_expect_refused(run, &reply, "BDAT LAST without a recipient") &&
        run_finish_in_step(run, true, reply.code))
        run_pass(run,
                 "The chunk was refused (%d), its octets were discarded, and the session "
                 "stayed in step.",
                 reply.code);
}

/* Reads the replies to MAIL, RCPT (if one was sent) and BDAT. */
static bool read_refusals(struct run *run, bool recipient, struct reply *reply)
{
    if (!run_reply(run, reply))
        return run_trouble(run, "MAIL");
    if (recipient) {
        if (!run_reply(run, reply))
            return run_trouble(run, "RCPT");
        if (!reply_is_refusal(reply))
            return run_warn(run, FINDING_ACCEPTED,
                            "A recipient below .invalid was refused first, but now accepted (%d).",
                            reply->code);
    }
    if (!run_reply(run, reply))
        return run_trouble(run, "BDAT LAST");
    return run_expect_refused(run, reply, "BDAT LAST without a valid recipient");
}

void case_refused_pipelined(struct run *run)
{
    char flight[1024], label[160];
    struct reply reply;
    bool recipient = run->survey->foreign_refused;
    if (!run_open(run))
        return;
    int length =
        snprintf(flight, sizeof(flight), "MAIL FROM:<%s>\r\n%sBDAT %zu LAST\r\n%s",
                 run->options->from, recipient ? "RCPT TO:<nobody@bdat-probe.invalid>\r\n" : "",
                 run->message.length, run->message.data);
    snprintf(label, sizeof(label), "MAIL,%s BDAT %zu LAST and its octets in one flight",
             recipient ? " RCPT TO:<nobody@bdat-probe.invalid>," : "", run->message.length);
    if (!session_send(&run->session, flight, (size_t)length, label)) {
        run_trouble(run, "the flight of MAIL and BDAT");
        return;
    }
    if (read_refusals(run, recipient, &reply) && run_finish_in_step(run, true, reply.code))
        run_pass(run,
                 "The recipient was %s, the chunk behind it was refused (%d) and discarded, and "
                 "the session stayed in step.",
                 recipient ? "refused" : "left out", reply.code);
}

void case_rset_between(struct run *run)
{
    struct reply reply;
    const char *data = run->message.data;
    size_t sizes[MESSAGE_MAX_CHUNKS];
    unsigned count = message_cut(&run->message, CUT_LINES, sizes);
    size_t most = run->message.length - sizes[count - 1]; /* all but the last chunk */
    if (!run_open(run) || !run_envelope(run) || !run_chunk_taken(run, data, most, false, &reply) ||
        !run_command(run, "RSET"))
        return;
    if (!run_envelope_after(run, "RSET") ||
        !run_chunk_taken(run, data, run->message.length, false, &reply) ||
        !run_finish_in_step(run, false, 0))
        return;
    run_pass(run, "RSET between chunks took the transfer back, and a new one began well.");
}

/* A message that is delivered; the message of the row is command lines for the chunk behind. */
static bool deliver_first(struct run *run, struct reply *reply)
{
    struct message message;
    const char *name = run->result->definition->name;
    if (!run_envelope(run))
        return false;
    if (message_build(&message, MESSAGE_PLAIN, name, run->options->from, run->survey->recipient,
                      0) != 0)
        return run_fail(run, FINDING_NONE, "Out of memory.");
    bool taken = run_chunk_taken(run, message.data, message.length, true, reply);
    message_free(&message);
    return taken;
}

/* A LAST chunk that is refused for want of a recipient. */
static bool refuse_first(struct run *run, struct reply *reply)
{
    return run_mail(run) && run_chunk(run, run->message.data, run->message.length, true, reply) &&
           run_expect_refused(run, reply, "BDAT LAST without a recipient");
}

/* True if the session goes on after the first LAST; otherwise the verdict is given. */
static bool still_there(struct run *run, const struct reply *first)
{
    struct reply reply;
    if (first->code == 421 || first->code == 521) {
        run_pass(run, "The server hangs up after a refused LAST (%d), so nothing can follow.",
                 first->code);
        return false;
    }
    if (session_command(&run->session, &reply, "NOOP"))
        return true;
    if (run->session.trouble == TROUBLE_DROPPED && reply_is_refusal(first))
        return run_hung_up(run, first->code);
    return run_trouble(run, "NOOP");
}

void case_after_last(struct run *run)
{
    struct reply first = {.code = 0}, second = {.code = 0};
    if (!run_open(run))
        return;
    if (!(run->options->deliver ? deliver_first(run, &first) : refuse_first(run, &first)))
        return;
    if (!still_there(run, &first) ||
        !run_chunk(run, run->message.data, run->message.length, true, &second))
        return;
    /* A success may be the reply to a payload line of the first chunk: see that first. */
    if (run_finish_in_step(run, true, second.code) &&
        run_expect_refused(run, &second, "BDAT after LAST without a new MAIL"))
        run_pass(run, "BDAT after LAST without a new MAIL was refused (%d) and discarded.",
                 second.code);
}

void case_data_after_bdat(struct run *run)
{
    struct reply reply;
    if (!run_open(run) || !run_envelope(run) ||
        !run_chunk_taken(run, run->message.data, run->message.length, false, &reply))
        return;
    if (!session_command(&run->session, &reply, "DATA")) {
        run_trouble(run, "DATA after BDAT");
        return;
    }
    if (!reply_is_refusal(&reply)) {
        run_warn(run, FINDING_ACCEPTED,
                 "DATA after BDAT was answered %d: RFC 3030 forbids to mix them, and a message "
                 "may so get two beginnings. No sound sender does it.",
                 reply.code);
        return;
    }
    if (run_finish_in_step(run, false, reply.code))
        run_pass(run, "DATA after BDAT in one transaction was refused (%d), as RFC 3030 wants.",
                 reply.code);
}

void case_malformed(struct run *run)
{
    struct reply reply;
    const char *command = run->result->definition->command;
    struct session *session = &run->session;
    char line[80];
    int wait = run->options->timeout_ms;
    if (!run_open(run) || !run_envelope(run))
        return;
    snprintf(line, sizeof(line), "%s\r\n", command);
    if (!session_send(session, line, strlen(line), command)) {
        run_trouble(run, command);
        return;
    }
    if (!session_reply(session, &reply, wait < RUN_SHORT_WAIT_MS ? wait : RUN_SHORT_WAIT_MS)) {
        if (session->trouble == TROUBLE_SILENT)
            run_warn(run, FINDING_STALLED,
                     "The server takes '%s' for a command and waits for its octets. No sound "
                     "sender says that, but one that does waits for ever.",
                     command);
        else if (session->trouble == TROUBLE_DROPPED)
            run_warn(run, FINDING_DROPPED,
                     "The server closed the connection at '%s' without a word.", command);
        else
            run_trouble(run, command);
        return;
    }
    if (reply_is_success(&reply))
        run_warn(run, FINDING_ACCEPTED, "The server accepts '%s' (%d).", command, reply.code);
    else if (run_finish_in_step(run, false, reply.code))
        run_pass(run, "'%s' was refused (%d).", command, reply.code);
}
