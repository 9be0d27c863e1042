#include "config.h"

#include "milter/settings_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct origin {
    size_t file; /* index into files */
    unsigned line;
};

struct source {
    char *text;
    size_t text_size;
    struct origin *origins; /* one per line of text */
    size_t origin_count;
    size_t origin_room;
    char **files;
    size_t file_count;
};

/* One run of source_read_…(). */
struct reader {
    struct source *source;
    FILE *out; /* open_memstream() on source->text */
    size_t octets;
    unsigned depth;
    char *error;
    size_t error_size;
};

/* One file of the run, and where in it we are. */
struct input {
    const char *text;
    size_t length;
    size_t file;
    unsigned line;
    bool in_comment; /* between the marks of a C comment, which may span lines */
    bool may_include;
};

static bool __attribute__((format(printf, 3, 4)))
refuse(const struct reader *reader, const struct input *input, const char *format, ...)
{
    const char *name = reader->source->files[input->file];
    va_list arguments;
    int used = snprintf(reader->error, reader->error_size, "%s:%u: ", name, input->line);

    va_start(arguments, format);
    if (used >= 0 && (size_t)used < reader->error_size)
        vsnprintf(reader->error + used, reader->error_size - (size_t)used, format, arguments);
    va_end(arguments);
    return false;
}

static bool out_of_memory(const struct reader *reader)
{
    snprintf(reader->error, reader->error_size, "out of memory");
    return false;
}

static bool add_file(struct reader *reader, const char *name, size_t *index)
{
    struct source *source = reader->source;
    char **files = realloc(source->files, (source->file_count + 1) * sizeof(*files));

    if (files == NULL)
        return out_of_memory(reader);
    source->files = files;
    files[source->file_count] = strdup(name);
    if (files[source->file_count] == NULL)
        return out_of_memory(reader);
    *index = source->file_count++;
    return true;
}

