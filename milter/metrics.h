/*
 * GET /metrics: Prometheus text exposition, names bdat_milter_….
 */
#ifndef BDAT_METRICS_H
#define BDAT_METRICS_H

#include "milter/app.h"

/* Returns the text, to be freed by free(); NULL when memory is short. */
char *metrics_format(const struct app *app);

#endif
