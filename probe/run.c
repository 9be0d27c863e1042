/* What all cases have in common. */
#include "probe/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 4, 0))) static void set_verdict(struct run *run, enum status status,
                                                              enum finding finding,
                                                              const char *format, va_list arguments)
{
    struct case_result *result = run->result;
    if (result->meaning[0] != '\0')
        return;
    result->status = status;
    result->finding = finding;
    vsnprintf(result->meaning, sizeof(result->meaning), format, arguments);
}

bool run_fail(struct run *run, enum finding finding, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_verdict(run, STATUS_FAIL, finding, format, arguments);
    va_end(arguments);
    return false;
}

bool run_warn(struct run *run, enum finding finding, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_verdict(run, STATUS_WARN, finding, format, arguments);
    va_end(arguments);
    return false;
}

bool run_skip(struct run *run, enum finding finding, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_verdict(run, STATUS_SKIP, finding, format, arguments);
    va_end(arguments);
    return false;
}

/* Slower than this is worth a warning. */
static int64_t slow_ms(const struct run *run)
{
    return run->options->timeout_ms / 4;
}

void run_pass(struct run *run, const char *format, ...)
{
    struct case_result *result = run->result;
    bool slow = run->session.slowest_ms > slow_ms(run);
    va_list arguments;
    va_start(arguments, format);
    set_verdict(run, slow ? STATUS_WARN : STATUS_PASS, slow ? FINDING_SLOW : FINDING_NONE, format,
                arguments);
    va_end(arguments);
    if (slow && result->finding == FINDING_SLOW) {
        size_t length = strlen(result->meaning);
        snprintf(result->meaning + length, sizeof(result->meaning) - length,
                 " But slow: one reply took %.1f s.", run->session.slowest_ms / 1000.0);
    }
}

static const char *saying(const struct session *session, char *buffer, size_t size)
{
    buffer[0] = '\0';
    if (session->last_words[0])
        snprintf(buffer, size, ", saying '%s'", session->last_words);
    return buffer;
}

bool run_ran_payload(struct run *run, const char *command, const char *answer)
{
    return run_fail(run, FINDING_RAN_PAYLOAD,
                    "The server ran the octets of a refused chunk as commands: more replies came "
                    "than commands were sent (%s was answered '%s'). Whoever writes a message can "
                    "make the server run commands that way.",
                    command, answer);
}

/* The time for the whole session is over: the last reply was not waited for as long as it may
 * take, so nothing is known of it. */
static bool given_up(struct run *run, const char *what)
{
    return run_skip(run, FINDING_UNFINISHED,
                    "Not finished: the session took more than %.3g s and was given up at %s; the "
                    "slowest reply took %.3g s.",
                    SESSION_TIMEOUTS * run->options->timeout_ms / 1000.0, what,
                    run->session.slowest_ms / 1000.0);
}

bool run_trouble(struct run *run, const char *what)
{
    const struct session *session = &run->session;
    char words[200];
    if (session->trouble == TROUBLE_SILENT && connection_clock() >= session->give_up_at)
        return given_up(run, what);
    saying(session, words, sizeof(words));
    switch (session->trouble) {
    case TROUBLE_DROPPED:
        return run_fail(run, FINDING_DROPPED, "The server closed the connection after %s%s.", what,
                        words[0] ? words : ", without an answer");
    case TROUBLE_SILENT:
        return run_fail(run, FINDING_STALLED, "No answer to %s within %.3g s.", what,
                        session->last_ms / 1000.0);
    case TROUBLE_UNSENT:
        return run_fail(run, FINDING_STALLED,
                        "The server stopped reading in the middle of %s: %zu octets were not "
                        "taken%s.",
                        what, session->unsent_octets, words);
    case TROUBLE_UNASKED:
        if (run->result->definition->message == MESSAGE_COMMANDS)
            return run_ran_payload(run, what, session->last_words);
        return run_fail(run, session->last_words[0] == '5' ? FINDING_MISCOUNTED : FINDING_TWICE,
                        "A reply that nobody asked for came before %s%s.", what, words);
    case TROUBLE_GARBAGE:
        return run_fail(run, FINDING_GARBAGE, "What came after %s is no SMTP reply: '%s'.", what,
                        session->last_words);
    default:
        return run_fail(run, FINDING_GARBAGE, "The reply to %s does not end; it was given up.",
                        what);
    }
}

bool run_open(struct run *run)
{
    char why[400];
    enum opening opening = session_open(&run->session, run->options, &run->survey->endpoint,
                                        &run->result->dialog, why, sizeof(why));
    if (opening == OPENING_DONE)
        return true;
    return run_skip(run, FINDING_UNREACHABLE, "Not run: the session could not be opened (%s).",
                    why);
}

