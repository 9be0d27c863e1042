/* bdatctl: what operators hold in their hands. */
#include "config.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "ctl/command.h"
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

/* A full disk or a closed pipe behind standard output must not look like success. */
static int finish(enum exit_code code)
{
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
        return code;
    if (line.help || line.version)
        return finish(print_and_end(&line));
    line.ctl.colour = style_wanted(stdout);
    if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK) {
        ctl_complain("libcurl cannot be used");
        return EXIT_NO;
    }
    code = line.invocation.command->run(&line.ctl, &line.invocation);
    curl_global_cleanup();
    return finish(code);
}
