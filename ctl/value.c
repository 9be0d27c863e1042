#include "config.h"

#include "ctl/value.h"

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
