/*
 * The paragraph that explains a conclusion. Pure.
 */
#ifndef BDAT_PROBE_EXPLANATION_H
#define BDAT_PROBE_EXPLANATION_H

#include "probe/conclusion.h"
#include "probe/view.h"

/* Writes conclusion->explanation for conclusion->kind. `cause` is the case that led to it; NULL
 * for the kinds that no single case leads to. */
void explanation_write(struct conclusion *conclusion, const struct view *view,
                       const struct case_result *cause);

#endif
