/* The ledger: every verdict, both sides of each condition, and honest ledgers of any message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "milter/transfer.h"
#include "tests/model/bdat_model.h"
#include "tests/model/random.h"

#define MULTIPART "--x\r\nContent-Type: text/plain\r\n\r\n"

/* ---- verdicts at end of message, row by row ---- */

struct message_row {
    const char *name;
    const char *body;   /* as the milter sees it */
    uint64_t header;    /* octets of header and empty line in R */
    int64_t drift;      /* R - D */
    uint64_t chunks[4]; /* all but the last, which takes the rest */
    bool has_size;
    int64_t size;      /* S - D */
    unsigned gathered; /* evidence before */
    bool not_whole, no_count, no_last;
    enum verdict verdict;
    unsigned evidence; /* all bits expected */
};

#define BODY "hello\r\nworld\r\n"

static const struct message_row messages[] = {
    {.name = "match", .body = BODY, .header = 40, .verdict = VERDICT_MATCH},
    {.name = "an empty message", .body = "", .verdict = VERDICT_MATCH},
    {.name = "chunks", .body = BODY, .header = 40, .chunks = {10, 20, 3}, .verdict = VERDICT_MATCH},
    {.name = "no last line end",
     .body = BODY,
     .header = 40,
     .drift = 2,
     .verdict = VERDICT_NORMALIZED,
     .evidence = EVIDENCE_UNTERMINATED},
    {.name = "bare LF",
     .body = BODY,
     .header = 40,
     .drift = 4,
     .verdict = VERDICT_NORMALIZED,
     .evidence = EVIDENCE_BARE_LF},
    {.name = "one bare LF",
     .body = BODY,
     .header = 40,
     .drift = 1,
     .verdict = VERDICT_NORMALIZED,
     .evidence = EVIDENCE_BARE_LF},
    {.name = "CR CR LF",
     .body = BODY,
     .header = 40,
     .drift = -4,
     .verdict = VERDICT_NORMALIZED,
     .evidence = EVIDENCE_EXTRA_CR},
    /* All that line ends can add: 2 lines of the body, 20 of 2 octets each in the header, 2 for the
     * last line's end. */
    {.name = "the most that bare LFs explain",
     .body = BODY,
     .header = 40,
     .drift = 24,
     .verdict = VERDICT_NORMALIZED,
     .evidence = EVIDENCE_BARE_LF},
    {.name = "one more", .body = BODY, .header = 40, .drift = 25, .verdict = VERDICT_MISMATCH},
    {.name = "far too much", .body = BODY, .header = 40, .drift = 53, .verdict = VERDICT_MISMATCH},
    {.name = "the most CRs that Postfix drops",
     .body = BODY,
     .header = 40,
     .drift = -22 * 2048,
     .verdict = VERDICT_NORMALIZED,
     .evidence = EVIDENCE_EXTRA_CR},
    {.name = "more than that",
     .body = BODY,
     .header = 40,
     .drift = -22 * 2048 - 1,
     .verdict = VERDICT_MISMATCH},
    {.name = "CRs lost where no line ended",
     .body = "",
     .header = 1,
     .drift = -1,
     .verdict = VERDICT_MISMATCH},
    /* truncated */
    {.name = "cut in a multipart",
     .body = MULTIPART "a\r\n",
     .header = 40,
     .drift = 2,
     .verdict = VERDICT_TRUNCATED,
     .evidence = EVIDENCE_UNTERMINATED | EVIDENCE_OPEN_MULTIPART},
    {.name = "an open multipart whose last line is whole",
     .body = MULTIPART "a\r\n",
     .header = 40,
     .verdict = VERDICT_MATCH,
     .evidence = EVIDENCE_OPEN_MULTIPART},
    {.name = "an open multipart with bare LFs",
     .body = MULTIPART "a\r\n",
     .header = 40,
     .drift = 3,
     .verdict = VERDICT_NORMALIZED,
     .evidence = EVIDENCE_BARE_LF | EVIDENCE_OPEN_MULTIPART},
    {.name = "a closed multipart, no last line end",
     .body = MULTIPART "a\r\n--x--\r\n",
     .header = 40,
     .drift = 2,
     .verdict = VERDICT_NORMALIZED,
     .evidence = EVIDENCE_UNTERMINATED},
    /* swallowed */
    {.name = "QUIT swallowed",
     .body = BODY "QUIT\r\n",
     .header = 40,
     .has_size = true,
     .size = -6,
     .verdict = VERDICT_SWALLOWED,
     .evidence = EVIDENCE_COMMAND_TAIL},
    {.name = "QUIT, SIZE agrees with D",
     .body = BODY "QUIT\r\n",
     .header = 40,
     .has_size = true,
     .verdict = VERDICT_MATCH,
     .evidence = EVIDENCE_COMMAND_TAIL},
    {.name = "QUIT, no SIZE",
     .body = BODY "QUIT\r\n",
     .header = 40,
     .verdict = VERDICT_MATCH,
     .evidence = EVIDENCE_COMMAND_TAIL},
    {.name = "QUIT, SIZE one octet off",
     .body = BODY "QUIT\r\n",
     .header = 40,
     .has_size = true,
     .size = -5,
     .verdict = VERDICT_MATCH,
     .evidence = EVIDENCE_COMMAND_TAIL},
    {.name = "QUIT, SIZE is larger",
     .body = BODY "QUIT\r\n",
     .header = 40,
     .has_size = true,
     .size = 6,
     .verdict = VERDICT_MATCH,
     .evidence = EVIDENCE_COMMAND_TAIL},
    {.name = "two of three",
     .body = "QUIT\r\nRSET\r\nMAIL FROM:<a@b>\r\n",
     .header = 40,
     .has_size = true,
     .size = -23,
     .verdict = VERDICT_SWALLOWED,
     .evidence = EVIDENCE_COMMAND_TAIL},
    {.name = "cut within the swallowed",
     .body = BODY "QUIT\r\n",
     .header = 40,
     .drift = 2,
     .has_size = true,
     .size = -4,
     .verdict = VERDICT_SWALLOWED,
     .evidence = EVIDENCE_COMMAND_TAIL | EVIDENCE_UNTERMINATED},
    {.name = "a transcript with bare LFs",
     .body = BODY "QUIT\r\n",
     .header = 40,
     .drift = 3,
     .has_size = true,
     .size = -6,
     .verdict = VERDICT_NORMALIZED,
     .evidence = EVIDENCE_COMMAND_TAIL | EVIDENCE_BARE_LF},
    {.name = "LFs counted in SIZE, as some relays do",
     .body = BODY "bye\r\n",
     .header = 40,
     .has_size = true,
     .size = -5,
     .verdict = VERDICT_MATCH},
    {.name = "SIZE=0 says nothing",
     .body = "QUIT\r\n",
     .has_size = true,
     .size = -6,
     .verdict = VERDICT_MATCH,
     .evidence = EVIDENCE_COMMAND_TAIL},
    {.name = "BDAT swallowed at a chunk's end",
     .body = "aaa\r\nBDAT 7\r\nbbb\r\n",
     .header = 10,
     .chunks = {23},
     .has_size = true,
     .size = -8,
     .verdict = VERDICT_SWALLOWED,
     .evidence = EVIDENCE_COMMAND_TAIL},
    {.name = "BDAT at a chunk's end, no SIZE",
     .body = "aaa\r\nBDAT 7\r\nbbb\r\n",
     .header = 10,
     .chunks = {23},
     .verdict = VERDICT_MATCH,
     .evidence = EVIDENCE_COMMAND_TAIL},
    {.name = "BDAT not at a chunk's end",
     .body = "aaa\r\nBDAT 7\r\nbbb\r\n",
     .header = 10,
     .chunks = {22},
     .has_size = true,
     .size = -8,
     .verdict = VERDICT_MATCH},
    /* dot_stuffed */
    {.name = "a lone dot",
     .body = BODY ".\r\n",
     .header = 40,
     .verdict = VERDICT_DOT_STUFFED,
     .evidence = EVIDENCE_LONE_DOT},
    {.name = "a lone dot and another line with one",
     .body = ".x\r\n.\r\n",
     .header = 40,
     .verdict = VERDICT_MATCH},
    {.name = "two dots", .body = BODY "..\r\n", .header = 40, .verdict = VERDICT_MATCH},
    /* size_exceeded; the slack is 100 */
    {.name = "D within the slack",
     .body = BODY,
     .header = 400,
     .has_size = true,
     .size = -100,
     .verdict = VERDICT_MATCH},
    {.name = "D beyond the slack",
     .body = BODY,
     .header = 400,
     .has_size = true,
     .size = -101,
     .verdict = VERDICT_SIZE_EXCEEDED,
     .evidence = EVIDENCE_SIZE_EXCEEDED},
    {.name = "SIZE far above",
     .body = BODY,
     .header = 400,
     .has_size = true,
     .size = 100000,
     .verdict = VERDICT_MATCH},
    /* what was gathered before */
    {.name = "a limit",
     .body = BODY,
     .header = 40,
     .gathered = EVIDENCE_MAX_CHUNK,
     .verdict = VERDICT_REFUSED,
     .evidence = EVIDENCE_MAX_CHUNK},
    {.name = "too many chunks",
     .body = BODY,
     .header = 40,
     .gathered = EVIDENCE_MAX_CHUNKS,
     .verdict = VERDICT_REFUSED,
     .evidence = EVIDENCE_MAX_CHUNKS},
    {.name = "too small",
     .body = BODY,
     .header = 40,
     .gathered = EVIDENCE_MIN_CHUNK,
     .verdict = VERDICT_REFUSED,
     .evidence = EVIDENCE_MIN_CHUNK},
    {.name = "too large",
     .body = BODY,
     .header = 40,
     .gathered = EVIDENCE_MAX_MESSAGE,
     .verdict = VERDICT_REFUSED,
     .evidence = EVIDENCE_MAX_MESSAGE},
    {.name = "BINARYMIME",
     .body = BODY,
     .header = 40,
     .gathered = EVIDENCE_BINARYMIME,
     .verdict = VERDICT_REFUSED,
     .evidence = EVIDENCE_BINARYMIME},
    {.name = "a foreign line between chunks",
     .body = BODY,
     .header = 40,
     .chunks = {10},
     .gathered = EVIDENCE_FOREIGN_INPUT,
     .verdict = VERDICT_DESYNCHRONIZED,
     .evidence = EVIDENCE_FOREIGN_INPUT},
    {.name = "MAIL between chunks",
     .body = BODY,
     .header = 40,
     .chunks = {10},
     .gathered = EVIDENCE_NESTED_MAIL,
     .verdict = VERDICT_DESYNCHRONIZED,
     .evidence = EVIDENCE_NESTED_MAIL},
    /* unverified */
    {.name = "not seen from its begin",
     .body = BODY,
     .header = 40,
     .drift = 5000,
     .not_whole = true,
     .verdict = VERDICT_UNVERIFIED},
    {.name = "no count",
     .body = BODY,
     .header = 40,
     .no_count = true,
     .verdict = VERDICT_UNVERIFIED},
    {.name = "no LAST seen",
     .body = BODY,
     .header = 40,
     .no_last = true,
     .verdict = VERDICT_UNVERIFIED},
};

