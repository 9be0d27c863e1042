/* Test messages and cuts. */
#include "config.h"

#include "probe/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_OF_LARGE "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ bdat\r\n"

static const char command_lines[] = "NOOP bdat-probe-1\r\n"
                                    "NOOP bdat-probe-2\r\n"
                                    "NOOP bdat-probe-3\r\n"
                                    "NOOP bdat-probe-4\r\n";

unsigned message_command_count(void)
{
    unsigned lines = 0;
    for (const char *c = command_lines; *c; c++)
        lines += *c == '\n';
    return lines;
}

static const char *content_type(enum message_kind kind)
{
    return kind == MESSAGE_BINARY ? "application/octet-stream\r\nContent-Transfer-Encoding: binary"
           : kind == MESSAGE_8BIT ? "text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit"
                                  : "text/plain; charset=us-ascii";
}

static void write_headers(FILE *stream, enum message_kind kind, const char *name,
                          const char *sender, const char *recipient)
{
    char date[64];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &utc);
    fprintf(stream,
            "Date: %s\r\n"
            "From: bdat-probe <%s>\r\n"
            "To: <%s>\r\n"
            "Subject: bdat-probe: %s\r\n"
            "Message-ID: <%lld.%ld.%s@bdat-probe.invalid>\r\n"
            "Auto-Submitted: auto-generated\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: %s\r\n"
            "\r\n",
            date, *sender ? sender : "bdat-probe@bdat-probe.invalid", recipient, name,
            (long long)now, (long)getpid(), name, content_type(kind));
}

static void write_text(FILE *stream, const char *name)
{
    fprintf(stream,
            "This is a test message of bdat-probe, case %s. It was sent to find out\r\n"
            "whether this mail server's CHUNKING (BDAT, RFC 3030) works.\r\n"
            ".one line that begins with a dot\r\n"
            "..another with two\r\n"
            "Nothing needs to be done with it; it can be deleted.\r\n",
            name);
}

static void write_body(FILE *stream, enum message_kind kind, const char *name, size_t size)
{
    static const char utf8[] = "Gr\xc3\xbc\xc3\x9f"
                               "e: \xc3\xa4\xc3\xb6\xc3\xbc \xe2\x82\xac "
                               "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82\r\n";
    switch (kind) {
    case MESSAGE_8BIT:
        write_text(stream, name);
        fputs(utf8, stream);
        break;
    case MESSAGE_BINARY:
        for (int i = 0; i < 256; i++)
            fputc(i, stream);
        fputs("bare\rCR, bare\nLF, end\r\n", stream);
        break;
    case MESSAGE_LONG_LINES:
        write_text(stream, name);
        for (int i = 0; i < MESSAGE_LONG_LINE; i++)
            fputc('a' + i % 26, stream);
        fputs("\r\n", stream);
        break;
    case MESSAGE_UNTERMINATED:
        write_text(stream, name);
        fputs("This last line has no line end.", stream);
        break;
    case MESSAGE_LARGE:
        write_text(stream, name);
        while ((size_t)ftell(stream) + sizeof(LINE_OF_LARGE) <= size)
            fputs(LINE_OF_LARGE, stream);
        while ((size_t)ftell(stream) + 2 < size)
            fputc('x', stream);
        fputs("\r\n", stream);
        break;
    default:
        write_text(stream, name);
    }
}

int message_build(struct message *message, enum message_kind kind, const char *name,
                  const char *sender, const char *recipient, size_t size)
{
    message->data = NULL;
    message->length = 0;
    FILE *stream = open_memstream(&message->data, &message->length);
    if (!stream)
        return -1;
    if (kind == MESSAGE_COMMANDS) {
        fputs(command_lines, stream);
    } else {
        write_headers(stream, kind, name, sender, recipient);
        write_body(stream, kind, name, size);
    }
    int failed = ferror(stream);
    if (fclose(stream) != 0 || failed) {
        message_free(message);
        return -1;
    }
    return 0;
}

void message_free(struct message *message)
{
    free(message->data);
    message->data = NULL;
    message->length = 0;
}

/* Cuts `behind` octets behind the start of each of the first `cuts` line ends that lie at or
 * after equal parts of the message. */
static unsigned cut_at_lines(const struct message *message, unsigned cuts, size_t behind,
                             size_t sizes[])
{
    unsigned count = 0;
    size_t start = 0;
    for (unsigned i = 1; i <= cuts; i++) {
        size_t from = message->length / (cuts + 1) * i;
        if (from < start)
            from = start;
        const char *end = memmem(message->data + from, message->length - from, "\r\n", 2);
        if (!end)
            break;
        size_t cut = (size_t)(end - message->data) + behind;
        if (cut <= start || cut >= message->length)
            continue;
        sizes[count++] = cut - start;
        start = cut;
    }
    sizes[count++] = message->length - start;
    return count;
}

static unsigned cut_evenly(size_t length, size_t size, unsigned max, size_t sizes[])
{
    unsigned count = 0;
    while (length > size && count < max) {
        sizes[count++] = size;
        length -= size;
    }
    sizes[count++] = length;
    return count;
}

unsigned message_cut(const struct message *message, enum cut_kind cut,
                     size_t sizes[MESSAGE_MAX_CHUNKS])
{
    switch (cut) {
    case CUT_LINES:
        return cut_at_lines(message, 2, 2, sizes);
    case CUT_IN_CRLF:
        return cut_at_lines(message, 4, 1, sizes);
    case CUT_TINY:
        return cut_evenly(message->length, 1, 20, sizes);
    case CUT_LARGE:
        return cut_evenly(message->length, MESSAGE_LARGE_CHUNK, MESSAGE_MAX_CHUNKS - 1, sizes);
    default:
        sizes[0] = message->length;
        return 1;
    }
}
