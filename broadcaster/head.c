#include "head.h"

#include "common/hex.h"

#include <assert.h>
#include <http_parser.h>
#include <string.h>
#include <strings.h>

#define KEY_LEN 24

/* The fields that are looked at. */
enum field {
    FIELD_HOST,
    FIELD_ORIGIN,
    FIELD_AUTHORIZATION,
    FIELD_UPGRADE,
    FIELD_CONNECTION,
    FIELD_KEY,
    FIELD_VERSION,
    FIELD_PROTOCOL,
    FIELD_FORWARDED_FOR,
    FIELD_PEER,
    FIELD__MAX /* none of them */
};

static const struct {
    const char *name;
    bool is_list; /* may come on several lines */
} fields[FIELD__MAX] = {
    [FIELD_HOST] = { "Host", false },
    [FIELD_ORIGIN] = { "Origin", false },
    [FIELD_AUTHORIZATION] = { "Authorization", false },
    [FIELD_UPGRADE] = { "Upgrade", false },
    [FIELD_CONNECTION] = { "Connection", true },
    [FIELD_KEY] = { "Sec-WebSocket-Key", false },
    [FIELD_VERSION] = { "Sec-WebSocket-Version", false },
    [FIELD_PROTOCOL] = { "Sec-WebSocket-Protocol", true },
    [FIELD_FORWARDED_FOR] = { "X-Forwarded-For", true },
    [FIELD_PEER] = { "X-Synckairos-Peer", false },
};

struct text {
    const char *s;
    size_t len;
};

/* What the parser has called out. */
struct heard {
    struct text url;
    struct {
        enum field field;
        struct text value;
    } lines[HEAD_FIELDS_MAX];
    int n;
    bool is_large, is_whole;
};

/* --- the parser's calls; the head is there as a whole, so each comes once per part --- */

static int
on_url(http_parser *parser, const char *at, size_t len)
{
    struct heard *h = parser->data;

    h->url = (struct text){ at, len };
    return 0;
}

static int
on_field(http_parser *parser, const char *at, size_t len)
{
    struct heard *h = parser->data;
    int field = 0;

    /* a blank before the colon is let through, against RFC 9112 (5.1) */
    h->is_large = h->n == HEAD_FIELDS_MAX;
    if (h->is_large || memchr(at, ' ', len) != NULL)
        return 1;
    while (field < FIELD__MAX &&
           (strlen(fields[field].name) != len || strncasecmp(fields[field].name, at, len) != 0))
        field++;
    h->lines[h->n].field = field;
    h->lines[h->n++].value = (struct text){ "", 0 };
    return 0;
}

/* RFC 9110, 5.5; the parser does not look at the first one. */
static bool
has_control(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f)
            return true;
    return false;
}

static int
on_value(http_parser *parser, const char *at, size_t len)
{
    struct heard *h = parser->data;

    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    h->lines[h->n - 1].value = (struct text){ at, len };
    return has_control(at, len);
}

static int
on_end(http_parser *parser)
{
    struct heard *h = parser->data;

    h->is_whole = true;
    return 2; /* no body is read */
}

/* A line that goes on in the next one (RFC 9112, 5.2). */
static bool
is_folded(const char *s, size_t len)
{
    return memmem(s, len, "\n ", 2) != NULL || memmem(s, len, "\n\t", 2) != NULL;
}

static enum head_rc
parse(http_parser *parser, struct heard *h, const char *s, size_t len)
{
    const http_parser_settings settings = { .on_url = on_url,
                                            .on_header_field = on_field,
                                            .on_header_value = on_value,
                                            .on_headers_complete = on_end };

    if (is_folded(s, len))
        return HEAD_BAD;
    http_parser_init(parser, HTTP_REQUEST);
    parser->data = h;
    if (http_parser_execute(parser, &settings, s, len) == len && h->is_whole)
        return HEAD_SOUND;
    return h->is_large ? HEAD_LARGE : HEAD_BAD;
}

/* --- texts --- */

/* There is room for every part with its NUL: none is longer than the line that it is of. */
static void
add(struct head *head, const char *s, size_t len)
{
    assert(head->text_len + len < sizeof(head->text));
    memcpy(head->text + head->text_len, s, len);
    head->text_len += len;
}

/* All lines of a field, ", " between them. False: more than one of a field that is no list. */
static bool
collect(struct head *head, const struct heard *h, enum field field, const char **out)
{
    const char *start = head->text + head->text_len;
    int n = 0;

    *out = NULL;
    for (int i = 0; i < h->n; i++) {
        if (h->lines[i].field != field)
            continue;
        if (n > 0)
            add(head, ", ", 2);
        add(head, h->lines[i].value.s, h->lines[i].value.len);
        n++;
    }
    if (n == 0)
        return true;
    add(head, "", 1);
    *out = start;
    return n == 1 || fields[field].is_list;
}

/* NULL: badly encoded, or it has a NUL. */
static const char *
decode(struct head *head, const char *s, const char *end)
{
    const char *start = head->text + head->text_len;
    char c;
    int byte;

    while (s < end) {
        byte = percent_next(&s, end);
        if (byte <= 0)
            return NULL;
        c = (char)byte;
        add(head, &c, 1);
    }
    add(head, "", 1);
    return start;
}

