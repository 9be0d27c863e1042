#include "config.h"

#include "ctl/text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

void text_init(void)
{
    if (setlocale(LC_CTYPE, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

static void *must_have(void *memory)
{
    if (memory == NULL) {
        fputs("bdatctl: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

char *text_vformat(const char *format, va_list arguments)
{
    char *text = NULL;
    int length = vasprintf(&text, format, arguments);
    return must_have(length < 0 ? NULL : text);
}

char *text_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = text_vformat(format, arguments);
    va_end(arguments);
    return text;
}

char *text_copy(const char *text)
{
    return must_have(strdup(text));
}

char *text_join(char *text, char *more)
{
    char *joined = text_format("%s%s", text, more);
    free(text);
    free(more);
    return joined;
}

void *text_resize(void *memory, size_t count, size_t size)
{
    return must_have(reallocarray(memory, count == 0 ? 1 : count, size));
}

/* Characters that reorder what a reader sees: bidirectional marks, embeddings and isolates. */
static bool turns_direction(wchar_t character)
{
    return character == 0x061c || (character >= 0x200e && character <= 0x200f) ||
           (character >= 0x202a && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

static bool is_harmless(wchar_t character, bool keep_newlines)
{
    if (character == L'\n' || character == L'\t')
        return keep_newlines;
    return wcwidth(character) >= 0 && !turns_direction(character);
}

char *text_safe(const char *text, bool keep_newlines)
{
    size_t left = strlen(text);
    char *safe = text_resize(NULL, left + 1, 1);
    char *end = safe;
    mbstate_t state = {0};
    while (left > 0) {
        wchar_t character;
        size_t used = mbrtowc(&character, text, left, &state);
        if (used == (size_t)-1 || used == (size_t)-2) {
            state = (mbstate_t){0};
            used = 1;
            *end++ = '?';
        } else if (is_harmless(character, keep_newlines)) {
            memcpy(end, text, used);
            end += used;
        } else {
            *end++ = '?';
        }
        text += used;
        left -= used;
    }
    *end = '\0';
    return safe;
}

/* The next character's octets and columns; what is no character counts as one column. */
static size_t next_character(const char *text, size_t *columns)
{
    wchar_t character;
    mbstate_t state = {0};
    size_t used = mbrtowc(&character, text, strlen(text), &state);
    *columns = 1;
    if (used == 0 || used == (size_t)-1 || used == (size_t)-2)
        return 1;
    int width = wcwidth(character);
    *columns = width < 0 ? 1 : (size_t)width;
    return used;
}

size_t text_width(const char *text)
{
    size_t total = 0, columns;
    while (*text != '\0') {
        text += next_character(text, &columns);
        total += columns;
    }
    return total;
}

size_t text_fit(const char *text, size_t columns)
{
    size_t octets = 0, used = 0, width;
    while (text[octets] != '\0') {
        size_t length = next_character(text + octets, &width);
        if (used + width > columns)
            break;
        used += width;
        octets += length;
    }
    return octets;
}

void text_pad(FILE *out, const char *text, size_t columns, bool right_aligned)
{
    size_t width = text_width(text);
    int padding = width < columns ? (int)(columns - width) : 0;
    if (right_aligned)
        fprintf(out, "%*s%s", padding, "", text);
    else
        fprintf(out, "%s%*s", text, padding, "");
}

void text_wrap(FILE *out, const char *text, const char *indent, size_t columns)
{
    size_t room = columns > strlen(indent) + 20 ? columns - strlen(indent) : 20;
    while (*text != '\0') {
        size_t line = 0, length = 0;
        for (;;) {
            size_t word = strcspn(text + length, " ");
            char *candidate = text_format("%.*s", (int)(length + word), text);
            bool fits = text_width(candidate) <= room;
            free(candidate);
            if (!fits && line > 0)
                break;
            line = length + word;
            if (text[line] == '\0')
                break;
            length = line + 1;
        }
        fprintf(out, "%s%.*s\n", indent, (int)line, text);
        text += line;
        text += strspn(text, " ");
    }
}

char *text_number(int64_t number)
{
    char digits[32];
    snprintf(digits, sizeof(digits), "%lld", (long long)number);
    size_t sign = digits[0] == '-', length = strlen(digits);
    char *grouped = text_resize(NULL, length * 2, 1), *end = grouped;
    for (size_t i = 0; i < length; i++) {
        if (i > sign && (length - i) % 3 == 0)
            *end++ = ',';
        *end++ = digits[i];
    }
    *end = '\0';
    return grouped;
}

char *text_count(int64_t count, const char *noun)
{
    char *number = text_number(count);
    char *text = text_format("%s %s%s", number, noun, count == 1 ? "" : "s");
    free(number);
    return text;
}

char *text_duration(double seconds)
{
    static const struct {
        double below, unit;
        const char *name;
    } scale[] = {
        {0.9995, 0.001, "ms"}, {120, 1, "s"},   {7200, 60, "min"},
        {172800, 3600, "h"},   {0, 86400, "d"},
    };
    size_t i = 0;
    while (scale[i].below > 0 && seconds >= scale[i].below)
        i++;
    double value = seconds / scale[i].unit;
    bool fraction = i == 1 && seconds < 10 && value != (double)(int64_t)value;
    return text_format("%.*f %s", fraction ? 1 : 0, value, scale[i].name);
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned text_distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t width = strlen(b);
    if (width >= sizeof(row) / sizeof(row[0]))
        return (unsigned)width;
    for (size_t j = 0; j <= width; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= width; j++) {
            unsigned above = row[j];
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = smaller(change, smaller(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[width];
}
