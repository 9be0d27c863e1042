/*
 * The command parser once more, slowly and obviously: the line is first taken apart into words as
 * smtpd_token.c of Postfix describes, with a stack of open quotes; then the words are compared.
 */
#ifndef BDAT_COMMAND_MODEL_H
#define BDAT_COMMAND_MODEL_H

#include <stdbool.h>
#include <stddef.h>

/* True if smtp_command_parse() and smtp_line_is_exact_command() say what the model says of
 * this line; otherwise the first difference in *what. */
bool command_model_agrees(const char *line, size_t length, const char **what);

#endif
