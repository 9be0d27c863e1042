/* Which mail server it is: versions, and how long what was seen counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "milter/mta.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *version;
    enum mta mta;
} versions[] = {
    {"8.17.1.9", MTA_SENDMAIL},
    {"8.18.1", MTA_SENDMAIL},
    {"8.9.3+Sun", MTA_SENDMAIL},
    {"Postfix 3.7.11", MTA_POSTFIX},
    {"Postfix 8.1", MTA_POSTFIX},
    {"Mail 8.17", MTA_POSTFIX},
    {"8.", MTA_POSTFIX},
    {"8", MTA_POSTFIX},
    {"8.x", MTA_POSTFIX},
    {"3.12", MTA_POSTFIX},
    {"", MTA_POSTFIX},
    {NULL, MTA_POSTFIX},
};

static void versions_are_recognized(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(versions); i++)
        if (mta_recognize(versions[i].version) != versions[i].mta)
            fail_msg("version \"%s\"", versions[i].version ? versions[i].version : "NULL");
}

static void memory_fades(void **state)
{
    struct mta_memory memory = {0};
    const int64_t now = 1000000;
    (void)state;
    assert_int_equal(mta_expect(&memory, now), MTA_AUTO);
    mta_learn(&memory, MTA_SENDMAIL, now);
    assert_int_equal(mta_expect(&memory, now), MTA_SENDMAIL);
    assert_int_equal(mta_expect(&memory, now + MTA_MEMORY_MS - 1), MTA_SENDMAIL);
    assert_int_equal(mta_expect(&memory, now + MTA_MEMORY_MS), MTA_AUTO);
    mta_learn(&memory, MTA_POSTFIX, now + MTA_MEMORY_MS);
    assert_int_equal(mta_expect(&memory, now + MTA_MEMORY_MS), MTA_POSTFIX);
    mta_learn(&memory, MTA_SENDMAIL, now + MTA_MEMORY_MS + 1);
    assert_int_equal(mta_expect(&memory, now + MTA_MEMORY_MS + 1), MTA_SENDMAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_recognized),
        cmocka_unit_test(memory_fades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
