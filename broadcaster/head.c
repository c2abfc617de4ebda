#include "head.h"

#include <libwebsockets.h>

/* The header in `out`; NULL: the request has none. */
static const char *
copy_header(struct lws *wsi, enum lws_token_indexes token, char *out, size_t size)
{
    out[0] = '\0';
    if (lws_hdr_total_length(wsi, token) <= 0)
        return NULL;
    /* too long for us: present, and equal to nothing that we know */
    if (lws_hdr_copy(wsi, out, (int)size, token) <= 0)
        snprintf(out, size, "?");
    return out;
}

/* The query is kept by the library as fragments "name=value", percent-decoded. */
static void
read_query(struct head *head, struct lws *wsi)
{
    static const char session[] = "sessionId=", token[] = "token=", delta[] = "delta=";
    char arg[HEAD_MAX];

    for (int i = 0;
         lws_hdr_copy_fragment(wsi, arg, sizeof(arg), WSI_TOKEN_HTTP_URI_ARGS, i) >= 0; i++) {
        if (strncmp(arg, session, sizeof(session) - 1) == 0 && head->session_id[0] == '\0')
            snprintf(head->session_id, sizeof(head->session_id), "%.63s",
                     arg + sizeof(session) - 1);
        else if (strncmp(arg, token, sizeof(token) - 1) == 0)
            snprintf(head->query_token, sizeof(head->query_token), "%s",
                     arg + sizeof(token) - 1);
        else if (strncmp(arg, delta, sizeof(delta) - 1) == 0)
            head->delta = strcmp(arg + sizeof(delta) - 1, "1") == 0;
    }
}

static bool
is_loopback(const char *address)
{
    struct proxy_list here;

    return proxy_list_parse("127.0.0.0/8,::1", &here, NULL) == RC_OK &&
           address_is_among(&here, address);
}

static void
read_client(struct head *head, struct lws *wsi, const struct proxy_list *proxies)
{
    static const char name[] = "x-synckairos-peer:";
    char peer[ADDRESS_MAX] = "", said[ADDRESS_MAX] = "", forwarded[HEAD_MAX];
    const char *via = copy_header(wsi, WSI_TOKEN_X_FORWARDED_FOR, forwarded, sizeof(forwarded));

    lws_get_peer_simple(wsi, peer, sizeof(peer));
    address_of_client(proxies, peer, NULL, head->client);
    if (is_loopback(head->client) &&
        lws_hdr_custom_copy(wsi, said, sizeof(said), name, sizeof(name) - 1) > 0)
        snprintf(peer, sizeof(peer), "%s", said);
    address_of_client(proxies, peer, via, head->client);
}

void
head_read(struct head *head, struct lws *wsi, const struct proxy_list *proxies)
{
    memset(head, 0, sizeof(*head));
    read_client(head, wsi, proxies);
    copy_header(wsi, WSI_TOKEN_GET_URI, head->path, sizeof(head->path));
    read_query(head, wsi);
    head->a = (struct admission){
        .path = head->path,
        .session_id = head->session_id,
        .query_token = head->query_token,
        .origin = copy_header(wsi, WSI_TOKEN_ORIGIN, head->origin, sizeof(head->origin)),
        .host = copy_header(wsi, WSI_TOKEN_HOST, head->host, sizeof(head->host)),
        .version = copy_header(wsi, WSI_TOKEN_VERSION, head->version, sizeof(head->version)),
        .subprotocol =
            copy_header(wsi, WSI_TOKEN_PROTOCOL, head->subprotocol, sizeof(head->subprotocol)),
        .authorization = copy_header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, head->authorization,
                                     sizeof(head->authorization)),
    };
}
