/* The manual of concepts names every word that the daemon may say. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cmocka_all.h"

#include "milter/conversation.h"
#include "milter/suppression.h"
#include "milter/verdict.h"

#define PAGE_MAX 100000

/* Reads a file of the source tree; the caller frees it. */
static char *read_page(const char *name)
{
    const char *top = getenv("srcdir");
    char path[1000], *text = calloc(1, PAGE_MAX + 1);
    snprintf(path, sizeof(path), "%s/%s", top != NULL ? top : ".", name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    assert_non_null(text);
    assert_true(fread(text, 1, PAGE_MAX, file) < PAGE_MAX);
    assert_int_equal(fclose(file), 0);
    return text;
}

/* True if the page has an item "word" of its own: ".It Sy a , word". */
static bool has_item(const char *page, const char *word)
{
    size_t length = strlen(word);
    const char *line = page;
    while ((line = strstr(line, "\n.It Sy ")) != NULL) {
        line += strlen("\n.It Sy ");
        const char *end = strchr(line, '\n');
        for (const char *at = line; at != NULL && at < end; at = strchr(at, ' ')) {
            at += strspn(at, " ,");
            if (strncmp(at, word, length) == 0 && strchr(" \n", at[length]) != NULL)
                return true;
        }
    }
    return false;
}

static void test_each_verdict_and_its_strikes(void **state)
{
    char *page = read_page("doc/bdat-milter.7");
    (void)state;
    for (int i = 0; i < VERDICT_COUNT; i++) {
        const char *name = verdict_name((enum verdict)i);
        char item[64], strikes[32];
        snprintf(item, sizeof(item), "\n.It Sy %s\n", name);
        const char *begin = strstr(page, item);
        if (begin == NULL)
            fail_msg("bdat-milter(7) does not explain the verdict %s", name);
        const char *end = strstr(begin + 1, "\n.It");
        const char *list_end = strstr(begin, "\n.El");
        if (end == NULL || list_end < end)
            end = list_end;
        char *text = strndup(begin, (size_t)(end - begin));
        assert_non_null(text);
        unsigned count = verdict_strikes((enum verdict)i);
        snprintf(strikes, sizeof(strikes), "%u strike", count);
        if (count > 0 && strstr(text, strikes) == NULL)
            fail_msg("bdat-milter(7) does not say that %s costs %u", name, count);
        if (count == 0 && (strstr(text, "1 strike") || strstr(text, "2 strike")))
            fail_msg("bdat-milter(7) says that %s costs strikes", name);
        free(text);
    }
    free(page);
}

static void test_each_word_of_evidence(void **state)
{
    char *page = read_page("doc/bdat-milter.7");
    (void)state;
    for (unsigned bit = 0; bit < EVIDENCE_BITS; bit++)
        if (!has_item(page, evidence_name(bit)))
            fail_msg("bdat-milter(7) does not explain the evidence %s", evidence_name(bit));
    assert_false(has_item(page, "no_such_word"));
    free(page);
}

/* States are words of two parts in JSON; prose may use a space. */
static bool names_word(const char *page, const char *word)
{
    char spaced[64];
    snprintf(spaced, sizeof(spaced), "%s", word);
    for (char *at = spaced; *at != '\0'; at++)
        if (*at == '_')
            *at = ' ';
    return strstr(page, word) != NULL || strstr(page, spaced) != NULL;
}

static void test_each_state_of_a_client_and_each_action(void **state)
{
    char *concepts = read_page("doc/bdat-milter.7");
    char *options = read_page("doc/bdat-milter.conf.5");
    (void)state;
    for (int i = 0; i < CLIENT_STATE_COUNT; i++)
        if (!names_word(concepts, client_state_name((enum client_state)i)))
            fail_msg("bdat-milter(7) does not explain the state %s",
                     client_state_name((enum client_state)i));
    for (int i = 0; i < ACTION_COUNT; i++) {
        char item[64];
        snprintf(item, sizeof(item), "\n.It Ql %s\n", action_name((enum action)i));
        if (strstr(options, item) == NULL)
            fail_msg("bdat-milter.conf(5) does not explain the action %s",
                     action_name((enum action)i));
    }
    free(concepts);
    free(options);
}

/* What getopt(3) is given in milter/main.c. */
static void test_each_option_of_the_daemon(void **state)
{
    char *page = read_page("doc/bdat-milter.8");
    char *source = read_page("milter/main.c");
    const char *letters = strstr(source, "getopt(argc, argv, \"");
    (void)state;
    assert_non_null(letters);
    unsigned count = 0;
    for (letters += strlen("getopt(argc, argv, \""); *letters != '"'; letters++) {
        char item[16];
        if (*letters == ':')
            continue;
        snprintf(item, sizeof(item), "\n.It Fl %c", *letters);
        if (strstr(page, item) == NULL)
            fail_msg("bdat-milter(8) does not explain -%c", *letters);
        count++;
    }
    assert_true(count >= 5);
    free(page);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_verdict_and_its_strikes),
        cmocka_unit_test(test_each_word_of_evidence),
        cmocka_unit_test(test_each_state_of_a_client_and_each_action),
        cmocka_unit_test(test_each_option_of_the_daemon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
