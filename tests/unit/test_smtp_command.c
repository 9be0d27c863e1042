/* The command parser: case tables, every prefix and cut of each case, and a slow second opinion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "milter/smtp_command.h"
#include "tests/model/command_model.h"
#include "tests/model/random.h"

struct row {
    const char *line;
    enum smtp_verb verb;
    bool malformed;
    bool prose;
    const char *argument; /* NULL = not asked */
    uint64_t octets;
    bool last;
    bool has_size;
    uint64_t size;
    enum smtp_body body;
};

static const struct row rows[] = {
    /* BDAT, RFC 3030 section 2 */
    {.line = "BDAT 2728 LAST", .verb = SMTP_VERB_BDAT, .octets = 2728, .last = true},
    {.line = "BDAT 2728", .verb = SMTP_VERB_BDAT, .octets = 2728},
    {.line = "bdat 1 last", .verb = SMTP_VERB_BDAT, .octets = 1, .last = true},
    {.line = "  BDAT\t 86   LAST  ", .verb = SMTP_VERB_BDAT, .octets = 86, .last = true},
    {.line = "BDAT\v86\fLAST\r", .verb = SMTP_VERB_BDAT, .octets = 86, .last = true},
    {.line = "BDAT 0 LAST", .verb = SMTP_VERB_BDAT, .last = true},
    {.line = "BDAT 0", .verb = SMTP_VERB_BDAT},
    {.line = "BDAT 0086", .verb = SMTP_VERB_BDAT, .octets = 86},
    {.line = "BDAT 9223372036854775807", .verb = SMTP_VERB_BDAT, .octets = INT64_MAX},
    {.line = "BDAT 9223372036854775808", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT 18446744073709551616", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT 99999999999999999999999", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT ", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT LAST", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT -1", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT +1", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT 0x10", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT 1k", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT 1 LASTING", .verb = SMTP_VERB_BDAT, .malformed = true, .last = false},
    {.line = "BDAT 1 LAS", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT 1 2", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT 1 LAST LAST", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDAT \"1\" LAST", .verb = SMTP_VERB_BDAT, .malformed = true},
    {.line = "BDATA 1", .verb = SMTP_VERB_NONE},
    {.line = "BDAT1", .verb = SMTP_VERB_NONE},
    {.line = "\\BDAT 1", .verb = SMTP_VERB_NONE},
    {.line = "\"BDAT\" 1", .verb = SMTP_VERB_NONE},
    {.line = "BDAT:1", .verb = SMTP_VERB_NONE},
    /* MAIL, RFC 5321 section 4.1.1.2, RFC 1870, RFC 6152 */
    {.line = "MAIL FROM:<>", .verb = SMTP_VERB_MAIL, .argument = ""},
    {.line = "MAIL FROM:<a@example.org>", .verb = SMTP_VERB_MAIL, .argument = "a@example.org"},
    {.line = "mail from:<a@example.org>", .verb = SMTP_VERB_MAIL, .argument = "a@example.org"},
    {.line = "MAIL FROM: <a@example.org>", .verb = SMTP_VERB_MAIL, .argument = "a@example.org"},
    {.line = "MAIL FROM:a@example.org", .verb = SMTP_VERB_MAIL, .argument = "a@example.org"},
    {.line = "MAIL FROM:<\"a b\"@example.org> SIZE=5",
     .verb = SMTP_VERB_MAIL,
     .argument = "\"a b\"@example.org",
     .has_size = true,
     .size = 5},
    {.line = "MAIL FROM:<\"a>b\"@example.org> SIZE=5",
     .verb = SMTP_VERB_MAIL,
     .argument = "\"a>b\"@example.org",
     .has_size = true,
     .size = 5},
    {.line = "MAIL FROM:<\"a<b\"@example.org>",
     .verb = SMTP_VERB_MAIL,
     .argument = "\"a<b\"@example.org"},
    {.line = "MAIL FROM:\"a<b\"@example.org", .verb = SMTP_VERB_MAIL},
    {.line = "MAIL FROM:\"a<b@example.org", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "MAIL FROM:<a\\>b@example.org>",
     .verb = SMTP_VERB_MAIL,
     .argument = "a\\>b@example.org"},
    {.line = "MAIL FROM:<a@b> SIZE=4333 BODY=8BITMIME SMTPUTF8",
     .verb = SMTP_VERB_MAIL,
     .argument = "a@b",
     .has_size = true,
     .size = 4333,
     .body = SMTP_BODY_8BITMIME},
    {.line = "MAIL FROM:<a@b> body=7bit size=0", .verb = SMTP_VERB_MAIL, .has_size = true},
    {.line = "MAIL FROM:<a@b> BODY=BINARYMIME",
     .verb = SMTP_VERB_MAIL,
     .body = SMTP_BODY_BINARYMIME},
    {.line = "MAIL FROM:<a@b> BODY=", .verb = SMTP_VERB_MAIL, .body = SMTP_BODY_UNKNOWN},
    {.line = "MAIL FROM:<a@b> BODY=9BIT", .verb = SMTP_VERB_MAIL, .body = SMTP_BODY_UNKNOWN},
    {.line = "MAIL FROM:<a@b> SIZE=1 SIZE=2", .verb = SMTP_VERB_MAIL, .has_size = true, .size = 2},
    {.line = "MAIL FROM:<a@b> XSIZE=9", .verb = SMTP_VERB_MAIL},
    {.line = "MAIL FROM:<a@b>SIZE=9", .verb = SMTP_VERB_MAIL, .argument = "<a@b>SIZE=9"},
    {.line = "MAIL FROM:<a@b> SIZE=", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "MAIL FROM:<a@b> SIZE=x", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "MAIL FROM:<a@b> SIZE=9223372036854775808", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "MAIL FROM:<a@b", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "MAIL FROM:", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "MAIL FROM :<a@b>", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "MAIL FROM<a@b>", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "MAIL", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "MAIL TO:<a@b>", .verb = SMTP_VERB_MAIL, .malformed = true},
    /* RCPT */
    {.line = "RCPT TO:<b@example.org> NOTIFY=NEVER",
     .verb = SMTP_VERB_RCPT,
     .argument = "b@example.org"},
    {.line = "RCPT TO:<@a,@b:c@d>", .verb = SMTP_VERB_RCPT, .argument = "@a,@b:c@d"},
    {.line = "RCPT TO:<<a@b>>", .verb = SMTP_VERB_RCPT, .argument = "<a@b>"},
    {.line = "RCPT FROM:<a@b>", .verb = SMTP_VERB_RCPT, .malformed = true},
    {.line = "RCPT", .verb = SMTP_VERB_RCPT, .malformed = true},
    /* the rest */
    {.line = "DATA", .verb = SMTP_VERB_DATA},
    {.line = "DATA\t", .verb = SMTP_VERB_DATA},
    {.line = "DATA now", .verb = SMTP_VERB_DATA, .malformed = true},
    {.line = "RSET", .verb = SMTP_VERB_RSET},
    {.line = "RSET x", .verb = SMTP_VERB_RSET, .malformed = true},
    {.line = "QUIT", .verb = SMTP_VERB_QUIT},
    {.line = "quit", .verb = SMTP_VERB_QUIT},
    {.line = "NOOP", .verb = SMTP_VERB_NOOP},
    {.line = "NOOP please", .verb = SMTP_VERB_NOOP, .argument = "please"},
    {.line = "EHLO mx.example.org", .verb = SMTP_VERB_EHLO, .argument = "mx.example.org"},
    {.line = "EHLO [IPv6:2001:db8::1]", .verb = SMTP_VERB_EHLO, .argument = "[IPv6:2001:db8::1]"},
    {.line = "EHLO", .verb = SMTP_VERB_EHLO, .malformed = true},
    {.line = "HELO x y", .verb = SMTP_VERB_HELO, .argument = "x y"},
    {.line = "HELO ", .verb = SMTP_VERB_HELO, .malformed = true},
    {.line = "STARTTLS", .verb = SMTP_VERB_STARTTLS},
    {.line = "AUTH PLAIN AGFsaWNlAHNlY3JldA==", .verb = SMTP_VERB_AUTH},
    {.line = "XCLIENT ADDR=192.0.2.1", .verb = SMTP_VERB_XCLIENT},
    {.line = "XFORWARD NAME=x", .verb = SMTP_VERB_OTHER},
    {.line = "VRFY a", .verb = SMTP_VERB_OTHER},
    {.line = "ETRN example.org", .verb = SMTP_VERB_OTHER},
    {.line = "HELP", .verb = SMTP_VERB_OTHER},
    {.line = "HELP me", .verb = SMTP_VERB_OTHER},
    {.line = "Help me with the rest", .verb = SMTP_VERB_OTHER},
    {.line = "EXPN staff", .verb = SMTP_VERB_OTHER},
    {.line = "TURN", .verb = SMTP_VERB_OTHER},
    {.line = "TURNME example.org", .verb = SMTP_VERB_OTHER},
    {.line = "BURL imap://a@b/c LAST", .verb = SMTP_VERB_OTHER},
    {.line = "CLIENTID UUID 23bf83be-aad7-46aa-9e0f-39191ccd402f", .verb = SMTP_VERB_OTHER},
    {.line = "clientid x y", .verb = SMTP_VERB_OTHER},
    /* private verbs, RFC 5321 section 4.1.5; those of Exchange above all */
    {.line = "X-ANONYMOUSTLS", .verb = SMTP_VERB_OTHER},
    {.line = "X-EXPS GSSAPI", .verb = SMTP_VERB_OTHER},
    {.line = "x-exps gssapi", .verb = SMTP_VERB_OTHER},
    {.line = "X-LINK2STATE LAST CHUNK={00000001}", .verb = SMTP_VERB_OTHER},
    {.line = "XEXCH50 2436 2", .verb = SMTP_VERB_OTHER},
    {.line = "XPROXYFROM SID=08D54162A04116F2 IP=192.0.2.1", .verb = SMTP_VERB_OTHER},
    {.line = "XSESSIONPARAMS MDBGUID=0", .verb = SMTP_VERB_OTHER},
    {.line = "XSHADOWREQUEST", .verb = SMTP_VERB_OTHER},
    {.line = "XUSR", .verb = SMTP_VERB_OTHER},
    {.line = "XML is a language", .verb = SMTP_VERB_NONE},
    {.line = "Xylophone", .verb = SMTP_VERB_NONE},
    {.line = "xshadowrequest", .verb = SMTP_VERB_NONE},
    {.line = "X-Mailer: x", .verb = SMTP_VERB_NONE},
    {.line = "XABCDEF==", .verb = SMTP_VERB_NONE},
    {.line = "XABCDEFGHIJKLMNOPQRSTUVWXYZ01234", .verb = SMTP_VERB_OTHER},
    {.line = "XABCDEFGHIJKLMNOPQRSTUVWXYZ012345", .verb = SMTP_VERB_NONE},
    /* sentences that begin with a verb */
    {.line = "Data is good", .verb = SMTP_VERB_DATA, .malformed = true, .prose = true},
    {.line = "rset the device", .verb = SMTP_VERB_RSET, .malformed = true, .prose = true},
    {.line = "Quit smoking now, ", .verb = SMTP_VERB_QUIT, .malformed = true, .prose = true},
    {.line = "Mail was sent", .verb = SMTP_VERB_MAIL, .malformed = true, .prose = true},
    {.line = "QUIT\t", .verb = SMTP_VERB_QUIT},
    {.line = "DATA  ", .verb = SMTP_VERB_DATA},
    {.line = "QUIT mail.example.org", .verb = SMTP_VERB_QUIT, .malformed = true},
    {.line = "RSET a=b c", .verb = SMTP_VERB_RSET, .malformed = true},
    {.line = "DATA \"a b", .verb = SMTP_VERB_DATA, .malformed = true},
    {.line = "MAIL FROM a@b", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "MAIL FROM <a> x", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "MAIL FROM:<a@b> SIZE=x a b", .verb = SMTP_VERB_MAIL, .malformed = true},
    {.line = "NOOP as you like it", .verb = SMTP_VERB_NOOP, .argument = "as you like it"},
    {.line = "VRFY John Doe Smith", .verb = SMTP_VERB_OTHER},
    /* no commands */
    {.line = "", .verb = SMTP_VERB_NONE},
    {.line = " \t ", .verb = SMTP_VERB_NONE},
    {.line = ".", .verb = SMTP_VERB_NONE},
    {.line = "Subject: hello", .verb = SMTP_VERB_NONE},
    {.line = "the rest of a line", .verb = SMTP_VERB_NONE},
    {.line = "Mail, from: me", .verb = SMTP_VERB_NONE},
    {.line = "\xc3\xa9t\xc3\xa9", .verb = SMTP_VERB_NONE},
};

static void check(const struct row *row, const char *line, size_t length)
{
    struct smtp_command got;
    smtp_command_parse(line, length, &got);
    if (got.verb != row->verb || got.malformed != row->malformed)
        fail_msg("\"%s\": verb %d malformed %d", row->line, (int)got.verb, got.malformed);
    if (got.prose != row->prose)
        fail_msg("\"%s\": prose %d", row->line, got.prose);
    if (row->malformed)
        return;
    if (got.octets != row->octets || got.last != row->last || got.has_size != row->has_size ||
        got.size != row->size || got.body != row->body)
        fail_msg("\"%s\": octets %ju last %d has_size %d size %ju body %d", row->line,
                 (uintmax_t)got.octets, got.last, got.has_size, (uintmax_t)got.size, (int)got.body);
    if (row->argument != NULL && (got.argument.length != strlen(row->argument) ||
                                  memcmp(got.argument.text, row->argument, got.argument.length)))
        fail_msg("\"%s\": argument \"%.*s\"", row->line, (int)got.argument.length,
                 got.argument.text);
}

static void check_model(const char *line, size_t length)
{
    const char *what;
    if (!command_model_agrees(line, length, &what))
        fail_msg("\"%.*s\": %s differs from the model", (int)length, line, what);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        /* In a block of its own size, so that reading beyond the line shows. */
        size_t length = strlen(rows[i].line);
        char *line = malloc(length + 1);
        assert_non_null(line);
        memcpy(line, rows[i].line, length);
        check(&rows[i], line, length);
        check_model(line, length);
        free(line);
    }
}

