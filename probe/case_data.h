/*
 * The same messages by DATA, to compare.
 */
#ifndef BDAT_PROBE_CASE_DATA_H
#define BDAT_PROBE_CASE_DATA_H

#include "probe/case.h"

/* The message by DATA. Without --deliver the final dot is not sent and the connection closed. */
void case_data(struct run *run);

#endif
