/*
 * The option table: name, type, default, range, whether a reload takes it, and where in struct
 * settings the value lives. It drives loading, -t, the dump and the tests that the manual and the
 * sample file name every option. The list `rules` is in it, but read by settings_rules.c.
 */
#ifndef BDAT_OPTIONS_H
#define BDAT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/settings.h"
#include "milter/verdict.h"

enum option_type {
    OPTION_STRING,
    OPTION_BOOLEAN,
    OPTION_COUNT_OF, /* a number without unit */
    OPTION_SIZE,     /* octets, K M G */
    OPTION_TIME,     /* seconds, s m h d w */
    OPTION_MODE,     /* access bits as an octal string, "0660" */
    OPTION_WORD,     /* one of `words` */
    OPTION_LIST      /* rules */
};

/* The words that an option of OPTION_WORD takes; index = value of its enum. */
struct option_words {
    const char *(*name)(int index);
    int count;
};

struct option {
    const char *name;
    enum option_type type;
    size_t offset;      /* of the field in struct settings */
    size_t width;       /* of the field, in octets */
    const char *preset; /* the default as text, without quotes; NULL = of the verdict */
    int64_t min, max;   /* of OPTION_COUNT_OF, OPTION_SIZE and OPTION_TIME */
    const struct option_words *words;
    /* What a string or word must be like: 0, or -1 with a complaint. NULL = no more is asked. */
    int (*check)(const char *value, char *error, size_t error_size);
    enum verdict verdict; /* of actions.* and replies.* */
    bool reloadable;
    const char *help; /* NULL = the meaning of the verdict */
};

extern const struct option options[];
extern const size_t option_count;

/* The option of that full name ("limits.max_chunk"), NULL if there is none. */
const struct option *option_find(const char *name);

/* The groups that options are in ("limits"), each once. */
extern const char *const option_groups[];
extern const size_t option_group_count;

bool option_group_exists(const char *group);

/* The default as text, without quotes. Static storage. */
const char *option_preset(const struct option *option);

/* Sets the field to its default; a list is left alone. Fails when memory is short. */
int option_set_preset(const struct option *option, struct settings *settings, char *error,
                      size_t error_size) __attribute__((warn_unused_result));

/* The name of its type for people and JSON ("size"), and what a value must look like ("a size
 * such as \"64K\", or a number of octets"). Static storage. */
const char *option_type_name(const struct option *option);
const char *option_type_wanted(const struct option *option);

/* Sets the field from a text as it stands in quotes, from a number, or from a boolean. Return 0,
 * or -1 with what is wrong in `error`, for a type that does not fit as well. Strings are copied;
 * the copy before is freed. */
int option_set_text(const struct option *option, struct settings *settings, const char *text,
                    char *error, size_t error_size) __attribute__((warn_unused_result));
int option_set_number(const struct option *option, struct settings *settings, long long number,
                      char *error, size_t error_size) __attribute__((warn_unused_result));
int option_set_boolean(const struct option *option, struct settings *settings, bool value,
                       char *error, size_t error_size) __attribute__((warn_unused_result));

/* The value as one would write it in the file, quotes and all; the caller frees it. NULL when
 * memory is short. Not for OPTION_LIST. */
char *option_format(const struct option *option, const struct settings *settings);

/* A text in quotes with libconfig's escapes; the caller frees it. NULL when memory is short. */
char *option_quote(const char *text);

/* Frees the strings that option_set_text() made. */
void option_free_strings(struct settings *settings);

/* Finds a word; -1 with "… is not one of …; did you mean …" in `error`. */
int option_find_word(const struct option_words *words, const char *text, char *error,
                     size_t error_size) __attribute__((warn_unused_result));

/* The words that rules use too. */
extern const struct option_words option_action_words;
extern const struct option_words option_chunking_words;

#endif
