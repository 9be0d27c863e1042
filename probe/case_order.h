/*
 * Cases in which BDAT comes where it must be refused: is it, and do client and server stay in
 * step? None of them can deliver anything, but for the message before in case_after_last().
 */
#ifndef BDAT_PROBE_CASE_ORDER_H
#define BDAT_PROBE_CASE_ORDER_H

#include "probe/case.h"

/* A LAST chunk of command lines without any recipient. */
void case_refused(struct run *run);

/* The same in one flight with MAIL and a recipient that is refused. */
void case_refused_pipelined(struct run *run);

/* RSET between chunks: the transaction is gone, and a new one works. */
void case_rset_between(struct run *run);

/* BDAT behind a BDAT LAST, without a new MAIL. */
void case_after_last(struct run *run);

/* DATA behind a chunk. */
void case_data_after_bdat(struct run *run);

/* The row's malformed command. */
void case_malformed(struct run *run);

#endif
