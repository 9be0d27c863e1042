/* Policy requests: whole, split at every octet, beyond every limit, and from no Postfix at all. */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/policy_request.h"

/* As Postfix 3.7 sends it (smtpd_check.c, check_policy_service()). */
static const char whole[] = "request=smtpd_access_policy\n"
                            "protocol_state=END-OF-MESSAGE\n"
                            "protocol_name=ESMTP\n"
                            "client_address=192.0.2.1\n"
                            "client_name=client.example\n"
                            "client_port=40310\n"
                            "reverse_client_name=client.example\n"
                            "helo_name=some.domain.tld\n"
                            "sender=foo@bar.tld\n"
                            "recipient=\n"
                            "recipient_count=3\n"
                            "queue_id=8045F2AB23\n"
                            "instance=7b.6924c2e4.8a3c1.0\n"
                            "size=12345\n"
                            "etrn_domain=\n"
                            "stress=\n"
                            "compatibility_level=3.6\n"
                            "\n";

#define check_text(slice, want)                                \
    do {                                                       \
        assert_int_equal((slice).length, strlen(want));        \
        assert_memory_equal((slice).text, want, strlen(want)); \
    } while (0)

static void check_whole(const struct policy_request *request)
{
    assert_int_equal(request->state, POLICY_STATE_END_OF_MESSAGE);
    check_text(request->queue_id, "8045F2AB23");
    check_text(request->client_address, "192.0.2.1");
    check_text(request->client_name, "client.example");
    check_text(request->helo_name, "some.domain.tld");
    check_text(request->sender, "foo@bar.tld");
    assert_true(request->has_size);
    assert_int_equal(request->size, 12345);
    assert_int_equal(request->recipient_count, 3);
    assert_int_equal(request->pid, 0x7b);
}

static enum policy_result parse(const char *text, size_t length, struct policy_request *request,
                                size_t *used)
{
    return policy_request_parse(text, length, request, used);
}

static void test_whole(void **state)
{
    struct policy_request request;
    size_t used = 0;
    (void)state;
    assert_int_equal(parse(whole, sizeof(whole) - 1, &request, &used), POLICY_COMPLETE);
    assert_int_equal(used, sizeof(whole) - 1);
    check_whole(&request);
}

/* The first `length` octets want more, whatever they are; then two requests in one piece. */
static void test_split_at_each_octet(void **state)
{
    struct policy_request request;
    size_t used = 0;
    (void)state;
    for (size_t length = 0; length < sizeof(whole) - 1; length++) {
        char *part = malloc(length > 0 ? length : 1);
        assert_non_null(part);
        memcpy(part, whole, length);
        assert_int_equal(parse(part, length, &request, &used), POLICY_INCOMPLETE);
        free(part);
    }
    char two[2 * sizeof(whole)];
    int length = snprintf(two, sizeof(two), "%s%s", whole, whole);
    assert_int_equal(parse(two, (size_t)length, &request, &used), POLICY_COMPLETE);
    assert_int_equal(used, sizeof(whole) - 1);
    check_whole(&request);
}

struct row {
    const char *text;
    enum policy_result result;
    enum policy_state state;
    bool has_size;
    uint64_t size;
    int64_t pid;
};

static const struct row rows[] = {
    {"protocol_state=DATA\n\n", POLICY_COMPLETE, POLICY_STATE_DATA, false, 0, 0},
    {"protocol_state=RCPT\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 0},
    {"protocol_state=DAT\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 0},
    {"protocol_state=data\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 0},
    {"\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 0},
    {"unknown=1=2\n=\n=x\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 0},
    {"size=\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 0},
    {"size=0\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, true, 0, 0},
    {"size=18446744073709551615\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, true, UINT64_MAX, 0},
    {"size=18446744073709551616\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, true, UINT64_MAX, 0},
    {"size=999999999999999999999999\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, true, UINT64_MAX, 0},
    {"instance=1f.2.3\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 31},
    {"instance=7fffffff.0\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, INT32_MAX},
    {"instance=80000000.0\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 0},
    {"instance=ffffffffffffffffffff.0\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 0},
    {"instance=\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 0},
    {"instance=-1.0\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 0},
    {"instance=xyz\n\n", POLICY_COMPLETE, POLICY_STATE_OTHER, false, 0, 0},
    {"no attribute\n\n", POLICY_BAD, POLICY_STATE_OTHER, false, 0, 0},
    {"GET / HTTP/1.1\r\n\r\n", POLICY_BAD, POLICY_STATE_OTHER, false, 0, 0},
    {"5:hello,\n", POLICY_BAD, POLICY_STATE_OTHER, false, 0, 0},
    {"size=1\n", POLICY_INCOMPLETE, POLICY_STATE_OTHER, true, 1, 0},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct policy_request request;
        size_t used = 0;
        enum policy_result got = parse(rows[i].text, strlen(rows[i].text), &request, &used);
        if (got != rows[i].result || request.state != rows[i].state ||
            request.has_size != rows[i].has_size || request.size != rows[i].size ||
            request.pid != rows[i].pid)
            fail_msg("row %zu, \"%s\": result %d state %d size %d %llu pid %lld", i, rows[i].text,
                     got, request.state, request.has_size, (unsigned long long)request.size,
                     (long long)request.pid);
        if (got == POLICY_COMPLETE)
            assert_int_equal(used, strlen(rows[i].text));
    }
}

static void test_instance_with_nul(void **state)
{
    static const char text[] = "instance=1\0002.3\n\n";
    struct policy_request request;
    size_t used;
    (void)state;
    assert_int_equal(parse(text, sizeof(text) - 1, &request, &used), POLICY_COMPLETE);
    assert_int_equal(request.pid, 0);
}

/* "x=aaaa…" of that many octets, then `rest`. */
static enum policy_result parse_line_of(size_t octets, const char *rest)
{
    struct policy_request request;
    size_t used;
    char *text = malloc(octets + strlen(rest));
    assert_non_null(text);
    memset(text, 'a', octets);
    text[1] = '=';
    memcpy(text + octets, rest, strlen(rest));
    enum policy_result got = parse(text, octets + strlen(rest), &request, &used);
    free(text);
    return got;
}

static void test_line_limit(void **state)
{
    (void)state;
    assert_int_equal(parse_line_of(POLICY_LINE_MAX, "\n\n"), POLICY_COMPLETE);
    assert_int_equal(parse_line_of(POLICY_LINE_MAX, ""), POLICY_INCOMPLETE);
    assert_int_equal(parse_line_of(POLICY_LINE_MAX + 1, "\n\n"), POLICY_TOO_LONG);
    assert_int_equal(parse_line_of(POLICY_LINE_MAX + 1, ""), POLICY_TOO_LONG);
}

static void test_request_limit(void **state)
{
    struct policy_request request;
    size_t used, length = POLICY_REQUEST_MAX + 100;
    char *text = malloc(length);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < length; i++)
        text[i] = "a=\n"[i % 3];
    assert_int_equal(parse(text, POLICY_REQUEST_MAX - 10, &request, &used), POLICY_INCOMPLETE);
    assert_int_equal(parse(text, length, &request, &used), POLICY_TOO_LONG);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),      cmocka_unit_test(test_split_at_each_octet),
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_instance_with_nul),
        cmocka_unit_test(test_line_limit), cmocka_unit_test(test_request_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
