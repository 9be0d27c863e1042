/* The table of cases, and how one is run. */
#include "probe/case.h"

#include <stdio.h>
#include <string.h>

#include "probe/case_chunks.h"
#include "probe/case_data.h"
#include "probe/case_order.h"

#define COUNTED "The server reads exactly the octets declared and answers each chunk"
#define ACCEPTS "that the message is accepted at its LAST chunk"

const struct probe_case probe_cases[] = {
    {.name = "data",
     .title = "the message by DATA, to compare",
     .proves = "DATA is answered 354 and the path carries the message; not that it is accepted",
     .delivers = "that the message is accepted",
     .needs = NEED_NOT_CHUNKING | NEED_RECIPIENT,
     .run = case_data},
    {.name = "one-chunk",
     .title = "one chunk",
     .proves = COUNTED "; the chunk is not the LAST",
     .delivers = ACCEPTS,
     .needs = NEED_RECIPIENT | TAKES_CHUNK,
     .same_by_data = "data",
     .run = case_chunks},
    {.name = "several-chunks",
     .title = "three chunks, cut at line ends",
     .proves = COUNTED "; none is the LAST",
     .delivers = ACCEPTS,
     .needs = NEED_RECIPIENT | TAKES_CHUNK,
     .cut = CUT_LINES,
     .run = case_chunks},
    {.name = "cut-in-crlf",
     .title = "chunks cut between CR and LF",
     .proves = COUNTED ", wherever it is cut; none is the LAST",
     .delivers = ACCEPTS,
     .needs = NEED_RECIPIENT | TAKES_CHUNK,
     .cut = CUT_IN_CRLF,
     .run = case_chunks},
    {.name = "tiny-chunks",
     .title = "twenty chunks of one octet, then the rest",
     .proves = COUNTED ", however small; none is the LAST",
     .delivers = ACCEPTS,
     .needs = NEED_RECIPIENT | TAKES_CHUNK,
     .cut = CUT_TINY,
     .run = case_chunks},
    {.name = "last-empty",
     .title = "BDAT 0 LAST",
     .proves = "an empty LAST is answered at once (it has no recipient and so is refused)",
     .delivers = "that a message that ends in BDAT 0 LAST is accepted",
     .run = case_last_empty},
    {.name = "no-final-crlf",
     .title = "a message whose last line has no line end",
     .proves = COUNTED "; it is not the LAST",
     .delivers = ACCEPTS,
     .needs = NEED_RECIPIENT | TAKES_CHUNK,
     .message = MESSAGE_UNTERMINATED,
     .run = case_chunks},
    {.name = "8-bit",
     .title = "UTF-8 with BODY=8BITMIME",
     .proves = COUNTED ": octets are counted, not characters; none is the LAST",
     .delivers = ACCEPTS,
     .needs = NEED_RECIPIENT | NEED_8BITMIME | TAKES_CHUNK,
     .message = MESSAGE_8BIT,
     .cut = CUT_LINES,
     .run = case_chunks},
    {.name = "binary",
     .title = "every octet there is with BODY=BINARYMIME",
     .proves = COUNTED ", NUL and bare CR and LF as well; none is the LAST",
     .delivers = ACCEPTS,
     .needs = NEED_RECIPIENT | NEED_BINARYMIME | TAKES_CHUNK,
     .message = MESSAGE_BINARY,
     .run = case_chunks},
    {.name = "long-lines",
     .title = "a line of 10,000 octets",
     .proves = COUNTED ", however long a line is (a refusal is allowed); none is the LAST",
     .delivers = ACCEPTS,
     .needs = NEED_RECIPIENT | MAY_BE_REFUSED | TAKES_CHUNK,
     .message = MESSAGE_LONG_LINES,
     .run = case_chunks},
    {.name = "pipelined",
     .title = "MAIL, RCPT and three chunks in one flight",
     .proves = "commands behind a chunk's octets are found in the same flight; none is the LAST",
     .delivers = ACCEPTS,
     .needs = NEED_RECIPIENT | NEED_PIPELINING | TAKES_CHUNK,
     .cut = CUT_LINES,
     .run = case_pipelined},
    {.name = "two-messages",
     .title = "two messages in one session",
     .proves = "nothing of the first message is left over for the second; none is the LAST",
     .delivers = "that both are accepted",
     .needs = NEED_RECIPIENT | TAKES_CHUNK,
     .cut = CUT_LINES,
     .run = case_two_messages},
    {.name = "rset-between",
     .title = "RSET between chunks, then a new message",
     .proves = "RSET takes a begun transfer back",
     .delivers = "",
     .needs = NEED_RECIPIENT | TAKES_CHUNK,
     .run = case_rset_between},
    {.name = "refused",
     .title = "BDAT LAST without a recipient; its octets are lines of commands",
     .proves = "octets of a refused chunk are discarded and not run as commands",
     .delivers = "",
     .message = MESSAGE_COMMANDS,
     .run = case_refused},
    {.name = "refused-pipelined",
     .title = "a refused recipient and BDAT LAST in one flight",
     .proves = "octets of a refused chunk are discarded, for a sender that does not wait either",
     .delivers = "",
     .needs = NEED_PIPELINING,
     .message = MESSAGE_COMMANDS,
     .run = case_refused_pipelined},
    {.name = "bdat-after-last",
     .title = "BDAT after LAST, without a new MAIL",
     .proves = "BDAT behind a refused LAST is refused, and its octets are discarded",
     .delivers = "the same behind a LAST that was accepted",
     .message = MESSAGE_COMMANDS,
     .run = case_after_last},
    {.name = "data-after-bdat",
     .title = "DATA in a transaction that BDAT has begun",
     .proves = "DATA is refused (RFC 3030, section 2)",
     .delivers = "",
     .needs = NEED_RECIPIENT | TAKES_CHUNK,
     .run = case_data_after_bdat},
    {.name = "malformed-empty",
     .title = "BDAT without a size",
     .proves = "it is refused",
     .delivers = "",
     .needs = NEED_RECIPIENT,
     .command = "BDAT",
     .run = case_malformed},
    {.name = "malformed-negative",
     .title = "BDAT -1",
     .proves = "it is refused, not taken for a huge number",
     .delivers = "",
     .needs = NEED_RECIPIENT,
     .command = "BDAT -1",
     .run = case_malformed},
    {.name = "malformed-huge",
     .title = "BDAT with a size of 2^64",
     .proves = "it is refused, not taken for a small number",
     .delivers = "",
     .needs = NEED_RECIPIENT,
     .command = "BDAT 18446744073709551616",
     .run = case_malformed},
    {.name = "malformed-last",
     .title = "BDAT 0 LATS",
     .proves = "LAST misspelt is refused, not ignored",
     .delivers = "",
     .needs = NEED_RECIPIENT,
     .command = "BDAT 0 LATS",
     .run = case_malformed},
    {.name = "data-large",
     .title = "a message of 1 MB by DATA, to compare",
     .proves = "the path carries it; not that it is accepted",
     .delivers = "that the message is accepted",
     .needs = NEED_NOT_CHUNKING | NEED_RECIPIENT,
     .message = MESSAGE_LARGE,
     .run = case_data},
    {.name = "large",
     .title = "a message of 1 MB in chunks of 64 KB",
     .proves = "large chunks pass server and path (MTU, inspecting firewalls); none is the LAST",
     .delivers = ACCEPTS,
     .needs = NEED_RECIPIENT | TAKES_CHUNK,
     .message = MESSAGE_LARGE,
     .cut = CUT_LARGE,
     .same_by_data = "data-large",
     .run = case_chunks},
};