static void fill(struct transfer *transfer, const struct message_row *row)
{
    uint64_t received = row->header + strlen(row->body);
    uint64_t declared = (uint64_t)((int64_t)received - row->drift), left = declared;
    transfer_reset(transfer);
    transfer->whole = !row->not_whole;
    transfer->has_received = !row->no_count;
    transfer->received = received;
    transfer->evidence = row->gathered;
    transfer->has_size = row->has_size;
    transfer->size = (uint64_t)((int64_t)declared + row->size);
    for (size_t i = 0; i < 4 && row->chunks[i] > 0; i++) {
        transfer_add_chunk(transfer, row->chunks[i], false, 0);
        left -= row->chunks[i];
    }
    transfer_add_chunk(transfer, left, !row->no_last, 0);
}

static void test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        const struct message_row *row = &messages[i];
        struct transfer transfer = {0};
        struct content content;
        fill(&transfer, row);
        content_reset(&content);
        content_feed(&content, row->body, strlen(row->body));
        content_finish(&content);
        struct judgement got = transfer_judge_message(&transfer, &content, 100);
        if (got.verdict != row->verdict || got.evidence != row->evidence)
            fail_msg("%s: %s with evidence %#x, wanted %s with %#x", row->name,
                     verdict_name(got.verdict), got.evidence, verdict_name(row->verdict),
                     row->evidence);
        assert_int_equal(transfer_drift(&transfer), row->no_count ? 0 : row->drift);
    }
}

