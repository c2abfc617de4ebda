#include "web.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"

#include <ctype.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_BYTES 16
#define BASE64_MAX 32
#define PIECE 16384
#define NAP_MS 10
#define MASK 4

struct web_socket {
    BIO *bio;
    struct buf in; /* read, and not taken yet */
    size_t taken;
};

bool
web_url_parse(const char *url, struct web_url *out)
{
    const char *host, *end, *port;
    size_t len;

    out->tls = strncmp(url, "https://", 8) == 0;
    if (!out->tls && strncmp(url, "http://", 7) != 0)
        return false;
    host = url + (out->tls ? 8 : 7);
    end = *host == '[' ? strchr(host, ']') : host + strcspn(host, ":/");
    if (end == NULL)
        return false;
    len = (size_t)(end - host) - (*host == '[');
    host += *host == '[';
    end += *end == ']';
    port = *end == ':' ? end + 1 : (out->tls ? "443" : "80");
    if (*end == ':')
        end = port + strspn(port, "0123456789");
    if (len == 0 || len >= sizeof(out->host) || (*end != '\0' && strcmp(end, "/") != 0))
        return false;
    snprintf(out->host, sizeof(out->host), "%.*s", (int)len, host);
    len = strspn(port, "0123456789");
    snprintf(out->port, sizeof(out->port), "%.*s", (int)len, port);
    return len > 0 && len < sizeof(out->port);
}

/* --- bytes --- */

/* Wait until the BIO may go on; false when `deadline` (monotonic ms) has passed. */
static bool
wait_for(BIO *bio, int64_t deadline)
{
    struct pollfd p = { .events = BIO_should_write(bio) ? POLLOUT : POLLIN };
    int64_t left = deadline - clock_mono_ms();

    return left > 0 && BIO_get_fd(bio, &p.fd) >= 0 && poll(&p, 1, (int)left) >= 0;
}

/* Bytes read, 0 at the deadline, -1 when the other side has ended. */
static int
take(BIO *bio, char *out, int size, int64_t deadline)
{
    for (;;) {
        int n = BIO_read(bio, out, size);

        if (n > 0)
            return n;
        if (!BIO_should_retry(bio))
            return -1;
        if (!wait_for(bio, deadline))
            return 0;
    }
}

static bool
put(BIO *bio, const char *s, size_t len)
{
    int64_t deadline = clock_mono_ms() + WEB_MS;

    while (len > 0) {
        int n = BIO_write(bio, s, (int)len);

        if (n > 0) {
            s += n;
            len -= (size_t)n;
        } else if (!BIO_should_retry(bio) || !wait_for(bio, deadline)) {
            return false;
        }
    }
    return true;
}

/* A BIO that checks certificates as the system does, and frees what it needs with itself. */
static BIO *
new_bio(const struct web_url *url)
{
    char host[sizeof(url->host)]; /* OpenSSL's macros want what may be written to */
    SSL_CTX *ctx;
    SSL *ssl = NULL;
    BIO *bio;

    if (!url->tls)
        return BIO_new(BIO_s_connect());
    ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_default_verify_paths(ctx);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    bio = BIO_new_ssl_connect(ctx);
    SSL_CTX_free(ctx);
    if (bio == NULL)
        return NULL;
    BIO_get_ssl(bio, &ssl);
    memcpy(host, url->host, sizeof(host));
    SSL_set_tlsext_host_name(ssl, host);
    SSL_set1_host(ssl, host);
    return bio;
}

static BIO *
dial(const struct web_url *url, struct web_answer *a)
{
    BIO *bio = new_bio(url);
    struct web_url to = *url; /* as above */

    signal(SIGPIPE, SIG_IGN);
    if (bio != NULL) {
        BIO_set_conn_hostname(bio, to.host);
        BIO_set_conn_port(bio, to.port);
        if (BIO_do_connect_retry(bio, WEB_MS / 1000, NAP_MS) == 1)
            return bio;
    }
    BIO_free_all(bio);
    snprintf(a->error, sizeof(a->error), "no connection to %.60s port %s%s", url->host,
             url->port, url->tls ? ", or no trusted certificate" : "");
    return NULL;
}

