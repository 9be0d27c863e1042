/* SMTP replies, parsed octet by octet into whole lines. */
#include "probe/reply.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void reply_parser_reset(struct reply_parser *parser)
{
    parser->reply.code = 0;
    parser->reply.lines = 0;
    parser->reply.length = 0;
    parser->reply.text[0] = '\0';
    parser->line_length = 0;
}

static char printable(char c)
{
    return c >= ' ' && c <= '~' ? c : '?';
}

/* Adds `length` octets as one more line of text; false if they do not fit. */
static bool add_text(struct reply *reply, const char *text, size_t length)
{
    size_t separator = reply->lines > 0 ? 1 : 0;
    if (length > REPLY_MAX_TEXT - reply->length ||
        separator > REPLY_MAX_TEXT - reply->length - length)
        return false;
    if (separator)
        reply->text[reply->length++] = '\n';
    for (size_t i = 0; i < length; i++)
        reply->text[reply->length++] = printable(text[i]);
    reply->text[reply->length] = '\0';
    reply->lines++;
    return true;
}

/* The code of a reply line: three digits, the first 2 to 5, then a space, a hyphen or the
 * end of the line. 0 if this is no reply line. */
static int line_code(const char *line, size_t length)
{
    if (length < 3 || line[0] < '2' || line[0] > '5')
        return 0;
    if (line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9')
        return 0;
    if (length > 3 && line[3] != ' ' && line[3] != '-')
        return 0;
    return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

static enum reply_status not_smtp(struct reply *reply, const char *line, size_t length)
{
    reply->lines = 0;
    reply->length = 0;
    reply->code = 0;
    add_text(reply, line, length);
    return REPLY_NOT_SMTP;
}

static enum reply_status take_line(struct reply_parser *parser)
{
    struct reply *reply = &parser->reply;
    const char *line = parser->line;
    size_t length = parser->line_length;
    parser->line_length = 0;
    int code = line_code(line, length);
    if (code == 0 || (reply->code != 0 && code != reply->code))
        return not_smtp(reply, line, length);
    reply->code = code;
    bool more = length > 3 && line[3] == '-';
    size_t start = length > 3 ? 4 : 3;
    if (!add_text(reply, line + start, length - start))
        return REPLY_TOO_LONG;
    if (!more)
        return REPLY_DONE;
    return reply->lines < REPLY_MAX_LINES ? REPLY_MORE : REPLY_TOO_LONG;
}

enum reply_status reply_parser_feed(struct reply_parser *parser, const char *data, size_t length,
                                    size_t *used)
{
    for (size_t i = 0; i < length; i++) {
        if (data[i] == '\n') {
            if (parser->line_length > 0 && parser->line[parser->line_length - 1] == '\r')
                parser->line_length--;
            enum reply_status status = take_line(parser);
            if (status != REPLY_MORE) {
                *used = i + 1;
                return status;
            }
        } else if (parser->line_length == REPLY_MAX_LINE) {
            not_smtp(&parser->reply, parser->line, 60);
            *used = i;
            return REPLY_TOO_LONG;
        } else {
            parser->line[parser->line_length++] = data[i];
        }
    }
    *used = length;
    return REPLY_MORE;
}

bool reply_is_success(const struct reply *reply)
{
    return reply->code >= 200 && reply->code <= 299;
}

bool reply_is_refusal(const struct reply *reply)
{
    return reply->code >= 400 && reply->code <= 599;
}

bool reply_is_syntax(const struct reply *reply)
{
    return reply->code >= 500 && reply->code < 510;
}

const char *reply_summary(const struct reply *reply, char *buffer, size_t size)
{
    size_t first = strcspn(reply->text, "\n");
    if (reply->lines > 1)
        snprintf(buffer, size, "%03d %.*s (+%u lines)", reply->code, (int)first, reply->text,
                 reply->lines - 1);
    else if (reply->code == 0)
        snprintf(buffer, size, "%.*s", (int)first, reply->text);
    else
        snprintf(buffer, size, "%03d %.*s", reply->code, (int)first, reply->text);
    return buffer;
}

const char *reply_ehlo_keyword(const struct reply *reply, const char *keyword, char *parameters,
                               size_t size)
{
    size_t keyword_length = strlen(keyword);
    const char *line = strchr(reply->text, '\n');
    while (line) {
        line++;
        size_t length = strcspn(line, "\n");
        if (length >= keyword_length && strncasecmp(line, keyword, keyword_length) == 0 &&
            (length == keyword_length || line[keyword_length] == ' ' ||
             line[keyword_length] == '=')) {
            const char *rest = line + keyword_length;
            size_t rest_length = length - keyword_length;
            if (rest_length > 0) {
                rest++;
                rest_length--;
            }
            snprintf(parameters, size, "%.*s", (int)rest_length, rest);
            return parameters;
        }
        line = strchr(line, '\n');
    }
    return NULL;
}