static void test_no_slack_means_no_comparison(void **state)
{
    (void)state;
    struct message_row row = {.body = BODY, .header = 400, .has_size = true, .size = -413};
    struct transfer transfer = {0};
    struct content content;
    fill(&transfer, &row);
    content_reset(&content);
    content_feed(&content, BODY, strlen(BODY));
    assert_int_equal(transfer_judge_message(&transfer, &content, 0).verdict, VERDICT_MATCH);
    assert_int_equal(transfer_judge_message(&transfer, &content, 1).verdict, VERDICT_SIZE_EXCEEDED);
}

/* A filter before us made the body longer than all that was received: nothing is read into it. */
static void test_a_changed_body(void **state)
{
    (void)state;
    static const char body[] = MULTIPART "a new body\r\nQUIT\r\n.\r\n";
    for (int64_t drift = 0; drift <= 8; drift++) {
        struct transfer transfer = {.id = 1};
        struct content content;
        transfer_reset(&transfer);
        transfer.whole = transfer.has_received = transfer.has_size = true;
        transfer.received = 12;
        transfer.size = 6;
        transfer_add_chunk(&transfer, (uint64_t)(12 - drift), true, 0);
        content_reset(&content);
        content_feed(&content, body, strlen(body));
        struct judgement got = transfer_judge_message(&transfer, &content, 0);
        assert_true(got.evidence & EVIDENCE_CHANGED_BODY);
        assert_int_equal(got.verdict, drift == 0 ? VERDICT_MATCH : VERDICT_NORMALIZED);
    }
}

