/*
 * The commands of bdatctl: one declarative table drives dispatch, usage, shell completion and
 * the test that the manual names every command and option.
 */
#ifndef BDAT_CTL_COMMAND_H
#define BDAT_CTL_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "ctl/daemon.h"
#include "ctl/value.h"

#define OPTIONS_MAX 8

/* The daemon's control socket unless -s names another. */
#define COMMAND_DEFAULT_SOCKET "/run/bdat-milter/control.sock"

/* What a shell may offer for an argument or an option's value. */
enum words {
    WORDS_NONE,
    WORDS_FILE,
    WORDS_FOLDER,
    WORDS_CLIENT,
    WORDS_VERDICT,
    WORDS_STATE,
    WORDS_SHELL,
    WORDS_TABLES
};

struct option {
    const char *name;     /* "for" of --for; NULL ends a list */
    char letter;          /* 'c' of -c; 0 = none */
    const char *argument; /* "TIME"; NULL = a flag */
    enum words words;
    const char *help;
};

/* A command line, taken apart. */
struct invocation {
    const struct command *command;
    const char *values[OPTIONS_MAX]; /* of the command's options; a flag that is set is "" */
    const char *arguments[2];
    unsigned argument_count;
};

struct command {
    const char *name;
    const char *arguments; /* "[ADDRESS]", as usage shows it; "" = none */
    unsigned min_arguments, max_arguments;
    enum words words; /* of the first argument */
    enum exit_code (*run)(const struct ctl *ctl, const struct invocation *invocation);
    const char *help; /* one line */
    struct option options[OPTIONS_MAX + 1];
};

/* The table, ended by a row without name; and the options that stand with any command. */
extern const struct command commands[];
extern const struct option global_options[];

const struct command *command_find(const char *name);

/* The value of an option of this command: NULL if it was not given, "" for a flag. */
const char *invocation_value(const struct invocation *invocation, const char *name);

/* What the global options ask for beside the members of struct ctl. */
struct command_line {
    struct ctl ctl;
    struct invocation invocation;
    bool help, version;
};

/* Takes a command line apart. EXIT_DONE, or EXIT_USAGE when it is wrong, which has been said. */
enum exit_code command_parse(int argc, const char *const *argv, struct command_line *line)
    __attribute__((warn_unused_result));

/* "bdatctl [-s SOCKET] WORDS" as it must be written to reach the same daemon; the caller frees. */
char *command_line_of(const struct ctl *ctl, const char *words);

/* Writes the overview, or what one command takes. */
void command_print_overview(FILE *out);
void command_print_usage(const struct command *command, FILE *out);

#endif
