/* Postfix's values taken apart and put together, keywords, and who may open what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "ctl/access.h"
#include "ctl/hooks.h"
#include "ctl/keywords.h"
#include "ctl/text.h"
#include "ctl/value.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define QUEUE "/var/spool/postfix"

/* The items with a bar between. */
static char *split(const char *value)
{
    char *all = text_copy("");
    struct span item;
    for (size_t at = 0; value_next(value, at, &item); at = item.end) {
        char *longer = text_format("%s%s%.*s", all, *all ? "|" : "", (int)(item.end - item.begin),
                                   value + item.begin);
        free(all);
        all = longer;
    }
    return all;
}

static void test_items(void **state)
{
    (void)state;
    static const struct {
        const char *value, *want;
    } rows[] = {
        {"", ""},
        {" ,\t\n", ""},
        {"a", "a"},
        {"a,b c\td\n e", "a|b|c|d|e"},
        {"{ a, b=c d } e", "{ a, b=c d }|e"},
        {"x { a { b, c } d },y", "x|{ a { b, c } d }|y"},
        {"inet:[::1]:1, { inet:h:2, x = {y z} }", "inet:[::1]:1|{ inet:h:2, x = {y z} }"},
        {"{ never closed, at all", "{ never closed, at all"},
        {"a} b", "a}|b"},
        {"$x, ${y?z w}", "$x|${y?z w}"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *all = split(rows[i].value);
        assert_string_equal(all, rows[i].want);
        free(all);
    }
}

static void test_item_names(void **state)
{
    (void)state;
    static const struct {
        const char *value, *name;
        bool is;
    } rows[] = {
        {"unix:x", "unix:x", true},   {"{ unix:x, a=b }", "unix:x", true},
        {"{unix:x}", "unix:x", true}, {"{,unix:x a=b}", "unix:x", true},
        {"unix:xy", "unix:x", false}, {"{ unix:xy }", "unix:x", false},
        {"{}", "unix:x", false},      {"{", "unix:x", false},
        {"{ unix:x", "unix:x", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct span item;
        assert_true(value_next(rows[i].value, 0, &item));
        assert_int_equal(value_item_is(rows[i].value, item, rows[i].name), rows[i].is);
    }
}

static void test_remove_undoes_add(void **state)
{
    (void)state;
    static const char *const values[] = {"", "a", "a, b", "{ a, b }", "a b c", "$a,{b}"};
    struct hook hooks[HOOK_COUNT];
    const struct hook_sockets sockets = {QUEUE "/b/m", QUEUE "/b/t", QUEUE "/b/p"};
    hooks_build(hooks, &sockets, QUEUE "/");
    for (size_t h = 0; h < HOOK_COUNT; h++) {
        for (size_t i = 0; i < COUNT(values); i++) {
            struct span part;
            assert_false(hook_find(&hooks[h], QUEUE, values[i], &part));
            char *with = value_add(values[i], hooks[h].text, hooks[h].in_front);
            assert_true(hook_find(&hooks[h], QUEUE, with, &part));
            assert_true(hook_is_safe(&hooks[h], with, part));
            assert_int_equal(hook_is_first(with, part), hooks[h].in_front || *values[i] == '\0');
            char *without = value_remove(with, part);
            assert_string_equal(without, values[i]);
            free(without);
            free(with);
        }
    }
    hooks_free(hooks);
}

static void test_remove_from_the_middle(void **state)
{
    (void)state;
    char *left = value_remove("a, b, c", (struct span){3, 4});
    assert_string_equal(left, "a, c");
    free(left);
    left = value_remove("a b", (struct span){2, 3});
    assert_string_equal(left, "a");
    free(left);
}

static void test_compact(void **state)
{
    (void)state;
    static const struct {
        const char *value, *want;
    } rows[] = {
        {"", ""},
        {" a ,\tb\n c ", "a,b,c"},
        {"{ unix:x, a=b }, c", "{unix:x,a=b},c"},
        {"{ unix:x,\n  a = b c=d }", "{unix:x,a=b,c=d}"},
        {"x { a { b, c } d }", "x,{a,{b,c},d}"},
        {"$x ${y}", "$x,${y}"},
        {"pcre:{{/a/b}}", "pcre:{{/a/b}}"},
        /* White space within tables and conditions means something. */
        {"a, pcre:{ {/x/ y} }", NULL},
        {"${y?{a b}}", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *compact = value_compact(rows[i].value);
        if (rows[i].want == NULL)
            assert_null(compact);
        else
            assert_string_equal(compact, rows[i].want);
        free(compact);
    }
}

static void test_same_items(void **state)
{
    (void)state;
    static const struct {
        const char *one, *other;
        bool same;
    } rows[] = {
        {"", " , ", true},       {"a b", "a,b", true},     {"a", "", false},
        {"a, b", "b, a", false}, {"a", "a, b", false},     {"a, b", "a", false},
        {"ab", "abc", false},    {"{ a }", "{ a }", true}, {"{ a }", "{ b }", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(value_same_items(rows[i].one, rows[i].other), rows[i].same);
}

static void test_hooks_are_known_in_any_form(void **state)
{
    (void)state;
    static const struct {
        size_t hook;
        const char *value;
        bool found, safe;
    } rows[] = {
        {0, "{ unix:bdat/m.sock, default_action=accept }", true, true},
        {0, "unix:bdat/m.sock", true, false},
        {0, "x { local:" QUEUE "/bdat/m.sock, default_action = accept } y", true, true},
        {0, "{ unix:bdat/m.sock, default_action=tempfail }", true, false},
        {0, "unix:bdat/m.socket inet:bdat/m.sock", false, false},
        {1, "socketmap:unix:" QUEUE "/bdat/t.sock:command", true, true},
        {1, "socketmap:unix:bdat/t.sock:ehlo", false, false},
        {1, "unix:bdat/t.sock:command", false, false},
        {2, "hash:/x, socketmap:unix:bdat/t.sock:ehlo", true, true},
        {3, "permit, check_policy_service unix:bdat/p.sock", true, false},
        {3, "check_policy_service { unix:bdat/p.sock, default_action=DUNNO }", true, true},
        {3, "check_policy_service", false, false},
        {3, "unix:bdat/p.sock", false, false},
        {3, "check_policy_service inet:h:1 check_policy_service unix:bdat/p.sock", true, false},
    };
    struct hook hooks[HOOK_COUNT];
    const struct hook_sockets sockets = {QUEUE "/bdat/m.sock", QUEUE "/bdat/t.sock",
                                         QUEUE "/bdat/p.sock"};
    hooks_build(hooks, &sockets, QUEUE);
    assert_string_equal(hooks[1].text, "socketmap:unix:bdat/t.sock:command");
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct span part;
        const struct hook *hook = &hooks[rows[i].hook];
        assert_int_equal(hook_find(hook, QUEUE, rows[i].value, &part), rows[i].found);
        if (rows[i].found)
            assert_int_equal(hook_is_safe(hook, rows[i].value, part), rows[i].safe);
    }
    hooks_free(hooks);
}

static void test_socket_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *queue, *want;
    } rows[] = {
        {QUEUE "/a/b", QUEUE, "a/b"},
        {QUEUE "//a", QUEUE "/", "a"},
        {"/var/spool/postfixx/a", QUEUE, "/var/spool/postfixx/a"},
        {"/run/a", QUEUE, "/run/a"},
        {QUEUE, QUEUE, QUEUE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *path = hook_socket_path(rows[i].path, rows[i].queue);
        assert_string_equal(path, rows[i].want);
        free(path);
    }
}

static void test_shell_quoting(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"plain-1.2_/:=", "plain-1.2_/:="},
        {"", "''"},
        {"a b", "'a b'"},
        {"it's", "'it'\\''s'"},
        {"$x`y`", "'$x`y`'"},
        {"{ a, b }", "'{ a, b }'"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *quoted = value_quote_for_shell(rows[i].text);
        assert_string_equal(quoted, rows[i].want);
        free(quoted);
    }
}

static void test_keywords_join(void **state)
{
    (void)state;
    static const struct {
        const char *ours, *global, *want;
    } rows[] = {
        {"chunking, silent-discard", "", NULL},
        {"chunking, silent-discard", "CHUNKING", NULL},
        {"chunking, silent-discard", "dsn, etrn", "chunking, dsn, etrn, silent-discard"},
        {"chunking", "dsn dsn,silent-discard", "chunking, dsn, silent-discard"},
        {"chunking, dsn", "DSN etrn", "chunking, dsn, etrn"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *joined = keywords_join(rows[i].ours, rows[i].global);
        if (rows[i].want == NULL)
            assert_null(joined);
        else
            assert_string_equal(joined, rows[i].want);
        free(joined);
    }
    assert_true(keywords_have("a, Chunking", "chunking"));
    assert_false(keywords_have("a, chunking2", "chunking"));
}

static void test_keywords_edit(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "suppression = { keywords = \"k\"; };\n"},
        {"mode = \"observe\";", "mode = \"observe\";\nsuppression = { keywords = \"k\"; };\n"},
        {"suppression = {\n  hold = \"1d\";\n};\n",
         "suppression = { keywords = \"k\";\n  hold = \"1d\";\n};\n"},
        {"suppression: { keywords = \"old\"; } # x\n", "suppression: { keywords = \"k\"; } # x\n"},
        {"# suppression = { }\nsuppression = {\n# keywords = \"no\";\nkeywords=\"old\";\n};\n",
         "# suppression = { }\nsuppression = {\n# keywords = \"no\";\nkeywords=\"k\";\n};\n"},
        {"# @include \"x\"\n#@include \"y\"\nsuppression = { };\n",
         "# @include \"x\"\n#@include \"y\"\nsuppression = { keywords = \"k\"; };\n"},
        /* By hand: what cannot be changed surely is left alone. */
        {"suppression = { keywords = \"a\" \"b\"; };", NULL},
        {"@include \"other\"\n", NULL},
        {"mode = \"observe\";\n \t@include \"other\"\n", NULL},
        {"/* x */ @include \"other\"\n", NULL},
        {"mode = \"observe\"; @include \"other\"", NULL},
        {"// @include \"x\"\n", "// @include \"x\"\nsuppression = { keywords = \"k\"; };\n"},
        {"broken = ;", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *edited = keywords_edit(rows[i].text, "k");
        if (rows[i].want == NULL)
            assert_null(edited);
        else
            assert_string_equal(edited, rows[i].want);
        free(edited);
    }
    assert_null(keywords_edit("", "a\"; mode = \"observe"));
}

/* What is advised must not set a key twice. */
static void test_keywords_advise(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool in_group;
    } rows[] = {
        {NULL, false},
        {"mode = \"observe\";", false},
        {"#suppression = { };\n", false},
        {"suppression = { keywords = \"a\" \"b\"; };", true},
        {"@include \"other\"\n", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *advice = keywords_advise(rows[i].text, "k");
        assert_non_null(strstr(advice, "keywords = \"k\";"));
        assert_int_equal(strstr(advice, "suppression = {") == NULL, rows[i].in_group);
        free(advice);
    }
}

static void test_access_bits(void **state)
{
    (void)state;
    const struct access_user user = {
        .name = "p", .uid = 100, .gid = 100, .groups = {100, 7}, .group_count = 2};
    const struct access_user root = {.name = "root"};
    static const struct {
        uid_t owner;
        gid_t group;
        mode_t mode;
        unsigned want;
    } rows[] = {
        {100, 100, 0741, 7}, {100, 100, 0077, 0}, /* the owner's bits alone count for the owner */
        {0, 7, 0660, 6},     {0, 7, 0606, 0},     /* so do the group's for a member */
        {0, 100, 0710, 1},   {0, 8, 0771, 1},     {0, 8, 0770, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(access_bits(&user, rows[i].owner, rows[i].group, rows[i].mode),
                         rows[i].want);
    assert_int_equal(access_bits(&root, 5, 5, 0), 7);
}

static void test_access_walk(void **state)
{
    (void)state;
    const struct access_user user = {
        .name = "p", .uid = 54321, .gid = 54321, .groups = {54321}, .group_count = 1};
    struct access_obstacle obstacle;
    char folder[] = "/tmp/bdatctl-access-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *shut = text_format("%s/shut", folder), *path = text_format("%s/shut//x/s", folder);
    assert_int_equal(mkdir(shut, 0700), 0);
    assert_int_equal(chmod(folder, 0750), 0);
    /* The start itself must be entered; the folders above it need not be. */
    assert_false(access_walk(&user, folder, path, &obstacle));
    assert_non_null(strstr(obstacle.what, " may not be entered by user p (mode 0750"));
    assert_null(strstr(obstacle.what, "/shut"));
    free(obstacle.what);
    free(obstacle.mend);
    assert_int_equal(chmod(folder, 0711), 0);
    assert_false(access_walk(&user, folder, path, &obstacle));
    assert_false(obstacle.hidden);
    assert_non_null(strstr(obstacle.what, "/shut may not be entered by user p (mode 0700"));
    assert_non_null(strstr(obstacle.mend, "chgrp p"));
    free(obstacle.what);
    free(obstacle.mend);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_false(access_walk(&user, "", path, &obstacle));
    assert_null(strstr(obstacle.what, "/shut"));
    assert_int_equal(chmod(folder, 0711), 0);
    free(obstacle.what);
    free(obstacle.mend);
    assert_int_equal(chmod(shut, 0711), 0);
    assert_false(access_walk(&user, folder, path, &obstacle));
    assert_non_null(strstr(obstacle.what, "No such file"));
    free(obstacle.what);
    free(obstacle.mend);
    rmdir(shut);
    rmdir(folder);
    free(shut);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_item_names),
        cmocka_unit_test(test_remove_undoes_add),
        cmocka_unit_test(test_remove_from_the_middle),
        cmocka_unit_test(test_compact),
        cmocka_unit_test(test_same_items),
        cmocka_unit_test(test_hooks_are_known_in_any_form),
        cmocka_unit_test(test_socket_paths),
        cmocka_unit_test(test_shell_quoting),
        cmocka_unit_test(test_keywords_join),
        cmocka_unit_test(test_keywords_edit),
        cmocka_unit_test(test_keywords_advise),
        cmocka_unit_test(test_access_bits),
        cmocka_unit_test(test_access_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
