/*
 * For tests: a snapshot written as a configuration file, which must load to an equal one.
 */
#ifndef BDAT_TESTS_SETTINGS_DUMP_H
#define BDAT_TESTS_SETTINGS_DUMP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/settings.h"

/* Ends the group that is open unless it is this one, then opens it; "" = none. */
static inline void settings_dump_group(FILE *out, char open[64], const char *group)
{
    if (strcmp(open, group) == 0)
        return;
    if (open[0] != '\0')
        fputs("};\n", out);
    if (group[0] != '\0')
        fprintf(out, "%s = {\n", group);
    snprintf(open, 64, "%s", group);
}

/* Writes all options, groups written out; the caller frees it. NULL when memory is short. */
static inline char *settings_dump(const struct settings *settings)
{
    char *text, open[64] = "";
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < settings_option_count(); i++) {
        struct option_view view;
        char group[64] = "";
        settings_option_view(settings, i, &view);
        const char *dot = strchr(view.name, '.');
        if (dot != NULL)
            snprintf(group, sizeof(group), "%.*s", (int)(dot - view.name), view.name);
        settings_dump_group(out, open, group);
        fprintf(out, "%s = %s;\n", dot != NULL ? dot + 1 : view.name, view.value);
    }
    settings_dump_group(out, open, "");
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* True if all options have the same values. */
static inline bool settings_are_equal(const struct settings *a, const struct settings *b)
{
    for (size_t i = 0; i < settings_option_count(); i++) {
        struct option_view of_a, of_b;
        settings_option_view(a, i, &of_a);
        settings_option_view(b, i, &of_b);
        if (strcmp(of_a.value, of_b.value) != 0)
            return false;
    }
    return true;
}

#endif
