/*
 * server.h - what is answered to a request: a WebSocket, whose handshake (RFC 6455, 4.2.2) is
 * ours, or an answer that ends the connection.
 *
 * Messages go out as complete frames, many in one write. permessage-deflate is not offered: a
 * frame is made once for all who get it.
 */
#ifndef BROADCASTER_SERVER_H
#define BROADCASTER_SERVER_H

#include <stdbool.h>

struct app;
struct head;
struct server; /* opaque */

/* Ends the process when TRUSTED_PROXIES is none. */
struct server *server_new(struct app *app);
/* Whether one more socket may come in, beside those of the clients and `waiting` others. */
bool server_has_room(const struct server *s, int waiting);
/* Take over the socket of a request, whose head has been read and nothing behind it: it becomes
 * a client's, or is answered and closed. */
void server_take(struct server *s, int fd, const struct head *head);
/* Its clients are gone before. */
void server_free(struct server *s);

#endif
