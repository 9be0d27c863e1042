/* One SMTP session: opening and exchange. */
#include "probe/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/auth.h"

#define LINE_MAX_OCTETS 1024
#define LAST_WORDS_MS 1000 /* to hear why a connection was closed while we were sending */

static bool trouble(struct session *session, enum trouble kind, const char *last_words)
{
    if (session->trouble == TROUBLE_NONE) {
        session->trouble = kind;
        snprintf(session->last_words, sizeof(session->last_words), "%s", last_words);
    }
    return false;
}

static int64_t deadline_in(const struct session *session, int timeout_ms)
{
    int64_t deadline = connection_clock() + timeout_ms;
    return deadline < session->give_up_at ? deadline : session->give_up_at;
}

/* Parses what is buffered. REPLY_MORE when it is used up. */
static enum reply_status parse_input(struct session *session)
{
    size_t used = 0;
    enum reply_status status =
        reply_parser_feed(&session->parser, session->input + session->input_start,
                          session->input_end - session->input_start, &used);
    session->input_start += used;
    return status;
}

static enum io_result fill_input(struct session *session, int64_t deadline)
{
    size_t got;
    enum io_result result = connection_read(session->connection, session->input,
                                            sizeof(session->input), deadline, &got);
    session->input_start = 0;
    session->input_end = got;
    return result;
}

/* Reads on until a whole reply is there, without a word to dialog or trouble. */
static enum reply_status read_on(struct session *session, int64_t deadline, enum io_result *result)
{
    enum reply_status status;
    *result = IO_OK;
    while ((status = parse_input(session)) == REPLY_MORE) {
        bool begun = session->parser.line_length > 0 || session->parser.reply.lines > 0;
        if (begun && connection_clock() >= deadline)
            *result = IO_TIMEOUT;
        else
            *result = fill_input(session, deadline);
        if (*result != IO_OK)
            break;
    }
    return status;
}

static bool no_reply(struct session *session, enum io_result result, int64_t elapsed)
{
    if (result == IO_TIMEOUT) {
        dialog_add(session->dialog, DIALOG_NOTE, elapsed, "no complete reply; given up");
        return trouble(session, TROUBLE_SILENT, "");
    }
    dialog_add(session->dialog, DIALOG_NOTE, elapsed, "connection %s",
               result == IO_CLOSED ? "closed by the server" : "reset");
    return trouble(session, TROUBLE_DROPPED, "");
}

bool session_reply(struct session *session, struct reply *reply, int timeout_ms)
{
    if (session->trouble != TROUBLE_NONE)
        return false;
    char text[DIALOG_TEXT];
    enum io_result result;
    int64_t start = connection_clock();
    reply_parser_reset(&session->parser);
    enum reply_status status = read_on(session, deadline_in(session, timeout_ms), &result);
    int64_t elapsed = session->last_ms = connection_clock() - start;
    if (elapsed > session->slowest_ms)
        session->slowest_ms = elapsed;
    if (status == REPLY_MORE)
        return no_reply(session, result, elapsed);
    *reply = session->parser.reply;
    reply_summary(reply, text, sizeof(text));
    dialog_add(session->dialog, DIALOG_SERVER, elapsed, "%s", text);
    if (status == REPLY_NOT_SMTP)
        return trouble(session, TROUBLE_GARBAGE, text);
    if (status == REPLY_TOO_LONG)
        return trouble(session, TROUBLE_ENDLESS, text);
    return true;
}

bool session_stray_reply(struct session *session, struct reply *reply, int wait_ms)
{
    char text[DIALOG_TEXT];
    enum io_result result;
    if (session->trouble != TROUBLE_NONE)
        return false;
    reply_parser_reset(&session->parser);
    enum reply_status status = read_on(session, deadline_in(session, wait_ms), &result);
    if (status == REPLY_MORE && session->parser.line_length + session->parser.reply.lines > 0)
        status = read_on(session, deadline_in(session, wait_ms + LAST_WORDS_MS), &result);
    if (status == REPLY_MORE && session->parser.line_length + session->parser.reply.lines == 0)
        return false;
    *reply = session->parser.reply;
    dialog_add(session->dialog, DIALOG_SERVER, 0, "%s", reply_summary(reply, text, sizeof(text)));
    return true;
}

/* A connection that broke while we were sending: the server may have said why. */
static bool unsent(struct session *session, enum io_result result, size_t left)
{
    struct reply reply;
    char text[160] = "";
    if (session_stray_reply(session, &reply, LAST_WORDS_MS))
        reply_summary(&reply, text, sizeof(text));
    session->unsent_octets = left;
    dialog_add(session->dialog, DIALOG_NOTE, 0, "%s, %zu octets unsent",
               result == IO_TIMEOUT ? "the server stopped reading" : "connection closed", left);
    return trouble(session, result == IO_TIMEOUT ? TROUBLE_UNSENT : TROUBLE_DROPPED, text);
}