/* The value of `name=value`; *out stays when it is another name, or there already. */
static bool
take_parameter(struct head *head, const char *name, struct text pair, const char **out)
{
    size_t n = strlen(name);

    if (*out != NULL || pair.len < n || memcmp(pair.s, name, n) != 0)
        return true;
    *out = decode(head, pair.s + n, pair.s + pair.len);
    return *out != NULL;
}

static bool
read_query(struct head *head, struct text query)
{
    const char *end = query.s + query.len, *delta = NULL;
    struct text pair;
    bool ok = true;

    for (const char *s = query.s; ok && s < end; s += pair.len + 1) {
        const char *next = memchr(s, '&', (size_t)(end - s));

        pair = (struct text){ s, (size_t)((next != NULL ? next : end) - s) };
        ok = take_parameter(head, "sessionId=", pair, &head->a.session_id) &&
             take_parameter(head, "token=", pair, &head->a.query_token) &&
             take_parameter(head, "delta=", pair, &delta);
    }
    head->delta = delta != NULL && strcmp(delta, "1") == 0;
    return ok;
}

static bool
read_url(struct head *head, const struct heard *h)
{
    struct http_parser_url url;
    const char *s = h->url.s;

    http_parser_url_init(&url);
    if (http_parser_parse_url(s, h->url.len, 0, &url) != 0 ||
        (url.field_set & 1 << UF_PATH) == 0)
        return false;
    s += url.field_data[UF_PATH].off;
    head->a.path = decode(head, s, s + url.field_data[UF_PATH].len);
    if (head->a.path == NULL)
        return false;
    if ((url.field_set & 1 << UF_QUERY) == 0)
        return true;
    return read_query(head, (struct text){ h->url.s + url.field_data[UF_QUERY].off,
                                           url.field_data[UF_QUERY].len });
}

/* --- what makes an upgrade --- */

/* RFC 4648 of 16 bytes. */
static bool
is_key(const char *s)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return strlen(s) == KEY_LEN && strspn(s, digits) == KEY_LEN - 2 &&
           strcmp(s + KEY_LEN - 2, "==") == 0;
}

static bool
names_upgrade(const char *connection)
{
    const char *item;
    size_t n;

    while (connection != NULL && (item = admission_list_next(&connection, &n)) != NULL)
        if (n == strlen("upgrade") && strncasecmp(item, "upgrade", n) == 0)
            return true;
    return false;
}

static bool
is_upgrade_sound(const http_parser *parser, const char *const value[FIELD__MAX])
{
    bool has_body = parser->uses_transfer_encoding ||
                    ((parser->flags & F_CONTENTLENGTH) != 0 && parser->content_length != 0);

    return strcasecmp(value[FIELD_UPGRADE], "websocket") == 0 && value[FIELD_HOST] != NULL &&
           value[FIELD_KEY] != NULL && is_key(value[FIELD_KEY]) &&
           names_upgrade(value[FIELD_CONNECTION]) && !has_body && parser->http_major == 1 &&
           parser->http_minor >= 1;
}

/* --- all of it --- */

enum head_rc
head_read(struct head *head, const char *s, size_t len)
{
    const char *value[FIELD__MAX];
    struct heard h = { .n = 0 };
    http_parser parser;
    bool ok;
    enum head_rc rc;

    assert(len <= HEAD_MAX);
    *head = (struct head){ .text_len = 0 };
    if (len < 4 || memcmp(s + len - 4, "\r\n\r\n", 4) != 0)
        return HEAD_LARGE;
    rc = parse(&parser, &h, s, len);
    if (rc != HEAD_SOUND)
        return rc;
    ok = read_url(head, &h);
    for (int i = 0; i < FIELD__MAX; i++)
        ok = collect(head, &h, i, &value[i]) && ok;
    if (!ok)
        return HEAD_BAD;
    head->method = parser.method == HTTP_GET    ? HEAD_GET
                   : parser.method == HTTP_HEAD ? HEAD_HEAD
                                                : HEAD_OTHER;
    head->a.host = value[FIELD_HOST];
    head->a.origin = value[FIELD_ORIGIN];
    head->a.authorization = value[FIELD_AUTHORIZATION];
    head->a.version = value[FIELD_VERSION];
    head->a.subprotocol = value[FIELD_PROTOCOL];
    head->forwarded_for = value[FIELD_FORWARDED_FOR];
    head->said_peer = value[FIELD_PEER];
    if (value[FIELD_UPGRADE] == NULL || head->method != HEAD_GET)
        return HEAD_SOUND;
    head->key = value[FIELD_KEY];
    return is_upgrade_sound(&parser, value) ? HEAD_SOUND : HEAD_BAD;
}

static bool
is_loopback(const char *address)
{
    struct proxy_list here;

    return proxy_list_parse("127.0.0.0/8,::1", &here, NULL) == RC_OK &&
           address_is_among(&here, address);
}

void
head_client(const struct head *head, const char *peer, const struct proxy_list *proxies,
            char out[ADDRESS_MAX])
{
    address_of_client(proxies, peer, NULL, out);
    if (is_loopback(out) && head->said_peer != NULL)
        peer = head->said_peer;
    address_of_client(proxies, peer, head->forwarded_for, out);
}
