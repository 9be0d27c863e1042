#include "milter/content.h"

#include <string.h>
#include <strings.h>

#include "milter/smtp_command.h"

void content_reset(struct content *content)
{
    /* The buffers need no clearing: their lengths say what of them is meant. */
    content->octets = content->lines = content->splits = content->splits_most = 0;
    content->dot_lines = content->line_length = 0;
    content->head_length = content->boundary_length = content->candidate_length = 0;
    content->part_opened = content->boundary_closed = false;
    content->command_count = 0;
    content->tail_length = 0;
}

/* RFC 2046 section 5.1.1: a delimiter is two dashes and 1 to 70 octets; blanks may follow. */
static size_t delimiter_length(const char *line, size_t length)
{
    if (length < 3 || line[0] != '-' || line[1] != '-')
        return 0;
    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
        length--;
    return length >= 3 && length <= 74 ? length : 0;
}

static bool is_part_header(const char *line, size_t length)
{
    return length > 8 && strncasecmp(line, "Content-", 8) == 0 && memchr(line, ':', length) != NULL;
}

/* Finds the outermost boundary: a delimiter line with a part's header behind it. Then waits for
 * its close delimiter. */
static void look_for_multipart(struct content *content, const char *line, size_t length)
{
    if (content->part_opened) {
        content->part_opened = false;
        if (is_part_header(line, length)) {
            memcpy(content->boundary, content->candidate, content->candidate_length);
            content->boundary_length = content->candidate_length;
            return;
        }
    }
    size_t delimiter = delimiter_length(line, length);
    if (delimiter == 0)
        return;
    if (content->boundary_length == 0) {
        memcpy(content->candidate, line, delimiter);
        content->candidate_length = delimiter;
        content->part_opened = true;
    } else if (delimiter == content->boundary_length + 2 &&
               memcmp(line, content->boundary, content->boundary_length) == 0 &&
               memcmp(line + delimiter - 2, "--", 2) == 0) {
        content->boundary_closed = true;
    }
}

static void note_command(struct content *content, const char *line, size_t length, size_t end)
{
    if (length < 6 || strncasecmp(line, "BDAT ", 5) != 0 ||
        content->command_count == CONTENT_COMMANDS_KEPT ||
        !smtp_line_is_exact_command(line, length))
        return;
    content->command_ends[content->command_count] = content->octets + end;
    content->command_lengths[content->command_count++] = (uint32_t)(length + 2);
}

/* One whole line without its line end. `seen` octets of it are at `line`, enough for every look;
 * `end` octets of the piece now fed are used up with it. */
static void end_line(struct content *content, const char *line, size_t seen, uint64_t length,
                     size_t end)
{
    content->lines++;
    if (length >= CONTENT_LINE_LIMIT_MIN) {
        content->splits += length / CONTENT_LINE_LIMIT;
        content->splits_most += length / CONTENT_LINE_LIMIT_MIN;
    }
    if (seen == 0) {
        content->part_opened = false;
        return;
    }
    switch (line[0]) {
    case '.':
        if (seen == 1 || line[1] != '.')
            content->dot_lines++;
        break;
    case 'B':
    case 'b':
        if (seen == length)
            note_command(content, line, seen, end);
        break;
    default:
        break;
    }
    if (content->part_opened || line[0] == '-')
        look_for_multipart(content, line, seen);
}

static size_t without_cr(const char *line, size_t length)
{
    return length > 0 && line[length - 1] == '\r' ? length - 1 : length;
}

/* Keeps the begin of a line that a piece's end cuts. */
static void keep_head(struct content *content, const char *data, size_t length)
{
    size_t room = CONTENT_HEAD_SIZE - content->head_length;
    size_t taken = length < room ? length : room;
    memcpy(content->head + content->head_length, data, taken);
    content->head_length += taken;
    content->line_length += length;
}

static void keep_tail(struct content *content, const char *data, size_t length)
{
    if (length >= CONTENT_TAIL_SIZE) {
        memcpy(content->tail, data + length - CONTENT_TAIL_SIZE, CONTENT_TAIL_SIZE);
        content->tail_length = CONTENT_TAIL_SIZE;
        return;
    }
    size_t kept = CONTENT_TAIL_SIZE - length;
    if (kept > content->tail_length)
        kept = content->tail_length;
    memmove(content->tail, content->tail + content->tail_length - kept, kept);
    memcpy(content->tail + kept, data, length);
    content->tail_length = kept + length;
}

/* Ends the line whose begin was kept from earlier pieces. */
static void end_kept_line(struct content *content, const char *data, size_t length, size_t end)
{
    keep_head(content, data, length);
    bool whole = content->line_length == content->head_length;
    uint64_t full = content->line_length;
    size_t seen = content->head_length;
    if (whole)
        full = seen = without_cr(content->head, seen);
    else if (length > 0 && data[length - 1] == '\r')
        full--;
    end_line(content, content->head, seen, full, end);
    content->line_length = 0;
    content->head_length = 0;
}

void content_feed(struct content *content, const char *data, size_t length)
{
    size_t at = 0;
    while (at < length) {
        const char *line = data + at;
        const char *newline = memchr(line, '\n', length - at);
        if (newline == NULL) {
            keep_head(content, line, length - at);
            break;
        }
        size_t span = (size_t)(newline - line);
        at += span + 1;
        if (content->line_length > 0) {
            end_kept_line(content, line, span, at);
        } else {
            span = without_cr(line, span);
            end_line(content, line, span, span, at);
        }
    }
    keep_tail(content, data, length);
    content->octets += length;
}

void content_finish(struct content *content)
{
    if (content->line_length > 0)
        end_kept_line(content, "", 0, 0);
}

bool content_has_open_multipart(const struct content *content)
{
    return content->boundary_length > 0 && !content->boundary_closed;
}

/* Walks the kept tail line by line from its end; true with the line before *end in *line, false
 * when the tail or the body begins before a whole line. */
static bool previous_line(const struct content *content, size_t *end, struct slice *line)
{
    size_t stop = *end;
    if (stop == 0)
        return false;
    if (content->tail[stop - 1] == '\n')
        stop--;
    size_t begin = stop;
    while (begin > 0 && content->tail[begin - 1] != '\n')
        begin--;
    if (begin == 0 && content->octets > content->tail_length)
        return false;
    line->text = content->tail + begin;
    line->length = without_cr(line->text, stop - begin);
    *end = begin;
    return true;
}

bool content_ends_in_lone_dot(const struct content *content)
{
    size_t end = content->tail_length;
    struct slice line;
    return content->dot_lines == 1 && previous_line(content, &end, &line) && line.length == 1 &&
           line.text[0] == '.';
}

size_t content_command_tail(const struct content *content, uint64_t *sums, size_t most)
{
    size_t end = content->tail_length;
    size_t count = 0;
    struct slice line;
    while (count < most && previous_line(content, &end, &line) &&
           smtp_line_is_exact_command(line.text, line.length))
        sums[count++] = content->tail_length - end;
    return count;
}
