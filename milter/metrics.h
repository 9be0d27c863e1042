/*
 * GET /metrics: Prometheus' text format 0.0.4.
 *
 * Names are bdat_milter_…, units and suffixes by Prometheus' conventions (octets are "bytes"
 * there). Every series is there from the start, with 0 where nothing has happened, so that rate()
 * sees the first event. Counters begin anew with the daemon.
 */
#ifndef BDAT_METRICS_H
#define BDAT_METRICS_H

#include "milter/app.h"

/* Returns the text, to be freed by free(); NULL when memory is short. */
char *metrics_format(const struct app *app);

#endif
