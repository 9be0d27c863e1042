#include "milter/control_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "milter/log.h"
#include "milter/settings.h"

bool control_is_head(struct evhttp_request *request)
{
    return evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
}

void control_send_head(struct evhttp_request *request, const char *type)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
    evhttp_send_reply(request, 200, NULL, NULL);
}

void control_send_text(struct evhttp_request *request, int status, const char *type,
                       const char *text)
{
    struct evbuffer *body = evbuffer_new();
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    char length[24];
    evhttp_add_header(headers, "Content-Type", type);
    snprintf(length, sizeof(length), "%zu", strlen(text));
    if (control_is_head(request))
        evhttp_add_header(headers, "Content-Length", length);
    else if (body != NULL)
        evbuffer_add(body, text, strlen(text));
    evhttp_send_reply(request, status, NULL, body);
    if (body != NULL)
        evbuffer_free(body);
}

void control_send_json(struct evhttp_request *request, int status, json_t *object)
{
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text == NULL)
        control_send_text(request, 500, "application/json", "{\"error\":\"out of memory\"}");
    else
        control_send_text(request, status, "application/json", text);
    free(text);
}

void control_send_error(struct evhttp_request *request, int status, const char *text)
{
    char printable[SETTINGS_ERROR_SIZE];
    log_printable(text, strlen(text), printable, sizeof(printable));
    control_send_json(request, status, json_pack("{s:s}", "error", printable));
}

/* libevent takes an unanswered request off a connection that the peer closed and leaves it to us
 * (http.c, evhttp_connection_incoming_fail()). */
static void on_close(struct evhttp_connection *connection, void *context)
{
    struct control_watcher *watcher = context;
    struct evhttp_request *request = watcher->request;
    (void)connection;
    watcher->gone(watcher->context);
    if (evhttp_request_get_connection(request) == NULL)
        evhttp_request_free(request);
}

void control_watch(struct control_watcher *watcher)
{
    evhttp_connection_set_closecb(evhttp_request_get_connection(watcher->request), on_close,
                                  watcher);
}

void control_unwatch(struct control_watcher *watcher)
{
    evhttp_connection_set_closecb(evhttp_request_get_connection(watcher->request), NULL, NULL);
}