/* --- HTTP --- */

const char *
web_header(const struct web_answer *a, const char *name)
{
    static char value[256];
    size_t len = strlen(name);

    for (const char *p = buf_cstr(a->text); (p = strstr(p, "\r\n")) != NULL;) {
        p += 2;
        if (*p == '\r' || *p == '\0')
            break;
        if (strncasecmp(p, name, len) != 0 || p[len] != ':')
            continue;
        p += len + 1;
        p += strspn(p, " ");
        snprintf(value, sizeof(value), "%.*s", (int)strcspn(p, "\r\n"), p);
        return value;
    }
    return "";
}

/* Read the head, and what comes with it. */
static bool
take_head(BIO *bio, struct web_answer *a)
{
    int64_t deadline = clock_mono_ms() + WEB_MS;
    const char *end = NULL;
    char piece[PIECE];

    while (end == NULL) {
        int n = take(bio, piece, sizeof(piece), deadline);

        if (n <= 0) {
            snprintf(a->error, sizeof(a->error), "%s",
                     n == 0 ? "no answer in time" : "closed without an answer");
            return false;
        }
        buf_add(a->text, piece, (size_t)n);
        end = strstr(buf_cstr(a->text), "\r\n\r\n");
    }
    if (sscanf(buf_cstr(a->text), "HTTP/%*c.%*c %3d", &a->status) != 1) {
        snprintf(a->error, sizeof(a->error), "the answer is no HTTP");
        return false;
    }
    a->body = end + 4;
    return true;
}

static void
begin(struct web_answer *a)
{
    buf_clear(a->text);
    a->status = 0;
    a->body = "";
    a->error[0] = '\0';
}

static bool
ask(BIO *bio, const struct web_url *url, const char *line, const char *headers)
{
    const char *open = strchr(url->host, ':') != NULL ? "[" : "";
    struct buf text;
    bool done;

    buf_init(&text, 64 * 1024);
    buf_printf(&text, "%s\r\nHost: %s%s%s:%s\r\n%s\r\n", line, open, url->host,
               *open != '\0' ? "]" : "", url->port, headers);
    done = put(bio, buf_cstr(&text), text.len);
    buf_fini(&text);
    return done;
}

bool
web_get(const struct web_url *url, const char *path, const char *headers, struct web_answer *a)
{
    char line[512], piece[PIECE];
    int64_t deadline = clock_mono_ms() + 2 * WEB_MS;
    size_t head;
    bool done;
    BIO *bio;
    int n;

    begin(a);
    snprintf(line, sizeof(line), "GET %s HTTP/1.0", path); /* 1.0: the end is the end */
    bio = dial(url, a);
    if (bio == NULL)
        return false;
    done = ask(bio, url, line, headers) && take_head(bio, a);
    head = done ? (size_t)(a->body - a->text->data) : 0;
    while (done && (n = take(bio, piece, sizeof(piece), deadline)) > 0)
        buf_add(a->text, piece, (size_t)n);
    if (done)
        a->body = a->text->data + head;
    BIO_free_all(bio);
    return done;
}

/* --- WebSocket --- */

static void
proof(const char *key, char out[BASE64_MAX])
{
    unsigned char hash[SHA_DIGEST_LENGTH];
    char text[BASE64_MAX + sizeof(GUID)];

    snprintf(text, sizeof(text), "%s" GUID, key);
    SHA1((const unsigned char *)text, strlen(text), hash);
    EVP_EncodeBlock((unsigned char *)out, hash, sizeof(hash));
}

static bool
upgrade(BIO *bio, const struct web_url *url, const char *path, const char *headers,
        struct web_answer *a)
{
    unsigned char random[KEY_BYTES];
    char key[BASE64_MAX], wanted[BASE64_MAX];
    struct buf line, all;
    bool done;

