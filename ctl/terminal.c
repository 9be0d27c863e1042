#include "config.h"

#include "ctl/terminal.h"

#include <curses.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <unistd.h>

bool terminal_can_draw(void)
{
    const char *kind = getenv("TERM");
    int outcome = 0;
    if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO) || kind == NULL ||
        strcmp(kind, "dumb") == 0)
        return false;
    /* initscr() would end the program. */
    if (setupterm(NULL, STDOUT_FILENO, &outcome) != OK)
        return false;
    del_curterm(cur_term);
    return true;
}
