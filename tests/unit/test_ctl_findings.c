/* What check and attach find out and say: findings as JSON, complaints, services with values of
 * their own, local mail, discarded keywords; and files that are symbolic links. */
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

#include "ctl/complaint.h"
#include "ctl/file.h"
#include "ctl/local_mail.h"
#include "ctl/override.h"
#include "ctl/report.h"
#include "ctl/text.h"
#include "tests/unit/ctl_site.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OUR_MILTER "{ unix:b/m, default_action=accept }"

static void setup_site(struct site *site, const char *raw, const char *expanded,
                       const char *overrides, const char *expanded_overrides)
{
    static const struct site_service services[] = {{"smtp", "inet", "smtpd"},
                                                   {"inside", "unix", "smtpd"}};
    pretend_site(site, &(struct site_texts){raw, expanded, overrides, expanded_overrides}, services,
                 COUNT(services));
}

/* The findings are what --json is there for. */
static void test_findings_as_json(void **state)
{
    (void)state;
    const struct ctl ctl = {.json = true};
    struct report report;
    report_begin(&report, &ctl);
    report_say(&report, LEVEL_OK, "a", NULL);
    report_add(&report, LEVEL_FAIL, text_copy("b\033"), text_copy("c"));
    assert_int_equal(report.failed, 1);
    json_t *want = json_pack("[{ssss}{ssssss}]", "level", "ok", "finding", "a", "level", "FAIL",
                             "finding", "b?", "mend", "c");
    assert_true(json_equal(report.findings, want));
    json_decref(want);
    json_decref(report.findings);
}

static void test_complaints(void **state)
{
    (void)state;
    assert_null(complaint_take());
    ctl_complain("one");
    ctl_complain("%s\033", "two");
    char *text = complaint_take();
    assert_string_equal(text, "two?");
    assert_null(complaint_take());
    free(text);
}

static void test_commands_that_are_shown(void **state)
{
    (void)state;
    const struct ctl own = {.socket = COMMAND_DEFAULT_SOCKET}, other = {.socket = "/run/a b"};
    struct site site;
    setup_site(&site, "", "", "", "");
    char *line = site_command(&site, &own, "attach");
    assert_string_equal(line, "bdatctl attach -c /etc/p");
    free(line);
    site.conf_asked = true;
    line = site_command(&site, &other, "attach");
    assert_string_equal(line, "bdatctl -s '/run/a b' attach -c /etc/p -f /etc/x.conf");
    free(line);
    line = command_line_of(&other, "reload");
    assert_string_equal(line, "bdatctl -s '/run/a b' reload");
    free(line);
    pretend_site_free(&site);
}