/* Each prefix of each line, alone in its block. */
static void test_every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t length = 0; length <= strlen(rows[i].line); length++) {
            char *line = malloc(length > 0 ? length : 1);
            assert_non_null(line);
            memcpy(line, rows[i].line, length);
            check_model(line, length);
            free(line);
        }
    }
}

/* Each pair of lines joined, and each line with its middle octet doubled or gone. */
static void test_every_cut(void **state)
{
    (void)state;
    char line[256];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t length = strlen(rows[i].line);
        for (size_t cut = 0; cut < length; cut++) {
            memcpy(line, rows[i].line, cut);
            memcpy(line + cut, rows[i].line + cut + 1, length - cut - 1);
            check_model(line, length - 1);
            memcpy(line, rows[i].line, cut + 1);
            memcpy(line + cut + 1, rows[i].line + cut, length - cut);
            check_model(line, length + 1);
            for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
                int n =
                    snprintf(line, sizeof(line), "%.*s%s", (int)cut, rows[i].line, rows[k].line);
                if (n > 0 && n < (int)sizeof(line))
                    check_model(line, (size_t)n);
            }
        }
    }
}

static size_t make_line(char *line, size_t size, struct random *random)
{
    static const char *const pieces[] = {"BDAT",
                                         "bdat",
                                         "MAIL",
                                         "RCPT",
                                         "FROM:",
                                         "TO:",
                                         "from",
                                         ":",
                                         "<",
                                         ">",
                                         "\"",
                                         "\\",
                                         " ",
                                         "\t",
                                         "\v",
                                         "LAST",
                                         "last",
                                         "12",
                                         "0",
                                         "9",
                                         "<a@b>",
                                         "a@b",
                                         "SIZE=",
                                         "BODY=",
                                         "7BIT",
                                         "8BITMIME",
                                         "DATA",
                                         "RSET",
                                         "EHLO",
                                         "x",
                                         "99999999999999999999",
                                         "9223372036854775807",
                                         "\xff",
                                         "\r",
                                         " SIZE=10",
                                         "SIZE=",
                                         "BODY=x"};
    size_t length = 0, count = random_below(random, 9);
    for (size_t i = 0; i < count; i++) {
        if (random_below(random, 12) == 0 && length < size) {
            line[length++] = (char)(random_below(random, 255) + 1);
            continue;
        }
        const char *piece = pieces[random_below(random, sizeof(pieces) / sizeof(pieces[0]))];
        if (length + strlen(piece) > size)
            break;
        memcpy(line + length, piece, strlen(piece));
        length += strlen(piece);
        if (random_below(random, 2) == 0 && length < size)
            line[length++] = ' ';
    }
    return length;
}