const size_t probe_case_count = sizeof(probe_cases) / sizeof(probe_cases[0]);

const struct probe_case *case_find(const char *name)
{
    for (size_t i = 0; i < probe_case_count; i++)
        if (strcmp(probe_cases[i].name, name) == 0)
            return &probe_cases[i];
    return NULL;
}

/* The size of the large message: what the table wants, but well below the server's limit. */
static size_t large_size(const struct survey *survey)
{
    uint64_t limit = survey->current.size_limit;
    return limit != 0 && limit < 2 * (uint64_t)MESSAGE_LARGE_SIZE ? (size_t)(limit / 2)
                                                                  : MESSAGE_LARGE_SIZE;
}

const char *case_obstacle(const struct probe_case *definition, const struct survey *survey)
{
    const struct capabilities *offered = &survey->current;
    if (!offered->chunking && !(definition->needs & NEED_NOT_CHUNKING))
        return "CHUNKING is not offered";
    if ((definition->needs & NEED_PIPELINING) && !offered->pipelining)
        return "PIPELINING is not offered";
    if ((definition->needs & NEED_8BITMIME) && !offered->eightbitmime)
        return "8BITMIME is not offered";
    if ((definition->needs & NEED_BINARYMIME) && !offered->binarymime)
        return "BINARYMIME is not offered";
    if (survey->sender_refused)
        return "no sender was accepted";
    if ((definition->needs & NEED_RECIPIENT) && !survey->recipient_found)
        return "no recipient was accepted";
    if (definition->message == MESSAGE_LARGE && large_size(survey) < MESSAGE_LARGE_CHUNK)
        return "the server's SIZE limit is too small for it";
    return NULL;
}

void case_skip(const struct probe_case *definition, struct case_result *result,
               enum finding finding, const char *why)
{
    memset(result, 0, sizeof(*result));
    result->definition = definition;
    result->status = STATUS_SKIP;
    result->finding = finding;
    snprintf(result->meaning, sizeof(result->meaning), "Not run: %s.", why);
}

void case_run(const struct probe_case *definition, const struct options *options,
              const struct survey *survey, struct case_result *result)
{
    struct run run = {.options = options, .survey = survey, .result = result};
    int64_t start = connection_clock();
    memset(result, 0, sizeof(*result));
    result->definition = definition;
    result->status = STATUS_SKIP;
    if (message_build(&run.message, definition->message, definition->name, options->from,
                      survey->recipient, large_size(survey)) != 0) {
        snprintf(result->meaning, sizeof(result->meaning), "Not run: out of memory.");
        return;
    }
    definition->run(&run);
    session_end(&run.session);
    message_free(&run.message);
    result->elapsed_ms = connection_clock() - start;
    result->slowest_ms = run.session.slowest_ms;
}

const char *status_name(enum status status)
{
    static const char *const names[] = {"PASS", "WARN", "FAIL", "SKIP"};
    return names[status];
}

const char *finding_name(enum finding finding)
{
    static const char *const names[FINDING_COUNT] = {
        [FINDING_NONE] = "none",
        [FINDING_DROPPED] = "dropped",
        [FINDING_STALLED] = "stalled",
        [FINDING_SLOW] = "slow",
        [FINDING_REFUSED] = "refused",
        [FINDING_ACCEPTED] = "accepted",
        [FINDING_RAN_PAYLOAD] = "ran_payload",
        [FINDING_TWICE] = "answered_twice",
        [FINDING_MISCOUNTED] = "miscounted",
        [FINDING_GARBAGE] = "garbage",
        [FINDING_UNTIDY] = "untidy",
        [FINDING_UNREACHABLE] = "unreachable",
        [FINDING_UNFINISHED] = "unfinished",
    };
    return names[finding];
}
