/* The body scanner: the same facts wherever the body is cut, and the right ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "milter/content.h"
#include "tests/model/content_model.h"
#include "tests/model/random.h"

static void scan(struct content *content, const char *body, size_t length)
{
    content_reset(content);
    content_feed(content, body, length);
    content_finish(content);
}

static void assert_facts(const struct content *content, const char *body, size_t length,
                         const char *where, size_t cut)
{
    const char *what;
    if (!content_model_agrees(content, body, length, &what))
        fail_msg("%s, cut at %zu: %s differs from the model", where, cut, what);
}

/* ---- what is seen ---- */

struct row {
    const char *name;
    const char *body;
    uint64_t lines;
    uint64_t dot_lines;
    unsigned commands;
    bool open, dot;
    size_t tail_lines; /* command lines at the end */
    uint64_t tail_sum; /* octets of all of them */
};

static const struct row rows[] = {
    {.name = "empty", .body = ""},
    {.name = "a line", .body = "hello\r\n", .lines = 1},
    {.name = "no line end", .body = "hello", .lines = 1},
    {.name = "only CR", .body = "\r", .lines = 1},
    {.name = "bare LFs", .body = "a\nb\n", .lines = 2},
    {.name = "a lone dot at the end",
     .body = "a\r\n.\r\n",
     .lines = 2,
     .dot_lines = 1,
     .dot = true},
    {.name = "a lone dot is all", .body = ".\r\n", .lines = 1, .dot_lines = 1, .dot = true},
    {.name = "a lone dot without line end",
     .body = "a\r\n.",
     .lines = 2,
     .dot_lines = 1,
     .dot = true},
    {.name = "a stuffed dot before it",
     .body = "..a\r\n.\r\n",
     .lines = 2,
     .dot_lines = 1,
     .dot = true},
    {.name = "another line with a dot", .body = ".a\r\n.\r\n", .lines = 2, .dot_lines = 2},
    {.name = "a lone dot, then more", .body = ".\r\na\r\n", .lines = 2, .dot_lines = 1},
    {.name = "a lone dot, then an empty line", .body = ".\r\n\r\n", .lines = 2, .dot_lines = 1},
    {.name = "two dots, then one, bare LFs",
     .body = "..\n.\n",
     .lines = 2,
     .dot_lines = 1,
     .dot = true},
    {.name = "two dots", .body = "a\r\n..\r\n", .lines = 2},
    {.name = "QUIT at the end",
     .body = "a\r\nQUIT\r\n",
     .lines = 2,
     .tail_lines = 1,
     .tail_sum = 6},
    {.name = "in small letters",
     .body = "a\r\nquit\r\n",
     .lines = 2,
     .tail_lines = 1,
     .tail_sum = 6},
    {.name = "BDAT and QUIT",
     .body = "a\r\nBDAT 12 LAST\r\nQUIT\r\n",
     .lines = 3,
     .commands = 1,
     .tail_lines = 2,
     .tail_sum = 20},
    {.name = "an envelope",
     .lines = 4,
     .body = "a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
     .tail_lines = 3,
     .tail_sum = 58},
    {.name = "only commands",
     .body = "RSET\r\nQUIT\r\n",
     .lines = 2,
     .tail_lines = 2,
     .tail_sum = 12},
    {.name = "prose", .body = "a\r\nData is good\r\n", .lines = 2},
    {.name = "prose with a full stop", .body = "a\r\nQuit.\r\n", .lines = 2},
    {.name = "mail from whom", .body = "a\r\nMail from: me\r\n", .lines = 2},
    {.name = "commands, not at the end", .body = "QUIT\r\nbye\r\n", .lines = 2},
    {.name = "an empty line after", .body = "QUIT\r\n\r\n", .lines = 2},
    {.name = "BDAT inside",
     .body = "x\r\nBDAT 5\r\ny\r\nBDAT 7 LAST\r\nbdat 1\r\n",
     .lines = 5,
     .commands = 2,
     .tail_lines = 2,
     .tail_sum = 21},
    {.name = "BDAT that is none", .body = "BDAT is fine\r\nBDATA\r\nBDAT 1 2\r\n", .lines = 3},
    {.name = "a multipart",
     .lines = 5,
     .body = "--x\r\nContent-Type: text/plain\r\n\r\na\r\n--x--\r\n"},
    {.name = "a multipart left open",
     .lines = 4,
     .open = true,
     .body = "--x\r\nContent-Type: text/plain\r\n\r\na"},
    {.name = "closed without line end",
     .lines = 5,
     .body = "--x\r\nContent-Type: text/plain\r\n\r\na\r\n--x--"},
    {.name = "cut in the close delimiter",
     .lines = 5,
     .open = true,
     .body = "--x\r\nContent-Type: text/plain\r\n\r\na\r\n--x-"},
    {.name = "blanks behind the delimiter",
     .lines = 5,
     .body = "--x \t\r\ncontent-type: text/plain\r\n\r\na\r\n--x--  \r\n"},
    {.name = "an inner multipart left open",
     .lines = 6,
     .body = "--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
             "--i\r\nContent-Type: text/plain\r\n--o--\r\n"},
    {.name = "an inner one closed, the outer not",
     .lines = 6,
     .open = true,
     .body = "--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
             "--i\r\nContent-Type: text/plain\r\n--i--\r\n"},
    {.name = "an epilogue", .lines = 4, .body = "--x\r\nContent-A: b\r\n--x--\r\nbye\r\n"},
    {.name = "a preamble",
     .lines = 4,
     .open = true,
     .body = "This is a multi-part message\r\n\r\n--x\r\nContent-A: b\r\n"},
    {.name = "other preambles",
     .lines = 4,
     .open = true,
     .body = "\r\nthis is an OpenPGP/mime encrypted message\r\n--x\r\nContent-A: b\r\n"},
    {.name = "Exchange's preamble",
     .lines = 4,
     .open = true,
     .body = "This message is in MIME format. Since your reader\r\n\r\n--x\r\nContent-A: b\r\n"},
    {.name = "a question about MIME",
     .lines = 6,
     .body = "How do I write MIME-mail?\r\n\r\n--x\r\nContent-A: b\r\n\r\nregards"},
    {.name = "a bounce",
     .lines = 5,
     .body = "Hi. This is the mailer.\r\n--x\r\nContent-A: b\r\n\r\ncut"},
    {.name = "a text that begins otherwise",
     .lines = 5,
     .body = "This is all.\r\n--x\r\nContent-A: b\r\n\r\ncut"},
    {.name = "Outlook's rule",
     .lines = 4,
     .body = "-----Original Message-----\r\nContent-Type: text/plain\r\n\r\ncut"},
    {.name = "a rule of dashes",
     .lines = 3,
     .body = "----------\r\nContent-Type: guru\r\ncut"},
    {.name = "armour",
     .lines = 3,
     .body = "-----BEGIN PGP MESSAGE-----\r\nContent-Type: x\r\ncut"},
    {.name = "an octet that no boundary has",
     .lines = 3,
     .body = "--x*\r\nContent-Type: x\r\ncut"},
    {.name = "octets that a boundary may have",
     .lines = 3,
     .open = true,
     .body = "--=_(a)'+,-./:=?0\r\nContent-Type: x\r\ncut"},
    {.name = "a signature", .lines = 3, .body = "hi\r\n-- \r\nContent-Type: me\r\n"},
    {.name = "a patch", .lines = 3, .body = "--- a/x.c\r\n+++ b/x.c\r\n--- Content\r\n"},
    {.name = "a rule, no header behind",
     .lines = 3,
     .body = "--------\r\n\r\nContent-Type: text/plain\r\n"},
    {.name = "two delimiters in a row",
     .lines = 4,
     .open = true,
     .body = "--a\r\n--b\r\nContent-A: b\r\n--a--\r\n"},
};

