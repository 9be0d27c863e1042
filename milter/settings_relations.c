/* What two options have to do with each other. */
#include <stdio.h>
#include <string.h>

#include "milter/reply.h"
#include "milter/settings_loader.h"

/* Room for "actions.failed_elsewhere". */
#define NAME_SIZE 64

bool loader_check_reply(const struct settings *settings, enum verdict verdict, enum action action,
                        char *error, size_t error_size)
{
    struct reply reply;

    if ((action != ACTION_TEMPFAIL && action != ACTION_REJECT) ||
        reply_parse(settings->replies[verdict], &reply, error, error_size) != 0)
        return true;
    char wanted = action == ACTION_TEMPFAIL ? '4' : '5';
    if (reply.code[0] == '\0' || reply.code[0] == wanted)
        return true;
    snprintf(error, error_size, "\"%s\" needs a reply %cyz, but replies.%s begins with %s",
             action_name(action), wanted, verdict_name(verdict), reply.code);
    return false;
}

static bool check_limits(struct loader *loader)
{
    const struct limits *limits = &loader->settings->limits;

    if (limits->max_chunk != 0 && limits->min_chunk > limits->max_chunk)
        return loader_refuse_pair(loader, "limits.min_chunk", "limits.max_chunk",
                                  "is larger than limits.max_chunk");
    if (limits->max_message != 0 && limits->min_chunk > limits->max_message)
        return loader_refuse_pair(loader, "limits.min_chunk", "limits.max_message",
                                  "is larger than limits.max_message");
    return true;
}

static bool check_suppression(struct loader *loader)
{
    const struct suppression_settings *suppression = &loader->settings->suppression;

    if (suppression->proven_threshold < suppression->threshold)
        return loader_refuse_pair(loader, "suppression.proven_threshold", "suppression.threshold",
                                  "is lower than suppression.threshold");
    if (suppression->hold > suppression->max_hold)
        return loader_refuse_pair(loader, "suppression.hold", "suppression.max_hold",
                                  "is longer than suppression.max_hold");
    return true;
}

static bool check_sockets(struct loader *loader)
{
    const struct settings *settings = loader->settings;
    const struct {
        const char *name;
        const char *path;
    } sockets[] = {
        {"milter.socket", settings->milter_socket},
        {"tables.socket", settings->tables_socket},
        {"policy.socket", settings->policy_socket},
        {"control.socket", settings->control_socket},
    };

    char why[64];

    for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(sockets[i].path, sockets[j].path) != 0)
                continue;
            snprintf(why, sizeof(why), "is the same as %s", sockets[j].name);
            return loader_refuse_pair(loader, sockets[i].name, sockets[j].name, why);
        }
    }
    return true;
}

static bool check_replies(struct loader *loader)
{
    char why[256];

    for (int i = 0; i < VERDICT_COUNT; i++) {
        enum verdict verdict = (enum verdict)i;
        char action[NAME_SIZE], reply[NAME_SIZE];
        if (!verdict_is_answerable(verdict) ||
            loader_check_reply(loader->settings, verdict, loader->settings->actions[i], why,
                               sizeof(why)))
            continue;
        snprintf(action, sizeof(action), "actions.%s", verdict_name(verdict));
        snprintf(reply, sizeof(reply), "replies.%s", verdict_name(verdict));
        return loader_refuse_pair(loader, action, reply, why);
    }
    return true;
}

bool settings_check_relations(struct loader *loader)
{
    return check_limits(loader) && check_suppression(loader) && check_sockets(loader) &&
           check_replies(loader);
}
