#include "vet.h"

#include "admission.h"
#include "common/arena.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KEY_LEN 24
#define CONNECTION_MAX 256

/* How often, and whether well. */
struct seen {
    int upgrades, keys, connections;
    bool is_bad;
};

size_t
vet_line(const char *s, const char *end, size_t *bare)
{
    const char *nl = memchr(s, '\n', (size_t)(end - s));
    size_t len = nl != NULL ? (size_t)(nl + 1 - s) : (size_t)(end - s);

    *bare = nl != NULL ? len - 1 : len;
    if (nl != NULL && *bare > 0 && nl[-1] == '\r')
        (*bare)--;
    return len;
}

bool
vet_is_header(const char *line, size_t len, const char *name)
{
    return len >= strlen(name) && strncasecmp(line, name, strlen(name)) == 0;
}

static void
take_upgrade(struct seen *seen, const char *v, size_t len)
{
    static const char wanted[] = "websocket";

    seen->upgrades++;
    if (len != sizeof(wanted) - 1 || strncasecmp(v, wanted, len) != 0)
        seen->is_bad = true;
}

/* RFC 4648 of 16 bytes. */
static void
take_key(struct seen *seen, const char *v, size_t len)
{
    size_t n = 0;

    seen->keys++;
    while (n < len && v[n] != '\0' &&
           strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", v[n]))
        n++;
    if (len != KEY_LEN || n != KEY_LEN - 2 || memcmp(v + n, "==", 2) != 0)
        seen->is_bad = true;
}

static void
take_connection(struct seen *seen, const char *v, size_t len)
{
    char text[CONNECTION_MAX];
    const char *rest = text, *item;
    size_t n;

    snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len : 0), v);
    while ((item = admission_list_next(&rest, &n)) != NULL) {
        if (n == strlen("upgrade") && strncasecmp(item, "upgrade", n) == 0)
            seen->connections++;
    }
}

static void
take_protocol(struct seen *seen, const char *v, size_t len)
{
    (void)v;
    if (len > VET_PROTOCOL_MAX)
        seen->is_bad = true;
}

static void
take_body(struct seen *seen, const char *v, size_t len)
{
    if (len != 1 || *v != '0')
        seen->is_bad = true;
}

/* Of heads that want an upgrade. */
static const struct {
    const char *name;
    void (*take)(struct seen *seen, const char *v, size_t len);
} rules[] = {
    { "Upgrade:", take_upgrade },       { "Sec-WebSocket-Key:", take_key },
    { "Connection:", take_connection }, { "Sec-WebSocket-Protocol:", take_protocol },
    { "Content-Length:", take_body },   { "Transfer-Encoding:", take_body },
};

static void
take_header(struct seen *seen, const char *line, size_t len)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        size_t at = strlen(rules[i].name);

        if (!vet_is_header(line, len, rules[i].name))
            continue;
        while (at < len && (line[at] == ' ' || line[at] == '\t'))
            at++;
        while (len > at && (line[len - 1] == ' ' || line[len - 1] == '\t'))
            len--;
        rules[i].take(seen, line + at, len - at);
        return;
    }
}

static bool
has_control(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static bool
is_address_bad(const char *line, size_t len)
{
    int args = 0;

    for (size_t i = 0; i < len; i++)
        args += line[i] == '&';
    return args >= VET_ARGS_MAX || memmem(line, len, "%00", 3) != NULL;
}

enum vet
vet_head(const char *s, size_t len)
{
    const char *end = s + len;
    struct seen seen = { 0 };
    bool is_bad = false;
    int lines = 0;
    size_t n, bare;

    if (len < 4 || memcmp(end - 4, "\r\n\r\n", 4) != 0)
        return VET_LARGE;
    for (; s < end; s += n, lines++) {
        n = vet_line(s, end, &bare);
        is_bad = is_bad || has_control(s, bare) || (lines == 0 && is_address_bad(s, bare));
        if (lines > 0)
            take_header(&seen, s, bare);
    }
    if (lines > VET_LINES_MAX)
        return VET_LARGE;
    if (seen.upgrades > 0 &&
        (seen.is_bad || seen.upgrades != 1 || seen.keys != 1 || seen.connections == 0))
        return VET_BAD;
    return is_bad ? VET_BAD : VET_SOUND;
}
