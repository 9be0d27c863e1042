#include "config.h"

#include "ctl/value.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/text.h"

#define SEPARATORS ", \t\r\n"

bool value_next(const char *value, size_t position, struct span *item)
{
    size_t depth = 0;
    position += strspn(value + position, SEPARATORS);
    item->begin = position;
    for (; value[position] != '\0'; position++) {
        if (depth == 0 && strchr(SEPARATORS, value[position]) != NULL)
            break;
        if (value[position] == '{')
            depth++;
        else if (value[position] == '}' && depth > 0)
            depth--;
    }
    item->end = position;
    return item->end > item->begin;
}

struct span value_item_name(const char *value, struct span item)
{
    if (value[item.begin] != '{')
        return item;
    struct span name = {.begin = item.begin + 1};
    name.begin += strspn(value + name.begin, SEPARATORS);
    if (name.begin > item.end)
        name.begin = item.end;
    name.end = name.begin + strcspn(value + name.begin, SEPARATORS "}");
    if (name.end > item.end)
        name.end = item.end;
    return name;
}

bool value_item_is(const char *value, struct span item, const char *name)
{
    struct span found = value_item_name(value, item);
    return found.end - found.begin == strlen(name) &&
           strncmp(value + found.begin, name, found.end - found.begin) == 0;
}

char *value_add(const char *value, const char *item, bool in_front)
{
    struct span first;
    if (!value_next(value, 0, &first))
        return text_copy(item);
    return in_front ? text_format("%s, %s", item, value) : text_format("%s, %s", value, item);
}

char *value_remove(const char *value, struct span part)
{
    size_t separators = strspn(value + part.end, SEPARATORS);
    size_t begin = part.begin, end = part.end + separators;
    if (value[end] == '\0')
        while (begin > 0 && strchr(SEPARATORS, value[begin - 1]) != NULL)
            begin--;
    return text_format("%.*s%s", (int)begin, value, value + end);
}

/* Appends one item; within its braces white space becomes commas, or nothing where none is needed.
 * False if the item would not be the same then. */
static bool compact_item(char **end, const char *value, struct span item)
{
    bool table =
        memchr(value + item.begin, '{', item.end - item.begin) != NULL && value[item.begin] != '{';
    for (size_t i = item.begin; i < item.end; i++) {
        size_t separators = strspn(value + i, SEPARATORS);
        if (separators == 0) {
            *(*end)++ = value[i];
            continue;
        }
        if (table)
            return false;
        i += separators;
        if (strchr("{=", (*end)[-1]) == NULL && strchr("}=", value[i]) == NULL)
            *(*end)++ = ',';
        i--;
    }
    return true;
}

char *value_compact(const char *value)
{
    struct span item;
    char *compact = text_resize(NULL, strlen(value) + 1, 1), *end = compact;
    for (size_t at = 0; value_next(value, at, &item); at = item.end) {
        if (end != compact)
            *end++ = ',';
        if (!compact_item(&end, value, item)) {
            free(compact);
            return NULL;
        }
    }
    *end = '\0';
    return compact;
}

bool value_same_items(const char *one, const char *other)
{
    struct span a = {0}, b = {0};
    for (;;) {
        bool more = value_next(one, a.end, &a), too = value_next(other, b.end, &b);
        if (!more || !too)
            return more == too;
        if (a.end - a.begin != b.end - b.begin ||
            strncmp(one + a.begin, other + b.begin, a.end - a.begin) != 0)
            return false;
    }
}

char *value_quote_for_shell(const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-._/:=,@%+";
    if (*text != '\0' && strspn(text, plain) == strlen(text))
        return text_copy(text);
    char *quoted = text_resize(NULL, strlen(text) * 4 + 3, 1), *end = quoted;
    *end++ = '\'';
    for (; *text != '\0'; text++) {
        if (*text != '\'') {
            *end++ = *text;
            continue;
        }
        memcpy(end, "'\\''", 4);
        end += 4;
    }
    *end++ = '\'';
    *end = '\0';
    return quoted;
}
