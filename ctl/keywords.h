/*
 * EHLO keywords that main.cf discards for all clients, taken over into suppression.keywords of
 * bdat-milter.conf: the ehlo table's answer replaces smtpd_discard_ehlo_keywords for a client, so
 * it must contain them.
 */
#ifndef BDAT_CTL_KEYWORDS_H
#define BDAT_CTL_KEYWORDS_H

#include <stdbool.h>
#include <stddef.h>

/* True if the list (commas, spaces) has that keyword; case does not matter. */
bool keywords_have(const char *list, const char *keyword);

/* `ours` with the words of `global` that it lacks, behind its own but before silent-discard;
 * NULL if it lacks none. The caller frees. */
char *keywords_join(const char *ours, const char *global);

/* The text of a configuration with suppression.keywords set to `keywords`: changed where it
 * stands, added to the group, or with a group of its own at the end; all else stays as it is.
 * NULL if that cannot be done safely (the text is then to be edited by hand). The caller frees. */
char *keywords_edit(const char *text, const char *keywords);

/* What is to be written into that configuration by hand; `text` may be NULL. The caller frees. */
char *keywords_advise(const char *text, const char *keywords);

#endif
