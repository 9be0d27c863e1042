/* explain: from "this mail did not arrive" to the reason in one command. */
#include "config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/actions.h"
#include "ctl/show.h"
#include "ctl/story.h"
#include "ctl/text.h"

/* An address or a network in CIDR notation; anything else is taken for a queue id. */
static bool is_address(const char *text)
{
    char address[64];
    size_t length = strcspn(text, "/");
    unsigned char octets[16];
    if (length >= sizeof(address))
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    return inet_pton(AF_INET, address, octets) == 1 || inet_pton(AF_INET6, address, octets) == 1;
}

/* Asks for the daemon's object of a client; *client is NULL if nothing is known, else the caller
 * decrefs. */
static enum exit_code find_client(const struct ctl *ctl, const char *address, json_t **client)
{
    char *segment = daemon_segment(address);
    char *path = text_format("/v1/clients/%s", segment);
    json_t *answer = NULL;
    enum exit_code code = daemon_find(ctl, path, &answer);
    *client = json_incref(json_array_get(json_object_get(answer, "clients"), 0));
    json_decref(answer);
    free(path);
    free(segment);
    return code;
}

static void tell(const struct ctl *ctl, const json_t *transfer, const json_t *client,
                 const json_t *story)
{
    if (!ctl->json) {
        size_t columns = style_columns(stdout);
        story_print(story, stdout, columns > 100 ? 100 : columns, ctl->colour);
        return;
    }
    json_t *all = json_pack("{sO*sO*sO}", "transfer", transfer, "client", client, "story", story);
    daemon_print_json(all);
    json_decref(all);
}

/* The transfer of that queue id among a list, newest first. */
static const json_t *pick(const json_t *list, const char *id)
{
    size_t index;
    const json_t *transfer;
    json_array_foreach(list, index, transfer) if (strcmp(json_get_text(transfer, "queue_id"), id) ==
                                                  0) return transfer;
    return NULL;
}

static enum exit_code explain_transfer(const struct ctl *ctl, const char *id)
{
    json_t *recent, *stored = NULL;
    char *path = daemon_path("/v1/transfers", "queue_id", id);
    enum exit_code code = daemon_get(ctl, path, &recent);
    free(path);
    if (code != EXIT_DONE)
        return code;
    const json_t *transfer = pick(json_object_get(recent, "transfers"), id);
    if (transfer == NULL) {
        path = daemon_path("/v1/incidents", "queue_id", id, "limit", "1000");
        stored = daemon_try(ctl, path);
        free(path);
        transfer = pick(json_object_get(stored, "incidents"), id);
    }
    if (transfer == NULL) {
        ctl_complain("nothing is known of queue id %s.\nOnly BDAT transfers are recorded (sound "
                     "ones for a short while, others for store.keep). Was the message sent by "
                     "DATA? Try the client's address: bdatctl explain ADDRESS",
                     id);
        code = EXIT_NO;
    } else {
        json_t *config = daemon_try(ctl, "/v1/config");
        json_t *client = NULL;
        const struct outlook_rules rules = outlook_rules(config);
        code = find_client(ctl, json_get_text(transfer, "client_address"), &client);
        json_t *story = story_of_transfer(transfer, client, &rules);
        tell(ctl, transfer, client, story);
        json_decref(story);
        json_decref(client);
        json_decref(config);
    }
    json_decref(recent);
    json_decref(stored);
    return code;
}

/* Tells what is known of the client; `client` may be NULL. */
static enum exit_code tell_client(const struct ctl *ctl, const char *address, const json_t *client,
                                  const json_t *recent)
{
    char *path = daemon_path("/v1/incidents", "client", address, "limit", "1");
    json_t *stored = daemon_try(ctl, path), *config = daemon_try(ctl, "/v1/config");
    const struct outlook_rules rules = outlook_rules(config);
    enum exit_code code = EXIT_DONE;
    free(path);
    json_t *story = story_of_client(address, client, json_object_get(recent, "transfers"),
                                    json_object_get(stored, "incidents"), &rules);
    if (story == NULL) {
        ctl_complain("nothing is known of %s: it has sent nothing by BDAT that is remembered, and "
                     "has no strikes.\nDoes its mail reach this server at all? Postfix's log says: "
                     "grep %s /var/log/mail.log",
                     address, address);
        code = EXIT_NO;
    } else {
        tell(ctl, NULL, client, story);
    }
    json_decref(story);
    json_decref(config);
    json_decref(stored);
    return code;
}

static enum exit_code explain_client(const struct ctl *ctl, const char *address)
{
    json_t *client = NULL, *recent = NULL;
    enum exit_code code = find_client(ctl, address, &client);
    char *path = daemon_path("/v1/transfers", "client", address, "limit", "1000");
    if (code == EXIT_DONE)
        code = daemon_get(ctl, path, &recent);
    free(path);
    if (code == EXIT_DONE)
        code = tell_client(ctl, address, client, recent);
    json_decref(client);
    json_decref(recent);
    return code;
}

enum exit_code run_explain(const struct ctl *ctl, const struct invocation *invocation)
{
    const char *what = invocation->arguments[0];
    return is_address(what) ? explain_client(ctl, what) : explain_transfer(ctl, what);
}
