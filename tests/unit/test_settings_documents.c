/* The sample file and the manual name every option, with the default that is in force. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "milter/options.h"
#include "milter/settings.h"

/* Reads a file of the source tree; the caller frees it. */
static char *read_source(const char *name)
{
    const char *top = getenv("srcdir");
    char path[1000], *text;
    snprintf(path, sizeof(path), "%s/%s", top != NULL ? top : ".", name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    text = calloc(1, 200001);
    assert_non_null(text);
    assert_true(fread(text, 1, 200000, file) < 200000);
    assert_int_equal(fclose(file), 0);
    return text;
}

static const struct settings *load(const char *text)
{
    char error[SETTINGS_ERROR_SIZE];
    struct settings *settings =
        settings_load_text("sample", text, strlen(text), error, sizeof(error));
    if (settings == NULL)
        fail_msg("%s", error);
    return settings;
}

/* True for a line `#name = …` that is an option commented out, not prose. */
static bool is_commented_option(const char *line)
{
    size_t length = 0;
    while (islower((unsigned char)line[1 + length]) || isdigit((unsigned char)line[1 + length]) ||
           line[1 + length] == '_')
        length++;
    return line[0] == '#' && length > 0 && strncmp(line + 1 + length, " = ", 3) == 0;
}

/* Takes the # from the options that are commented out. */
static void uncomment(char *text)
{
    for (char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += strspn(line, "\n ");
        if (is_commented_option(line))
            line[0] = ' ';
    }
}

static void test_the_sample_file_changes_nothing(void **state)
{
    char *text = read_source("doc/bdat-milter.conf");
    const struct settings *settings = load(text);
    (void)state;
    for (size_t i = 0; i < settings_option_count(); i++) {
        struct option_view view;
        settings_option_view(settings, i, &view);
        assert_string_equal(view.value, view.preset);
    }
    settings_unref(&settings);
    free(text);
}

static void test_the_sample_file_has_each_option_with_its_default(void **state)
{
    char *text = read_source("doc/bdat-milter.conf");
    uncomment(text);
    const struct settings *settings = load(text);
    (void)state;
    for (size_t i = 0; i < settings_option_count(); i++) {
        struct option_view view;
        settings_option_view(settings, i, &view);
        if (view.line == 0)
            fail_msg("doc/bdat-milter.conf lacks %s", view.name);
        assert_string_equal(view.value, view.preset);
    }
    settings_unref(&settings);
    free(text);
}

/* The rules that the sample file shows are good ones. */
static void test_the_sample_rules_load(void **state)
{
    char *text = read_source("doc/bdat-milter.conf"), *at = text;
    size_t rules = 0;
    (void)state;
    while ((at = strstr(at, "#{ clients")) != NULL) {
        *at = ' ';
        rules++;
    }
    assert_true(rules >= 2);
    const struct settings *settings = load(text);
    assert_non_null(settings->rules);
    settings_unref(&settings);
    free(text);
}

/* What stands behind "Default:" in the manual. */
static void write_default(const struct option *option, char *text, size_t size)
{
    const char *preset = option_preset(option);

    if (preset[0] == '\0')
        snprintf(text, size, " empty.\n");
    else if (option->type == OPTION_LIST)
        snprintf(text, size, "\n.Ql \"%s\" ,\n", preset);
    else
        snprintf(text, size, "\n.Ql %s .\n", preset);
}

static void test_the_manual_has_each_option_with_its_default(void **state)
{
    char *text = read_source("doc/bdat-milter.conf.5");
    (void)state;
    for (size_t i = 0; i < option_count; i++) {
        char head[100], preset[500];
        snprintf(head, sizeof(head), "\n.It Ic %s No = Ar ", options[i].name);
        write_default(&options[i], preset, sizeof(preset));
        char *item = strstr(text, head);
        if (item == NULL)
            fail_msg("doc/bdat-milter.conf.5 lacks %s", options[i].name);
        char *next = strstr(item + 1, "\n.It Ic "), *tag = strstr(item, "\nDefault:");
        if (tag == NULL || (next != NULL && tag > next))
            fail_msg("doc/bdat-milter.conf.5 lacks the default of %s", options[i].name);
        tag += strlen("\nDefault:");
        if (strncmp(tag, preset, strlen(preset)) != 0)
            fail_msg("doc/bdat-milter.conf.5 has another default of %s", options[i].name);
        if (strncmp(item + strlen(head), option_type_name(&options[i]),
                    strlen(option_type_name(&options[i]))) != 0 &&
            options[i].type != OPTION_MODE)
            fail_msg("doc/bdat-milter.conf.5 has another type of %s", options[i].name);
    }
    free(text);
}

/* The manual has no option that is none. */
static void test_the_manual_has_no_other_options(void **state)
{
    char *text = read_source("doc/bdat-milter.conf.5");
    (void)state;
    for (char *at = text; (at = strstr(at, "\n.It Ic ")) != NULL; at++) {
        char name[100];
        assert_int_equal(sscanf(at, "\n.It Ic %99s", name), 1);
        if (option_find(name) == NULL)
            fail_msg("doc/bdat-milter.conf.5 has %s, which is no option", name);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sample_file_changes_nothing),
        cmocka_unit_test(test_the_sample_file_has_each_option_with_its_default),
        cmocka_unit_test(test_the_sample_rules_load),
        cmocka_unit_test(test_the_manual_has_each_option_with_its_default),
        cmocka_unit_test(test_the_manual_has_no_other_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
