/*
 * head.h - the request that opens a socket, read from libwebsockets into what admission.h
 * judges.
 */
#ifndef BROADCASTER_HEAD_H
#define BROADCASTER_HEAD_H

#include "admission.h"
#include "common/address.h"

struct lws;

/* Longest request head: a token needs room, in the query or in a header. */
#define HEAD_MAX 8192

struct head {
    struct admission a;       /* points into the rest */
    char client[ADDRESS_MAX]; /* whose request it is */
    char path[64];
    char session_id[64];
    char origin[256], host[256], version[16];
    char subprotocol[HEAD_MAX], authorization[HEAD_MAX], query_token[HEAD_MAX];
    bool delta; /* wants STATE_DELTA */
};

/*
 * `is_signed_in`, `draining` and `full` are left to the caller. Valid before and just after the
 * upgrade. The web server says on the loopback interface whose request it is
 * (X-Synckairos-Peer); nobody else is believed, and X-Forwarded-For only behind `proxies`.
 */
void head_read(struct head *head, struct lws *wsi, const struct proxy_list *proxies);

#endif