static void test_random_lines(void **state)
{
    (void)state;
    char line[200];
    struct random random = {3030};
    for (int round = 0; round < 300000; round++)
        check_model(line, make_line(line, sizeof(line), &random));
}

static void test_exact_commands(void **state)
{
    (void)state;
    static const char *const exact[] = {"BDAT 86 LAST",
                                        "bdat 1",
                                        "DATA",
                                        "data",
                                        "RSET",
                                        "QUIT",
                                        "NOOP",
                                        "MAIL FROM:<>",
                                        "MAIL FROM:<a@b> SIZE=1",
                                        "RCPT TO:<a@b>",
                                        "EHLO mx.example.org",
                                        "HELO x"};
    static const char *const prose[] = {
        "",         "BDAT",           "BDAT is fine",  "BDAT 1 2",
        " DATA",    "DATA ",          "Data is good",  "NOOP x",
        "Quit.",    "Mail from: me",  "MAIL FROM:a@b", "RCPT TO:",
        "EHLO",     "HELO my friend", "AUTH x",        "HELP",
        "STARTTLS", "XCLIENT NAME=x", "hello",         "Subject: BDAT",
        "DAT"};
    char line[2060];
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
        if (!smtp_line_is_exact_command(exact[i], strlen(exact[i])))
            fail_msg("\"%s\" is a command", exact[i]);
    for (size_t i = 0; i < sizeof(prose) / sizeof(prose[0]); i++)
        if (smtp_line_is_exact_command(prose[i], strlen(prose[i])))
            fail_msg("\"%s\" is prose", prose[i]);
    memset(line, 'x', sizeof(line));
    memcpy(line, "EHLO ", 5);
    assert_true(smtp_line_is_exact_command(line, 2048));
    assert_false(smtp_line_is_exact_command(line, 2049));
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(smtp_verb_name(SMTP_VERB_NONE), "");
    assert_string_equal(smtp_verb_name(SMTP_VERB_OTHER), "");
    for (int verb = SMTP_VERB_AUTH; verb < SMTP_VERB_OTHER; verb++) {
        const char *name = smtp_verb_name((enum smtp_verb)verb);
        struct smtp_command command;
        smtp_command_parse(name, strlen(name), &command);
        assert_int_equal(command.verb, verb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),          cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_every_cut),      cmocka_unit_test(test_random_lines),
        cmocka_unit_test(test_exact_commands), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