static bool add_origin(struct reader *reader, const struct input *input)
{
    struct source *source = reader->source;

    if (source->origin_count == source->origin_room) {
        size_t room = source->origin_room * 2 + 64;
        struct origin *origins = realloc(source->origins, room * sizeof(*origins));
        if (origins == NULL)
            return out_of_memory(reader);
        source->origins = origins;
        source->origin_room = room;
    }
    source->origins[source->origin_count++] = (struct origin){input->file, input->line};
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Copies a string with its quotes; it ends on its line. */
static bool copy_string(struct reader *reader, const struct input *input, const char **at,
                        const char *end)
{
    const char *p = *at + 1;

    while (p < end && *p != '"') {
        if (*p == '\\' && p + 3 < end && p[1] == 'x' && p[2] == '0' && p[3] == '0')
            return refuse(reader, input, "a string must not contain NUL");
        p += *p == '\\' && p + 1 < end ? 2 : 1;
    }
    if (p >= end)
        return refuse(reader, input, "a string is not closed on its line");
    p++;
    fwrite(*at, 1, (size_t)(p - *at), reader->out);
    *at = p;
    return true;
}

/* Copies a number; an integer that does not fit 32 bits gets the suffix that libconfig wants. */
static bool copy_number(struct reader *reader, const struct input *input, const char **at,
                        const char *end)
{
    const char *p = *at, *start = *at;
    char digits[32], *rest;

    if (*p == '-' || *p == '+')
        p++;
    bool hex = p + 1 < end && p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
    while (p < end && (is_digit(*p) || is_letter(*p) || *p == '.' || *p == '_'))
        p++;
    size_t length = (size_t)(p - start);
    *at = p;
    fwrite(start, 1, length, reader->out);
    if (length >= sizeof(digits))
        return refuse(reader, input, "the number %.*s... is too large", 20, start);
    memcpy(digits, start, length);
    digits[length] = '\0';
    errno = 0;
    long long value = strtoll(digits, &rest, hex ? 16 : 10);
    bool whole = *rest == '\0', suffixed = strcmp(rest, "L") == 0 || strcmp(rest, "LL") == 0;
    if ((whole || suffixed) && errno == ERANGE)
        return refuse(reader, input, "the number %s is too large", digits);
    if (whole && (value > INT_MAX || value < INT_MIN))
        fputc('L', reader->out);
    return true;
}

static const char *skip_name(const char *p, const char *end)
{
    while (p < end && (is_letter(*p) || is_digit(*p) || *p == '_' || *p == '-' || *p == '*'))
        p++;
    return p;
}

static const char *find_comment_end(const char *p, const char *end)
{
    const char *mark = memmem(p, (size_t)(end - p), "*/", 2);
    return mark == NULL ? NULL : mark + 2;
}

/* Copies a line from `p` to `end`, its line end apart. Comments are left out. */
static bool copy_line(struct reader *reader, struct input *input, const char *p, const char *end)
{
    while (p < end) {
        if (input->in_comment) {
            const char *behind = find_comment_end(p, end);
            input->in_comment = behind == NULL;
            p = behind == NULL ? end : behind;
            fputc(' ', reader->out);
        } else if (*p == '#' || (*p == '/' && p + 1 < end && p[1] == '/')) {
            break;
        } else if (*p == '/' && p + 1 < end && p[1] == '*') {
            input->in_comment = true;
            p += 2;
        } else if (*p == '"') {
            if (!copy_string(reader, input, &p, end))
                return false;
        } else if (is_letter(*p) || *p == '*') {
            const char *behind = skip_name(p, end);
            fwrite(p, 1, (size_t)(behind - p), reader->out);
            p = behind;
        } else if (is_digit(*p) || ((*p == '-' || *p == '+') && p + 1 < end && is_digit(p[1]))) {
            if (!copy_number(reader, input, &p, end))
                return false;
        } else if (*p == '@') { /* libconfig would open the file itself, and exit on a folder */
            return refuse(reader, input, "@include must stand alone on its line");
        } else if (*p == '\0') {
            return refuse(reader, input, "a NUL octet; is this a configuration file?");
        } else {
            fputc(*p++, reader->out);
        }
    }
    return true;
}

static bool copy_text(struct reader *reader, struct input *input);

/* Reads a regular file whole. NULL with errno, or with errno 0 and a reason in *why. */
static char *slurp(const char *path, size_t limit, size_t *length, const char **why)
{
    char *text = NULL;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return NULL;
    *why = NULL;
    errno = 0;
    if (fstat(fd, &status) != 0)
        goto out;
    if (!S_ISREG(status.st_mode)) {
        *why = S_ISDIR(status.st_mode) ? "it is a folder" : "it is no regular file";
        goto out;
    }
    if (status.st_size > (off_t)limit) {
        *why = "the configuration is larger than 1 MiB";
        goto out;
    }
    size_t used = 0, size = (size_t)status.st_size;
    if ((text = malloc(size + 1)) == NULL)
        goto out;
    while (used < size) {
        ssize_t got = read(fd, text + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(text);
            text = NULL;
            goto out;
        }
        if (got == 0)
            break;
        used += (size_t)got;
    }
    *length = used;
out:;
    int error = errno;
    close(fd);
    errno = error;
    return text;
}

/* Copies a file; `from` is the input that names it, NULL for the outermost. */
static bool copy_file(struct reader *reader, const char *path, const struct input *from)
{
    struct input input = {.may_include = true};
    const char *why = NULL;
    char *text = slurp(path, SOURCE_OCTETS_MAX - reader->octets, &input.length, &why);

    if (text == NULL) {
        const char *reason = why != NULL ? why : strerror(errno);
        if (from != NULL)
            return refuse(reader, from, "cannot include \"%s\": %s", path, reason);
        snprintf(reader->error, reader->error_size, "%s: cannot be read: %s", path, reason);
        return false;
    }
    reader->octets += input.length;
    reader->depth++;
    input.text = text;
    bool fine = add_file(reader, path, &input.file) && copy_text(reader, &input);
    reader->depth--;
    free(text);
    return fine;
}

/* The path of an included file, seen from the file that names it. The caller frees it. */
static char *resolve(const char *including, const char *name, size_t length)
{
    const char *slash = strrchr(including, '/');
    int folder = name[0] == '/' || slash == NULL ? 0 : (int)(slash - including + 1);
    char *path;

    return asprintf(&path, "%.*s%.*s", folder, including, (int)length, name) < 0 ? NULL : path;
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* Handles a line `@include "FILE"`, of which `p` is behind the word. */
static bool include(struct reader *reader, const struct input *input, const char *p,
                    const char *end)
{
    const char *name = skip_blanks(p, end), *quote;

    if (name == p || name == end || *name != '"' ||
        (quote = memchr(name + 1, '"', (size_t)(end - name - 1))) == NULL || quote == name + 1)
        return refuse(reader, input, "@include wants a file name in quotes");
    name++;
    p = skip_blanks(quote + 1, end);
    if (p < end && *p != '#' && !(*p == '/' && p + 1 < end && p[1] == '/'))
        return refuse(reader, input, "@include must stand alone on its line");
    if (!input->may_include)
        return refuse(reader, input, "@include is not possible here");
    if (memchr(name, '\0', (size_t)(quote - name)) != NULL)
        return refuse(reader, input, "a NUL octet; is this a configuration file?");
    if (reader->depth >= SOURCE_DEPTH_MAX)
        return refuse(reader, input, "@include goes deeper than %d files", SOURCE_DEPTH_MAX);
    char *path = resolve(reader->source->files[input->file], name, (size_t)(quote - name));
    if (path == NULL)
        return out_of_memory(reader);
    bool fine = copy_file(reader, path, input);
    free(path);
    return fine;
}

static bool begins_with_include(const char *p, const char *end)
{
    static const char word[] = "@include";
    size_t length = sizeof(word) - 1;

    return (size_t)(end - p) >= length && memcmp(p, word, length) == 0;
}

static bool copy_text(struct reader *reader, struct input *input)
{
    const char *p = input->text, *end = input->text + input->length;

    if (input->length >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3; /* a byte order mark, as some editors leave it */
    while (p < end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        if (line_end == NULL)
            line_end = end;
        input->line++;
        const char *word = skip_blanks(p, line_end);
        if (!input->in_comment && begins_with_include(word, line_end)) {
            if (!include(reader, input, word + strlen("@include"), line_end))
                return false;
        } else {
            if (!add_origin(reader, input) || !copy_line(reader, input, p, line_end))
                return false;
            fputc('\n', reader->out);
        }
        p = line_end < end ? line_end + 1 : end;
    }
    return input->in_comment ? refuse(reader, input, "a comment is not closed") : true;
}

static struct source *begin(struct reader *reader, char *error, size_t error_size)
{
    *reader = (struct reader){.error = error, .error_size = error_size};
    if ((reader->source = calloc(1, sizeof(*reader->source))) != NULL &&
        (reader->out = open_memstream(&reader->source->text, &reader->source->text_size)) != NULL)
        return reader->source;
    source_free(&reader->source);
    out_of_memory(reader);
    return NULL;
}

static struct source *finish(struct reader *reader, bool fine)
{
    bool written = !ferror(reader->out);

    if (fclose(reader->out) != 0)
        written = false;
    if (fine && !written)
        fine = out_of_memory(reader);
    if (!fine)
        source_free(&reader->source);
    return reader->source;
}

struct source *source_read_file(const char *path, char *error, size_t error_size)
{
    struct reader reader;

    if (begin(&reader, error, error_size) == NULL)
        return NULL;
    return finish(&reader, copy_file(&reader, path, NULL));
}

struct source *source_read_text(const char *name, const char *text, size_t length, char *error,
                                size_t error_size)
{
    struct reader reader;
    struct input input = {.text = text, .length = length};

    if (begin(&reader, error, error_size) == NULL)
        return NULL;
    return finish(&reader, add_file(&reader, name, &input.file) && copy_text(&reader, &input));
}

const char *source_text(const struct source *source)
{
    return source->text;
}

const char *source_origin(const struct source *source, unsigned line, unsigned *file_line)
{
    if (source->origin_count == 0 || line == 0) {
        *file_line = 1;
        return source->files[0];
    }
    size_t index = line > source->origin_count ? source->origin_count - 1 : line - 1;
    *file_line = source->origins[index].line;
    return source->files[source->origins[index].file];
}

void source_free(struct source **source)
{
    if (*source == NULL)
        return;
    for (size_t i = 0; i < (*source)->file_count; i++)
        free((*source)->files[i]);
    free((*source)->files);
    free((*source)->origins);
    free((*source)->text);
    free(*source);
    *source = NULL;
}
