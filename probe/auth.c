/* AUTH PLAIN and LOGIN. */
#include "probe/auth.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SECRET_MAX 1024

/* True if `mechanism` is one of the words of the AUTH keyword's parameters. */
static bool offers(const struct session *session, const char *mechanism)
{
    const char *word = session->current.auth;
    size_t length = strlen(mechanism);
    while (*word) {
        size_t word_length = strcspn(word, " ");
        if (word_length == length && strncasecmp(word, mechanism, length) == 0)
            return true;
        word += word_length;
        word += strspn(word, " ");
    }
    return false;
}

/* Sends prefix and secret (in base64) as one line that the dialog shows without the secret. */
static bool send_secret(struct session *session, struct reply *reply, const char *prefix,
                        const char *secret, size_t length)
{
    char line[SECRET_MAX * 2];
    char label[64];
    int start = snprintf(line, sizeof(line), "%s", prefix);
    int coded =
        EVP_EncodeBlock((unsigned char *)line + start, (const unsigned char *)secret, (int)length);
    memcpy(line + start + coded, "\r\n", 2);
    snprintf(label, sizeof(label), "%s(not shown)", prefix);
    bool sent = session_send(session, line, (size_t)(start + coded) + 2, label);
    explicit_bzero(line, sizeof(line));
    return sent && session_reply(session, reply, session->options->timeout_ms);
}

static bool login_plain(struct session *session, struct reply *reply)
{
    char secret[SECRET_MAX];
    int length = snprintf(secret, sizeof(secret), "%c%s%c%s", '\0', session->options->user, '\0',
                          session->options->password);
    bool sent = length > 0 && (size_t)length < sizeof(secret) &&
                send_secret(session, reply, "AUTH PLAIN ", secret, (size_t)length);
    explicit_bzero(secret, sizeof(secret));
    return sent;
}

static bool login_login(struct session *session, struct reply *reply)
{
    const char *user = session->options->user;
    const char *password = session->options->password;
    if (!session_command(session, reply, "AUTH LOGIN"))
        return false;
    if (reply->code != 334)
        return true;
    if (!send_secret(session, reply, "", user, strnlen(user, SECRET_MAX - 1)))
        return false;
    if (reply->code != 334)
        return true;
    return send_secret(session, reply, "", password, strnlen(password, SECRET_MAX - 1));
}

enum opening auth_login(struct session *session, char *why, size_t why_size)
{
    struct reply reply = {.code = 0};
    char text[160];
    if (!session->tls && session->options->tls != TLS_NEVER) {
        snprintf(why, why_size, "no TLS, so the password is not sent (--tls never insists)");
        return OPENING_AUTH_FAILED;
    }
    bool plain = offers(session, "PLAIN");
    if (!plain && !offers(session, "LOGIN")) {
        snprintf(why, why_size, "neither AUTH PLAIN nor AUTH LOGIN is offered");
        return OPENING_AUTH_FAILED;
    }
    bool answered = plain ? login_plain(session, &reply) : login_login(session, &reply);
    if (answered && reply.code == 235)
        return OPENING_DONE;
    snprintf(why, why_size, "AUTH failed: %s",
             answered ? reply_summary(&reply, text, sizeof(text)) : "no reply");
    return OPENING_AUTH_FAILED;
}
