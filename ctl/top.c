/* top: a live screen, or the same as plain text. */
#include "config.h"

#include <curses.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "ctl/actions.h"
#include "ctl/terminal.h"
#include "ctl/text.h"
#include "ctl/top_view.h"

#define DEFAULT_DELAY 2
#define PLAIN_ROWS 20
#define CLIENTS_ASKED "1000"
#define KEY_ESCAPE 27
#define KEY_CONTROL_C 3

static double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct top_look look_at(const struct ctl *ctl)
{
    struct top_look look = {.status = daemon_try(ctl, "/v1/status"), .at = clock_seconds()};
    if (look.status != NULL) {
        look.sessions = daemon_try(ctl, "/v1/sessions");
        look.clients = daemon_try(ctl, "/v1/clients?limit=" CLIENTS_ASKED);
    }
    return look;
}

static enum exit_code print_once(const struct ctl *ctl, long delay)
{
    struct top_look before = look_at(ctl);
    const struct timespec pause = {.tv_sec = delay};
    nanosleep(&pause, NULL);
    struct top_look now = look_at(ctl);
    if (ctl->json) {
        json_t *all =
            json_pack("{sO*so*sO*sO*}", "status", now.status, "rates", top_rates(&before, &now),
                      "sessions", json_object_get(now.sessions, "sessions"), "clients",
                      json_object_get(now.clients, "clients"));
        daemon_print_json(all);
        json_decref(all);
    } else {
        struct top_view view = top_view_build(&before, &now, PLAIN_ROWS, PLAIN_ROWS);
        for (size_t i = 0; i < view.count; i++)
            printf("%s%s%s\n", style_begin(ctl->colour, view.lines[i].tone), view.lines[i].text,
                   style_end(ctl->colour, view.lines[i].tone));
        top_view_free(&view);
    }
    enum exit_code code = now.status == NULL ? EXIT_NOT_RUNNING : EXIT_DONE;
    top_look_free(&before);
    top_look_free(&now);
    return code;
}

/* Ctrl-C is one more way to leave, not a failure: it comes as a key. endwin() undoes this. */
static void take_interrupt_as_key(void)
{
    struct termios terminal;
    if (tcgetattr(STDIN_FILENO, &terminal) != 0)
        return;
    terminal.c_cc[VINTR] = _POSIX_VDISABLE;
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
}

static void prepare_screen(const struct ctl *ctl)
{
    initscr();
    cbreak();
    take_interrupt_as_key();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    set_escdelay(25);
    if (!ctl->colour || !has_colors())
        return;
    start_color();
    use_default_colors();
    init_pair(TONE_GOOD, COLOR_GREEN, -1);
    init_pair(TONE_WARN, COLOR_YELLOW, -1);
    init_pair(TONE_BAD, COLOR_RED, -1);
}

static int screen_attribute(const struct ctl *ctl, enum tone tone)
{
    if (tone == TONE_BOLD)
        return A_BOLD;
    if (tone == TONE_DIM)
        return A_DIM;
    return ctl->colour && tone != TONE_PLAIN ? COLOR_PAIR(tone) : A_NORMAL;
}

/* What does not fit is cut: lines at the right edge, rows at the bottom. */
static void draw(const struct ctl *ctl, const struct top_look *before, const struct top_look *now,
                 long delay)
{
    int rows = getmaxy(stdscr), columns = getmaxx(stdscr);
    size_t spare = rows > 24 ? (size_t)(rows - 16) / 2 : 4;
    struct top_view view = top_view_build(before, now, spare, spare);
    erase();
    for (size_t i = 0; i < view.count && (int)i + 1 < rows; i++) {
        int attribute = screen_attribute(ctl, view.lines[i].tone);
        attron(attribute);
        mvaddnstr((int)i, 0, view.lines[i].text,
                  (int)text_fit(view.lines[i].text, (size_t)columns));
        attroff(attribute);
    }
    char *foot = text_format("every %ld s   q quits", delay);
    attron(A_DIM);
    mvaddnstr(rows - 1, 0, foot, columns);
    attroff(A_DIM);
    free(foot);
    refresh();
    top_view_free(&view);
}

/* Waits for the next look; true when the user wants to leave. A resize draws at once. */
static bool wait_for_key(const struct ctl *ctl, const struct top_look *before,
                         const struct top_look *now, long delay)
{
    double until = clock_seconds() + (double)delay;
    for (double left; (left = until - clock_seconds()) > 0;) {
        timeout((int)(left * 1000) + 1);
        int key = getch();
        if (key == 'q' || key == 'Q' || key == KEY_ESCAPE || key == KEY_CONTROL_C)
            return true;
        if (key == KEY_RESIZE)
            draw(ctl, before, now, delay);
        else if (key == ' ')
            break;
    }
    return false;
}

static enum exit_code run_screen(const struct ctl *ctl, long delay)
{
    struct top_look before = {0}, now = look_at(ctl);
    prepare_screen(ctl);
    for (;;) {
        draw(ctl, &before, &now, delay);
        if (wait_for_key(ctl, &before, &now, delay))
            break;
        top_look_free(&before);
        before = now;
        now = look_at(ctl);
    }
    endwin();
    top_look_free(&before);
    top_look_free(&now);
    return EXIT_DONE;
}

enum exit_code run_top(const struct ctl *ctl, const struct invocation *invocation)
{
    const char *text = invocation_value(invocation, "delay");
    long delay = text == NULL ? DEFAULT_DELAY : strtol(text, NULL, 10);
    if (delay < 1 || delay > 3600 || (text && strspn(text, "0123456789") != strlen(text))) {
        ctl_complain("--delay wants a number of seconds from 1 to 3600, not \"%s\"", text);
        return EXIT_USAGE;
    }
    json_t *status;
    enum exit_code code = daemon_get(ctl, "/v1/status", &status);
    if (code != EXIT_DONE)
        return code;
    json_decref(status);
    bool screen = !ctl->json && invocation_value(invocation, "once") == NULL && terminal_can_draw();
    return screen ? run_screen(ctl, delay) : print_once(ctl, delay);
}
