/*
 * server.h - what is answered to a request, and the sockets of those who got a WebSocket.
 *
 * libwebsockets carries these sockets as raw ones: it polls them, keeps what a socket does not
 * take, and ends them. Its own WebSocket role is not used: 4.1.6 accepts frames that RFC 6455
 * tells a server to refuse, and shows nobody their heads (frame_reader.h reads them). So the
 * handshake is ours, and messages go out as complete frames, many in one write.
 * permessage-deflate is not offered: a frame is made once for all who get it.
 */
#ifndef BROADCASTER_SERVER_H
#define BROADCASTER_SERVER_H

#include "client.h"
#include <stdbool.h>

struct app;
struct head;
struct server; /* opaque */

/* How clients reach their sockets. */
extern const struct client_io server_io;

/* Ends the process when libwebsockets cannot start. */
struct server *server_new(struct app *app);
/* Whether one more socket may come in, beside those of the clients and `waiting` others. */
bool server_has_room(const struct server *s, int waiting);
/* Take over the socket of a request, whose head has been read and nothing behind it: it becomes
 * a client's, or is answered and closed. */
void server_take(struct server *s, int fd, const struct head *head);
/* Cut what is left, and free what the library holds: call, run the loop, call again. */
void server_destroy_begin(struct server *s);
void server_destroy_end(struct server *s);

#endif