/* A filter before us took most of the body away; the lines had all been bare LFs. */
static void test_a_shortened_body(void **state)
{
    (void)state;
    struct message_row row = {
        .body = "gone\r\n", .header = 20000, .drift = 10000, .verdict = VERDICT_NORMALIZED};
    struct transfer transfer = {0};
    struct content content;
    fill(&transfer, &row);
    content_reset(&content);
    content_feed(&content, row.body, strlen(row.body));
    assert_int_equal(transfer_judge_message(&transfer, &content, 0).verdict, VERDICT_NORMALIZED);
}

/* A long line that Postfix did not cut, since its limit was raised: D = R and no word more. */
static void test_a_raised_line_length_limit(void **state)
{
    (void)state;
    char body[9000];
    struct transfer transfer = {0};
    struct content content;
    memset(body, 'x', sizeof(body));
    memcpy(body + sizeof(body) - 2, "\r\n", 2);
    transfer_reset(&transfer);
    transfer.whole = transfer.has_received = true;
    transfer.received = sizeof(body);
    transfer_add_chunk(&transfer, sizeof(body), true, 0);
    content_reset(&content);
    content_feed(&content, body, sizeof(body));
    struct judgement got = transfer_judge_message(&transfer, &content, 0);
    assert_int_equal(got.verdict, VERDICT_MATCH);
    assert_int_equal(got.evidence, 0);
    transfer.received += 8;
    got = transfer_judge_message(&transfer, &content, 0);
    assert_int_equal(got.verdict, VERDICT_NORMALIZED);
    assert_int_equal(got.evidence, EVIDENCE_LONG_LINES);
    transfer.received += 2;
    got = transfer_judge_message(&transfer, &content, 0);
    assert_int_equal(got.evidence, EVIDENCE_LONG_LINES | EVIDENCE_UNTERMINATED);
}

/* ---- transfers that never came to end of message ---- */

struct ending_row {
    const char *name;
    bool not_offered, not_whole, not_admitted, last, received, followed, no_policy, no_milter;
    bool null_chunk, gone;
    uint64_t octets, size, largest;   /* D, if not 2728; SIZE, if any; the largest R ever */
    unsigned evidence, more_evidence; /* before, and added by the judgement */
    enum transfer_ending ending;
    int64_t after_ms; /* since the last chunk */
    enum verdict verdict;
};

#define BY_SESSION TRANSFER_ENDED_BY_SESSION
#define BY_COMMAND TRANSFER_ENDED_BY_COMMAND

