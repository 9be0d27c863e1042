#include "tests/model/content_model.h"

#include <ctype.h>
#include <string.h>

#include "milter/smtp_command.h"

struct model {
    uint64_t lines, splits, splits_most, dot_lines;
    char boundary[128];
    bool begun, multipart, opened, closed;
    uint64_t commands, command_ends[CONTENT_COMMANDS_KEPT], command_lengths[CONTENT_COMMANDS_KEPT];
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* "--" and 1 to 72 octets more, blanks at the end not counted, no blank within, letters or digits
 * among them; lines beyond 80 octets are none. */
static size_t delimiter_of(const char *line, size_t length)
{
    size_t letters = 0;
    if (length > CONTENT_HEAD_SIZE || length < 3 || line[0] != '-' || line[1] != '-')
        return 0;
    while (length > 2 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
        length--;
    for (size_t i = 2; i < length; i++) {
        letters += is_letter(line[i]);
        if (!is_letter(line[i]) && (line[i] == 0 || strchr("'()+_,-./:=?", line[i]) == NULL))
            return 0;
    }
    return letters > 0 && length <= 74 ? length : 0;
}

static bool begins_with(const char *line, size_t length, const char *word)
{
    for (size_t i = 0; word[i] != '\0'; i++)
        if (i >= length || tolower((unsigned char)line[i]) != tolower((unsigned char)word[i]))
            return false;
    return true;
}

static bool is_part_header(const char *line, size_t length)
{
    if (!begins_with(line, length, "Content-"))
        return false;
    for (size_t i = 8; i < length && i < CONTENT_HEAD_SIZE; i++)
        if (line[i] == ':')
            return true;
    return false;
}

/* What a multipart can begin with. */
static bool may_begin(const char *line, size_t length)
{
    size_t seen = length < CONTENT_HEAD_SIZE ? length : CONTENT_HEAD_SIZE;
    if (delimiter_of(line, length) > 0)
        return true;
    if (!begins_with(line, seen, "this is a") && !begins_with(line, seen, "this message is in") &&
        !begins_with(line, seen, "dies ist eine"))
        return false;
    for (size_t i = 0; i < seen; i++)
        if (begins_with(line + i, seen - i, "mime") ||
            begins_with(line + i, seen - i, "multi-part") ||
            begins_with(line + i, seen - i, "multipart"))
            return true;
    return false;
}

static void take_line(struct model *model, const char *line, size_t length, const char *next,
                      size_t next_length, bool has_next)
{
    size_t delimiter = delimiter_of(line, length);
    if (length > 0 && !model->begun) {
        model->begun = true;
        model->multipart = may_begin(line, length);
    }
    if (delimiter == 0 || !model->multipart)
        return;
    if (!model->opened) {
        if (model->lines <= CONTENT_PREAMBLE_LINES && has_next &&
            is_part_header(next, next_length)) {
            memcpy(model->boundary, line, delimiter);
            model->boundary[delimiter] = '\0';
            model->opened = true;
        }
        return;
    }
    size_t own = strlen(model->boundary);
    if (delimiter == own + 2 && memcmp(line, model->boundary, own) == 0 &&
        memcmp(line + own, "--", 2) == 0)
        model->closed = true;
}

static size_t line_length(const char *text, size_t length, size_t *used)
{
    size_t end = 0;
    while (end < length && text[end] != '\n')
        end++;
    *used = end < length ? end + 1 : end;
    return end > 0 && text[end - 1] == '\r' ? end - 1 : end;
}

static void build(struct model *model, const char *body, size_t length)
{
    for (size_t at = 0, used; at < length; at += used) {
        const char *line = body + at;
        size_t n = line_length(line, length - at, &used);
        bool has_next = at + used < length;
        size_t next_used,
            next = has_next ? line_length(line + used, length - at - used, &next_used) : 0;
        model->lines++;
        model->splits += n / 2048;
        model->splits_most += n / 512;
        if (n >= 1 && line[0] == '.' && (n == 1 || line[1] != '.'))
            model->dot_lines++;
        if (n >= 5 && memcmp(line, "BDAT ", 5) == 0 && n <= CONTENT_HEAD_SIZE &&
            smtp_line_is_exact_command(line, n) && model->commands < CONTENT_COMMANDS_KEPT) {
            bool ended = line[used - 1] == '\n';
            model->command_ends[model->commands] = at + used;
            model->command_lengths[model->commands++] = n + 2;
            if (!ended)
                model->command_ends[model->commands - 1] = length;
        }
        take_line(model, line, n, line + used, next, has_next);
    }
}

bool content_model_agrees(const struct content *content, const char *body, size_t length,
                          const char **what)
{
    struct model model = {0};
    build(&model, body, length);
    size_t kept = length < CONTENT_TAIL_SIZE ? length : CONTENT_TAIL_SIZE;
    *what = content->octets != length                                ? "octets"
            : content->lines != model.lines                          ? "lines"
            : content->splits != model.splits                        ? "splits"
            : content->splits_most != model.splits_most              ? "splits_most"
            : content->dot_lines != model.dot_lines                  ? "dot_lines"
            : content->command_count != model.commands               ? "command_count"
            : content->tail_length != kept                           ? "tail_length"
            : memcmp(content->tail, body + length - kept, kept) != 0 ? "tail"
            : content_has_open_multipart(content) != (model.opened && !model.closed)
                ? "open multipart"
                : NULL;
    for (unsigned i = 0; *what == NULL && i < content->command_count; i++)
        if (content->command_ends[i] != model.command_ends[i] ||
            content->command_lengths[i] != model.command_lengths[i])
            *what = "commands";
    return *what == NULL;
}
