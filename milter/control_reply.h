/*
 * Answers of the control socket: text, JSON, errors; and peers that go away before they have
 * theirs. Runs on the event loop's thread.
 */
#ifndef BDAT_CONTROL_REPLY_H
#define BDAT_CONTROL_REPLY_H

#include <stdbool.h>

#include <jansson.h>

struct evhttp_request;

/* An answer to HEAD is that of GET without its content (RFC 9110, 9.3.2). libevent would send it
 * all the same; the functions here do not. */
bool control_is_head(struct evhttp_request *request);

/* Answers HEAD where nobody has counted the octets that GET would bring. */
void control_send_head(struct evhttp_request *request, const char *type);

void control_send_text(struct evhttp_request *request, int status, const char *type,
                       const char *text);

/* Takes the reference; NULL = memory is short. */
void control_send_json(struct evhttp_request *request, int status, json_t *object);

/* {"error":"text"}; the text may hold what the peer said, and is made printable. */
void control_send_error(struct evhttp_request *request, int status, const char *text);

/* Who answers a request later and must know when its peer has gone: then `gone` is called, and the
 * request must not be touched any more. One watcher a request. */
struct control_watcher {
    struct evhttp_request *request;
    void (*gone)(void *context);
    void *context;
};
void control_watch(struct control_watcher *watcher);

/* Belongs before the answer. */
void control_unwatch(struct control_watcher *watcher);

#endif
