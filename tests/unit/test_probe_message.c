/* Test messages and their cuts, and the dialog that is kept of a session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "probe/dialog.h"
#include "probe/message.h"

static struct message build(enum message_kind kind)
{
    struct message message;
    assert_int_equal(
        message_build(&message, kind, "name-of-case", "", "me@example.org", MESSAGE_LARGE_SIZE), 0);
    return message;
}

static int has(const struct message *message, const char *text)
{
    return strstr(message->data, text) != NULL;
}

/* True if every line, but perhaps the last, ends in CRLF and no CR or LF stands alone. */
static int has_sound_lines(const struct message *message)
{
    for (size_t i = 0; i < message->length; i++) {
        if (message->data[i] == '\r' && (i + 1 == message->length || message->data[i + 1] != '\n'))
            return 0;
        if (message->data[i] == '\n' && (i == 0 || message->data[i - 1] != '\r'))
            return 0;
    }
    return 1;
}

static void test_messages(void **state)
{
    (void)state;
    for (int kind = MESSAGE_PLAIN; kind <= MESSAGE_LARGE; kind++) {
        struct message message = build((enum message_kind)kind);
        const char *body = strstr(message.data, "\r\n\r\n");
        assert_non_null(body);
        assert_true(has(&message, "\r\nSubject: bdat-probe: name-of-case\r\n"));
        assert_true(has(&message, "\r\nTo: <me@example.org>\r\n"));
        assert_int_equal(has_sound_lines(&message), kind != MESSAGE_BINARY);
        assert_int_equal(memcmp(message.data + message.length - 2, "\r\n", 2) == 0,
                         kind != MESSAGE_UNTERMINATED);
        message_free(&message);
        assert_null(message.data);
    }
    struct message large = build(MESSAGE_LARGE);
    assert_int_equal(large.length, MESSAGE_LARGE_SIZE);
    message_free(&large);
    struct message plain = build(MESSAGE_PLAIN);
    assert_true(has(&plain, "\r\n.one line that begins with a dot\r\n"));
    message_free(&plain);
    struct message commands = build(MESSAGE_COMMANDS);
    assert_int_equal(strncmp(commands.data, "NOOP ", 5), 0);
    assert_int_equal(message_command_count(), 4);
    message_free(&commands);
}

static void test_cuts_add_up(void **state)
{
    (void)state;
    for (int kind = MESSAGE_PLAIN; kind <= MESSAGE_COMMANDS; kind++) {
        struct message message = build((enum message_kind)kind);
        for (int cut = CUT_NONE; cut <= CUT_LARGE; cut++) {
            size_t sizes[MESSAGE_MAX_CHUNKS], sum = 0;
            unsigned count = message_cut(&message, (enum cut_kind)cut, sizes);
            assert_in_range(count, 1, MESSAGE_MAX_CHUNKS);
            for (unsigned i = 0; i < count; i++) {
                assert_true(sizes[i] > 0);
                sum += sizes[i];
            }
            assert_int_equal(sum, message.length);
        }
        message_free(&message);
    }
}

static void test_cuts_fall_where_they_should(void **state)
{
    (void)state;
    struct message message = build(MESSAGE_PLAIN);
    size_t sizes[MESSAGE_MAX_CHUNKS], at = 0;
    unsigned count = message_cut(&message, CUT_LINES, sizes);
    assert_int_equal(count, 3);
    for (unsigned i = 0; i + 1 < count; i++) {
        at += sizes[i];
        assert_int_equal(message.data[at - 1], '\n');
    }
    count = message_cut(&message, CUT_IN_CRLF, sizes);
    assert_int_equal(count, 5);
    at = 0;
    for (unsigned i = 0; i + 1 < count; i++) {
        at += sizes[i];
        assert_int_equal(message.data[at - 1], '\r');
        assert_int_equal(message.data[at], '\n');
    }
    assert_int_equal(message_cut(&message, CUT_TINY, sizes), 21);
    assert_int_equal(sizes[0], 1);
    message_free(&message);
    struct message large = build(MESSAGE_LARGE);
    assert_int_equal(message_cut(&large, CUT_LARGE, sizes), 16);
    assert_int_equal(sizes[0], MESSAGE_LARGE_CHUNK);
    message_free(&large);
}

static void test_dialog_keeps_both_ends(void **state)
{
    (void)state;
    static struct dialog dialog;
    for (int i = 0; i < 100; i++)
        dialog_add(&dialog, DIALOG_CLIENT, 0, "line %d\x1b", i);
    assert_int_equal(dialog.count, DIALOG_LINES);
    assert_int_equal(dialog.omitted, 100 - DIALOG_LINES);
    assert_string_equal(dialog.lines[0].text, "line 0?");
    assert_string_equal(dialog.lines[DIALOG_HEAD - 1].text, "line 11?");
    assert_string_equal(dialog.lines[DIALOG_LINES - 1].text, "line 99?");
    char text[8];
    snprintf(text, sizeof(text), "line %d", 100 - (DIALOG_LINES - DIALOG_HEAD));
    assert_int_equal(strncmp(dialog.lines[DIALOG_HEAD].text, text, strlen(text)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_cuts_add_up),
        cmocka_unit_test(test_cuts_fall_where_they_should),
        cmocka_unit_test(test_dialog_keeps_both_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
