#include "milter/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/complaint.h"
#include "milter/suggest.h"
#include "milter/units.h"

const struct option *option_find(const char *name)
{
    for (size_t i = 0; i < option_count; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

bool option_group_exists(const char *group)
{
    for (size_t i = 0; i < option_group_count; i++)
        if (strcmp(option_groups[i], group) == 0)
            return true;
    return false;
}

const char *option_preset(const struct option *option)
{
    if (option->preset != NULL)
        return option->preset;
    return action_name(verdict_default_action(option->verdict));
}

struct type_row {
    const char *name;
    const char *wanted;
};

static const struct type_row types[] = {
    [OPTION_STRING] = {"string", "a text in quotes"},
    [OPTION_BOOLEAN] = {"boolean", "true or false"},
    [OPTION_COUNT_OF] = {"count", "a whole number"},
    [OPTION_SIZE] = {"size", "a number of octets, or a size in quotes such as \"64K\""},
    [OPTION_TIME] = {"time", "a number of seconds, or a time in quotes such as \"1d\""},
    [OPTION_MODE] = {"mode", "octal access bits in quotes such as \"0660\""},
    [OPTION_WORD] = {"word", "a word in quotes"},
    [OPTION_LIST] = {"list", "a list ( { ... }, ... )"},
};

const char *option_type_name(const struct option *option)
{
    return types[option->type].name;
}

const char *option_type_wanted(const struct option *option)
{
    return types[option->type].wanted;
}

static void *field_of(const struct option *option, struct settings *settings)
{
    return (char *)settings + option->offset;
}

static void store_number(const struct option *option, struct settings *settings, int64_t number)
{
    void *field = field_of(option, settings);

    if (option->width == sizeof(uint64_t))
        *(uint64_t *)field = (uint64_t)number;
    else if (option->width == sizeof(uint32_t))
        *(uint32_t *)field = (uint32_t)number;
    else
        *(bool *)field = number != 0;
}

static int64_t load_number(const struct option *option, const struct settings *settings)
{
    const void *field = (const char *)settings + option->offset;

    if (option->width == sizeof(uint64_t))
        return (int64_t) * (const uint64_t *)field;
    if (option->width == sizeof(uint32_t))
        return *(const uint32_t *)field;
    return *(const bool *)field;
}

static const char *load_string(const struct option *option, const struct settings *settings)
{
    return *(const char *const *)((const char *)settings + option->offset);
}

/* The number as the option's type writes it, without quotes. */
static const char *write_number(const struct option *option, int64_t number,
                                char text[UNITS_TEXT_SIZE])
{
    if (option->type == OPTION_TIME)
        return units_format_time(number, text);
    if (option->type == OPTION_SIZE)
        return units_format_size((uint64_t)number, text);
    snprintf(text, UNITS_TEXT_SIZE, "%lld", (long long)number);
    return text;
}

static int wrong_type(const struct option *option, const char *given, char *error,
                      size_t error_size)
{
    return complain(error, error_size, "must be %s, not %s", option_type_wanted(option), given);
}

static int set_in_range(const struct option *option, struct settings *settings, int64_t number,
                        const char *given, char *error, size_t error_size)
{
    char min[UNITS_TEXT_SIZE], max[UNITS_TEXT_SIZE];

    if (number < option->min)
        return complain(error, error_size, "%s is out of range, must be at least %s", given,
                        write_number(option, option->min, min));
    if (number > option->max)
        return complain(error, error_size, "%s is out of range, must be at most %s", given,
                        write_number(option, option->max, max));
    store_number(option, settings, number);
    return 0;
}

int option_set_number(const struct option *option, struct settings *settings, long long number,
                      char *error, size_t error_size)
{
    char given[UNITS_TEXT_SIZE];

    if (option->type != OPTION_COUNT_OF && option->type != OPTION_SIZE &&
        option->type != OPTION_TIME)
        return wrong_type(option, "a number", error, error_size);
    snprintf(given, sizeof(given), "%lld", number);
    return set_in_range(option, settings, number, given, error, error_size);
}

int option_set_boolean(const struct option *option, struct settings *settings, bool value,
                       char *error, size_t error_size)
{
    if (option->type != OPTION_BOOLEAN)
        return wrong_type(option, value ? "true" : "false", error, error_size);
    store_number(option, settings, value);
    return 0;
}

int option_find_word(const struct option_words *words, const char *text, char *error,
                     size_t error_size)
{
    struct suggestion suggestion = {.wanted = text};
    char list[256] = "";

    for (int i = 0; i < words->count; i++) {
        const char *word = words->name(i);
        size_t used = strlen(list);
        if (strcmp(word, text) == 0)
            return i;
        suggestion_consider(&suggestion, word);
        snprintf(list + used, sizeof(list) - used, "%s\"%s\"", i > 0 ? ", " : "", word);
    }
    const char *nearest = suggestion_nearest(&suggestion);
    return complain(error, error_size, "\"%s\" is not one of %s%s%s%s", text, list,
                    nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                    nearest != NULL ? "\"?" : "");
}

static int set_word(const struct option *option, struct settings *settings, const char *text,
                    char *error, size_t error_size)
{
    int index = option_find_word(option->words, text, error, error_size);

    if (index < 0)
        return -1;
    if (option->check != NULL && option->check(text, error, error_size) != 0)
        return -1;
    store_number(option, settings, index);
    return 0;
}

/* Sets a number with its unit; the range is that of option_set_number(). */
static int set_units(const struct option *option, struct settings *settings, const char *text,
                     char *error, size_t error_size)
{
    uint64_t octets = 0;
    int64_t number = 0;
    const char *complaint = NULL;
    enum units_error wrong;

    if (option->type == OPTION_SIZE) {
        if ((wrong = units_parse_size(text, &octets)) != UNITS_OK)
            complaint = units_size_complaint(wrong);
        number = (int64_t)octets;
    } else if ((wrong = units_parse_time(text, &number)) != UNITS_OK) {
        complaint = units_time_complaint(wrong);
    }
    if (complaint != NULL)
        return complain(error, error_size, "\"%s\" %s", text, complaint);
    return set_in_range(option, settings, number, text, error, error_size);
}

static int set_mode(const struct option *option, struct settings *settings, const char *text,
                    char *error, size_t error_size)
{
    size_t digits = strspn(text, "01234567");
    long mode = strtol(text, NULL, 8);

    if (digits == 0 || digits > 4 || text[digits] != '\0' || mode > 0777)
        return complain(error, error_size, "\"%s\" is no octal number from 0000 to 0777", text);
    if ((mode & 0600) != 0600)
        return complain(error, error_size, "\"%s\" keeps the owner from reading and writing", text);
    store_number(option, settings, mode);
    return 0;
}

static int set_string(const struct option *option, struct settings *settings, const char *text,
                      char *error, size_t error_size)
{
    const char **field = field_of(option, settings);

    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return complain(error, error_size, "must not contain a control character");
    if (option->check != NULL && option->check(text, error, error_size) != 0)
        return -1;
    char *copy = strdup(text);
    if (copy == NULL)
        return complain(error, error_size, "out of memory");
    free((void *)(uintptr_t)*field);
    *field = copy;
    return 0;
}

int option_set_text(const struct option *option, struct settings *settings, const char *text,
                    char *error, size_t error_size)
{
    switch (option->type) {
    case OPTION_STRING:
        return set_string(option, settings, text, error, error_size);
    case OPTION_WORD:
        return set_word(option, settings, text, error, error_size);
    case OPTION_SIZE:
    case OPTION_TIME:
        return set_units(option, settings, text, error, error_size);
    case OPTION_MODE:
        return set_mode(option, settings, text, error, error_size);
    case OPTION_BOOLEAN:
    case OPTION_COUNT_OF:
    case OPTION_LIST:
        break;
    }
    return wrong_type(option, "a text in quotes", error, error_size);
}

int option_set_preset(const struct option *option, struct settings *settings, char *error,
                      size_t error_size)
{
    const char *preset = option_preset(option);

    switch (option->type) {
    case OPTION_BOOLEAN:
        return option_set_boolean(option, settings, strcmp(preset, "true") == 0, error, error_size);
    case OPTION_COUNT_OF:
        return option_set_number(option, settings, strtoll(preset, NULL, 10), error, error_size);
    case OPTION_LIST:
        return 0;
    default:
        return option_set_text(option, settings, preset, error, error_size);
    }
}

char *option_quote(const char *text)
{
    size_t size = 0;
    char *quoted = NULL;
    FILE *out = open_memstream(&quoted, &size);

    if (out == NULL)
        return NULL;
    fputc('"', out);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            fputc('\\', out);
        fputc(*p, out);
    }
    fputc('"', out);
    if (fclose(out) != 0) {
        free(quoted);
        return NULL;
    }
    return quoted;
}

char *option_format(const struct option *option, const struct settings *settings)
{
    char text[UNITS_TEXT_SIZE];

    switch (option->type) {
    case OPTION_STRING:
        return option_quote(load_string(option, settings));
    case OPTION_WORD:
        return option_quote(option->words->name((int)load_number(option, settings)));
    case OPTION_SIZE:
    case OPTION_TIME:
        return option_quote(write_number(option, load_number(option, settings), text));
    case OPTION_MODE:
        snprintf(text, sizeof(text), "%04o", (unsigned)load_number(option, settings));
        return option_quote(text);
    case OPTION_BOOLEAN:
        return strdup(load_number(option, settings) != 0 ? "true" : "false");
    case OPTION_COUNT_OF:
        return strdup(write_number(option, load_number(option, settings), text));
    case OPTION_LIST:
        break;
    }
    return NULL;
}

void option_free_strings(struct settings *settings)
{
    for (size_t i = 0; i < option_count; i++) {
        if (options[i].type != OPTION_STRING)
            continue;
        const char **field = field_of(&options[i], settings);
        free((void *)(uintptr_t)*field);
        *field = NULL;
    }
}
