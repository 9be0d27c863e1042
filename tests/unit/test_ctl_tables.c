/* Where the two tables are set: what is planned for main.cf and for the services of master.cf,
 * and what is remembered of it. */
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

#include "ctl/file.h"
#include "ctl/tables.h"
#include "ctl/text.h"
#include "ctl/undo.h"
#include "tests/unit/ctl_site.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FILTER "smtpd_command_filter"
#define MAPS "smtpd_discard_ehlo_keyword_address_maps"
#define OUR_FILTER "socketmap:unix:b/t:command"
#define OUR_MAP "socketmap:unix:b/t:ehlo"

static void setup_site(struct site *site, const char *main_cf, const char *master_cf)
{
    static const struct site_service services[] = {{"smtp", "inet", "smtpd"},
                                                   {"smtpd", "pass", "smtpd"},
                                                   {"inside", "unix", "smtpd"},
                                                   {"25", "inet", "postscreen"}};
    pretend_site(site, &(struct site_texts){.main_cf = main_cf, .master_cf = master_cf}, services,
                 COUNT(services));
}

/* The plan as one text: "NAME=AFTER;" of each change, AFTER "-" where it is unset. */
static char *show(const struct plan *plan)
{
    char *all = text_copy("");
    for (size_t i = 0; i < plan->count; i++) {
        const struct change *change = &plan->changes[i];
        char *longer = text_format("%s%s%s=%s;", all, change->takes_out ? "out " : "",
                                   change->parameter, change->after ? change->after : "-");
        free(all);
        all = longer;
    }
    return all;
}

static json_t *new_record(void)
{
    return json_pack("{s{}s{}}", "files", "parameters");
}

static void test_services_are_planned(void **state)
{
    (void)state;
    static const struct {
        size_t hook;
        const char *main_cf, *master_cf, *want;
        enum exit_code code;
    } rows[] = {
        {1, "", "", "smtp/inet/" FILTER "=" OUR_FILTER ";smtpd/pass/" FILTER "=" OUR_FILTER ";",
         EXIT_DONE},
        {2, "", "", "smtp/inet/" MAPS "=" OUR_MAP ";smtpd/pass/" MAPS "=" OUR_MAP ";", EXIT_DONE},
        /* What is there already, however it is written. */
        {1, "",
         "smtp/inet/" FILTER " = socketmap:local:" SITE_QUEUE "/b/t:command\n"
         "smtpd/pass/" FILTER " = " OUR_FILTER,
         "", EXIT_DONE},
        {1, "", "smtp/inet/" FILTER " = " OUR_FILTER, "smtpd/pass/" FILTER "=" OUR_FILTER ";",
         EXIT_DONE},
        /* Out of main.cf. */
        {1, FILTER " = " OUR_FILTER, "",
         "smtp/inet/" FILTER "=" OUR_FILTER ";smtpd/pass/" FILTER "=" OUR_FILTER ";out " FILTER
         "=-;",
         EXIT_DONE},
        {2, MAPS " = a:b, " OUR_MAP " c:d", "smtpd/pass/" MAPS " = e:f",
         "smtp/inet/" MAPS "=a:b,c:d," OUR_MAP ";out " MAPS "=a:b, c:d;", EXIT_DONE},
        /* Another filter is in the way, of all or of one; an empty one is a wish. */
        {1, FILTER " = a:b", "", "", EXIT_NO},
        {1, "", "smtp/inet/" FILTER " = a:b", "", EXIT_NO},
        {1, "", "smtp/inet/" FILTER " =", "smtpd/pass/" FILTER "=" OUR_FILTER ";", EXIT_DONE},
        {1, FILTER " = a:b",
         "smtp/inet/" FILTER " = " OUR_FILTER "\nsmtpd/pass/" FILTER " = " OUR_FILTER, "",
         EXIT_DONE},
        {2, MAPS " = pcre:{ {/x/ dsn} }", "", "", EXIT_NO},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct site site;
        struct plan plan = {0};
        json_t *record = new_record();
        setup_site(&site, rows[i].main_cf, rows[i].master_cf);
        enum exit_code code = tables_plan_services(&plan, &site, &site.hooks[rows[i].hook], record);
        char *got = show(&plan);
        if (code != rows[i].code || (code == EXIT_DONE && strcmp(got, rows[i].want) != 0))
            fail_msg("row %zu: got %d \"%s\", want %d \"%s\"", i, (int)code, got, (int)rows[i].code,
                     rows[i].want);
        free(got);
        plan_free(&plan);
        pretend_site_free(&site);
        json_decref(record);
    }
}

static void test_own_maps_are_refreshed(void **state)
{
    (void)state;
    static const char name[] = "smtp/inet/" MAPS;
    struct site site;
    json_t *record = new_record();
    undo_remember(record, name, NULL, "old:x," OUR_MAP);
    setup_site(&site, MAPS " = new:x",
               "smtp/inet/" MAPS " = old:x," OUR_MAP "\nsmtpd/pass/" MAPS " = by:hand," OUR_MAP);
    struct plan plan = {0};
    assert_int_equal(tables_plan_services(&plan, &site, &site.hooks[2], record), EXIT_DONE);
    char *got = show(&plan);
    assert_string_equal(got, "smtp/inet/" MAPS "=new:x," OUR_MAP ";");
    free(got);
    plan_free(&plan);
    pretend_site_free(&site);
    json_decref(record);
}