/* Before something is sent, nothing may be waiting. */
static bool in_step(struct session *session)
{
    struct reply reply;
    char text[160];
    if (!session_stray_reply(session, &reply, 0))
        return true;
    reply_summary(&reply, text, sizeof(text));
    return trouble(session, reply.code == 421 ? TROUBLE_DROPPED : TROUBLE_UNASKED, text);
}

bool session_send_ahead(struct session *session, const char *data, size_t length, const char *label)
{
    size_t written;
    if (session->trouble != TROUBLE_NONE)
        return false;
    dialog_add(session->dialog, DIALOG_CLIENT, 0, "%s", label);
    enum io_result result =
        connection_write(session->connection, data, length,
                         deadline_in(session, session->options->timeout_ms), &written);
    return result == IO_OK ? true : unsent(session, result, length - written);
}

bool session_send(struct session *session, const char *data, size_t length, const char *label)
{
    return session->trouble == TROUBLE_NONE && in_step(session) &&
           session_send_ahead(session, data, length, label);
}

bool session_command(struct session *session, struct reply *reply, const char *format, ...)
{
    char line[LINE_MAX_OCTETS];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line) - 2, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(line) - 2)
        length = sizeof(line) - 3;
    memcpy(line + length, "\r\n", 3);
    char label[DIALOG_TEXT];
    snprintf(label, sizeof(label), "%.*s", length, line);
    return session_send(session, line, (size_t)length + 2, label) &&
           session_reply(session, reply, session->options->timeout_ms);
}

bool session_drain(struct session *session)
{
    size_t left;
    if (session->trouble != TROUBLE_NONE)
        return false;
    int64_t deadline = deadline_in(session, session->options->timeout_ms);
    enum io_result result = connection_drain(session->connection, deadline, &left);
    if (result != IO_OK)
        return unsent(session, result, left);
    int64_t start = connection_clock();
    enum io_result read = fill_input(session, start);
    if (read == IO_OK || read == IO_TIMEOUT)
        return true;
    return no_reply(session, read, 0);
}

static bool is_masked(const char *line)
{
    size_t run = strspn(line, "Xx");
    return run >= 4;
}

void capabilities_read(struct capabilities *capabilities, const struct reply *reply)
{
    char text[REPLY_MAX_LINE];
    *capabilities = (struct capabilities){.ehlo = true};
    capabilities->chunking = reply_ehlo_keyword(reply, "CHUNKING", text, sizeof(text)) != NULL;
    capabilities->binarymime = reply_ehlo_keyword(reply, "BINARYMIME", text, sizeof(text)) != NULL;
    capabilities->pipelining = reply_ehlo_keyword(reply, "PIPELINING", text, sizeof(text)) != NULL;
    capabilities->eightbitmime = reply_ehlo_keyword(reply, "8BITMIME", text, sizeof(text)) != NULL;
    capabilities->starttls = reply_ehlo_keyword(reply, "STARTTLS", text, sizeof(text)) != NULL;
    capabilities->keywords = reply->lines > 0 ? reply->lines - 1 : 0;
    if (reply_ehlo_keyword(reply, "SIZE", text, sizeof(text))) {
        capabilities->size = true;
        capabilities->size_limit = strtoull(text, NULL, 10);
    }
    if (reply_ehlo_keyword(reply, "AUTH", text, sizeof(text)))
        snprintf(capabilities->auth, sizeof(capabilities->auth), "%.*s",
                 (int)sizeof(capabilities->auth) - 1, text);
    for (const char *line = strchr(reply->text, '\n'); line; line = strchr(line + 1, '\n'))
        capabilities->masked = capabilities->masked || is_masked(line + 1);
}

/* One step of the opening that went wrong, in words. */
static enum opening broken(struct session *session, const char *what, char *why, size_t size)
{
    switch (session->trouble) {
    case TROUBLE_SILENT:
        snprintf(why, size, "no %s within %.3g s", what, session->last_ms / 1000.0);
        break;
    case TROUBLE_GARBAGE:
        snprintf(why, size, "the %s is no SMTP reply: '%s'", what, session->last_words);
        break;
    case TROUBLE_ENDLESS:
        snprintf(why, size, "the %s does not end (%d lines or %d octets are read)", what,
                 REPLY_MAX_LINES, REPLY_MAX_TEXT);
        break;
    case TROUBLE_UNASKED:
        snprintf(why, size, "a reply came before the question: '%s'", session->last_words);
        break;
    default:
        snprintf(why, size, "the server closed the connection instead of a %s%s%s", what,
                 *session->last_words ? ", saying " : "", session->last_words);
    }
    return OPENING_BROKEN;
}

static enum opening refused(const char *what, const struct reply *reply, enum opening opening,
                            char *why, size_t size)
{
    char text[160];
    snprintf(why, size, "%s was answered '%s'", what, reply_summary(reply, text, sizeof(text)));
    return opening;
}