static const struct ending_row endings[] = {
    {.name = "stalled",
     .last = true,
     .ending = BY_SESSION,
     .after_ms = 30000,
     .verdict = VERDICT_STALLED},
    {.name = "a moment sooner",
     .last = true,
     .ending = BY_SESSION,
     .after_ms = 29999,
     .verdict = VERDICT_LOST},
    {.name = "lost at once", .last = true, .ending = BY_SESSION, .verdict = VERDICT_LOST},
    {.name = "stalled before LAST",
     .ending = BY_SESSION,
     .after_ms = 300000,
     .verdict = VERDICT_STALLED},
    {.name = "a command came after the chunk",
     .followed = true,
     .ending = BY_SESSION,
     .after_ms = 300000,
     .verdict = VERDICT_ABANDONED},
    {.name = "given up", .ending = BY_COMMAND, .verdict = VERDICT_ABANDONED},
    {.name = "refused after LAST",
     .last = true,
     .ending = BY_COMMAND,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "all received, refused by another filter",
     .last = true,
     .received = true,
     .ending = BY_COMMAND,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "all received, session over",
     .last = true,
     .received = true,
     .ending = BY_SESSION,
     .after_ms = 300000,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "all received, our milter was not asked",
     .last = true,
     .received = true,
     .no_milter = true,
     .ending = BY_COMMAND,
     .verdict = VERDICT_UNVERIFIED},
    {.name = "not taken by Postfix",
     .not_admitted = true,
     .last = true,
     .ending = BY_COMMAND,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "not taken, then silence",
     .not_admitted = true,
     .last = true,
     .ending = BY_SESSION,
     .after_ms = 300000,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "no policy service",
     .not_admitted = true,
     .no_policy = true,
     .last = true,
     .ending = BY_COMMAND,
     .verdict = VERDICT_UNVERIFIED},
    {.name = "begun before us, not admitted",
     .not_admitted = true,
     .not_whole = true,
     .ending = BY_SESSION,
     .after_ms = 300000,
     .verdict = VERDICT_UNVERIFIED},
    {.name = "desynchronized",
     .evidence = EVIDENCE_FOREIGN_INPUT,
     .followed = true,
     .ending = BY_COMMAND,
     .verdict = VERDICT_DESYNCHRONIZED},
    {.name = "foreign lines after a refusal",
     .evidence = EVIDENCE_FOREIGN_INPUT,
     .followed = true,
     .not_admitted = true,
     .ending = BY_COMMAND,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "MAIL after a chunk that failed",
     .evidence = EVIDENCE_NESTED_MAIL,
     .followed = true,
     .ending = BY_COMMAND,
     .verdict = VERDICT_ABANDONED},
    {.name = "not offered",
     .not_offered = true,
     .last = true,
     .ending = BY_SESSION,
     .after_ms = 300000,
     .verdict = VERDICT_NOT_OFFERED},
    {.name = "not offered, and beyond a limit",
     .not_offered = true,
     .evidence = EVIDENCE_MAX_CHUNK,
     .ending = BY_SESSION,
     .verdict = VERDICT_NOT_OFFERED},
    {.name = "beyond a limit",
     .evidence = EVIDENCE_MAX_MESSAGE,
     .ending = BY_COMMAND,
     .verdict = VERDICT_REFUSED},
    {.name = "malformed",
     .evidence = EVIDENCE_MALFORMED,
     .ending = BY_SESSION,
     .after_ms = 300000,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "guarded",
     .evidence = EVIDENCE_GUARDED,
     .ending = BY_SESSION,
     .after_ms = 300000,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    /* the policy service is asked at the end only */
    {.name = "received and never admitted",
     .not_admitted = true,
     .last = true,
     .received = true,
     .ending = BY_COMMAND,
     .verdict = VERDICT_UNVERIFIED},
    {.name = "received and never admitted, no milter",
     .not_admitted = true,
     .no_milter = true,
     .last = true,
     .received = true,
     .ending = BY_SESSION,
     .verdict = VERDICT_UNVERIFIED},
    /* an empty chunk without LAST */
    {.name = "a null chunk in the middle, lost",
     .null_chunk = true,
     .ending = BY_SESSION,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "a null chunk in the middle, stalled",
     .null_chunk = true,
     .last = true,
     .ending = BY_SESSION,
     .after_ms = 300000,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "a null chunk in the middle, given up",
     .null_chunk = true,
     .ending = BY_COMMAND,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "a null chunk at the begin, and no policy service",
     .null_chunk = true,
     .not_admitted = true,
     .no_policy = true,
     .ending = BY_SESSION,
     .after_ms = 300000,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "a null chunk, and all was received: this server takes them",
     .null_chunk = true,
     .last = true,
     .received = true,
     .no_milter = true,
     .ending = BY_COMMAND,
     .verdict = VERDICT_UNVERIFIED},
    {.name = "a null chunk, and lines between the chunks",
     .null_chunk = true,
     .evidence = EVIDENCE_FOREIGN_INPUT,
     .ending = BY_COMMAND,
     .verdict = VERDICT_DESYNCHRONIZED},
    /* Postfix may have refused it for its size */
    {.name = "as much as the default limit",
     .octets = TRANSFER_DEFAULT_SIZE_LIMIT,
     .last = true,
     .ending = BY_SESSION,
     .verdict = VERDICT_LOST},
    {.name = "more than the default limit, lost",
     .octets = TRANSFER_DEFAULT_SIZE_LIMIT + 1,
     .last = true,
     .ending = BY_SESSION,
     .more_evidence = EVIDENCE_SIZE_UNKNOWN,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "more than the default limit, stalled before LAST",
     .octets = TRANSFER_DEFAULT_SIZE_LIMIT + 1,
     .ending = BY_SESSION,
     .after_ms = 300000,
     .more_evidence = EVIDENCE_SIZE_UNKNOWN,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "beyond all bounds",
     .octets = UINT64_MAX,
     .last = true,
     .ending = BY_SESSION,
     .more_evidence = EVIDENCE_SIZE_UNKNOWN,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "more than the default limit, as others before",
     .octets = TRANSFER_DEFAULT_SIZE_LIMIT + 1,
     .largest = TRANSFER_DEFAULT_SIZE_LIMIT + 1,
     .last = true,
     .ending = BY_SESSION,
     .after_ms = 30000,
     .verdict = VERDICT_STALLED},
    {.name = "more than any before",
     .octets = TRANSFER_DEFAULT_SIZE_LIMIT + 2,
     .largest = TRANSFER_DEFAULT_SIZE_LIMIT + 1,
     .last = true,
     .ending = BY_SESSION,
     .more_evidence = EVIDENCE_SIZE_UNKNOWN,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "small ones before say nothing",
     .octets = TRANSFER_DEFAULT_SIZE_LIMIT,
     .largest = 100,
     .last = true,
     .ending = BY_SESSION,
     .verdict = VERDICT_LOST},
    {.name = "MAIL was taken with that SIZE",
     .octets = TRANSFER_DEFAULT_SIZE_LIMIT + 1,
     .size = TRANSFER_DEFAULT_SIZE_LIMIT + 1,
     .last = true,
     .ending = BY_SESSION,
     .verdict = VERDICT_LOST},
    {.name = "MAIL was taken with a smaller SIZE",
     .octets = TRANSFER_DEFAULT_SIZE_LIMIT + 2,
     .size = TRANSFER_DEFAULT_SIZE_LIMIT + 1,
     .last = true,
     .ending = BY_SESSION,
     .more_evidence = EVIDENCE_SIZE_UNKNOWN,
     .verdict = VERDICT_FAILED_ELSEWHERE},
    {.name = "large, and given up",
     .octets = TRANSFER_DEFAULT_SIZE_LIMIT + 1,
     .ending = BY_COMMAND,
     .verdict = VERDICT_ABANDONED},
    {.name = "large, and Postfix is gone",
     .octets = TRANSFER_DEFAULT_SIZE_LIMIT + 1,
     .gone = true,
     .last = true,
     .ending = BY_SESSION,
     .more_evidence = EVIDENCE_SERVER_GONE,
     .verdict = VERDICT_FAILED_ELSEWHERE},
};

static void test_endings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        const struct ending_row *row = &endings[i];
        struct transfer transfer = {0};
        struct hooks_seen seen = {
            .policy = !row->no_policy, .milter = !row->no_milter, .largest = row->largest};
        transfer_reset(&transfer);
        if (row->null_chunk)
            transfer_add_chunk(&transfer, 0, false, 900);
        transfer_add_chunk(&transfer, row->octets > 0 ? row->octets : 2728, row->last, 1000);
        assert_int_equal(transfer.null_chunk, row->null_chunk);
        transfer.has_size = row->size > 0;
        transfer.size = row->size;
        transfer.server_gone = row->gone;
        transfer.offered = !row->not_offered;
        transfer.whole = !row->not_whole;
        transfer.admitted = !row->not_admitted;
        transfer.has_received = row->received;
        transfer.command_followed = row->followed;
        transfer.evidence = row->evidence;
        struct judgement got =
            transfer_judge_ending(&transfer, row->ending, &seen, 1000 + row->after_ms, 30);
        if (got.verdict != row->verdict || got.evidence != (row->evidence | row->more_evidence))
            fail_msg("%s: %s, wanted %s", row->name, verdict_name(got.verdict),
                     verdict_name(row->verdict));
    }
}

