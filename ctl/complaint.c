#include "config.h"

#include "ctl/complaint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/daemon.h"
#include "ctl/text.h"

/* Of the whole program, as standard error is. */
static char *latest;

void ctl_complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = text_vformat(format, arguments);
    va_end(arguments);
    free(latest);
    latest = text_safe(text, true);
    fprintf(stderr, "bdatctl: %s\n", latest);
    free(text);
}

char *complaint_take(void)
{
    char *taken = latest;
    latest = NULL;
    return taken;
}

void complaint_print_json(void)
{
    char *text = complaint_take();
    if (text == NULL)
        return;
    json_t *error = json_pack("{ss}", "error", text);
    daemon_print_json(error);
    json_decref(error);
    free(text);
}
