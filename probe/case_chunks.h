/*
 * Cases in which a sound message is sent in chunks. Without --deliver no chunk is the LAST.
 */
#ifndef BDAT_PROBE_CASE_CHUNKS_H
#define BDAT_PROBE_CASE_CHUNKS_H

#include "probe/case.h"

/* The message of the row, cut as the row says. */
void case_chunks(struct run *run);

/* The message and then `BDAT 0 LAST`; without --deliver, `BDAT 0 LAST` with no recipient. */
void case_last_empty(struct run *run);

/* MAIL, RCPT, the chunks and the end in one flight. */
void case_pipelined(struct run *run);

/* Two messages in one session. */
void case_two_messages(struct run *run);

#endif