static void test_overrides(void **state)
{
    (void)state;
#define SMTPD_MILTERS "smtp/inet/smtpd_milters = "
#define FILTER "smtp/inet/smtpd_command_filter = "
#define DATA "smtp/inet/smtpd_data_restrictions = "
#define RELOAD " && postfix -c /etc/p reload"
    static const struct {
        size_t hook;
        const char *own, *expanded;
        const char *value, *want; /* NULL value = nothing to be said; NULL want = nothing helps */
    } rows[] = {
        {0, "", "", NULL, NULL},
        {0, SMTPD_MILTERS "inet:a, " OUR_MILTER, "", NULL, NULL},
        {0, SMTPD_MILTERS "$mua", SMTPD_MILTERS OUR_MILTER, NULL, NULL},
        {0, SMTPD_MILTERS, SMTPD_MILTERS, "",
         "postconf -c /etc/p -P "
         "'smtp/inet/smtpd_milters={unix:b/m,default_action=accept}'" RELOAD},
        {0, SMTPD_MILTERS "$mua, { inet:a, x=y }", SMTPD_MILTERS "inet:b, { inet:a, x=y }",
         "$mua, { inet:a, x=y }",
         "postconf -c /etc/p -P 'smtp/inet/smtpd_milters="
         "{unix:b/m,default_action=accept},$mua,{inet:a,x=y}'" RELOAD},
        /* White space that postconf -P does not take. */
        {3, DATA "check_client_access pcre:{ {/x/ REJECT y} }", "",
         "check_client_access pcre:{ {/x/ REJECT y} }",
         "postconf -c /etc/p -e 'smtp_inet_smtpd_data_restrictions=check_policy_service "
         "{ unix:b/p, default_action=DUNNO }, check_client_access pcre:{ {/x/ REJECT y} }' && "
         "postconf -c /etc/p -P 'smtp/inet/smtpd_data_restrictions="
         "$smtp_inet_smtpd_data_restrictions'" RELOAD},
        {1, FILTER, "", "",
         "postconf -c /etc/p -P "
         "smtp/inet/smtpd_command_filter=socketmap:unix:b/t:command" RELOAD},
        /* The administrator's own filter is never replaced. */
        {1, FILTER "pcre:/x", "", "pcre:/x", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct site site;
        setup_site(&site, "", "", rows[i].own, rows[i].expanded);
        const struct postfix_service *service = &site.postfix.services[0];
        const struct hook *hook = &site.hooks[rows[i].hook];
        char *value = override_without_ours(&site, service, hook);
        char *got = value == NULL ? NULL : override_attach(&site, service, hook, value);
        if ((value == NULL) != (rows[i].value == NULL) || (got == NULL) != (rows[i].want == NULL))
            fail_msg("row %zu: got %s, %s", i, value, got);
        if (value != NULL)
            assert_string_equal(value, rows[i].value);
        if (got != NULL)
            assert_string_equal(got, rows[i].want);
        free(got);
        free(value);
        pretend_site_free(&site);
    }
}

static void test_removal(void **state)
{
    (void)state;
    struct site site;
    setup_site(&site, "", "", "", "");
    char *line = override_remove(&site, &site.postfix.services[0], &site.hooks[1]);
    assert_string_equal(line, "postconf -c /etc/p -PX smtp/inet/smtpd_command_filter");
    free(line);
    pretend_site_free(&site);
}

static void test_local_mail(void **state)
{
    (void)state;
#define NON "non_smtpd_milters = "
    static const struct {
        const char *raw, *expanded, *want;
    } rows[] = {
        {NON, NON, NULL},
        {NON "inet:a", NON "inet:a", NULL},
        {NON "$smtpd_milters_of_mine", NON "inet:a", NULL},
        {NON "$smtpd_milters", NON OUR_MILTER ", inet:a", "'non_smtpd_milters = inet:a'"},
        {NON "${smtpd_milters}", NON OUR_MILTER, "'non_smtpd_milters = '"},
        {NON "inet:z $(smtpd_milters)", NON "inet:z inet:a", "'non_smtpd_milters = inet:z inet:a'"},
        /* Before attach has put ours into smtpd_milters. */
        {NON "$smtpd_milters", NON "inet:a", "'non_smtpd_milters = inet:a'"},
        {NON "local:" SITE_QUEUE "/b/m", NON "local:" SITE_QUEUE "/b/m", "'non_smtpd_milters = '"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct site site;
        setup_site(&site, rows[i].raw, rows[i].expanded, "", "");
        char *got = local_mail_mend(&site);
        char *want =
            rows[i].want == NULL
                ? NULL
                : text_format("postconf -c /etc/p -e %s && postfix -c /etc/p reload", rows[i].want);
        if ((got == NULL) != (want == NULL) || (got != NULL && strcmp(got, want) != 0))
            fail_msg("row %zu: got %s, want %s", i, got, want);
        free(want);
        free(got);
        pretend_site_free(&site);
    }
}

static void test_discarded_keywords(void **state)
{
    (void)state;
    struct site site;
    setup_site(&site, "", SITE_KEYWORDS " = dsn, etrn", "",
               "smtp/inet/" SITE_KEYWORDS " = vrfy\ninside/unix/" SITE_KEYWORDS " = size");
    char *all = site_discarded_keywords(&site);
    assert_string_equal(all, "dsn, etrn vrfy");
    free(all);
    pretend_site_free(&site);
}

static void write_text(const char *path, const char *text)
{
    assert_int_equal(file_replace(path, path, text, strlen(text)), 0);
}

static void text_is(const char *path, const char *want)
{
    size_t length;
    char *text = file_read(path, &length);
    assert_non_null(text);
    assert_string_equal(text, want);
    free(text);
}

static bool is_link(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    return S_ISLNK(status.st_mode);
}

static void test_links(void **state)
{
    (void)state;
    char folder[] = "/tmp/bdatctl-links-XXXXXX";
    struct stat status;
    assert_non_null(mkdtemp(folder));
    char *target = text_format("%s/target", folder), *path = text_format("%s/main.cf", folder);
    write_text(target, "one");
    assert_int_equal(chmod(target, 0640), 0);
    assert_int_equal(symlink("target", path), 0);

    write_text(path, "two");
    assert_true(is_link(path));
    text_is(target, "two");

    /* As postconf(1) does: a new file in the place of the link. */
    struct file_link link = file_link_note(path);
    assert_string_equal(link.text, "target");
    assert_int_equal(unlink(path), 0);
    write_text(path, "three");
    assert_int_equal(file_link_restore(path, &link), 0);
    assert_null(link.text);
    assert_true(is_link(path));
    text_is(target, "three");
    assert_int_equal(stat(target, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);

    link = file_link_note(path);
    assert_int_equal(file_link_restore(path, &link), 0);
    text_is(path, "three");
    link = file_link_note(target);
    assert_null(link.text);
    write_text(target, "four");
    assert_int_equal(file_link_restore(target, &link), 0);
    text_is(path, "four");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(target), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left there */
    free(path);
    free(target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings_as_json),
        cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_commands_that_are_shown),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_removal),
        cmocka_unit_test(test_local_mail),
        cmocka_unit_test(test_discarded_keywords),
        cmocka_unit_test(test_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
