/*
 * The control socket: HTTP over a Unix socket (evhttp). GET for whoever may open the socket, POST
 * for root and the daemon's own user. Runs on the event loop's thread; no request waits: the
 * store answers by the inbox.
 */
#ifndef BDAT_CONTROL_H
#define BDAT_CONTROL_H

struct app;
struct control;

/* Begins to serve on a listening descriptor, owned by it from now on. NULL on failure. */
struct control *control_new(struct app *app, int listen_fd);

/* Closes all connections, frees and nulls the pointer; NULL is fine. */
void control_free(struct control **control);

#endif
