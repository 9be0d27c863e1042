/* The bounded record of one session. */
#include "probe/dialog.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct dialog_line *next_line(struct dialog *dialog)
{
    if (dialog->count < DIALOG_LINES)
        return &dialog->lines[dialog->count++];
    memmove(&dialog->lines[DIALOG_HEAD], &dialog->lines[DIALOG_HEAD + 1],
            (DIALOG_LINES - DIALOG_HEAD - 1) * sizeof(dialog->lines[0]));
    dialog->omitted++;
    return &dialog->lines[DIALOG_LINES - 1];
}

void dialog_add(struct dialog *dialog, enum dialog_side side, int64_t elapsed_ms,
                const char *format, ...)
{
    struct dialog_line *line = next_line(dialog);
    line->side = side;
    line->elapsed_ms = elapsed_ms > INT32_MAX ? INT32_MAX : (int32_t)elapsed_ms;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line->text, sizeof(line->text), format, arguments);
    va_end(arguments);
    for (char *c = line->text; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

const char *dialog_side_letter(enum dialog_side side)
{
    return side == DIALOG_CLIENT ? "C" : side == DIALOG_SERVER ? "S" : "-";
}

const char *dialog_side_name(enum dialog_side side)
{
    return side == DIALOG_CLIENT ? "client" : side == DIALOG_SERVER ? "server" : "note";
}
