#include "config.h"

#include "ctl/keywords.h"

#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl/text.h"
#include "ctl/value.h"

#define OPTION "suppression.keywords"
#define SILENT "silent-discard"

static bool item_equals(const char *list, struct span item, const char *word, size_t length)
{
    return item.end - item.begin == length && strncasecmp(list + item.begin, word, length) == 0;
}

static bool has(const char *list, const char *word, size_t length)
{
    struct span item;
    for (size_t at = 0; value_next(list, at, &item); at = item.end)
        if (item_equals(list, item, word, length))
            return true;
    return false;
}

bool keywords_have(const char *list, const char *keyword)
{
    return has(list, keyword, strlen(keyword));
}

char *keywords_join(const char *ours, const char *global)
{
    struct span item;
    bool silent = keywords_have(ours, SILENT) || keywords_have(global, SILENT);
    bool lacks = false;
    char *joined = text_copy("");
    const char *lists[] = {ours, global};
    for (size_t i = 0; i < 2; i++) {
        for (size_t at = 0; value_next(lists[i], at, &item); at = item.end) {
            size_t length = item.end - item.begin;
            lacks = lacks || !has(ours, lists[i] + item.begin, length);
            if (item_equals(lists[i], item, SILENT, strlen(SILENT)) ||
                has(joined, lists[i] + item.begin, length))
                continue;
            char *longer = text_format("%s%s%.*s", joined, *joined ? ", " : "", (int)length,
                                       lists[i] + item.begin);
            free(joined);
            joined = longer;
        }
    }
    char *whole = lacks ? text_format("%s%s", joined, silent ? ", " SILENT : "") : NULL;
    free(joined);
    return whole;
}

/* Offset of the begin of line `line` (from 1). */
static size_t line_offset(const char *text, unsigned line)
{
    size_t offset = 0;
    while (line-- > 1 && text[offset] != '\0') {
        offset += strcspn(text + offset, "\n");
        offset += text[offset] == '\n';
    }
    return offset;
}

static char *splice(const char *text, size_t begin, size_t end, const char *fresh)
{
    return text_format("%.*s%s%s", (int)begin, text, fresh, text + end);
}

/* A first try by position; whether it came out right is checked afterwards. */
static char *edit_by_position(const char *text, const config_t *config, const char *keywords)
{
    const config_setting_t *setting = config_lookup(config, OPTION);
    const config_setting_t *group = config_lookup(config, "suppression");
    char *edited = NULL;
    if (setting != NULL) {
        size_t line = line_offset(text, config_setting_source_line(setting));
        const char *word = strstr(text + line, "keywords");
        const char *begin = word == NULL ? NULL : strchr(word, '"');
        const char *end = begin == NULL ? NULL : strchr(begin + 1, '"');
        if (end != NULL)
            edited = splice(text, (size_t)(begin + 1 - text), (size_t)(end - text), keywords);
    } else if (group != NULL) {
        size_t line = line_offset(text, config_setting_source_line(group));
        const char *word = strstr(text + line, "suppression");
        const char *brace = word == NULL ? NULL : strchr(word, '{');
        char *fresh = text_format(" keywords = \"%s\";", keywords);
        if (brace != NULL)
            edited = splice(text, (size_t)(brace + 1 - text), (size_t)(brace + 1 - text), fresh);
        free(fresh);
    } else {
        size_t length = strlen(text);
        edited = text_format("%s%ssuppression = { keywords = \"%s\"; };\n", text,
                             length > 0 && text[length - 1] != '\n' ? "\n" : "", keywords);
    }
    return edited;
}

/* The configuration as libconfig writes it, without suppression.keywords: to compare by. */
static char *without_keywords(const char *text)
{
    config_t config;
    char *written = NULL;
    size_t size = 0;
    config_init(&config);
    if (config_read_string(&config, text) == CONFIG_TRUE) {
        config_setting_t *group = config_lookup(&config, "suppression");
        if (group != NULL)
            config_setting_remove(group, "keywords");
        if (group != NULL && config_setting_length(group) == 0)
            config_setting_remove(config_root_setting(&config), "suppression");
        FILE *memory = open_memstream(&written, &size);
        if (memory != NULL) {
            config_write(&config, memory);
            fclose(memory);
        }
    }
    config_destroy(&config);
    return written;
}

static bool came_out_right(const char *before, const char *after, const char *keywords)
{
    config_t config;
    const char *value = NULL;
    config_init(&config);
    bool right = config_read_string(&config, after) == CONFIG_TRUE &&
                 config_lookup_string(&config, OPTION, &value) == CONFIG_TRUE &&
                 strcmp(value, keywords) == 0;
    config_destroy(&config);
    char *one = without_keywords(before), *other = without_keywords(after);
    right = right && one != NULL && other != NULL && strcmp(one, other) == 0;
    free(one);
    free(other);
    return right;
}

/* True if libconfig might read another file, from wherever we stand: the directive stands anywhere
 * but in a line that is a comment as a whole. */
static bool has_include(const char *text)
{
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n"), blanks = strspn(line, " \t");
        bool is_comment = line[blanks] == '#' || strncmp(line + blanks, "//", 2) == 0;
        if (!is_comment && memmem(line, length, "@include", strlen("@include")) != NULL)
            return true;
        line += length + (line[length] == '\n');
    }
    return false;
}

char *keywords_advise(const char *text, const char *keywords)
{
    config_t config;
    config_init(&config);
    bool group =
        text != NULL && (has_include(text) || (config_read_string(&config, text) == CONFIG_TRUE &&
                                               config_lookup(&config, "suppression") != NULL));
    config_destroy(&config);
    return group ? text_format("in the braces of suppression: keywords = \"%s\";", keywords)
                 : text_format("suppression = { keywords = \"%s\"; };", keywords);
}

char *keywords_edit(const char *text, const char *keywords)
{
    config_t config;
    char *edited = NULL;
    if (strpbrk(keywords, "\"\\\n") != NULL || has_include(text))
        return NULL;
    config_init(&config);
    if (config_read_string(&config, text) == CONFIG_TRUE)
        edited = edit_by_position(text, &config, keywords);
    config_destroy(&config);
    if (edited != NULL && !came_out_right(text, edited, keywords)) {
        free(edited);
        edited = NULL;
    }
    return edited;
}
