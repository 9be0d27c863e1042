/* bdatctl: what operators hold in their hands. */
#include "config.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/complaint.h"
#include "ctl/style.h"
#include "ctl/text.h"

static int print_and_end(const struct command_line *line)
{
    if (line->version)
        printf("bdatctl %s\n", PACKAGE_VERSION);
    else if (line->invocation.command == NULL)
        command_print_overview(stdout);
    else
        command_print_usage(line->invocation.command, stdout);
    return EXIT_DONE;
}

/* True if --json stands on a command line that could not be taken apart to its end. */
static bool asks_for_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

/* A full disk or a closed pipe behind standard output must not look like success. */
static int finish(enum exit_code code, bool json)
{
    if (json && code != EXIT_DONE)
        complaint_print_json();
    if (fflush(stdout) != 0 || ferror(stdout)) {
        ctl_complain("cannot write the output");
        return EXIT_NO;
    }
    return code;
}

int main(int argc, char **argv)
{
    struct command_line line;
    text_init();
    enum exit_code code = command_parse(argc, (const char *const *)argv, &line);
    if (code != EXIT_DONE)
        return finish(code, asks_for_json(argc, argv));
    if (line.help || line.version)
        return finish(print_and_end(&line), false);
    line.ctl.colour = style_wanted(stdout);
    if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK) {
        ctl_complain("libcurl cannot be used");
        return finish(EXIT_NO, line.ctl.json);
    }
    code = line.invocation.command->run(&line.ctl, &line.invocation);
    curl_global_cleanup();
    return finish(code, line.ctl.json);
}
