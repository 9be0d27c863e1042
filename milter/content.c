#include "milter/content.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "milter/plain_lines.h"
#include "milter/smtp_command.h"

static_assert(CONTENT_LINE_LIMIT_MIN >= PLAIN_LINE_MAX, "plain lines are never cut");

void content_reset(struct content *content)
{
    /* The buffers need no clearing: their lengths say what of them is meant. */
    content->octets = content->lines = content->splits = content->splits_most = 0;
    content->dot_lines = content->line_length = 0;
    content->head_length = content->boundary_length = content->candidate_length = 0;
    content->begin = CONTENT_UNSEEN;
    content->part_opened = content->boundary_closed = false;
    content->command_count = 0;
    content->tail_length = 0;
}

/* A line without its line end. */
struct line {
    const char *text; /* `seen` octets of it: all, or the first CONTENT_HEAD_SIZE */
    size_t seen;
    uint64_t length;
    uint64_t end; /* offset in the body behind its line end */
};

/* RFC 2046 section 5.1.1: a delimiter is two dashes and 1 to 70 octets; blanks may follow. No
 * program is known to make boundaries with a space in them, or of dashes alone: such lines are
 * rules, "-----Original Message-----", and the like. Four octets more for a close delimiter. */
static size_t delimiter_length(const struct line *line)
{
    static const char others[] = "'()+_,-./:=?";
    size_t length = line->seen;
    bool worded = false;
    if (line->length != length || length < 3 || line->text[0] != '-' || line->text[1] != '-')
        return 0;
    while (line->text[length - 1] == ' ' || line->text[length - 1] == '\t')
        length--;
    for (size_t i = 2; i < length; i++) {
        bool letter = isalnum((unsigned char)line->text[i]);
        if (!letter && (line->text[i] == '\0' || strchr(others, line->text[i]) == NULL))
            return 0;
        worded = worded || letter;
    }
    return worded && length <= 74 ? length : 0;
}

static bool has_word(const struct line *line, const char *word)
{
    size_t length = strlen(word);
    for (size_t at = 0; at + length <= line->seen; at++)
        if (strncasecmp(line->text + at, word, length) == 0)
            return true;
    return false;
}

/* A preamble for readers without MIME, as programs write it. */
static bool is_preamble(const struct line *line)
{
    static const char *const begins[] = {"This is a", "This message is in", "Dies ist eine"};
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        size_t length = strlen(begins[i]);
        if (line->seen >= length && strncasecmp(line->text, begins[i], length) == 0)
            return has_word(line, "MIME") || has_word(line, "multi-part") ||
                   has_word(line, "multipart");
    }
    return false;
}

static bool is_part_header(const struct line *line)
{
    return line->seen > 8 && strncasecmp(line->text, "Content-", 8) == 0 &&
           memchr(line->text, ':', line->seen) != NULL;
}

/* Finds the outermost boundary: a delimiter line with a part's header behind it. Then waits for
 * its close delimiter. */
static void look_for_multipart(struct content *content, const struct line *line)
{
    if (content->part_opened) {
        content->part_opened = false;
        if (is_part_header(line)) {
            memcpy(content->boundary, content->candidate, content->candidate_length);
            content->boundary_length = content->candidate_length;
            return;
        }
    }
    size_t delimiter = delimiter_length(line);
    if (delimiter == 0 || content->begin != CONTENT_MULTIPART)
        return;
    if (content->boundary_length == 0 && content->lines <= CONTENT_PREAMBLE_LINES) {
        memcpy(content->candidate, line->text, delimiter);
        content->candidate_length = delimiter;
        content->part_opened = true;
    } else if (content->boundary_length > 0 && delimiter == content->boundary_length + 2 &&
               memcmp(line->text, content->boundary, content->boundary_length) == 0 &&
               memcmp(line->text + delimiter - 2, "--", 2) == 0) {
        content->boundary_closed = true;
    }
}

static void note_command(struct content *content, const struct line *line)
{
    if (line->seen != line->length || line->seen < 6 || memcmp(line->text, "BDAT ", 5) != 0 ||
        content->command_count == CONTENT_COMMANDS_KEPT ||
        !smtp_line_is_exact_command(line->text, line->seen))
        return;
    content->command_ends[content->command_count] = line->end;
    content->command_lengths[content->command_count++] = (uint32_t)(line->length + 2);
}

static void end_line(struct content *content, const struct line *line)
{
    content->lines++;
    if (line->length >= CONTENT_LINE_LIMIT_MIN) {
        content->splits += line->length / CONTENT_LINE_LIMIT;
        content->splits_most += line->length / CONTENT_LINE_LIMIT_MIN;
    }
    if (line->seen == 0) {
        content->part_opened = false;
        return;
    }
    if (content->begin == CONTENT_UNSEEN)
        content->begin = delimiter_length(line) > 0 || is_preamble(line) ? CONTENT_MULTIPART
                                                                         : CONTENT_TEXT;
    if (line->text[0] == '.' && (line->seen == 1 || line->text[1] != '.'))
        content->dot_lines++;
    else if (line->text[0] == 'B')
        note_command(content, line);
    if (content->part_opened || line->text[0] == '-')
        look_for_multipart(content, line);
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

/* Ends the line whose begin was kept from earlier pieces; `rest` octets of it are at `data`, with
 * its line end they are the first `end` octets of the piece. */
static void end_kept_line(struct content *content, const char *data, size_t rest, size_t end)
{
    char last = rest > 0 ? data[rest - 1] : content->tail[content->tail_length - 1];
    keep_head(content, data, rest);
    uint64_t length = content->line_length - (last == '\r' ? 1 : 0);
    size_t seen = length < content->head_length ? (size_t)length : content->head_length;
    end_line(content, &(struct line){content->head, seen, length, content->octets + end});
    content->line_length = 0;
    content->head_length = 0;
}

/* Takes the line at the begin of `data`, or the rest of it; `at` is its offset in the piece.
 * Returns its octets with its line end. */
static size_t take_line(struct content *content, const char *data, size_t length, size_t at)
{
    const char *newline = memchr(data, '\n', length);
    if (newline == NULL) {
        keep_head(content, data, length);
        return length;
    }
    size_t rest = (size_t)(newline - data);
    if (content->line_length > 0) {
        end_kept_line(content, data, rest, at + rest + 1);
        return rest + 1;
    }
    size_t whole = without_cr(data, rest);
    size_t seen = whole < CONTENT_HEAD_SIZE ? whole : CONTENT_HEAD_SIZE;
    end_line(content, &(struct line){data, seen, whole, content->octets + at + rest + 1});
    return rest + 1;
}

void content_feed(struct content *content, const char *data, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t look = at + 1;
        if (content->line_length == 0 && !content->part_opened &&
            content->begin != CONTENT_UNSEEN) {
            struct plain_lines plain = plain_lines_skip(data + at, length - at);
            content->lines += plain.lines;
            look = at + plain.look;
            at += plain.skipped;
        }
        do
            at += take_line(content, data + at, length - at, at);
        while (at < look);
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
