/* JSON: every field of the interface is there, and client text of any kind stays valid JSON. */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/json.h"

static void check_keys(json_t *object, const char *const *keys, size_t count)
{
    assert_non_null(object);
    for (size_t i = 0; i < count; i++)
        if (json_object_get(object, keys[i]) == NULL)
            fail_msg("\"%s\" is missing", keys[i]);
    if (json_object_size(object) != count)
        fail_msg("%zu keys instead of %zu", json_object_size(object), count);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "(none)";
}

static const char *const record_keys[] = {
    "time",        "queue_id",    "client_address",     "client_name",
    "helo",        "sender",      "size_declared",      "chunks",
    "chunk_count", "declared",    "received",           "body",
    "drift",       "verdict",     "evidence",           "action",
    "elapsed_ms",  "pid",         "recipients",         "last",
    "reply",       "followed_by", "since_last_bdat_ms", "strikes",
    "mode",        "observed",
};

static void test_record(void **state)
{
    struct record record = {.verdict = VERDICT_TRUNCATED,
                            .answered = true,
                            .action = ACTION_TEMPFAIL,
                            .time_wall_ms = 1000};
    (void)state;
    record.transfer.mode = TRANSFER_BDAT;
    record.transfer.chunk_count = 2;
    record.transfer.chunks[0] = 60;
    record.transfer.chunks[1] = 40;
    record.transfer.declared = 100;
    record.transfer.evidence = EVIDENCE_OPEN_MULTIPART;
    json_t *object = json_record(&record);
    check_keys(object, record_keys, COUNT(record_keys));
    assert_string_equal(text_of(object, "verdict"), "truncated");
    assert_string_equal(text_of(object, "action"), "tempfail");
    assert_string_equal(text_of(object, "mode"), "bdat");
    assert_string_equal(text_of(object, "time"), "1970-01-01T00:00:01.000Z");
    assert_true(json_is_null(json_object_get(object, "received")));
    assert_true(json_is_null(json_object_get(object, "client_address")));
    assert_int_equal(json_array_size(json_object_get(object, "chunks")), 2);
    assert_int_equal(json_array_size(json_object_get(object, "evidence")), 1);
    json_decref(object);
}

static void test_many_chunks(void **state)
{
    struct record record = {.verdict = VERDICT_MATCH};
    (void)state;
    record.transfer.chunk_count = 100000;
    json_t *object = json_record(&record);
    assert_non_null(object);
    assert_int_equal(json_array_size(json_object_get(object, "chunks")), TRANSFER_CHUNKS_KEPT);
    assert_int_equal(json_integer_value(json_object_get(object, "chunk_count")), 100000);
    json_decref(object);
}

/* What conversations keep of client text goes through transfer_copy_printable(): whatever a client
 * sends, the record is valid JSON without a control character. */
static void test_client_text(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } texts[] = {
        {"\x1b]0;title\x07\x1b[2J", 14},
        {"a\r\nQ1: client=forged", 20},
        {"\xff\xfe\xc0\x80\xed\xa0\x80", 7},
        {"nul\0inside", 10},
        {"\xc2\x9b"
         "31m",
         5},
        {"quote\"back\\slash", 16},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct record record = {.verdict = VERDICT_MATCH};
        struct transfer *transfer = &record.transfer;
        transfer_copy_printable(transfer->helo, sizeof(transfer->helo), texts[i].text,
                                texts[i].length);
        transfer_copy_printable(transfer->sender, sizeof(transfer->sender), texts[i].text,
                                texts[i].length);
        char *text = json_record_text(&record);
        assert_non_null(text);
        for (const char *c = text; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
                fail_msg("text %zu: octet %02x in %s", i, (unsigned char)*c, text);
        json_t *again = json_loads(text, 0, NULL);
        assert_non_null(again);
        json_decref(again);
        free(text);
    }
}

static void test_time(void **state)
{
    json_t *none = json_time(0), *some = json_time(INT64_C(1795000000123));
    (void)state;
    assert_true(json_is_null(none));
    assert_string_equal(json_string_value(some), "2026-11-18T11:06:40.123Z");
    json_decref(none);
    json_decref(some);
}

static const char *const client_keys[] = {
    "client",       "state",     "strikes",        "until",          "hold_seconds",
    "last_verdict", "last_seen", "bdat_transfers", "data_transfers", "needs_chunking",
    "path_trouble", "proven",    "by_operator",    "reason",         "last_clean",
};

static void test_client(void **state)
{
    struct client_record record = {.state = CLIENT_SUPPRESSED, .until = 1, .strikes = 2};
    char error[128];
    (void)state;
    assert_int_equal(network_parse("192.0.2.1", &record.client, error, sizeof(error)), 0);
    json_t *object = json_client(&record, CHUNKING_ADAPTIVE);
    check_keys(object, client_keys, COUNT(client_keys));
    assert_string_equal(text_of(object, "client"), "192.0.2.1");
    assert_string_equal(text_of(object, "state"), "suppressed");
    assert_true(json_is_null(json_object_get(object, "last_verdict")));
    json_decref(object);
    object = json_client(&record, CHUNKING_NEVER);
    assert_string_equal(text_of(object, "state"), "pinned_never");
    json_decref(object);
}

static void test_options(void **state)
{
    char error[SETTINGS_ERROR_SIZE];
    const struct settings *settings = settings_load(NULL, error, sizeof(error));
    (void)state;
    assert_non_null(settings);
    for (size_t i = 0; i < settings_option_count(); i++) {
        struct option_view view;
        settings_option_view(settings, i, &view);
        json_t *object = json_option(&view, "now");
        assert_non_null(object);
        assert_string_equal(text_of(object, "name"), view.name);
        assert_string_equal(text_of(object, "in_force"), "now");
        assert_true(json_is_null(json_object_get(object, "file")));
        json_decref(object);
    }
    settings_unref(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record),      cmocka_unit_test(test_many_chunks),
        cmocka_unit_test(test_client_text), cmocka_unit_test(test_time),
        cmocka_unit_test(test_client),      cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
