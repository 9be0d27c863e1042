/*
 * The store's schema, as the steps that led to it.
 *
 * store_schema_steps[N] takes a file of version N (0 = empty) to N + 1 and sets user_version.
 * A step that was released never changes; a change of the schema is a further step.
 */
#ifndef BDAT_STORE_SCHEMA_H
#define BDAT_STORE_SCHEMA_H

#include "milter/store.h"

#define STORE_APPLICATION_ID 0x42444154 /* "BDAT" */

extern const char *const store_schema_steps[STORE_SCHEMA_VERSION];

#endif
