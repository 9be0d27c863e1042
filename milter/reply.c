#include "milter/reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "milter/complaint.h"

/* A reply line without its CRLF, and the longest "451 4.5.0 " before the text. */
#define LINE_OCTETS 510
#define CODES_OCTETS 15

#define NUMBER_OCTETS 19  /* of INT64_MAX */
#define VERDICT_OCTETS 16 /* "failed_elsewhere" */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Number of octets of the subject or detail of a status code: 1 to 3 digits, no leading zero. */
static size_t status_part(const char *text)
{
    size_t digits = 0;

    while (is_digit(text[digits]))
        digits++;
    return digits == 0 || digits > 3 || (digits > 1 && text[0] == '0') ? 0 : digits;
}

/* Length of an enhanced status code (RFC 3463 section 2) at `text`, 0 if there is none. */
static size_t status_length(const char *text)
{
    size_t subject, detail;

    if (!is_digit(text[0]) || text[1] != '.' || (subject = status_part(text + 2)) == 0 ||
        text[2 + subject] != '.' || (detail = status_part(text + 3 + subject)) == 0)
        return 0;
    return 3 + subject + detail;
}

/* The octets a placeholder can grow to; 0 if there is no such placeholder. */
static size_t placeholder_octets(char letter)
{
    switch (letter) {
    case 'd':
    case 'r':
    case 's':
        return NUMBER_OCTETS;
    case 'q':
        return REPLY_QUEUE_ID_MAX;
    case 'v':
        return VERDICT_OCTETS;
    case '%':
        return 1;
    default:
        return 0;
    }
}

static int check_text(const char *text, char *error, size_t error_size)
{
    size_t octets = 0;

    for (const char *p = text; *p != '\0'; p++) {
        size_t grown = 1;
        if (*p < ' ' || *p > '~')
            return complain(error, error_size, "has an octet that is not printable US-ASCII");
        if (*p == '%' && (grown = placeholder_octets(*++p)) == 0)
            return complain(error, error_size,
                            "has \"%%%.1s\", which is none of %%d, %%r, %%s, %%q, %%v and %%%%",
                            *p >= ' ' && *p <= '~' ? p : "");
        octets += grown;
    }
    if (octets == 0)
        return complain(error, error_size, "has no text");
    if (octets > LINE_OCTETS - CODES_OCTETS)
        return complain(error, error_size,
                        "can grow to %zu octets, but a reply line has room for %d", octets,
                        LINE_OCTETS - CODES_OCTETS);
    return 0;
}

/* Takes "451 " from the front, when there is a number. */
static int parse_code(const char **text, struct reply *reply, char *error, size_t error_size)
{
    const char *p = *text;

    if (!is_digit(p[0]))
        return 0;
    if (status_length(p) > 0)
        return complain(error, error_size,
                        "has an enhanced status code, but no reply code such as 451 before it");
    if (!is_digit(p[1]) || !is_digit(p[2]) || (p[3] != ' ' && p[3] != '\0'))
        return complain(error, error_size, "begins with a number that is no reply code");
    if ((p[0] != '4' && p[0] != '5') || p[1] > '5')
        return complain(error, error_size,
                        "begins with %.3s, but a reply code is 4yz or 5yz with y from 0 to 5", p);
    memcpy(reply->code, p, 3);
    *text = p + 3 + strspn(p + 3, " ");
    return 0;
}

/* Takes "4.5.0 " from the front, when there is one. */
static int parse_status(const char **text, struct reply *reply, char *error, size_t error_size)
{
    const char *p = *text;
    size_t length = status_length(p);

    if (!is_digit(p[0]))
        return 0;
    /* Postfix takes a digit here for an enhanced status code. */
    if (length == 0 || (p[length] != ' ' && p[length] != '\0'))
        return complain(error, error_size,
                        "has a number behind the reply code that is no "
                        "enhanced status code such as %c.5.0",
                        reply->code[0]);
    if (p[0] != reply->code[0])
        return complain(error, error_size,
                        "has the reply code %s and the enhanced status code "
                        "%.*s, which are not of one class",
                        reply->code, (int)length, p);
    memcpy(reply->status, p, length);
    *text = p + length + strspn(p + length, " ");
    return 0;
}

int reply_parse(const char *template, struct reply *reply, char *error, size_t error_size)
{
    const char *text = template;

    *reply = (struct reply){.text = template};
    if (parse_code(&text, reply, error, error_size) != 0)
        return -1;
    if (reply->code[0] != '\0' && parse_status(&text, reply, error, error_size) != 0)
        return -1;
    reply->text = text;
    return check_text(text, error, error_size);
}

struct codes {
    const char *code;
    const char *status;
};

/* The codes of a verdict whose reply names none. */
static struct codes default_codes(enum verdict verdict, enum action action)
{
    if (verdict == VERDICT_REFUSED)
        return action == ACTION_REJECT ? (struct codes){"552", "5.3.4"}
                                       : (struct codes){"452", "4.3.4"};
    if (verdict == VERDICT_NOT_OFFERED)
        return action == ACTION_REJECT ? (struct codes){"502", "5.5.1"}
                                       : (struct codes){"421", "4.5.1"};
    return action == ACTION_REJECT ? (struct codes){"554", "5.5.0"}
                                   : (struct codes){"451", "4.5.0"};
}

void reply_complete(struct reply *reply, enum verdict verdict, enum action action)
{
    struct codes codes = default_codes(verdict, action);

    if (reply->code[0] == '\0') {
        snprintf(reply->code, sizeof(reply->code), "%s", codes.code);
        snprintf(reply->status, sizeof(reply->status), "%s", codes.status);
    }
    if (reply->status[0] == '\0') {
        snprintf(reply->status, sizeof(reply->status), "%s", codes.status);
        reply->status[0] = reply->code[0];
    }
}

static size_t put_number(char *to, size_t room, int64_t number)
{
    return (size_t)(number < 0 ? snprintf(to, room, "?") : snprintf(to, room, "%" PRId64, number));
}

static size_t put_placeholder(char *to, size_t room, char letter, const struct reply_facts *facts)
{
    switch (letter) {
    case 'd':
        return put_number(to, room, facts->declared);
    case 'r':
        return put_number(to, room, facts->received);
    case 's':
        return put_number(to, room, facts->size);
    case 'q':
        return (size_t)snprintf(to, room, "%.*s", REPLY_QUEUE_ID_MAX,
                                facts->queue_id != NULL ? facts->queue_id : "?");
    case 'v':
        return (size_t)snprintf(to, room, "%s", verdict_name(facts->verdict));
    default:
        return (size_t)snprintf(to, room, "%c", letter);
    }
}

char *reply_expand(const char *text, const struct reply_facts *facts, char buffer[REPLY_TEXT_SIZE])
{
    size_t used = 0;

    for (const char *p = text; *p != '\0' && used < REPLY_TEXT_SIZE - 1; p++) {
        size_t room = REPLY_TEXT_SIZE - used;
        if (*p == '%' && p[1] != '\0') {
            size_t written = put_placeholder(buffer + used, room, *++p, facts);
            used += written < room ? written : room - 1;
        } else {
            buffer[used++] = *p;
        }
    }
    buffer[used] = '\0';
    return buffer;
}
