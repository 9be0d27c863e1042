/*
 * The facts of a message body once more, slowly and obviously: the whole body at once, line by
 * line, octet by octet. Unit test and fuzzer compare milter/content.c with it.
 */
#ifndef BDAT_CONTENT_MODEL_H
#define BDAT_CONTENT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/content.h"

/* Says what milter/content.c should say of this body; the first difference in *what. */
bool content_model_agrees(const struct content *content, const char *body, size_t length,
                          const char **what);

#endif
