/* Sound messages in chunks. */
#include "probe/case_chunks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/run.h"

/* Sends the message in its chunks. *reply is the reply to the last of them. */
static bool send_message(struct run *run, unsigned *count, struct reply *reply)
{
    size_t sizes[MESSAGE_MAX_CHUNKS];
    bool deliver = run->options->deliver != NULL;
    const char *data = run->message.data;
    *count = message_cut(&run->message, run->result->definition->cut, sizes);
    for (unsigned i = 0; i < *count; i++) {
        if (!run_chunk_taken(run, data, sizes[i], deliver && i == *count - 1, reply))
            return false;
        data += sizes[i];
    }
    return true;
}

static const char *chunks_text(unsigned count, char *buffer, size_t size)
{
    if (count == 1)
        snprintf(buffer, size, "one chunk");
    else
        snprintf(buffer, size, "%u chunks", count);
    return buffer;
}

static void pass_message(struct run *run, unsigned count, const struct reply *reply)
{
    char chunks[24], text[120];
    chunks_text(count, chunks, sizeof(chunks));
    if (run->options->deliver)
        run_pass(run, "%zu octets in %s were delivered: '%s'.", run->message.length, chunks,
                 reply_summary(reply, text, sizeof(text)));
    else
        run_pass(run, "%zu octets in %s were taken and counted right, then taken back by RSET.",
                 run->message.length, chunks);
}

void case_chunks(struct run *run)
{
    unsigned count;
    struct reply reply;
    if (run_open(run) && run_envelope(run) && send_message(run, &count, &reply) &&
        run_finish_in_step(run, false, 0))
        pass_message(run, count, &reply);
}

static void last_empty_delivered(struct run *run)
{
    struct reply reply;
    char text[120];
    if (run_envelope(run) &&
        run_chunk_taken(run, run->message.data, run->message.length, false, &reply) &&
        run_chunk_taken(run, "", 0, true, &reply) && run_finish_in_step(run, false, 0))
        run_pass(run, "A message that ends in BDAT 0 LAST was delivered: '%s'.",
                 reply_summary(&reply, text, sizeof(text)));
}

static void last_empty_refused(struct run *run)
{
    struct reply reply;
    if (run_mail(run) && run_chunk(run, "", 0, true, &reply) &&
        run_expect_refused(run, &reply, "BDAT 0 LAST without a recipient") &&
        run_finish_in_step(run, false, reply.code))
        run_pass(run, "BDAT 0 LAST without a recipient was refused (%d), as it should be.",
                 reply.code);
}

void case_last_empty(struct run *run)
{
    if (!run_open(run))
        return;
    if (run->options->deliver)
        last_empty_delivered(run);
    else
        last_empty_refused(run);
}

/* Everything from MAIL to the last chunk, as one string of octets. */
static int build_flight(struct run *run, char **flight, size_t *length, unsigned *chunks)
{
    size_t sizes[MESSAGE_MAX_CHUNKS];
    char mail[400];
    bool deliver = run->options->deliver != NULL;
    const char *data = run->message.data;
    FILE *stream = open_memstream(flight, length);
    if (!stream)
        return -1;
    run_mail_line(run, mail, sizeof(mail));
    fprintf(stream, "%s\r\nRCPT TO:<%s>\r\n", mail, run->survey->recipient);
    *chunks = message_cut(&run->message, run->result->definition->cut, sizes);
    for (unsigned i = 0; i < *chunks; i++) {
        fprintf(stream, "BDAT %zu%s\r\n", sizes[i], deliver && i == *chunks - 1 ? " LAST" : "");
        fwrite(data, 1, sizes[i], stream);
        data += sizes[i];
    }
    return fclose(stream) == 0 ? 0 : -1;
}

/* MAIL and RCPT were taken before, but the server may have a limit. */
static bool expect_envelope_taken(struct run *run, const struct reply *reply, const char *what)
{
    char text[160];
    if (reply_is_success(reply) || reply_is_syntax(reply))
        return run_expect_taken(run, reply, what);
    return run_skip(run, FINDING_UNREACHABLE, "Not run: %s was answered '%s'.", what,
                    reply_summary(reply, text, sizeof(text)));
}

static bool read_flight(struct run *run, unsigned chunks, struct reply *reply)
{
    char what[40];
    for (unsigned i = 0; i < chunks + 2; i++) {
        snprintf(what, sizeof(what), i == 0 ? "MAIL" : i == 1 ? "RCPT" : "chunk %u", i - 1);
        if (!run_reply(run, reply))
            return run_trouble(run, what);
        if (!(i < 2 ? expect_envelope_taken(run, reply, what) : run_expect_taken(run, reply, what)))
            return false;
    }
    return true;
}

void case_pipelined(struct run *run)
{
    char *flight = NULL;
    size_t length;
    unsigned chunks;
    char label[120];
    struct reply reply;
    if (!run_open(run))
        return;
    if (build_flight(run, &flight, &length, &chunks) != 0) {
        run_fail(run, FINDING_NONE, "Out of memory.");
        return;
    }
    snprintf(label, sizeof(label), "MAIL, RCPT and %u chunks in one flight of %zu octets", chunks,
             length);
    bool sent = session_send(&run->session, flight, length, label);
    free(flight);
    if (!sent) {
        run_trouble(run, "the flight of MAIL, RCPT and chunks");
        return;
    }
    if (read_flight(run, chunks, &reply) && run_finish_in_step(run, false, 0))
        pass_message(run, chunks, &reply);
}

void case_two_messages(struct run *run)
{
    unsigned count;
    struct reply reply;
    if (!run_open(run) || !run_envelope(run) || !send_message(run, &count, &reply))
        return;
    if (!run->options->deliver && !run_command(run, "RSET"))
        return;
    if (!run_envelope_after(run, run->options->deliver ? "BDAT LAST" : "RSET") ||
        !send_message(run, &count, &reply) || !run_finish_in_step(run, false, 0))
        return;
    if (run->options->deliver)
        run_pass(run, "Two messages in one session were delivered.");
    else
        run_pass(run, "The chunks of two messages in one session were taken, and taken back by "
                      "RSET.");
}
