/*
 * SMTP replies as a server may send them to bdat-probe: whole and cut in two they are read the
 * same, what is kept is printable and bounded, and octets behind a reply are left alone.
 */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "probe/reply.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reply(const struct reply *reply, enum reply_status status)
{
    char text[80];
    require(reply->length <= REPLY_MAX_TEXT && reply->lines <= REPLY_MAX_LINES, "limits");
    require(strlen(reply->text) == reply->length, "text and length agree");
    for (size_t i = 0; i < reply->length; i++)
        require(reply->text[i] == '\n' || (reply->text[i] >= ' ' && reply->text[i] <= '~'),
                "text is printable");
    if (status == REPLY_DONE) {
        require(reply->code >= 200 && reply->code <= 599, "a reply has a code");
        require(reply->lines >= 1, "a reply has a line");
    }
    require(strlen(reply_summary(reply, text, sizeof(text))) < sizeof(text), "summary fits");
    (void)reply_ehlo_keyword(reply, "SIZE", text, sizeof(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct reply_parser whole, cut;
    if (size < 2)
        return 0;
    const char *octets = (const char *)data + 2;
    size -= 2;
    size_t split = size ? (data[0] * 256u + data[1]) % (size + 1) : 0;
    size_t used, first, rest = 0;

    reply_parser_reset(&whole);
    enum reply_status status = reply_parser_feed(&whole, octets, size, &used);
    require(used <= size, "no more is used than there is");
    require(status != REPLY_MORE || used == size, "all is used when more is wanted");
    check_reply(&whole.reply, status);

    reply_parser_reset(&cut);
    enum reply_status again = reply_parser_feed(&cut, octets, split, &first);
    if (again == REPLY_MORE)
        again = reply_parser_feed(&cut, octets + split, size - split, &rest);
    require(again == status && first + rest == used, "cut in two it is the same");
    require(cut.reply.code == whole.reply.code && cut.reply.lines == whole.reply.lines &&
                strcmp(cut.reply.text, whole.reply.text) == 0,
            "and reads the same");
    return 0;
}
