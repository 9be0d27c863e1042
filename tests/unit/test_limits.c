/* The texts that tell a client which limit it broke. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "milter/limits.h"

static const struct limits limits = {
    .max_chunks = 3, .max_chunk = 1000, .min_chunk = 10, .max_message = 5000};

static void test_each_limit(void **state)
{
    static const struct {
        unsigned broken;
        const char *want;
    } rows[] = {
        {EVIDENCE_MAX_CHUNK, "552 5.3.4 BDAT chunk of 2000 octets exceeds the limit of 1000"},
        {EVIDENCE_MIN_CHUNK, "552 5.3.4 BDAT chunk of 9 octets is below the limit of 10"},
        {EVIDENCE_MAX_MESSAGE, "552 5.3.4 BDAT message of 6009 octets exceeds the limit of 5000"},
        {EVIDENCE_MAX_CHUNKS, "552 5.3.4 4 BDAT chunks exceed the limit of 3"},
        {EVIDENCE_BINARYMIME, "554 5.6.1 BODY=BINARYMIME was not offered"},
        {EVIDENCE_BINARYMIME | EVIDENCE_MAX_CHUNK, "554 5.6.1 BODY=BINARYMIME was not offered"},
    };
    static const struct transfer transfer = {
        .chunk_count = 4, .chunks = {1000, 2000, 9, 3000}, .declared = 6009};
    char text[128];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(limits_explain(&limits, &transfer, rows[i].broken, text, sizeof(text)),
                            rows[i].want);
}

/* More chunks than are kept one by one, and a text that is cut: within bounds in both. */
static void test_bounds(void **state)
{
    struct transfer transfer = {.chunk_count = 100000, .declared = UINT64_MAX};
    char text[16];
    (void)state;
    limits_explain(&limits, &transfer, EVIDENCE_MAX_CHUNK, text, sizeof(text));
    assert_string_equal(text, "552 5.3.4 BDAT ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_limit),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