static void test_services_are_taken_out(void **state)
{
    (void)state;
    static const struct {
        const char *main_cf, *own;
        const char *before, *after; /* remembered; after NULL = nothing is */
        const char *want;
    } rows[] = {
        {"", OUR_MAP, NULL, OUR_MAP, "-"},
        {"", OUR_MAP, NULL, NULL, "-"},
        {"", "a:b", NULL, NULL, NULL},
        {"", "a:b," OUR_MAP, NULL, NULL, "a:b"},
        {"", "a:b," OUR_MAP, NULL, OUR_MAP, "a:b"},
        {MAPS " = a:b", "a:b," OUR_MAP, NULL, NULL, "-"},
        {MAPS " = a:b " OUR_MAP, "a:b," OUR_MAP, NULL, NULL, "-"},
        {MAPS " = c:d", "a:b," OUR_MAP, NULL, "a:b," OUR_MAP, "-"},
        /* Empty by hand: main.cf must not come in its place. */
        {MAPS " = a:b", OUR_MAP, NULL, NULL, ""},
        {"", OUR_MAP, "", OUR_MAP, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct site site;
        struct plan plan = {0};
        json_t *record = new_record();
        if (rows[i].after != NULL)
            undo_remember(record, "smtp/inet/" MAPS, rows[i].before, rows[i].after);
        char *overrides = text_format("smtp/inet/%s = %s", MAPS, rows[i].own);
        setup_site(&site, rows[i].main_cf, overrides);
        plan_take_out_of_service(&plan, &site, &site.postfix.services[0], &site.hooks[2], record,
                                 NULL);
        char *got = show(&plan);
        char *want = rows[i].want == NULL ? text_copy("")
                                          : text_format("out smtp/inet/%s=%s;", MAPS, rows[i].want);
        assert_string_equal(got, want);
        free(want);
        free(got);
        free(overrides);
        plan_free(&plan);
        pretend_site_free(&site);
        json_decref(record);
    }
}

/* Only what an attach has set there goes back to main.cf. */
static void test_services_back(void **state)
{
    (void)state;
    struct site site;
    struct plan plan = {0};
    json_t *record = new_record();
    undo_remember(record, "smtp/inet/" FILTER, NULL, OUR_FILTER);
    setup_site(&site, "",
               "smtp/inet/" FILTER " = " OUR_FILTER "\nsmtpd/pass/" FILTER " = " OUR_FILTER);
    tables_plan_services_back(&plan, &site, &site.hooks[1], record);
    char *got = show(&plan);
    assert_string_equal(got, "out smtp/inet/" FILTER "=-;");
    assert_true(plan_touches(&plan, PLAN_MASTER));
    assert_false(plan_touches(&plan, PLAN_MAIN));
    free(got);
    plan_free(&plan);
    pretend_site_free(&site);
    json_decref(record);
}

static void test_place(void **state)
{
    (void)state;
    static const struct {
        const char *asked;
        enum exit_code code;
        enum tables_place place;
    } rows[] = {
        {"main", EXIT_DONE, TABLES_MAIN},
        {"services", EXIT_DONE, TABLES_SERVICES},
        {"", EXIT_USAGE, TABLES_MAIN},
        {"Services", EXIT_USAGE, TABLES_MAIN},
    };
    struct site site;
    setup_site(&site, "", "");
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum tables_place place = TABLES_MAIN;
        assert_int_equal(tables_choose(&site, rows[i].asked, &place), rows[i].code);
        assert_int_equal(place, rows[i].place);
    }
    pretend_site_free(&site);
}

static void test_lists_of_folders(void **state)
{
    (void)state;
    char folder[] = "/tmp/bdatctl-tables-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *link = text_format("%s.link", folder), *slash = text_format("/x, %s/\n/y", folder);
    assert_int_equal(symlink(folder, link), 0);
    assert_true(postfix_lists_folder(folder, folder));
    assert_true(postfix_lists_folder(slash, folder));
    assert_true(postfix_lists_folder(slash, link));
    assert_true(postfix_lists_folder("/a /nowhere,/b", "/nowhere"));
    assert_false(postfix_lists_folder("", folder));
    assert_false(postfix_lists_folder("/tmp, /", folder));
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(folder), 0);
    free(slash);
    free(link);
}

static void write_text(const char *path, const char *text)
{
    assert_int_equal(file_replace(path, path, text, strlen(text)), 0);
}

static void test_record(void **state)
{
    (void)state;
    char folder[] = "/tmp/bdatctl-tables-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = text_format("%s/master.cf", folder);
    char *copy = text_format("%s.before-bdat-milter", path);
    json_t *record = new_record();
    write_text(path, "before");
    assert_int_equal(undo_keep(record, path), 0);
    write_text(path, "after");
    undo_note(record, path);
    assert_true(undo_is_exact(record, path));
    /* A copy that holds parts of ours is no way back, and stays none. */
    undo_spoil(record, path);
    undo_note(record, path);
    assert_false(undo_is_exact(record, path));
    undo_drop_file(record, path);
    assert_int_not_equal(access(copy, F_OK), 0);
    assert_null(json_object_get(json_object_get(record, "files"), path));

    undo_remember(record, "a/inet/b", NULL, "c");
    assert_true(undo_drop(record, "a/inet/b"));
    assert_null(undo_recall(record, "a/inet/b"));
    assert_false(undo_drop(record, "a/inet/b"));
    json_decref(record);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    free(copy);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services_are_planned),
        cmocka_unit_test(test_own_maps_are_refreshed),
        cmocka_unit_test(test_services_are_taken_out),
        cmocka_unit_test(test_services_back),
        cmocka_unit_test(test_place),
        cmocka_unit_test(test_lists_of_folders),
        cmocka_unit_test(test_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
