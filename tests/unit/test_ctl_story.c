/* The plain words: every verdict, evidence and action has its own, and stories tell all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/command.h"
#include "ctl/explain_words.h"
#include "ctl/story.h"
#include "ctl/text.h"
#include "ctl/top_view.h"
#include "milter/verdict.h"

static int begin(void **state)
{
    (void)state;
    text_init();
    return 0;
}

static void test_every_word_is_explained(void **state)
{
    (void)state;
    for (int i = 0; i < VERDICT_COUNT; i++) {
        const struct verdict_words *words = explain_verdict(verdict_name((enum verdict)i));
        assert_non_null(words);
        assert_true(strlen(words->why) > 60 && strlen(words->client) > 15);
    }
    for (unsigned i = 0; i < EVIDENCE_BITS; i++)
        assert_non_null(explain_evidence(evidence_name(i)));
    for (int i = 0; i < ACTION_COUNT; i++)
        assert_non_null(explain_action(action_name((enum action)i)));
    static const char *const limits[] = {"max_chunks", "max_chunk", "min_chunk", "max_message",
                                         "binarymime"};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const struct verdict_words *words = explain_verdict_by("refused", limits[i]);
        assert_non_null(words);
        assert_true(strlen(words->why) > 50 && strlen(words->client) > 50);
        assert_null(explain_verdict_by("match", limits[i]));
    }
    assert_null(explain_verdict_by("refused", "bare_lf"));
    assert_non_null(explain_action("none"));
    assert_null(explain_verdict("no such"));
    assert_null(explain_evidence("no such"));
}

static char *tell(json_t *story)
{
    char *out = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&out, &size);
    story_print(story, memory, 100000, false);
    fclose(memory);
    json_decref(story);
    return out;
}

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (json == NULL)
        fail_msg("%s", error.text);
    return json;
}

static const struct outlook_rules unknown;

static void assert_says(const char *text, const char *words)
{
    if (strstr(text, words) == NULL)
        fail_msg("\"%s\" is not in:\n%s", words, text);
}

static void test_story_of_a_transfer(void **state)
{
    (void)state;
    json_t *transfer = parse(
        "{\"time\":\"2026-11-23T04:15:09.123Z\",\"queue_id\":\"4XY\",\"client_address\":\"192.0.2."
        "1\","
        "\"client_name\":\"mx.example\",\"helo\":\"mx\\u001b[31m\",\"sender\":\"a@example.com\","
        "\"recipients\":2,\"size_declared\":150,\"chunks\":[100,28],\"chunk_count\":2,\"declared\":"
        "128,"
        "\"received\":130,\"body\":90,\"drift\":2,\"verdict\":\"mismatch\",\"evidence\":["
        "\"unterminated\"],"
        "\"action\":\"tempfail\",\"last\":true,\"reply\":\"451 4.5.0 "
        "again\",\"followed_by\":\"QUIT\","
        "\"since_last_bdat_ms\":null}");
    json_t *client = parse("{\"client\":\"192.0.2.1\",\"state\":\"probation\",\"strikes\":1}");
    char *text =
        tell(story_of_transfer(transfer, client, &(struct outlook_rules){.observes = true}));
    assert_says(text, "client mx.example[192.0.2.1], which calls itself mx?[31m, began a message, "
                      "queue id 4XY from <a@example.com> to 2 recipients");
    assert_says(text, "2 chunks with 128 octets in all: BDAT 100, BDAT 28 LAST.");
    assert_says(text, "size of about 150 octets");
    assert_says(text, "Postfix counted 130 octets, 2 octets more than declared. The body without "
                      "headers has 90 octets.");
    assert_says(text, "The next thing the client sent was: \"QUIT\".");
    assert_says(text, "mismatch. The number of octets that arrived differs");
    assert_says(text, "unterminated: the last line had no line end");
    assert_says(text, "temporary failure");
    assert_says(text, "\"451 4.5.0 again\"");
    assert_says(text, "192.0.2.1 is on probation");
    assert_says(text, "only observes");
    assert_says(text, "For the sender\n");
    free(text);
    json_decref(client);
    json_decref(transfer);
}

static void test_story_of_a_transfer_without_end(void **state)
{
    (void)state;
    json_t *transfer =
        parse("{\"client_address\":\"2001:db8::1\",\"chunks\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1],"
              "\"chunk_count\":1000,\"declared\":1000,\"received\":null,"
              "\"verdict\":\"newer\",\"evidence\":[],\"action\":\"none\",\"last\":false}");
    char *text = tell(story_of_transfer(transfer, NULL, &unknown));
    assert_says(text, "unknown[2001:db8::1] began a message (no queue id yet)");
    assert_says(text, "and 988 more.");
    assert_says(text, "No chunk was marked LAST");
    assert_says(text, "did not report how many octets arrived");
    assert_says(text, "newer. This bdatctl does not know that word");
    assert_says(text, "Nothing stands against 2001:db8::1");
    free(text);
    json_decref(transfer);
}

static void test_story_of_a_client(void **state)
{
    (void)state;
    assert_null(story_of_client("192.0.2.1", NULL, NULL, NULL, &unknown));
    static const struct {
        const char *client, *says;
    } rows[] = {
        {"{\"client\":\"N\",\"state\":\"suppressed\",\"until\":\"2000-01-01T00:00:00Z\"}",
         "CHUNKING is withheld from N until 2000-01-01 00:00:00 UTC"},
        {"{\"client\":\"N\",\"state\":\"suppressed\",\"until\":null}", "until further notice"},
        {"{\"client\":\"N\",\"state\":\"offered\",\"strikes\":1}",
         "offered to N, which has 1 strike."},
        {"{\"client\":\"N\",\"state\":\"offered\",\"strikes\":0}",
         "offered to N; nothing stands against it"},
        {"{\"client\":\"N\",\"state\":\"pinned_never\"}", "never offers CHUNKING to N"},
        {"{\"client\":\"N\",\"state\":\"pinned_always\"}", "always offers CHUNKING to N"},
        {"{\"client\":\"N\",\"state\":\"offered\",\"path_trouble\":true}",
         "something in the path is"},
        {"{\"client\":\"N\",\"state\":\"offered\",\"needs_chunking\":true}", "bare LFs"},
        {"{\"client\":\"N\",\"state\":\"offered\",\"reason\":\"asked by phone\"}",
         "Noted: asked by phone."},
    };
    json_t *transfers =
        parse("[{\"verdict\":\"match\"},{\"verdict\":\"lost\"},{\"verdict\":\"match\"}]");
    json_t *incidents = parse("[{\"verdict\":\"lost\",\"queue_id\":null,\"declared\":5}]");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *client = parse(rows[i].client);
        char *text = tell(story_of_client("192.0.2.1", client, transfers, incidents, &unknown));
        assert_says(text, rows[i].says);
        assert_says(text, "2 match");
        assert_says(text, "lost, with 5 octets declared. The connection broke");
        free(text);
        json_decref(client);
    }
    json_decref(transfers);
    json_decref(incidents);
}

static void assert_lacks(const char *text, const char *words)
{
    if (strstr(text, words) != NULL)
        fail_msg("\"%s\" is in:\n%s", words, text);
}

/* What is told of a client's future must not contradict what is known of it. */
static void test_outlooks(void **state)
{
    (void)state;
    static const struct outlook_rules usual = {
        .threshold = "2", .proven_threshold = "6", .window = "1h"};
    static const struct outlook_rules disabled = {
        .spares_all = true, .threshold = "2", .proven_threshold = "6", .window = "1h"};
    static const struct {
        const char *client, *verdict;
        const struct outlook_rules *rules;
        const char *says, *lacks;
    } rows[] = {
        {"{\"state\":\"offered\",\"strikes\":1}", "lost", &usual,
         "which has 1 strike. 2 of them within 1h withhold it", "clean"},
        {"{\"state\":\"offered\",\"strikes\":3,\"proven\":true}", "lost", &usual,
         "has 3 strikes. 6 of them within 1h withhold it for a while (it has had a clean", "2 of"},
        {"{\"state\":\"offered\",\"strikes\":1}", "lost", &unknown, "suppression.threshold",
         "null"},
        {"{\"state\":\"offered\",\"strikes\":1}", "lost", &disabled,
         "Nothing is withheld from anybody: suppression.enabled is false.", "within"},
        {"{\"state\":\"offered\",\"strikes\":3,\"needs_chunking\":true}", "lost", &usual,
         "bare LFs", "within"},
        {"{\"state\":\"path_trouble\",\"strikes\":0,\"path_trouble\":true}", "stalled", &usual,
         "CHUNKING is offered to N. Its mail failed with DATA as well", "nothing stands"},
        {"{\"state\":\"suppressed\",\"last_verdict\":\"stalled\"}", "stalled", &usual,
         "and the mail arrives", "as long as it does so"},
        {"{\"state\":\"suppressed\",\"last_verdict\":\"not_offered\"}", "", &usual,
         "as long as it does so its mail does not arrive", "mail arrives"},
        {"{\"state\":\"suppressed\",\"last_verdict\":\"stalled\"}", "not_offered", &usual,
         "bdatctl release N offers", "mail arrives"},
        {"{\"state\":\"pinned_never\"}", "not_offered", &usual, "remove the rule", "goes by DATA"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *client = parse(rows[i].client);
        char *text = outlook_text("N", client, rows[i].verdict, rows[i].rules);
        assert_says(text, rows[i].says);
        assert_lacks(text, rows[i].lacks);
        free(text);
        json_decref(client);
    }
}

static void test_rules_of_the_daemon(void **state)
{
    (void)state;
    json_t *config = parse("{\"options\":[{\"name\":\"mode\",\"value\":\"\\\"observe\\\"\"},"
                           "{\"name\":\"suppression.threshold\",\"value\":\"2\"},"
                           "{\"name\":\"suppression.enabled\",\"value\":\"true\"},"
                           "{\"name\":\"suppression.window\",\"value\":\"\\\"1h\\\"\"}]}");
    struct outlook_rules rules = outlook_rules(config);
    assert_true(rules.observes);
    assert_false(rules.spares_all);
    assert_string_equal(rules.threshold, "2");
    assert_null(rules.proven_threshold);
    assert_string_equal(rules.window, "1h");
    json_decref(config);
    rules = outlook_rules(NULL);
    assert_false(rules.observes || rules.spares_all);
    assert_null(rules.window);
}

/* The sender is not sent the wrong way. */
static void test_advice(void **state)
{
    (void)state;
    static const struct {
        const char *transfer, *client, *says, *lacks;
    } rows[] = {
        {"{\"verdict\":\"refused\",\"evidence\":[\"binarymime\"]}", "{}",
         "switch BINARYMIME off in it; CHUNKING may stay", "chunks,"},
        {"{\"verdict\":\"refused\",\"evidence\":[\"min_chunk\"]}", "{}", "Send larger chunks.",
         "smaller message"},
        {"{\"verdict\":\"stalled\",\"evidence\":[]}",
         "{\"state\":\"path_trouble\",\"path_trouble\":true}",
         "would not help to switch CHUNKING off", "switch CHUNKING off in it"},
        {"{\"verdict\":\"stalled\",\"evidence\":[]}", "{\"state\":\"offered\"}",
         "switch CHUNKING off in it", "would not help"},
        {"{\"verdict\":\"unverified\",\"last\":true,\"chunks\":[40,92],\"chunk_count\":2,"
         "\"declared\":132,\"evidence\":[]}",
         "{}", "(smtpd_end_of_data_restrictions), and none came", "not complete"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *client = parse(rows[i].client), *transfer = parse(rows[i].transfer);
        char *text = tell(story_of_transfer(transfer, client, &unknown));
        assert_says(text, rows[i].says);
        assert_lacks(text, rows[i].lacks);
        free(text);
        json_decref(transfer);
        json_decref(client);
    }
}

static void test_history(void **state)
{
    (void)state;
    static const struct {
        const char *client, *says, *lacks;
    } rows[] = {
        {"{\"bdat_transfers\":3,\"data_transfers\":1,\"last_seen\":\"2026-11-23T04:15:09.123Z\","
         "\"last_clean\":\"2026-11-22T04:15:09.123Z\"}",
         "sent 3 by BDAT and 1 by DATA; last seen 2026-11-23 04:15:09 UTC. Its last clean BDAT "
         "transfer was at 2026-11-22 04:15:09 UTC.",
         "of them clean"},
        {"{\"bdat_transfers\":3,\"data_transfers\":1,\"last_seen\":\"2026-11-23T04:15:09.123Z\","
         "\"last_clean\":null}",
         "No clean BDAT transfer of it is on record.", "last clean"},
        {"{\"state\":\"pinned_never\",\"bdat_transfers\":0,\"data_transfers\":0,"
         "\"last_seen\":null}",
         "sent 0 by BDAT and 0 by DATA; it has not been seen yet.", " UTC"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *client = parse(rows[i].client);
        char *text = tell(story_of_client("192.0.2.1", client, NULL, NULL, &unknown));
        assert_says(text, rows[i].says);
        assert_lacks(text, rows[i].lacks);
        free(text);
        json_decref(client);
    }
}

static void test_rates(void **state)
{
    (void)state;
    struct top_look before = {.at = 10}, now = {.at = 14};
    before.status = parse("{\"started\":\"a\",\"uptime_seconds\":10,\"received_octets\":100,"
                          "\"sessions\":{\"total\":4},\"transfers\":{\"match\":10,\"lost\":1}}");
    now.status = parse("{\"started\":\"a\",\"uptime_seconds\":14,\"received_octets\":500,"
                       "\"sessions\":{\"total\":6},\"transfers\":{\"match\":12,\"lost\":1}}");
    json_t *rates = top_rates(&before, &now);
    assert_float_equal(json_get_number(rates, "sessions", -1), 0.5, 1e-9);
    assert_float_equal(json_get_number(rates, "octets", -1), 100, 1e-9);
    assert_float_equal(json_get_number(json_object_get(rates, "transfers"), "match", -1), 0.5,
                       1e-9);
    json_decref(rates);
    struct top_view view = top_view_build(&before, &now, 5, 5);
    assert_true(view.count > 6);
    assert_string_equal(view.lines[4].text, "match                        12        0.5");
    top_view_free(&view);
    /* A daemon that was started since has counted from zero: no rates. */
    json_object_set_new(now.status, "started", json_string("b"));
    assert_null(top_rates(&before, &now));
    struct top_look nothing = {.at = 20};
    view = top_view_build(&now, &nothing, 5, 5);
    assert_int_equal(view.count, 1);
    assert_says(view.lines[0].text, "does not answer");
    top_view_free(&view);
    top_look_free(&before);
    top_look_free(&now);
}

static void test_command_lines(void **state)
{
    (void)state;
    struct command_line line;
    const char *words[] = {"bdatctl", "--json",    "clients",   "-s",
                           "/x",      "192.0.2.1", "--limit=5", NULL};
    assert_int_equal(command_parse(7, words, &line), EXIT_DONE);
    assert_string_equal(line.invocation.command->name, "clients");
    assert_string_equal(line.ctl.socket, "/x");
    assert_true(line.ctl.json);
    assert_string_equal(line.invocation.arguments[0], "192.0.2.1");
    assert_string_equal(invocation_value(&line.invocation, "limit"), "5");
    assert_null(invocation_value(&line.invocation, "state"));
    const char *dashes[] = {"bdatctl", "explain", "--", "-strange", NULL};
    assert_int_equal(command_parse(4, dashes, &line), EXIT_DONE);
    assert_string_equal(line.invocation.arguments[0], "-strange");
    for (const struct command *command = commands; command->name != NULL; command++) {
        assert_ptr_equal(command_find(command->name), command);
        assert_non_null(command->run);
        assert_true(command->options[OPTIONS_MAX].name == NULL);
    }
}

static void test_paths_are_encoded(void **state)
{
    (void)state;
    char *path = daemon_path("/v1/x", "a", "1&2=3 \xc3\xbc/", "b", NULL, "c", "2001:db8::1");
    assert_string_equal(path, "/v1/x?a=1%262%3D3%20%C3%BC%2F&c=2001:db8::1");
    free(path);
    char *segment = daemon_segment("../x?y#z");
    assert_string_equal(segment, "..%2Fx%3Fy%23z");
    free(segment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_word_is_explained),
        cmocka_unit_test(test_story_of_a_transfer),
        cmocka_unit_test(test_story_of_a_transfer_without_end),
        cmocka_unit_test(test_story_of_a_client),
        cmocka_unit_test(test_outlooks),
        cmocka_unit_test(test_rules_of_the_daemon),
        cmocka_unit_test(test_advice),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_command_lines),
        cmocka_unit_test(test_paths_are_encoded),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
