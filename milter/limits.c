#include "milter/limits.h"

#include <inttypes.h>
#include <stdio.h>

/* The first kept chunk that is beyond a limit: above it, or below it for the least size. */
static uint64_t find_chunk(const struct transfer *transfer, uint64_t limit, bool below)
{
    for (uint64_t i = 0; i < transfer->chunk_count && i < TRANSFER_CHUNKS_KEPT; i++)
        if (below ? transfer->chunks[i] < limit : transfer->chunks[i] > limit)
            return transfer->chunks[i];
    return 0;
}

char *limits_explain(const struct limits *limits, const struct transfer *transfer,
                     unsigned broken, char *text, size_t size)
{
    if (broken & EVIDENCE_BINARYMIME)
        snprintf(text, size, "554 5.6.1 BODY=BINARYMIME was not offered");
    else if (broken & EVIDENCE_MAX_CHUNK)
        snprintf(text, size,
                 "552 5.3.4 BDAT chunk of %" PRIu64 " octets exceeds the limit of %" PRIu64,
                 find_chunk(transfer, limits->max_chunk, false), limits->max_chunk);
    else if (broken & EVIDENCE_MAX_MESSAGE)
        snprintf(text, size,
                 "552 5.3.4 BDAT message of %" PRIu64 " octets exceeds the limit of %" PRIu64,
                 transfer->declared, limits->max_message);
    else if (broken & EVIDENCE_MIN_CHUNK)
        snprintf(text, size,
                 "552 5.3.4 BDAT chunk of %" PRIu64 " octets is below the limit of %" PRIu64,
                 find_chunk(transfer, limits->min_chunk, true), limits->min_chunk);
    else
        snprintf(text, size, "552 5.3.4 %" PRIu64 " BDAT chunks exceed the limit of %" PRIu64,
                 transfer->chunk_count, limits->max_chunks);
    return text;
}