/* ---- the ledger itself ---- */

static void test_chunks_are_counted(void **state)
{
    (void)state;
    struct transfer transfer = {0};
    transfer_reset(&transfer);
    assert_int_equal(transfer.id, 1);
    for (uint64_t i = 0; i < TRANSFER_CHUNKS_KEPT + 10; i++)
        transfer_add_chunk(&transfer, i, false, (int64_t)i);
    assert_int_equal(transfer.chunk_count, TRANSFER_CHUNKS_KEPT + 10);
    assert_int_equal(transfer.chunks[TRANSFER_CHUNKS_KEPT - 1], TRANSFER_CHUNKS_KEPT - 1);
    assert_int_equal(transfer.declared, 73 * 74 / 2);
    assert_int_equal(transfer.last_chunk_ms, TRANSFER_CHUNKS_KEPT + 9);
    transfer.command_followed = true;
    transfer_add_chunk(&transfer, UINT64_MAX, true, 0);
    assert_true(transfer.declared == UINT64_MAX);
    assert_true(transfer.last && !transfer.command_followed);
    assert_true(transfer.null_chunk);
    assert_int_equal(transfer_drift(&transfer), 0);
    transfer_reset(&transfer);
    assert_int_equal(transfer.id, 2);
    assert_false(transfer.null_chunk);
    transfer_add_chunk(&transfer, 0, true, 0);
    assert_false(transfer.null_chunk); /* an empty last chunk is as good as any */
    transfer_reset(&transfer);
    assert_int_equal(transfer.chunk_count + transfer.declared, 0);
    assert_true(transfer.offered);
}

