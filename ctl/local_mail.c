#include "config.h"

#include "ctl/local_mail.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/text.h"

#define PARAMETER "non_smtpd_milters"

/* True for a value that holds $NAME, ${NAME…} or $(NAME…). */
static bool refers_to(const char *value, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strchr(value, '$'); at != NULL; at = strchr(at + 1, '$')) {
        const char *word = at + 1 + (at[1] == '{' || at[1] == '(');
        if (strncmp(word, name, length) == 0 && word[length] != '_' &&
            !isalnum((unsigned char)word[length]))
            return true;
    }
    return false;
}

char *local_mail_mend(const struct site *site)
{
    struct span part;
    const struct hook *hook = &site->hooks[0];
    const char *queue_dir = site->postfix.queue_dir;
    char *raw = postfix_get(&site->postfix, PARAMETER, false);
    char *expanded = postfix_get(&site->postfix, PARAMETER, true);
    char *line = NULL;
    if (refers_to(raw, hook->parameter) || hook_find(hook, queue_dir, expanded, &part)) {
        char *others = hook_take_out(hook, queue_dir, expanded);
        char *assignment = text_format(PARAMETER " = %s", others);
        char *command = postfix_command(&site->postfix, "-e", assignment);
        char *dir = postfix_dir_option(&site->postfix);
        line = text_format("%s && postfix%s reload", command, dir);
        free(dir);
        free(command);
        free(assignment);
        free(others);
    }
    free(expanded);
    free(raw);
    return line;
}
