#include "config.h"

#include "ctl/hooks.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/text.h"

#define POLICY_WORD "check_policy_service"

char *hook_socket_path(const char *path, const char *queue_dir)
{
    size_t length = strlen(queue_dir);
    while (length > 1 && queue_dir[length - 1] == '/')
        length--;
    if (length > 0 && strncmp(path, queue_dir, length) == 0 && path[length] == '/')
        path += length + strspn(path + length, "/");
    return text_copy(path);
}

static struct hook make(const char *parameter, enum hook_kind kind, bool in_front,
                        const char *socket, const char *queue_dir, const char *format,
                        const char *why)
{
    struct hook hook = {.parameter = parameter, .kind = kind, .in_front = in_front, .why = why};
    hook.path = hook_socket_path(socket, queue_dir);
    const char *place = strchr(format, '%');
    hook.text = text_format("%.*s%s%s", (int)(place - format), format, hook.path, place + 1);
    return hook;
}

void hooks_build(struct hook hooks[HOOK_COUNT], const struct hook_sockets *sockets,
                 const char *queue_dir)
{
    static const char policy[] = POLICY_WORD " { unix:%, default_action=DUNNO }";
    static const char policy_why[] = "first, since a list ends at the first permit; ours answers "
                                     "DUNNO, so the rest is asked as before";
    hooks[0] = make("smtpd_milters", HOOK_MILTER, true, sockets->milter, queue_dir,
                    "{ unix:%, default_action=accept }",
                    "first, since a filter before it that changes the body would hide the "
                    "message as it came");
    hooks[1] = make("smtpd_command_filter", HOOK_SINGLE, true, sockets->tables, queue_dir,
                    "socketmap:unix:%:command", "shows the daemon each command, BDAT among them");
    hooks[2] = make("smtpd_discard_ehlo_keyword_address_maps", HOOK_MAP, false, sockets->tables,
                    queue_dir, "socketmap:unix:%:ehlo",
                    "last, since the first map that knows a client decides; what stands there by "
                    "hand stays in force");
    hooks[3] = make("smtpd_data_restrictions", HOOK_POLICY, true, sockets->policy, queue_dir,
                    policy, policy_why);
    hooks[4] = make("smtpd_end_of_data_restrictions", HOOK_POLICY, true, sockets->policy, queue_dir,
                    policy, policy_why);
}

void hooks_free(struct hook hooks[HOOK_COUNT])
{
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        free(hooks[i].path);
        free(hooks[i].text);
    }
}

/* Takes "prefix" from the front of a text if it stands there. */
static bool skip(const char **text, const char *prefix)
{
    size_t length = strlen(prefix);
    if (strncmp(*text, prefix, length) != 0)
        return false;
    *text += length;
    return true;
}

/* True if the item names the hook's socket: with or without queue_dir in front, "local:" for
 * "unix:", braces or not. */
static bool names_socket(const struct hook *hook, const char *queue_dir, const char *value,
                         struct span item)
{
    struct span span = value_item_name(value, item);
    char *name = text_format("%.*s", (int)(span.end - span.begin), value + span.begin);
    const char *rest = name;
    bool named =
        hook->kind == HOOK_MILTER || hook->kind == HOOK_POLICY || skip(&rest, "socketmap:");
    named = named && (skip(&rest, "unix:") || skip(&rest, "local:"));
    char *path = hook_socket_path(rest, queue_dir);
    const char *suffix = hook->kind == HOOK_SINGLE ? ":command"
                         : hook->kind == HOOK_MAP  ? ":ehlo"
                                                   : "";
    char *want = text_format("%s%s", hook->path, suffix);
    named = named && strcmp(path, want) == 0;
    free(want);
    free(path);
    free(name);
    return named;
}

bool hook_find(const struct hook *hook, const char *queue_dir, const char *value, struct span *part)
{
    struct span item;
    for (size_t at = 0; value_next(value, at, &item); at = item.end) {
        *part = item;
        if (hook->kind == HOOK_POLICY) {
            if (!value_item_is(value, item, POLICY_WORD) || !value_next(value, item.end, &item))
                continue;
            part->end = item.end;
        }
        if (names_socket(hook, queue_dir, value, item))
            return true;
    }
    return false;
}

char *hook_take_out(const struct hook *hook, const char *queue_dir, const char *value)
{
    struct span part;
    return hook_find(hook, queue_dir, value, &part) ? value_remove(value, part) : text_copy(value);
}

bool hook_is_table(const struct hook *hook)
{
    return hook->kind == HOOK_SINGLE || hook->kind == HOOK_MAP;
}

bool hook_is_first(const char *value, struct span part)
{
    struct span item;
    return value_next(value, 0, &item) && item.begin == part.begin;
}

bool hook_is_safe(const struct hook *hook, const char *value, struct span part)
{
    if (hook->kind != HOOK_MILTER && hook->kind != HOOK_POLICY)
        return true;
    const char *want = hook->kind == HOOK_MILTER ? "default_action=accept" : "default_action=DUNNO";
    char *compact = text_resize(NULL, part.end - part.begin + 1, 1), *end = compact;
    for (size_t i = part.begin; i < part.end; i++)
        if (strchr(" \t", value[i]) == NULL)
            *end++ = value[i];
    *end = '\0';
    bool safe = strcasestr(compact, want) != NULL;
    free(compact);
    return safe;
}
