#include "config.h"

#include "ctl/command.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/actions.h"
#include "ctl/text.h"
#include "milter/suppression.h"

#define DEFAULT_TIMEOUT 10

const struct option global_options[] = {
    {"socket", 's', "SOCKET", WORDS_FILE,
     "the daemon's control socket (" COMMAND_DEFAULT_SOCKET ")"},
    {"json", 0, NULL, WORDS_NONE, "write the daemon's own JSON"},
    {"timeout", 0, "SECONDS", WORDS_NONE, "how long to wait for an answer (10)"},
    {"help", 'h', NULL, WORDS_NONE, "say what a command takes, and end"},
    {"version", 'V', NULL, WORDS_NONE, "say the version, and end"},
    {0},
};

#define CLIENT_OPTION(help)                        \
    {                                              \
        "client", 0, "NETWORK", WORDS_CLIENT, help \
    }
#define VERDICT_OPTION(help)                         \
    {                                                \
        "verdict", 0, "VERDICT", WORDS_VERDICT, help \
    }
#define LIMIT_OPTION(help)                      \
    {                                           \
        "limit", 'n', "COUNT", WORDS_NONE, help \
    }
#define PLAN_OPTIONS                                                              \
    {"print", 0, NULL, WORDS_NONE, "only print the postconf commands"},           \
        {"yes", 'y', NULL, WORDS_NONE, "do not ask before writing"},              \
    {                                                                             \
        "no-reload", 0, NULL, WORDS_NONE, "leave it to you to run postfix reload" \
    }
#define POSTFIX_OPTIONS                                                                           \
    {"config-dir", 'c', "DIR", WORDS_FOLDER, "Postfix's configuration folder (its own default)"}, \
    {                                                                                             \
        "config-file", 'f', "FILE", WORDS_FILE, "the daemon's configuration file"                 \
    }

