/*
 * For fuzz targets: what must hold whatever the input is.
 */
#ifndef BDAT_TESTS_REQUIRE_H
#define BDAT_TESTS_REQUIRE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the run as a failure, saying `what`, unless it holds. */
static inline void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

#endif