static void test_facts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct content content;
        uint64_t sums[8] = {0};
        scan(&content, row->body, strlen(row->body));
        size_t tail = content_command_tail(&content, sums, 8);
        if (content.lines != row->lines || content.dot_lines != row->dot_lines ||
            content.command_count != row->commands ||
            content_has_open_multipart(&content) != row->open ||
            content_ends_in_lone_dot(&content) != row->dot || tail != row->tail_lines ||
            (tail > 0 && sums[tail - 1] != row->tail_sum))
            fail_msg("%s: lines %ju dots %ju commands %u open %d dot %d tail %zu sum %ju",
                     row->name, (uintmax_t)content.lines, (uintmax_t)content.dot_lines,
                     content.command_count, content_has_open_multipart(&content),
                     content_ends_in_lone_dot(&content), tail,
                     (uintmax_t)(tail > 0 ? sums[tail - 1] : 0));
        assert_facts(&content, row->body, strlen(row->body), row->name, 0);
        content_reset(&content);
        for (const char *octet = row->body; *octet != '\0'; octet++)
            content_feed(&content, octet, 1);
        content_finish(&content);
        assert_facts(&content, row->body, strlen(row->body), row->name, 1);
    }
}

static void test_a_quoted_multipart_is_none(void **state)
{
    (void)state;
    for (unsigned before = CONTENT_PREAMBLE_LINES - 2; before < CONTENT_PREAMBLE_LINES + 2;
         before++) {
        char body[2048] = "This is a multi-part message in MIME format.\r\n";
        struct content content;
        for (unsigned i = 1; i < before; i++)
            strcat(body, "a line of text\r\n");
        strcat(body, "--x\r\nContent-Type: text/plain\r\n\r\nquoted\r\n");
        scan(&content, body, strlen(body));
        assert_int_equal(content_has_open_multipart(&content), before < CONTENT_PREAMBLE_LINES);
    }
}

