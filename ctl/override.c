#include "config.h"

#include "ctl/override.h"

#include <ctype.h>
#include <stdlib.h>

#include "ctl/text.h"

char *override_without_ours(const struct site *site, const struct postfix_service *service,
                            const struct hook *hook)
{
    struct span part;
    const char *queue_dir = site->postfix.queue_dir;
    char *value = postfix_get_override(&site->postfix, service, hook->parameter);
    char *expanded = postfix_expand_override(&site->postfix, service, hook->parameter);
    if (value != NULL && (hook_find(hook, queue_dir, value, &part) ||
                          (expanded != NULL && hook_find(hook, queue_dir, expanded, &part)))) {
        free(value);
        value = NULL;
    }
    free(expanded);
    return value;
}

/* "submission_inet_smtpd_milters": a name for a parameter of main.cf. */
static char *name_of_own(const char *service_parameter)
{
    char *name = text_copy(service_parameter);
    for (char *at = name; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at))
            *at = '_';
    return name;
}

/* "postconf -P 'NAME=VALUE'". */
static char *set_for_service(const struct site *site, const char *name, const char *value)
{
    char *assignment = text_format("%s=%s", name, value);
    char *line = postfix_command(&site->postfix, "-P", assignment);
    free(assignment);
    return line;
}

/* The same for a value that must go by way of main.cf. */
static char *set_through_main(const struct site *site, const char *name, const char *value)
{
    char *own = name_of_own(name), *reference = text_format("$%s", own);
    char *assignment = text_format("%s=%s", own, value);
    char *first = postfix_command(&site->postfix, "-e", assignment);
    char *second = set_for_service(site, name, reference);
    char *line = text_format("%s && %s", first, second);
    free(second);
    free(first);
    free(assignment);
    free(reference);
    free(own);
    return line;
}

static char *and_reload(const struct site *site, char *line)
{
    char *dir = postfix_dir_option(&site->postfix);
    char *whole = text_format("%s && postfix%s reload", line, dir);
    free(dir);
    free(line);
    return whole;
}

char *override_attach(const struct site *site, const struct postfix_service *service,
                      const struct hook *hook, const char *value)
{
    struct span item;
    if (hook->kind == HOOK_SINGLE && value_next(value, 0, &item))
        return NULL;
    char *name = postfix_service_parameter(service, hook->parameter);
    char *whole = hook->kind == HOOK_SINGLE ? text_copy(hook->text)
                                            : value_add(value, hook->text, hook->in_front);
    char *compact = value_compact(whole);
    char *line = compact != NULL ? set_for_service(site, name, compact)
                                 : set_through_main(site, name, whole);
    free(compact);
    free(whole);
    free(name);
    return and_reload(site, line);
}

char *override_remove(const struct site *site, const struct postfix_service *service,
                      const struct hook *hook)
{
    char *name = postfix_service_parameter(service, hook->parameter);
    char *line = postfix_command(&site->postfix, "-PX", name);
    free(name);
    return line;
}
