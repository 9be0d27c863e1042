/*
 * A message body: fed whole, in pieces, and octet by octet it gives the same facts, those of a
 * slow second implementation. The first octet chooses the pieces and how far lines are stretched,
 * so that short inputs reach what is done with long lines and whole blocks.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "milter/content.h"
#include "tests/fuzz/require.h"
#include "tests/model/content_model.h"
#include "tests/model/random.h"

#define BODY_MAX ((size_t)12000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each octet '@' stands for a run, each '\1' for CRLF. Returns the body's length. */
static size_t unfold(const uint8_t *data, size_t size, char *body, size_t run)
{
    size_t length = 0;
    for (size_t i = 0; i < size && length + run + 2 < BODY_MAX; i++) {
        if (data[i] == '@') {
            memset(body + length, 'x', run);
            length += run;
        } else if (data[i] == 1) {
            body[length++] = '\r';
            body[length++] = '\n';
        } else {
            body[length++] = (char)data[i];
        }
    }
    return length;
}

static void check_facts(const struct content *content, const char *body, size_t length)
{
    uint64_t sums[8], sum = 0;
    const char *what = NULL;
    require(content_model_agrees(content, body, length, &what), what != NULL ? what : "?");
    size_t count = content_command_tail(content, sums, 8);
    for (size_t i = 0; i < count; i++) {
        require(sums[i] > sum && sums[i] <= length, "the sums of the tail grow within the body");
        sum = sums[i];
    }
    if (content_ends_in_lone_dot(content))
        require(content->dot_lines == 1 && count == 0, "a lone dot is no command");
}

static void feed_octets(const char *body, size_t length)
{
    struct content content;
    content_reset(&content);
    for (size_t at = 0; at < length; at++)
        content_feed(&content, body + at, 1);
    content_finish(&content);
    check_facts(&content, body, length);
}

static void feed(const char *body, size_t length, size_t most, struct random *random)
{
    struct content content;
    content_reset(&content);
    for (size_t at = 0; at < length;) {
        size_t piece = random_below(random, most) + 1;
        piece = piece < length - at ? piece : length - at;
        /* A block of its own, so that reading beyond the piece shows. */
        char *copy = malloc(piece);
        require(copy != NULL, "memory");
        memcpy(copy, body + at, piece);
        content_feed(&content, copy, piece);
        free(copy);
        at += piece;
    }
    content_finish(&content);
    check_facts(&content, body, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char body[BODY_MAX];
    static const size_t runs[] = {1, 60, 256, 511, 600, 2047, 4096, 64};
    if (size < 2)
        return 0;
    struct random random = {((uint64_t)data[0] << 8 | data[1]) + 1};
    size_t length = unfold(data + 2, size - 2, body, runs[data[0] % 8]);
    feed_octets(body, length);
    feed(body, length, 9, &random);
    feed(body, length, 700, &random);
    feed(body, length, BODY_MAX, &random);
    return 0;
}
