/* SMTP replies: whole and split at every octet, limits, and what EHLO offers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "probe/reply.h"
#include "probe/session.h"

static struct reply_parser parser;

static enum reply_status feed(const char *data, size_t length, size_t *used)
{
    return reply_parser_feed(&parser, data, length, used);
}

struct row {
    const char *input;
    enum reply_status status;
    int code;
    unsigned lines;
    const char *text;
    size_t used; /* 0: all of it */
};

static const struct row rows[] = {
    {"250 ok\r\n", REPLY_DONE, 250, 1, "ok", 0},
    {"250 ok\n", REPLY_DONE, 250, 1, "ok", 0},
    {"250\r\n", REPLY_DONE, 250, 1, "", 0},
    {"250 \r\n", REPLY_DONE, 250, 1, "", 0},
    {"250-one\r\n250-two\r\n250 three\r\n", REPLY_DONE, 250, 3, "one\ntwo\nthree", 0},
    {"250-one\r\n250\r\n", REPLY_DONE, 250, 2, "one\n", 0},
    {"421 bye\r\n250 more", REPLY_DONE, 421, 1, "bye", 9},
    {"250-one\r\n", REPLY_MORE, 250, 1, "one", 0},
    {"250 o\x01\x1b[m\xff", REPLY_MORE, 0, 0, "", 0},
    {"250 o\x01\x1b[m\xff\r\n", REPLY_DONE, 250, 1, "o??[m?", 0},
    {"250-one\r\n251 two\r\n", REPLY_NOT_SMTP, 0, 1, "251 two", 0},
    {"\r\n", REPLY_NOT_SMTP, 0, 1, "", 0},
    {"hello\r\n", REPLY_NOT_SMTP, 0, 1, "hello", 0},
    {"25 x\r\n", REPLY_NOT_SMTP, 0, 1, "25 x", 0},
    {"250x\r\n", REPLY_NOT_SMTP, 0, 1, "250x", 0},
    {"150 x\r\n", REPLY_NOT_SMTP, 0, 1, "150 x", 0},
    {"650 x\r\n", REPLY_NOT_SMTP, 0, 1, "650 x", 0},
    {"2a0 x\r\n", REPLY_NOT_SMTP, 0, 1, "2a0 x", 0},
    {"SSH-2.0\r\n", REPLY_NOT_SMTP, 0, 1, "SSH-2.0", 0},
};

static void check(const struct row *row, enum reply_status status, size_t used)
{
    assert_int_equal(status, row->status);
    assert_int_equal(parser.reply.code, row->code);
    assert_int_equal(parser.reply.lines, row->lines);
    assert_string_equal(parser.reply.text, row->text);
    assert_int_equal(used, row->used ? row->used : strlen(row->input));
}

static void test_replies_whole_and_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t length = strlen(rows[i].input);
        for (size_t split = 0; split <= length; split++) {
            size_t used = 0, rest = 0;
            reply_parser_reset(&parser);
            enum reply_status status = feed(rows[i].input, split, &used);
            if (status == REPLY_MORE) {
                status = feed(rows[i].input + split, length - split, &rest);
                used += rest;
            }
            check(&rows[i], status, used);
        }
    }
}

static void test_lines_have_a_limit(void **state)
{
    (void)state;
    size_t used;
    char *line = malloc(REPLY_MAX_LINE + 8);
    assert_non_null(line);
    memset(line, 'x', REPLY_MAX_LINE + 8);
    memcpy(line, "250 ", 4);
    memcpy(line + REPLY_MAX_LINE - 1, "\r\n", 2);
    reply_parser_reset(&parser);
    assert_int_equal(feed(line, REPLY_MAX_LINE + 1, &used), REPLY_DONE);
    assert_int_equal(parser.reply.length, REPLY_MAX_LINE - 5);
    memset(line + 4, 'x', REPLY_MAX_LINE);
    reply_parser_reset(&parser);
    assert_int_equal(feed(line, REPLY_MAX_LINE, &used), REPLY_MORE);
    assert_int_equal(feed("x", 1, &used), REPLY_TOO_LONG);
    free(line);
}

static void test_replies_have_a_limit(void **state)
{
    (void)state;
    size_t used;
    reply_parser_reset(&parser);
    for (unsigned i = 1; i < REPLY_MAX_LINES; i++)
        assert_int_equal(feed("250-x\r\n", 7, &used), REPLY_MORE);
    assert_int_equal(feed("250-x\r\n", 7, &used), REPLY_TOO_LONG);
    char line[1024];
    memset(line, 'y', sizeof(line));
    memcpy(line, "250-", 4);
    memcpy(line + sizeof(line) - 2, "\r\n", 2);
    reply_parser_reset(&parser);
    unsigned fed = 0;
    while (feed(line, sizeof(line), &used) == REPLY_MORE)
        fed++;
    assert_in_range(fed, 10, REPLY_MAX_TEXT / 1000);
    assert_true(parser.reply.length <= REPLY_MAX_TEXT);
}

static void test_summaries(void **state)
{
    (void)state;
    char text[40];
    size_t used;
    reply_parser_reset(&parser);
    feed("250-one\r\n250 two\r\n", 18, &used);
    assert_string_equal(reply_summary(&parser.reply, text, sizeof(text)), "250 one (+1 lines)");
    assert_true(reply_is_success(&parser.reply));
    assert_false(reply_is_refusal(&parser.reply));
    reply_parser_reset(&parser);
    feed("554 no\r\n", 8, &used);
    assert_string_equal(reply_summary(&parser.reply, text, sizeof(text)), "554 no");
    assert_true(reply_is_refusal(&parser.reply));
    assert_false(reply_is_syntax(&parser.reply));
    reply_parser_reset(&parser);
    feed("503 no\r\n", 8, &used);
    assert_true(reply_is_syntax(&parser.reply));
    reply_parser_reset(&parser);
    feed("354 go\r\n", 8, &used);
    assert_false(reply_is_success(&parser.reply));
    assert_false(reply_is_refusal(&parser.reply));
}

static void read_ehlo(struct capabilities *capabilities, const char *text)
{
    size_t used;
    reply_parser_reset(&parser);
    assert_int_equal(feed(text, strlen(text), &used), REPLY_DONE);
    capabilities_read(capabilities, &parser.reply);
}

static void test_capabilities(void **state)
{
    (void)state;
    struct capabilities offered;
    read_ehlo(&offered, "250-CHUNKING.test PIPELINING\r\n250-size 1000\r\n250-8bitmime\r\n"
                        "250-AUTH=PLAIN LOGIN\r\n250 chunking\r\n");
    assert_true(offered.ehlo && offered.chunking && offered.eightbitmime && offered.size);
    assert_false(offered.pipelining || offered.binarymime || offered.starttls || offered.masked);
    assert_int_equal(offered.size_limit, 1000);
    assert_int_equal(offered.keywords, 4);
    assert_string_equal(offered.auth, "PLAIN LOGIN");
    read_ehlo(&offered, "250-CHUNKING\r\n250-CHUNKINGX\r\n250-XXXXXXXA\r\n250 SIZE\r\n");
    assert_false(offered.chunking); /* the first line is the name, and CHUNKINGX another word */
    assert_true(offered.masked && offered.size);
    assert_int_equal(offered.size_limit, 0);
    read_ehlo(&offered, "250 alone\r\n");
    assert_int_equal(offered.keywords, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_whole_and_split),
        cmocka_unit_test(test_lines_have_a_limit),
        cmocka_unit_test(test_replies_have_a_limit),
        cmocka_unit_test(test_summaries),
        cmocka_unit_test(test_capabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
