#include "milter/transfer.h"

#include <string.h>

/* Trailing command lines that are looked at; more are surely a transcript. */
#define COMMAND_TAIL_LINES 8

/* A line counts at least two octets in R, its line end. */
#define LINE_OCTETS 2

void transfer_reset(struct transfer *transfer)
{
    uint64_t id = transfer->id;
    memset(transfer, 0, sizeof(*transfer));
    transfer->id = id + 1;
    transfer->offered = true;
}

void transfer_add_chunk(struct transfer *transfer, uint64_t octets, bool last, int64_t now_ms)
{
    if (transfer->chunk_count < TRANSFER_CHUNKS_KEPT)
        transfer->chunks[transfer->chunk_count] = octets;
    transfer->chunk_count++;
    transfer->declared =
        octets > UINT64_MAX - transfer->declared ? UINT64_MAX : transfer->declared + octets;
    transfer->last = last;
    transfer->null_chunk |= octets == 0 && !last;
    transfer->last_chunk_ms = now_ms;
    transfer->command_followed = false;
}

void transfer_copy_printable(char *target, size_t size, const char *text, size_t length)
{
    size_t taken = length < size - 1 ? length : size - 1;
    for (size_t i = 0; i < taken; i++)
        target[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    target[taken] = '\0';
}

int64_t transfer_drift(const struct transfer *transfer)
{
    if (!transfer->has_received)
        return 0;
    return (int64_t)(transfer->received - transfer->declared);
}

/* What line ends can do to the octets of this message, at the most. */
struct bounds {
    int64_t lines;  /* line ends, so bare LFs */
    int64_t splits; /* cuts of long lines */
};

/* The header is not seen: its octets are what R has beyond the body, if no filter before us
 * changed the body. What such a filter took away counts as header here. */
static struct bounds find_bounds(const struct transfer *transfer, const struct content *content,
                                 bool changed)
{
    int64_t received = (int64_t)transfer->received;
    if (changed)
        return (struct bounds){received / LINE_OCTETS, received / CONTENT_LINE_LIMIT_MIN};
    int64_t header = received - (int64_t)content->octets;
    return (struct bounds){
        (int64_t)content->lines + header / LINE_OCTETS,
        (int64_t)content->splits_most + header / CONTENT_LINE_LIMIT_MIN,
    };
}

/* True if line ends explain the drift wholly. Postfix drops the CRs before a CRLF as far as
 * they are in its line buffer. */
static bool is_explained(int64_t drift, const struct bounds *bounds)
{
    if (drift >= 0)
        return drift <= bounds->lines + 2 + 2 * bounds->splits;
    return -drift <= CONTENT_LINE_LIMIT * bounds->lines;
}

/* What long lines leave of the drift. Where line_length_limit was raised they have no part in
 * it: then all is left. */
static int64_t find_residual(int64_t drift, const struct content *content)
{
    int64_t cuts = 2 * (int64_t)content->splits;
    return drift >= cuts ? drift - cuts : drift;
}

/* Names the likeliest parts of an explained drift; `residual` is what long lines leave. */
static unsigned explain_drift(int64_t drift, int64_t residual)
{
    unsigned evidence = drift != residual ? EVIDENCE_LONG_LINES : 0;
    if (residual == 2)
        return evidence | EVIDENCE_UNTERMINATED;
    if (residual > 0)
        return evidence | EVIDENCE_BARE_LF;
    return residual < 0 ? evidence | EVIDENCE_EXTRA_CR : evidence;
}

/* The octets by which SIZE says the message is shorter than declared; 0 if it does not. */
static uint64_t missing_by_size(const struct transfer *transfer)
{
    return transfer->has_size && transfer->size > 0 && transfer->size < transfer->declared
               ? transfer->declared - transfer->size
               : 0;
}

/* Commands at the end of the content; SIZE may say that they were meant as commands. */
static bool look_at_tail(const struct transfer *transfer, const struct content *content,
                         int64_t residual, unsigned *evidence)
{
    uint64_t sums[COMMAND_TAIL_LINES];
    size_t count = content_command_tail(content, sums, COMMAND_TAIL_LINES);
    uint64_t missing = missing_by_size(transfer);
    uint64_t added = residual == 2 ? 2 : 0; /* the line end that Postfix gave the last line */
    if (count > 0)
        *evidence |= EVIDENCE_COMMAND_TAIL;
    if (residual != 0 && residual != 2)
        return false;
    for (size_t i = 0; i < count; i++)
        if (missing > 0 && sums[i] - added == missing)
            return true;
    return false;
}

/* BDAT lines in the text that end where a chunk ends. Only where R = D are body offsets sure. */
static bool look_at_boundaries(const struct transfer *transfer, const struct content *content,
                               unsigned *evidence)
{
    uint64_t header = transfer->received - content->octets;
    uint64_t missing = missing_by_size(transfer);
    uint64_t boundary = 0;
    for (uint64_t i = 0; i + 1 < transfer->chunk_count && i < TRANSFER_CHUNKS_KEPT; i++) {
        boundary += transfer->chunks[i];
        for (unsigned k = 0; k < content->command_count; k++) {
            if (header + content->command_ends[k] != boundary)
                continue;
            *evidence |= EVIDENCE_COMMAND_TAIL;
            if (missing > 0 && content->command_lengths[k] == missing)
                return true;
        }
    }
    return false;
}

static bool exceeds_size(const struct transfer *transfer, uint64_t slack)
{
    return slack > 0 && transfer->has_size && transfer->size > 0 &&
           transfer->declared > transfer->size && transfer->declared - transfer->size > slack;
}

struct judgement transfer_judge_message(const struct transfer *transfer,
                                        const struct content *content, uint64_t size_slack)
{
    struct judgement result = {VERDICT_UNVERIFIED, transfer->evidence};
    if (!transfer->whole || !transfer->has_received || !transfer->last)
        return result;

    bool changed = content->octets > transfer->received;
    int64_t drift = transfer_drift(transfer);
    int64_t residual = find_residual(drift, content);
    struct bounds bounds = find_bounds(transfer, content, changed);
    bool swallowed = false;
    if (changed) {
        result.evidence |= EVIDENCE_CHANGED_BODY;
    } else {
        swallowed = look_at_tail(transfer, content, residual, &result.evidence);
        if (drift == 0)
            swallowed |= look_at_boundaries(transfer, content, &result.evidence);
        if (content_has_open_multipart(content))
            result.evidence |= EVIDENCE_OPEN_MULTIPART;
        if (content_ends_in_lone_dot(content))
            result.evidence |= EVIDENCE_LONE_DOT;
    }
    if (exceeds_size(transfer, size_slack))
        result.evidence |= EVIDENCE_SIZE_EXCEEDED;
    if (is_explained(drift, &bounds))
        result.evidence |= explain_drift(drift, residual);

    if (result.evidence & EVIDENCE_OF_LIMITS)
        result.verdict = VERDICT_REFUSED;
    else if (result.evidence & (EVIDENCE_FOREIGN_INPUT | EVIDENCE_NESTED_MAIL))
        result.verdict = VERDICT_DESYNCHRONIZED;
    else if (!is_explained(drift, &bounds))
        result.verdict = VERDICT_MISMATCH;
    else if (swallowed)
        result.verdict = VERDICT_SWALLOWED;
    else if (residual == 2 && (result.evidence & EVIDENCE_OPEN_MULTIPART))
        result.verdict = VERDICT_TRUNCATED;
    else if (result.evidence & EVIDENCE_LONE_DOT)
        result.verdict = VERDICT_DOT_STUFFED;
    else if (result.evidence & EVIDENCE_SIZE_EXCEEDED)
        result.verdict = VERDICT_SIZE_EXCEEDED;
    else
        result.verdict = drift == 0 ? VERDICT_MATCH : VERDICT_NORMALIZED;
    return result;
}

/* Postfix gives a message back (milter abort) when it refuses it, and when the session is over.
 * If the session lasted longer than this afterwards, it was a refusal, milliseconds. */
#define ABORT_GRACE_MS 10

static bool was_refused(const struct transfer *transfer, int64_t now_ms)
{
    return transfer->aborted_ms > 0 && now_ms - transfer->aborted_ms >= ABORT_GRACE_MS;
}

/* A chunk beyond message_size_limit is read, dropped and answered 552, after policy service and
 * milter were asked at its begin, and nothing tells them (smtpd.c, bdat_cmd()). The limit is not
 * below what MAIL was taken with as SIZE (smtpd_check_size()). */
static bool may_exceed_size_limit(const struct transfer *transfer, const struct hooks_seen *seen)
{
    uint64_t known = TRANSFER_DEFAULT_SIZE_LIMIT;
    if (seen->largest > known)
        known = seen->largest;
    if (transfer->has_size && transfer->size > known)
        known = transfer->size;
    return transfer->declared > known;
}

/* The octets were announced, Postfix took the transfer, and then the session was over. */
static void judge_vanished(const struct transfer *transfer, const struct hooks_seen *seen,
                           int64_t silence_ms, int64_t stall_seconds, struct judgement *result)
{
    if (may_exceed_size_limit(transfer, seen))
        result->evidence |= EVIDENCE_SIZE_UNKNOWN; /* the client had its answer, maybe */
    else
        result->verdict = silence_ms >= stall_seconds * 1000 ? VERDICT_STALLED : VERDICT_LOST;
}

/* The policy service was not asked at the begin of the transfer: Postfix refused it, or
 * smtpd_data_restrictions lacks us. */
static enum verdict judge_not_admitted(const struct transfer *transfer,
                                       const struct hooks_seen *seen)
{
    if (transfer->has_received)
        return VERDICT_UNVERIFIED;
    if (transfer->null_chunk)
        return VERDICT_FAILED_ELSEWHERE;
    return transfer->whole && seen->policy ? VERDICT_FAILED_ELSEWHERE : VERDICT_UNVERIFIED;
}

struct judgement transfer_judge_ending(const struct transfer *transfer,
                                       enum transfer_ending ending, const struct hooks_seen *seen,
                                       int64_t now_ms, int64_t stall_seconds)
{
    struct judgement result = {VERDICT_FAILED_ELSEWHERE, transfer->evidence};
    if (transfer->server_gone)
        result.evidence |= EVIDENCE_SERVER_GONE;
    if (!transfer->offered)
        result.verdict = VERDICT_NOT_OFFERED;
    else if (transfer->evidence & EVIDENCE_OF_LIMITS)
        result.verdict = VERDICT_REFUSED;
    else if (transfer->evidence & (EVIDENCE_MALFORMED | EVIDENCE_GUARDED))
        result.verdict = VERDICT_FAILED_ELSEWHERE; /* Postfix answers and hangs up */
    else if (!transfer->admitted)
        result.verdict = judge_not_admitted(transfer, seen);
    else if (transfer->evidence & EVIDENCE_FOREIGN_INPUT)
        result.verdict = VERDICT_DESYNCHRONIZED;
    else if (transfer->has_received)
        result.verdict = seen->milter ? VERDICT_FAILED_ELSEWHERE : VERDICT_UNVERIFIED;
    else if (transfer->server_gone || transfer->null_chunk || was_refused(transfer, now_ms))
        result.verdict = VERDICT_FAILED_ELSEWHERE;
    else if (ending == TRANSFER_ENDED_BY_SESSION && !transfer->command_followed) {
        /* Postfix reads no octet before the milter has seen the begin: if it has not, another
         * restriction or filter refused the transfer. */
        if (seen->milter)
            judge_vanished(transfer, seen, now_ms - transfer->last_chunk_ms, stall_seconds,
                           &result);
    } else if (!transfer->last)
        result.verdict = VERDICT_ABANDONED;
    return result;
}
