/*
 * One command line: the parser says what a slow second implementation says, and points nowhere but
 * into the line.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "milter/smtp_command.h"
#include "tests/fuzz/require.h"
#include "tests/model/command_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_slices(const char *line, size_t length)
{
    struct smtp_command command;
    smtp_command_parse(line, length, &command);
    const char *end = command.argument.text + command.argument.length;
    require(command.argument.text >= line && end <= line + length, "the argument is in the line");
    if (smtp_line_is_exact_command(line, length))
        require(!command.malformed && command.verb != SMTP_VERB_NONE, "an exact command is one");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *what = NULL;
    char *line = malloc(size + 1); /* a block of its own, so that reading beyond it shows */
    if (line == NULL || size > 8192) {
        free(line);
        return 0;
    }
    if (size > 0)
        memcpy(line, data, size);
    check_slices(line, size);
    /* For Postfix a line ends at a NUL; it never hands one to the table. */
    if (size == 0 || memchr(line, '\0', size) == NULL)
        require(command_model_agrees(line, size, &what), what != NULL ? what : "?");
    free(line);
    return 0;
}
