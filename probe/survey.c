/* What the first session finds out. */
#include "probe/survey.h"

#include <stdio.h>
#include <string.h>

#define FOREIGN_RECIPIENT "nobody@bdat-probe.invalid"

static void note_server(struct survey *survey, const struct session *session)
{
    connection_local_literal(session->connection, survey->client, sizeof(survey->client));
    survey->plain = session->plain;
    survey->current = session->current;
    reply_summary(&session->greeting, survey->greeting, sizeof(survey->greeting));
    const char *keywords = strchr(session->ehlo.text, '\n');
    snprintf(survey->ehlo, sizeof(survey->ehlo), "%s",
             session->current.ehlo && keywords ? keywords + 1 : "");
    if (session->tls)
        snprintf(survey->tls, sizeof(survey->tls), "%s", connection_tls_text(session->connection));
}

/* One of the two commands; a refusal is noted. */
static bool try_command(struct survey *survey, struct session *session, const char *verb,
                        const char *address)
{
    struct reply reply;
    char text[160];
    bool answered = session_command(session, &reply, "%s:<%s>", verb, address);
    if (answered && reply_is_success(&reply))
        return true;
    survey->refusal = answered ? reply.code : 0;
    snprintf(survey->recipient_reply, sizeof(survey->recipient_reply), "%s:<%s> was answered '%s'",
             verb, address, answered ? reply_summary(&reply, text, sizeof(text)) : "nothing");
    return false;
}

/* Tries MAIL and RCPT; true if the recipient is accepted. The transaction is taken back. */
static bool try_recipient(struct survey *survey, struct session *session, const char *recipient)
{
    struct reply reply;
    survey->sender_refused = !try_command(survey, session, "MAIL FROM", session->options->from);
    if (survey->sender_refused)
        return false;
    bool accepted = try_command(survey, session, "RCPT TO", recipient);
    (void)session_command(session, &reply, "RSET");
    return accepted;
}

static bool offer_recipient(struct survey *survey, struct session *session, const char *recipient)
{
    if (!options_is_address(recipient) || !try_recipient(survey, session, recipient))
        return false;
    snprintf(survey->recipient, sizeof(survey->recipient), "%s", recipient);
    survey->recipient_found = true;
    return true;
}

static void find_recipient(struct survey *survey, struct session *session, const char *domain)
{
    const struct options *options = session->options;
    char postmaster[OPTIONS_MAX_ADDRESS + 1];
    if (options->deliver || options->to) {
        (void)offer_recipient(survey, session, options->deliver ? options->deliver : options->to);
        return;
    }
    bool literal = options->target.literal;
    int length =
        snprintf(postmaster, sizeof(postmaster), "postmaster@%s%s%s%s", literal ? "[" : "",
                 literal && strchr(domain, ':') ? "IPv6:" : "", domain, literal ? "]" : "");
    bool fits = length > 0 && (size_t)length < sizeof(postmaster);
    if (!literal && fits && offer_recipient(survey, session, postmaster))
        return;
    if (offer_recipient(survey, session, "postmaster"))
        return;
    if (literal && fits)
        (void)offer_recipient(survey, session, postmaster);
}

/* Is a recipient that exists nowhere refused? If not, no case may name it with a LAST. */
static void try_foreign(struct survey *survey, struct session *session)
{
    struct reply reply;
    if (!session_command(session, &reply, "MAIL FROM:<%s>", session->options->from) ||
        !reply_is_success(&reply))
        return;
    if (session_command(session, &reply, "RCPT TO:<%s>", FOREIGN_RECIPIENT))
        survey->foreign_refused = reply_is_refusal(&reply);
}

static void ask_server(struct survey *survey, struct session *session, const char *domain)
{
    struct reply reply;
    note_server(survey, session);
    find_recipient(survey, session, domain);
    if (survey->current.chunking && survey->current.pipelining)
        try_foreign(survey, session);
    (void)session_command(session, &reply, "QUIT");
}

void survey_make(struct survey *survey, struct options *options, const struct endpoint *endpoint,
                 const char *domain)
{
    struct session session;
    memset(survey, 0, sizeof(*survey));
    survey->endpoint = *endpoint;
    survey->started = time(NULL);
    survey->opening = session_open(&session, options, endpoint, &survey->dialog, survey->why,
                                   sizeof(survey->why));
    if (survey->opening == OPENING_TLS_FAILED && options->tls == TLS_AUTO && !options->user) {
        struct capabilities plain = session.plain;
        snprintf(survey->tls_note, sizeof(survey->tls_note), "%.290s", survey->why);
        session_end(&session);
        options->tls = TLS_NEVER;
        survey->opening = session_open(&session, options, endpoint, &survey->dialog, survey->why,
                                       sizeof(survey->why));
        session.plain = plain;
    }
    if (survey->opening == OPENING_DONE)
        ask_server(survey, &session, domain);
    session_end(&session);
}