static enum opening say_ehlo(struct session *session, char *why, size_t size)
{
    struct reply *reply = &session->ehlo;
    if (!session_command(session, reply, "EHLO %s", session->helo))
        return broken(session, "reply to EHLO", why, size);
    if (reply_is_success(reply)) {
        capabilities_read(&session->current, reply);
        return OPENING_DONE;
    }
    if (reply->code < 500)
        return refused("EHLO", reply, OPENING_REFUSED, why, size);
    session->current = (struct capabilities){.ehlo = false};
    if (!session_command(session, reply, "HELO %s", session->helo))
        return broken(session, "reply to HELO", why, size);
    return reply_is_success(reply) ? OPENING_DONE
                                   : refused("HELO", reply, OPENING_REFUSED, why, size);
}

static enum opening shake_hands(struct session *session, const char *host, char *why, size_t size)
{
    char error[128];
    int64_t deadline = deadline_in(session, session->options->timeout_ms);
    if (connection_start_tls(session->connection, host, deadline, error, sizeof(error)) != 0) {
        snprintf(why, size, "the TLS handshake failed: %s", error);
        dialog_add(session->dialog, DIALOG_NOTE, 0, "%s", why);
        return OPENING_TLS_FAILED;
    }
    session->tls = true;
    dialog_add(session->dialog, DIALOG_NOTE, 0, "TLS: %s",
               connection_tls_text(session->connection));
    return OPENING_DONE;
}

static enum opening start_tls(struct session *session, const char *host, char *why, size_t size)
{
    struct reply reply;
    bool wanted = session->options->tls == TLS_STARTTLS;
    if (session->tls || session->options->tls == TLS_NEVER)
        return OPENING_DONE;
    if (!session->current.starttls) {
        if (wanted)
            snprintf(why, size, "STARTTLS is not offered");
        return wanted ? OPENING_TLS_FAILED : OPENING_DONE;
    }
    if (!session_command(session, &reply, "STARTTLS"))
        return broken(session, "reply to STARTTLS", why, size);
    if (!reply_is_success(&reply))
        return refused("STARTTLS", &reply, OPENING_TLS_FAILED, why, size);
    if (session->input_start < session->input_end) {
        snprintf(why, size, "octets came in plain text behind the reply to STARTTLS");
        return OPENING_TLS_FAILED;
    }
    enum opening opening = shake_hands(session, host, why, size);
    return opening == OPENING_DONE ? say_ehlo(session, why, size) : opening;
}

/* The name to greet with: as asked for, or the host's full name, or its address (RFC 5321,
 * section 4.1.3), which is always true. */
static void choose_helo(struct session *session)
{
    char *helo = session->helo;
    size_t size = sizeof(session->helo);
    if (session->options->helo) {
        snprintf(helo, size, "%s", session->options->helo);
        return;
    }
    if (gethostname(helo, size - 1) == 0 && strchr(helo, '.') && options_is_address(helo))
        return;
    connection_local_literal(session->connection, helo, size);
}

static enum opening connect_to(struct session *session, const struct endpoint *endpoint, char *why,
                               size_t size)
{
    int64_t start = connection_clock();
    session->connection =
        connection_open(endpoint, deadline_in(session, session->options->timeout_ms), why, size);
    if (!session->connection) {
        dialog_add(session->dialog, DIALOG_NOTE, connection_clock() - start, "%s", why);
        return OPENING_UNREACHABLE;
    }
    dialog_add(session->dialog, DIALOG_NOTE, connection_clock() - start, "connected to %s",
               endpoint->text);
    choose_helo(session);
    if (session->options->tls == TLS_IMPLICIT)
        return shake_hands(session, endpoint->host, why, size);
    return OPENING_DONE;
}

static enum opening read_greeting(struct session *session, char *why, size_t size)
{
    if (!session_reply(session, &session->greeting, session->options->timeout_ms))
        return broken(session, "greeting", why, size);
    if (session->greeting.code != 220)
        return refused("the connection", &session->greeting, OPENING_REFUSED, why, size);
    return OPENING_DONE;
}

enum opening session_open(struct session *session, const struct options *options,
                          const struct endpoint *endpoint, struct dialog *dialog, char *why,
                          size_t why_size)
{
    memset(session, 0, sizeof(*session));
    session->options = options;
    session->dialog = dialog;
    session->give_up_at = connection_clock() + SESSION_TIMEOUTS * (int64_t)options->timeout_ms;
    enum opening opening = connect_to(session, endpoint, why, why_size);
    if (opening == OPENING_DONE)
        opening = read_greeting(session, why, why_size);
    if (opening == OPENING_DONE)
        opening = say_ehlo(session, why, why_size);
    session->plain = session->current;
    if (opening == OPENING_DONE)
        opening = start_tls(session, endpoint->host, why, why_size);
    if (opening == OPENING_DONE && options->user)
        opening = auth_login(session, why, why_size);
    session->slowest_ms = 0;
    return opening;
}

void session_end(struct session *session)
{
    connection_free(&session->connection);
}