    RAND_bytes(random, sizeof(random));
    EVP_EncodeBlock((unsigned char *)key, random, sizeof(random));
    proof(key, wanted);
    buf_init(&line, 32 * 1024);
    buf_init(&all, 32 * 1024);
    buf_printf(&line, "GET %s HTTP/1.1", path);
    buf_printf(&all,
               "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: %s\r\n%s",
               key, headers);
    done = ask(bio, url, buf_cstr(&line), buf_cstr(&all)) && take_head(bio, a);
    buf_fini(&line);
    buf_fini(&all);
    if (done && a->status == 101 &&
        strcmp(web_header(a, "Sec-WebSocket-Accept"), wanted) != 0) {
        snprintf(a->error, sizeof(a->error),
                 "Sec-WebSocket-Accept is not the proof of our key");
        return false;
    }
    return done && a->status == 101;
}

struct web_socket *
web_socket_open(const struct web_url *url, const char *path, const char *headers,
                struct web_answer *a)
{
    struct web_socket *ws;
    BIO *bio;

    begin(a);
    bio = dial(url, a);
    if (bio == NULL)
        return NULL;
    if (!upgrade(bio, url, path, headers, a)) {
        BIO_free_all(bio);
        return NULL;
    }
    ws = xalloc(sizeof(*ws));
    ws->bio = bio;
    buf_init(&ws->in, 8 << 20);
    buf_add(&ws->in, a->body, a->text->len - (size_t)(a->body - a->text->data));
    return ws;
}

void
web_socket_close(struct web_socket *ws)
{
    if (ws == NULL)
        return;
    BIO_free_all(ws->bio);
    buf_fini(&ws->in);
    free(ws);
}

bool
web_socket_send(struct web_socket *ws, enum web_frame type, const char *s, size_t len)
{
    unsigned char head[4 + MASK], *mask;
    struct buf frame;
    size_t n = 2;
    bool done;

    head[0] = (unsigned char)(0x80 | (unsigned)type);
    head[1] = (unsigned char)(0x80 | (len < 126 ? len : 126));
    if (len >= 126) {
        head[n++] = (unsigned char)(len >> 8);
        head[n++] = (unsigned char)len;
    }
    if (len > UINT16_MAX || RAND_bytes(head + n, MASK) != 1)
        return false;
    mask = head + n;
    buf_init(&frame, len + sizeof(head));
    buf_add(&frame, head, n + MASK);
    for (size_t i = 0; i < len; i++)
        buf_char(&frame, (char)((unsigned char)s[i] ^ mask[i % MASK]));
    done = put(ws->bio, frame.data, frame.len);
    buf_fini(&frame);
    return done;
}

/* Length of a whole frame at the front, with its head; 0 when it has not come. */
static size_t
whole(const struct web_socket *ws, size_t *head)
{
    const unsigned char *p = (const unsigned char *)ws->in.data + ws->taken;
    size_t n = ws->in.len - ws->taken, len, more;

    if (n < 2)
        return 0;
    len = p[1] & 0x7f;
    more = len == 127 ? 8 : len == 126 ? 2 : 0;
    *head = 2 + more;
    if (n < *head)
        return 0;
    if (more > 0)
        len = 0;
    for (size_t i = 0; i < more; i++)
        len = len << 8 | p[2 + i];
    return n - *head >= len ? *head + len : 0;
}

enum web_frame
web_socket_next(struct web_socket *ws, int64_t wait_ms, struct buf *out)
{
    int64_t deadline = clock_mono_ms() + wait_ms;
    char piece[PIECE];
    size_t len, head = 0;
    unsigned type;
    int n;

    while ((len = whole(ws, &head)) == 0) {
        n = take(ws->bio, piece, sizeof(piece), deadline);
        if (n <= 0)
            return n == 0 ? WEB_SILENCE : WEB_CLOSED;
        buf_add(&ws->in, piece, (size_t)n);
        if (ws->in.overflow)
            return WEB_CLOSED;
    }
    type = (unsigned char)ws->in.data[ws->taken] & 0xf;
    buf_clear(out);
    buf_add(out, ws->in.data + ws->taken + head, len - head);
    ws->taken += len;
    if (ws->taken == ws->in.len) {
        buf_clear(&ws->in);
        ws->taken = 0;
    }
    if (type == WEB_PING)
        web_socket_send(ws, WEB_PONG, buf_cstr(out), out->len);
    return (enum web_frame)type;
}
