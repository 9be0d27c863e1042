/*
 * What bdatctl top shows, as lines of text: apart from asking the daemon and from the screen.
 */
#ifndef BDAT_CTL_TOP_VIEW_H
#define BDAT_CTL_TOP_VIEW_H

#include <jansson.h>
#include <stddef.h>

#include "ctl/style.h"

/* One look at the daemon. Any member may be NULL when there was no answer. */
struct top_look {
    json_t *status;   /* /v1/status */
    json_t *sessions; /* /v1/sessions */
    json_t *clients;  /* /v1/clients */
    double at;        /* seconds of a clock that never steps */
};

void top_look_free(struct top_look *look);

struct top_line {
    char *text; /* harmless */
    enum tone tone;
};

struct top_view {
    struct top_line *lines;
    size_t count;
};

/* Builds the view of `now`; rates come from the difference to `before`, whose status may be NULL
 * and which does not count if the daemon has been started since. At most `session_rows` sessions
 * and `client_rows` clients are named. */
struct top_view top_view_build(const struct top_look *before, const struct top_look *now,
                               size_t session_rows, size_t client_rows);

void top_view_free(struct top_view *view);

/* {"seconds", "sessions", "octets", "transfers": {VERDICT: rate}}, a second; NULL without two
 * looks at the same daemon. The caller decrefs. */
json_t *top_rates(const struct top_look *before, const struct top_look *now);

#endif