const struct command commands[] = {
    {"status",
     "",
     0,
     0,
     WORDS_NONE,
     run_status,
     "how the daemon is and what it has counted",
     {{0}}},
    {"sessions", "", 0, 0, WORDS_NONE, run_sessions, "the SMTP sessions alive now", {{0}}},
    {"transfers",
     "",
     0,
     0,
     WORDS_NONE,
     run_transfers,
     "the latest BDAT transfers, newest first",
     {LIMIT_OPTION("how many (50)"),
      CLIENT_OPTION("only this address or network"),
      VERDICT_OPTION("only this verdict"),
      {"queue-id", 0, "ID", WORDS_NONE, "only this queue id"}}},
    {"clients",
     "[ADDRESS]",
     0,
     1,
     WORDS_CLIENT,
     run_clients,
     "clients with a history, or what is known of one",
     {{"state", 0, "STATE", WORDS_STATE, "only clients in this state"}, LIMIT_OPTION("how many")}},
    {"incidents",
     "",
     0,
     0,
     WORDS_NONE,
     run_incidents,
     "transfers that went wrong, from the store, newest first",
     {CLIENT_OPTION("only this address or network"),
      VERDICT_OPTION("only this verdict"),
      {"since", 0, "TIME", WORDS_NONE, "not before then: 2h, 7d, or 2026-11-23T04:15:00Z"},
      LIMIT_OPTION("how many")}},
    {"suppress",
     "ADDRESS",
     1,
     1,
     WORDS_CLIENT,
     run_suppress,
     "stop offering CHUNKING to a client",
     {{"for", 0, "TIME", WORDS_NONE,
       "how long: 12h, 30d, up to " SUPPRESSION_HOLD_MAX_TEXT " (suppression.hold)"},
      {"reason", 0, "TEXT", WORDS_NONE, "kept with it, for whoever asks later"}}},
    {"release",
     "ADDRESS",
     1,
     1,
     WORDS_CLIENT,
     run_release,
     "offer CHUNKING to a client again and forget its strikes",
     {{0}}},
    {"reload",
     "",
     0,
     0,
     WORDS_NONE,
     run_reload,
     "read the configuration again; a bad file changes nothing",
     {{0}}},
    {"config",
     "",
     0,
     0,
     WORDS_NONE,
     run_config,
     "every option with its value, default and where it is set",
     {{"changed", 0, NULL, WORDS_NONE, "only those that the file sets"}}},
    {"explain",
     "QUEUEID|ADDRESS",
     1,
     1,
     WORDS_CLIENT,
     run_explain,
     "the story of a transfer or of a client, in plain words",
     {{0}}},
    {"follow",
     "",
     0,
     0,
     WORDS_NONE,
     run_follow,
     "transfers as they are judged",
     {CLIENT_OPTION("only this address or network"), VERDICT_OPTION("only this verdict")}},
    {"top",
     "",
     0,
     0,
     WORDS_NONE,
     run_top,
     "live screen: rates, verdicts, sessions, worst clients",
     {{"once", '1', NULL, WORDS_NONE, "write it once, as plain text"},
      {"delay", 'd', "SECONDS", WORDS_NONE, "time between two looks (2)"}}},
    {"attach",
     "",
     0,
     0,
     WORDS_NONE,
     run_attach,
     "set what Postfix needs, by postconf(1)",
     {POSTFIX_OPTIONS,
      PLAN_OPTIONS,
      {"tables", 0, "PLACE", WORDS_TABLES,
       "where the tables go: main (main.cf) or services (master.cf)"},
      {"force", 0, NULL, WORDS_NONE, "even though the daemon does not answer"}}},
    {"detach",
     "",
     0,
     0,
     WORDS_NONE,
     run_detach,
     "undo exactly what attach has set",
     {POSTFIX_OPTIONS, PLAN_OPTIONS}},
    {"check",
     "",
     0,
     0,
     WORDS_NONE,
     run_check,
     "say line by line whether all is set up right, and what mends what is not",
     {POSTFIX_OPTIONS,
      {"server", 0, "HOST:PORT", WORDS_NONE, "the server of the live test (from master.cf)"},
      {"from", 0, "ADDRESS", WORDS_NONE, "its sender (the null sender)"},
      {"to", 0, "ADDRESS", WORDS_NONE, "its recipient (postmaster); nothing is delivered"},
      {"no-live", 0, NULL, WORDS_NONE, "no live test"}}},
    {"completion",
     "SHELL",
     1,
     1,
     WORDS_SHELL,
     run_completion,
     "write the completion for bash or zsh",
     {{0}}},
    {0},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

const char *invocation_value(const struct invocation *invocation, const char *name)
{
    const struct option *options = invocation->command->options;
    for (size_t i = 0; i < OPTIONS_MAX && options[i].name != NULL; i++)
        if (strcmp(options[i].name, name) == 0)
            return invocation->values[i];
    return NULL;
}

static void suggest_command(const char *name)
{
    const struct command *nearest = NULL;
    unsigned best = 3;
    for (const struct command *command = commands; command->name != NULL; command++) {
        unsigned distance = text_distance(name, command->name);
        if (distance < best) {
            best = distance;
            nearest = command;
        }
    }
    if (nearest != NULL)
        ctl_complain("unknown command \"%s\"; did you mean \"%s\"?", name, nearest->name);
    else
        ctl_complain("unknown command \"%s\"; bdatctl --help lists the commands", name);
}

/* Finds "--name", "--name=value" or "-x" in a list; *value is then the part behind "=". */
static int find_option(const struct option *options, const char *text, const char **value)
{
    *value = NULL;
    for (int i = 0; options[i].name != NULL; i++) {
        size_t length = strlen(options[i].name);
        if (text[1] != '-') {
            if (options[i].letter != 0 && text[1] == options[i].letter) {
                *value = text[2] == '\0' ? NULL : text + 2;
                return i;
            }
        } else if (strncmp(text + 2, options[i].name, length) == 0 &&
                   (text[2 + length] == '\0' || text[2 + length] == '=')) {
            *value = text[2 + length] == '=' ? text + 3 + length : NULL;
            return i;
        }
    }
    return -1;
}

static bool is_positive_number(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits < 7 && text[digits] == '\0' && atol(text) > 0;
}

static enum exit_code set_global(struct command_line *line, int index, const char *value)
{
    const char *name = global_options[index].name;
    if (strcmp(name, "socket") == 0) {
        line->ctl.socket = value;
    } else if (strcmp(name, "json") == 0) {
        line->ctl.json = true;
    } else if (strcmp(name, "help") == 0) {
        line->help = true;
    } else if (strcmp(name, "version") == 0) {
        line->version = true;
    } else if (is_positive_number(value)) {
        line->ctl.timeout_seconds = atol(value);
    } else {
        ctl_complain("--timeout wants a number of seconds, not \"%s\"", value);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static enum exit_code unknown_option(const struct command *command, const char *text)
{
    if (command == NULL)
        ctl_complain("unknown option %s; bdatctl --help lists them", text);
    else
        ctl_complain("%s takes no option %s; see: bdatctl %s --help", command->name, text,
                     command->name);
    return EXIT_USAGE;
}

/* One option at argv[*index]; its value may be the next word. */
static enum exit_code parse_option(const char *const *argv, int *index, struct command_line *line)
{
    const char *text = argv[*index], *value;
    const struct command *command = line->invocation.command;
    const struct option *list = command == NULL ? NULL : command->options;
    int found = list == NULL ? -1 : find_option(list, text, &value);
    if (found < 0) {
        list = global_options;
        found = find_option(list, text, &value);
    }
    if (found < 0)
        return unknown_option(command, text);
    if (list[found].argument == NULL && value != NULL)
        return unknown_option(command, text);
    if (list[found].argument == NULL) {
        value = "";
    } else if (value == NULL && (value = argv[++*index]) == NULL) {
        ctl_complain("%s wants %s behind it", text, list[found].argument);
        return EXIT_USAGE;
    }
    if (list == global_options)
        return set_global(line, found, value);
    line->invocation.values[found] = value;
    return EXIT_DONE;
}

static enum exit_code parse_word(struct command_line *line, const char *word)
{
    struct invocation *invocation = &line->invocation;
    if (invocation->command == NULL) {
        invocation->command = command_find(word);
        if (invocation->command != NULL)
            return EXIT_DONE;
        suggest_command(word);
        return EXIT_USAGE;
    }
    if (invocation->argument_count >= invocation->command->max_arguments) {
        ctl_complain("%s: one word too many: \"%s\"", invocation->command->name, word);
        return EXIT_USAGE;
    }
    invocation->arguments[invocation->argument_count++] = word;
    return EXIT_DONE;
}

static enum exit_code check_complete(const struct command_line *line)
{
    const struct invocation *invocation = &line->invocation;
    if (line->help || line->version)
        return EXIT_DONE;
    if (invocation->command == NULL) {
        command_print_overview(stderr);
        ctl_complain("no command was named");
        return EXIT_USAGE;
    }
    if (invocation->argument_count < invocation->command->min_arguments) {
        ctl_complain("%s wants %s", invocation->command->name, invocation->command->arguments);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

enum exit_code command_parse(int argc, const char *const *argv, struct command_line *line)
{
    *line = (struct command_line){
        .ctl = {.socket = COMMAND_DEFAULT_SOCKET, .timeout_seconds = DEFAULT_TIMEOUT}};
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        enum exit_code code;
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
            continue;
        }
        if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0')
            code = parse_option(argv, &i, line);
        else
            code = parse_word(line, argv[i]);
        if (code != EXIT_DONE)
            return code;
    }
    return check_complete(line);
}

char *command_line_of(const struct ctl *ctl, const char *words)
{
    bool own = strcmp(ctl->socket, COMMAND_DEFAULT_SOCKET) == 0;
    char *socket = own ? NULL : value_quote_for_shell(ctl->socket);
    char *line = text_format("bdatctl%s%s %s", own ? "" : " -s ", own ? "" : socket, words);
    free(socket);
    return line;
}

static void print_options(const struct option *options, FILE *out)
{
    for (size_t i = 0; options[i].name != NULL; i++) {
        char letter[8] = "    ";
        if (options[i].letter != 0)
            snprintf(letter, sizeof(letter), "-%c, ", options[i].letter);
        char *form =
            text_format("%s--%s%s%s", letter, options[i].name, options[i].argument ? " " : "",
                        options[i].argument ? options[i].argument : "");
        fprintf(out, "  %-26s %s\n", form, options[i].help);
        free(form);
    }
}

void command_print_overview(FILE *out)
{
    fputs("usage: bdatctl [-s SOCKET] [--json] COMMAND [OPTION …] [ARGUMENT]\n\ncommands:\n", out);
    for (const struct command *command = commands; command->name != NULL; command++) {
        char *form = text_format("%s %s", command->name, command->arguments);
        fprintf(out, "  %-26s %s\n", form, command->help);
        free(form);
    }
    fputs("\noptions, with any command:\n", out);
    print_options(global_options, out);
    fputs("\nbdatctl COMMAND --help says what a command takes; bdatctl(8) says it all.\n"
          "Exit: 0 done, 1 the answer is no, 2 usage, 3 the daemon is not running.\n",
          out);
}

void command_print_usage(const struct command *command, FILE *out)
{
    fprintf(out, "usage: bdatctl %s%s%s%s\n%s\n", command->name,
            command->options[0].name ? " [OPTION …]" : "", *command->arguments ? " " : "",
            command->arguments, command->help);
    if (command->options[0].name != NULL) {
        fputs("\noptions:\n", out);
        print_options(command->options, out);
    }
    fputs("\noptions, with any command:\n", out);
    print_options(global_options, out);
}
