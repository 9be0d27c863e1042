#include "config.h"

#include "ctl/style.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "milter/verdict.h"

static const char *const sequences[] = {
    [TONE_PLAIN] = "",       [TONE_GOOD] = "\033[32m", [TONE_WARN] = "\033[33m",
    [TONE_BAD] = "\033[31m", [TONE_DIM] = "\033[2m",   [TONE_BOLD] = "\033[1m",
};

bool style_wanted(FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    if (no_color != NULL && no_color[0] != '\0')
        return false;
    const char *terminal = getenv("TERM");
    return isatty(fileno(out)) && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

const char *style_begin(bool colour, enum tone tone)
{
    return colour ? sequences[tone] : "";
}

const char *style_end(bool colour, enum tone tone)
{
    return colour && tone != TONE_PLAIN ? "\033[0m" : "";
}

enum tone style_verdict(const char *name)
{
    enum verdict verdict = verdict_from_name(name);
    if (verdict == VERDICT_NONE)
        return TONE_PLAIN;
    if (verdict_is_clean(verdict))
        return TONE_GOOD;
    return verdict_strikes(verdict) > 0 ? TONE_BAD : TONE_WARN;
}

enum tone style_state(const char *state)
{
    if (strcmp(state, "offered") == 0 || strcmp(state, "pinned_always") == 0)
        return TONE_GOOD;
    return strcmp(state, "probation") == 0 ? TONE_WARN : TONE_BAD;
}

size_t style_columns(FILE *out)
{
    struct winsize size;
    if (isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return 80;
}