/* ---- honest ledgers ---- */

#define MESSAGE_SIZE 30000

struct honest {
    char message[MESSAGE_SIZE];
    char text[3 * MESSAGE_SIZE + 16];
    char line[5000];
    size_t length;
    struct bdat_model model;
    struct transfer transfer;
};

/* Octets of every kind: line ends sound and unsound, long runs, dots, NULs, 8 bit. */
static void make_message(struct honest *honest, struct random *random)
{
    static const size_t runs[] = {1, 3, 76, 510, 2046, 2047, 2048, 2049, 4096, 5000};
    size_t wanted = random_below(random, random_below(random, 4) ? 400 : MESSAGE_SIZE);
    size_t style = random_below(random, 5);
    honest->length = 0;
    while (honest->length < wanted) {
        size_t run = 1;
        char octet = (char)random_below(random, 256);
        switch (random_below(random, 8)) {
        case 0:
            run = runs[random_below(random, sizeof(runs) / sizeof(runs[0]))];
            octet = 'x';
            break;
        case 1:
            run = random_below(random, style == 0 ? 3000 : 3);
            octet = '\r';
            break;
        case 2:
            octet = '.';
            break;
        case 3:
        case 4:
            if (style >= 2 && honest->length + 2 <= wanted) {
                memcpy(honest->message + honest->length, "\r\n", 2);
                honest->length += 2;
                continue;
            }
            octet = '\n';
            break;
        default:
            break;
        }
        for (; run > 0 && honest->length < wanted; run--)
            honest->message[honest->length++] = octet;
    }
}

static void send_chunks(struct honest *honest, struct random *random, size_t limit)
{
    size_t done = 0;
    bool tiny = random_below(random, 4) == 0;
    bdat_model_begin(&honest->model, limit, honest->text, sizeof(honest->text), honest->line);
    transfer_reset(&honest->transfer);
    honest->transfer.whole = true;
    for (bool last = false; !last;) {
        size_t left = honest->length - done;
        size_t chunk = left > 0 ? random_below(random, tiny ? 9 : left) + 1 : 0;
        chunk = chunk < left ? chunk : left;
        last = done + chunk == honest->length && (chunk == 0 || random_below(random, 2) == 0);
        bdat_model_take_chunk(&honest->model, honest->message + done, chunk, last);
        transfer_add_chunk(&honest->transfer, chunk, last, 0);
        done += chunk;
    }
    honest->transfer.has_received = true;
    honest->transfer.received = honest->model.received;
}