void run_mail_line(const struct run *run, char *buffer, size_t size)
{
    char size_parameter[40] = "";
    const struct capabilities *offered = &run->session.current;
    enum message_kind kind = run->result->definition->message;
    if (offered->size && kind != MESSAGE_COMMANDS)
        snprintf(size_parameter, sizeof(size_parameter), " SIZE=%zu", run->message.length);
    snprintf(buffer, size, "MAIL FROM:<%s>%s%s", run->options->from, size_parameter,
             kind == MESSAGE_BINARY ? " BODY=BINARYMIME"
             : kind == MESSAGE_8BIT ? " BODY=8BITMIME"
                                    : "");
}

/* A command of an envelope was refused that had been taken before. `after` is what came
 * between ("" if the session is new). Policy may change from one to the next. */
static bool envelope_refused(struct run *run, const struct reply *reply, const char *word,
                             const char *after)
{
    char text[160];
    reply_summary(reply, text, sizeof(text));
    if (!*after)
        return run_skip(run, FINDING_UNREACHABLE, "Not run: %s was answered '%s'.", word, text);
    if (reply_is_syntax(reply))
        return run_fail(run, FINDING_REFUSED,
                        "After %s, %s was answered '%s': the transfer by BDAT before it has not "
                        "ended for the server, so that no message can follow in its session.",
                        after, word, text);
    return run_skip(run, FINDING_UNREACHABLE, "Not finished: after %s, %s was answered '%s'.",
                    after, word, text);
}

static bool envelope_command(struct run *run, const char *line, const char *word, const char *after)
{
    struct reply reply;
    if (!session_command(&run->session, &reply, "%s", line))
        return run_trouble(run, word);
    return reply_is_success(&reply) || envelope_refused(run, &reply, word, after);
}

static bool mail_after(struct run *run, const char *after)
{
    char line[400];
    run_mail_line(run, line, sizeof(line));
    return envelope_command(run, line, "MAIL FROM", after);
}

bool run_mail(struct run *run)
{
    return mail_after(run, "");
}

bool run_envelope_after(struct run *run, const char *after)
{
    char line[OPTIONS_MAX_ADDRESS + 20];
    snprintf(line, sizeof(line), "RCPT TO:<%s>", run->survey->recipient);
    return mail_after(run, after) && envelope_command(run, line, "RCPT TO", after);
}

bool run_envelope(struct run *run)
{
    return run_envelope_after(run, "");
}

static void chunk_label(size_t length, bool last, char *buffer, size_t size)
{
    snprintf(buffer, size, "BDAT %zu%s", length, last ? " LAST" : "");
}

bool run_chunk(struct run *run, const char *data, size_t length, bool last, struct reply *reply)
{
    char label[40], described[80];
    chunk_label(length, last, label, sizeof(label));
    snprintf(described, sizeof(described), "%s, with %zu octets behind it", label, length);
    size_t head = strlen(label);
    char *octets = malloc(head + 2 + length);
    if (!octets)
        return run_fail(run, FINDING_NONE, "Out of memory.");
    memcpy(octets, label, head);
    memcpy(octets + head, "\r\n", 2);
    if (length > 0)
        memcpy(octets + head + 2, data, length);
    bool sent = session_send(&run->session, octets, head + 2 + length, described);
    free(octets);
    if (!sent)
        return run_trouble(run, label);
    if (session_reply(&run->session, reply, run->options->timeout_ms))
        return true;
    return run_can_wait(run) ? run_sound_silence(run, label, reply) : run_trouble(run, label);
}

bool run_expect_taken(struct run *run, const struct reply *reply, const char *what)
{
    char text[200];
    if (reply_is_success(reply))
        return true;
    reply_summary(reply, text, sizeof(text));
    if (run->result->definition->needs & MAY_BE_REFUSED)
        return run_warn(run, FINDING_REFUSED,
                        "%s was refused: '%s'. A server may do so, but senders must know.", what,
                        text);
    return run_fail(run, FINDING_REFUSED, "%s was refused: '%s'.", what, text);
}

bool run_expect_refused(struct run *run, const struct reply *reply, const char *what)
{
    char text[200];
    if (reply_is_refusal(reply))
        return true;
    return run_fail(run, FINDING_ACCEPTED, "%s had to be refused but was answered '%s'.", what,
                    reply_summary(reply, text, sizeof(text)));
}

bool run_chunk_taken(struct run *run, const char *data, size_t length, bool last,
                     struct reply *reply)
{
    char label[40];
    chunk_label(length, last, label, sizeof(label));
    return run_chunk(run, data, length, last, reply) && run_expect_taken(run, reply, label);
}

bool run_command(struct run *run, const char *command)
{
    struct reply reply;
    char text[160];
    if (!session_command(&run->session, &reply, "%s", command))
        return run_trouble(run, command);
    if (reply_is_success(&reply))
        return true;
    return run_fail(run, FINDING_REFUSED, "%s was answered '%s'.", command,
                    reply_summary(&reply, text, sizeof(text)));
}

bool run_hung_up(struct run *run, int code)
{
    return run_warn(run, FINDING_DROPPED,
                    "The server refused with %d and then closed the connection. A sender that "
                    "had more mail for it must begin again.",
                    code);
}