static void test_the_tail_is_only_so_long(void **state)
{
    (void)state;
    char body[3000];
    struct content content;
    uint64_t sums[400];
    for (size_t i = 0; i + 6 <= sizeof(body); i += 6)
        memcpy(body + i, "QUIT\r\n", 6);
    scan(&content, body, sizeof(body));
    /* 1024 octets hold 170 lines and a part of one. */
    assert_int_equal(content_command_tail(&content, sums, 400), CONTENT_TAIL_SIZE / 6);
    assert_int_equal(sums[0], 6);
    assert_int_equal(sums[169], 170 * 6);
    assert_int_equal(content_command_tail(&content, sums, 3), 3);
    assert_int_equal(content_command_tail(&content, sums, 0), 0);
}

/* ---- lines of every length, and cuts ---- */

static void test_long_lines(void **state)
{
    (void)state;
    static const size_t lengths[] = {0,    1,    79,   80,   81,   254,  255,  256,  257,
                                     258,  259,  510,  511,  512,  513,  514,  767,  768,
                                     1023, 1024, 2046, 2047, 2048, 2049, 4095, 4096, 6144};
    static char body[3 * 8192];
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (size_t before = 0; before < 600; before += 37) {
            size_t n = 0;
            struct content content;
            memset(body, 'y', before);
            n += before;
            n += (size_t)snprintf(body + n, 3, "\r\n");
            memset(body + n, 'x', lengths[i]);
            n += lengths[i];
            n += (size_t)snprintf(body + n, 3, "\r\n");
            memset(body + n, 'z', 700);
            for (size_t at = 69; at < 700; at += 70)
                body[n + at] = '\n';
            n += 700;
            scan(&content, body, n);
            assert_facts(&content, body, n, "a long line", lengths[i]);
            assert_int_equal(content.splits, lengths[i] / 2048);
            /* Cut between CR and LF of that line, too. */
            size_t cut = before + 2 + lengths[i] + 1;
            content_reset(&content);
            content_feed(&content, body, cut);
            content_feed(&content, body + cut, n - cut);
            content_finish(&content);
            assert_facts(&content, body, n, "a long line", cut);
        }
    }
}

static void feed_random_pieces(struct content *content, const char *body, size_t length,
                               struct random *random)
{
    content_reset(content);
    for (size_t at = 0; at < length;) {
        size_t most = random_below(random, 4) == 0 ? 2000 : 20;
        size_t piece = random_below(random, most) + 1;
        if (piece > length - at)
            piece = length - at;
        content_feed(content, body + at, piece);
        at += piece;
    }
    content_finish(content);
}

/* Text out of the pieces that matter, in any order. */
static size_t make_body(char *body, size_t size, struct random *random)
{
    static const char *const pieces[] = {
        "\r\n",
        "\n",
        "\r",
        "\r\n",
        "\r\n",
        ".",
        "..",
        "--b",
        "--b--",
        "--c",
        "\r\nContent-Type: x",
        "content-id",
        ":",
        "BDAT 12",
        "bdat 7 LAST",
        "BDAT ",
        " ",
        "QUIT",
        "RSET",
        "x",
        "hello",
        "\r\n.\r\n",
        "\r\n--b\r\nContent-A: b\r\n",
        "\r\n--b--\r\n",
        "\r\nBDAT 10\r\n",
        "bd",
        "b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
    };
    size_t wanted = random_below(random, size), length = 0;
    while (length < wanted) {
        if (random_below(random, 30) == 0) {
            size_t run = random_below(random, 3000);
            run = run < size - length ? run : size - length;
            memset(body + length, 'x', run);
            length += run;
            continue;
        }
        const char *piece = pieces[random_below(random, sizeof(pieces) / sizeof(pieces[0]))];
        size_t n = strlen(piece);
        if (length + n > size)
            break;
        memcpy(body + length, piece, n);
        length += n;
    }
    return length;
}

static void test_random_bodies(void **state)
{
    (void)state;
    static char body[20000];
    struct random random = {20260817};
    for (int round = 0; round < 3000; round++) {
        struct content content;
        size_t length = make_body(body, round % 2 ? 600 : sizeof(body), &random);
        scan(&content, body, length);
        assert_facts(&content, body, length, "a random body, whole", (size_t)round);
        feed_random_pieces(&content, body, length, &random);
        assert_facts(&content, body, length, "a random body in pieces", (size_t)round);
    }
}

/* One body with everything in it, cut once at every octet, and fed octet by octet. */
static void test_every_cut(void **state)
{
    (void)state;
    static char body[4000];
    struct random random = {7};
    for (int round = 0; round < 4; round++) {
        size_t length = make_body(body, sizeof(body), &random);
        struct content content;
        for (size_t cut = 0; cut <= length; cut++) {
            content_reset(&content);
            content_feed(&content, body, cut);
            content_feed(&content, body + cut, length - cut);
            content_finish(&content);
            assert_facts(&content, body, length, "cut once", cut);
        }
        content_reset(&content);
        for (size_t at = 0; at < length; at++)
            content_feed(&content, body + at, 1);
        content_finish(&content);
        assert_facts(&content, body, length, "octet by octet", 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_a_quoted_multipart_is_none),
        cmocka_unit_test(test_the_tail_is_only_so_long),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_random_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