/* Any line may be the one where the header ends. */
static size_t find_body(const struct honest *honest, struct random *random)
{
    size_t body = 0;
    for (size_t lines = random_below(random, 12); lines > 0; lines--) {
        const char *rest = honest->text + body;
        const char *end = memchr(rest, '\n', honest->model.text_length - body);
        if (end == NULL)
            break;
        body += (size_t)(end - rest) + 1;
    }
    return body;
}

static void test_the_formula_of_the_model(void **state)
{
    (void)state;
    static struct honest honest;
    struct random random = {1652};
    for (int round = 0; round < 4000; round++) {
        make_message(&honest, &random);
        send_chunks(&honest, &random, round % 3 ? CONTENT_LINE_LIMIT : 4096);
        const struct bdat_model *model = &honest.model;
        int64_t drift = (int64_t)model->received - (int64_t)model->declared;
        int64_t formula = (int64_t)(model->bare_lf + 2 * model->unended + 2 * model->cuts) -
                          (int64_t)model->extra_cr;
        if (drift != formula || drift != transfer_drift(&honest.transfer))
            fail_msg("round %d: R - D = %jd, formula %jd", round, (intmax_t)drift,
                     (intmax_t)formula);
    }
}

static void test_honest_ledgers_never_suffer(void **state)
{
    (void)state;
    static struct honest honest;
    struct random random = {8314};
    for (int round = 0; round < 6000; round++) {
        struct content content;
        make_message(&honest, &random);
        send_chunks(&honest, &random, CONTENT_LINE_LIMIT);
        size_t body = find_body(&honest, &random);
        content_reset(&content);
        content_feed(&content, honest.text + body, honest.model.text_length - body);
        content_finish(&content);
        struct judgement got = transfer_judge_message(&honest.transfer, &content, 65536);
        bool sound = got.verdict ==
                     (transfer_drift(&honest.transfer) == 0 ? VERDICT_MATCH : VERDICT_NORMALIZED);
        if (content_ends_in_lone_dot(&content))
            sound = got.verdict == VERDICT_DOT_STUFFED;
        if (!sound)
            fail_msg("round %d: %s, D %ju R %ju", round, verdict_name(got.verdict),
                     (uintmax_t)honest.model.declared, (uintmax_t)honest.model.received);
    }
}

/* The model itself, by hand: what was measured on Postfix 3.7.11. */
static void test_the_model_by_hand(void **state)
{
    (void)state;
    static const struct {
        const char *chunks[4];
        uint64_t received;
        const char *text;
    } cases[] = {
        {{""}, 0, ""},
        {{"a\r\n"}, 3, "a\r\n"},
        {{"a\n"}, 3, "a\r\n"},
        {{"a"}, 3, "a\r\n"},
        {{"a\r"}, 4, "a\r\r\n"},
        {{"a\r\r\n"}, 3, "a\r\n"},
        {{"a\rb\r\n"}, 5, "a\rb\r\n"},
        {{"a\r", "\nb\r\n"}, 6, "a\r\nb\r\n"},
        {{"a\r", "b\r\n"}, 5, "a\rb\r\n"},
        {{"a", "b", "c\r\n"}, 5, "abc\r\n"},
        {{"a\r\n", ""}, 3, "a\r\n"},
        {{"a", ""}, 3, "a\r\n"},
        {{"\r\n\r\n"}, 4, "\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64], line[CONTENT_LINE_LIMIT + 2];
        struct bdat_model model;
        bdat_model_begin(&model, CONTENT_LINE_LIMIT, text, sizeof(text), line);
        for (size_t k = 0; k < 4 && cases[i].chunks[k] != NULL; k++)
            bdat_model_take_chunk(&model, cases[i].chunks[k], strlen(cases[i].chunks[k]),
                                  k == 3 || cases[i].chunks[k + 1] == NULL);
        if (model.received != cases[i].received || model.text_length != strlen(cases[i].text) ||
            memcmp(text, cases[i].text, model.text_length) != 0)
            fail_msg("case %zu: R %ju, \"%.*s\"", i, (uintmax_t)model.received,
                     (int)model.text_length, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_no_slack_means_no_comparison),
        cmocka_unit_test(test_a_changed_body),
        cmocka_unit_test(test_a_shortened_body),
        cmocka_unit_test(test_a_raised_line_length_limit),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_chunks_are_counted),
        cmocka_unit_test(test_the_model_by_hand),
        cmocka_unit_test(test_the_formula_of_the_model),
        cmocka_unit_test(test_honest_ledgers_never_suffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
