#include "address.h"
#include "buf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* An address in any usual spelling: v4, v6, [v6], either with a port. */
static bool
net_parse_addr(const char *s, size_t len, uint8_t addr[16])
{
    char text[ADDRESS_MAX];
    const char *end;

    if (len > 0 && s[0] == '[') {
        end = memchr(s, ']', len);
        if (end == NULL)
            return false;
        s++;
        len = (size_t)(end - s);
    } else if (memchr(s, '.', len) != NULL && (end = memrchr(s, ':', len)) != NULL &&
               memchr(s, ':', len) == end) {
        len = (size_t)(end - s);
    }
    if (len == 0 || len >= sizeof(text))
        return false;
    memcpy(text, s, len);
    text[len] = '\0';
    if (inet_pton(AF_INET, text, addr + 12) == 1) {
        memcpy(addr, mapped, sizeof(mapped));
        return true;
    }
    return inet_pton(AF_INET6, text, addr) == 1;
}

static bool
net_is_v4(const uint8_t addr[16])
{
    return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

/* v4 by hand: every request shows its client, and inet_ntop goes through printf. */
static void
net_print(const uint8_t addr[16], char out[ADDRESS_MAX])
{
    size_t len = 0;

    if (!net_is_v4(addr)) {
        if (inet_ntop(AF_INET6, addr, out, ADDRESS_MAX) == NULL)
            out[0] = '\0';
        return;
    }
    for (size_t i = 12; i < 16; i++) {
        len += i64_print(out + len, addr[i]);
        out[len++] = '.';
    }
    out[len - 1] = '\0';
}

static bool
net_contains(const struct net *n, const uint8_t addr[16])
{
    size_t whole = n->bits / 8;
    unsigned rest = n->bits % 8;
    uint8_t mask = (uint8_t)(0xff00u >> rest);

    if (memcmp(n->addr, addr, whole) != 0)
        return false;
    return rest == 0 || ((n->addr[whole] ^ addr[whole]) & mask) == 0;
}

/* "10.0.0.0/8": the bits of an IPv4 network count from bit 96 of the mapped form. */
static bool
net_parse(const char *s, size_t len, struct net *out)
{
    const char *slash = memchr(s, '/', len);
    size_t addr_len = slash != NULL ? (size_t)(slash - s) : len;
    unsigned bits = 0, max;

    if (!net_parse_addr(s, addr_len, out->addr))
        return false;
    max = net_is_v4(out->addr) ? 32 : 128;
    if (slash == NULL) {
        bits = max;
    } else {
        if (slash + 1 == s + len || s + len - slash > 4)
            return false;
        for (const char *p = slash + 1; p < s + len; p++) {
            if (!isdigit((unsigned char)*p))
                return false;
            bits = bits * 10 + (unsigned)(*p - '0');
        }
        if (bits > max)
            return false;
    }
    out->bits = (uint8_t)(max == 32 ? 96 + bits : bits);
    return true;
}

/* Cut blanks at both ends. */
static const char *
trim(const char *s, size_t *len)
{
    while (*len > 0 && isspace((unsigned char)*s)) {
        s++;
        (*len)--;
    }
    while (*len > 0 && isspace((unsigned char)s[*len - 1]))
        (*len)--;
    return s;
}

enum rc
proxy_list_parse(const char *s, struct proxy_list *out, struct fail *f)
{
    out->n = 0;
    while (*s != '\0') {
        size_t len = strcspn(s, ","), word_len = len;
        const char *word = trim(s, &word_len);

        if (word_len > 0) {
            if (out->n == PROXIES_MAX)
                return fail_set(f, RC_VALIDATION, "more than %d addresses and networks",
                                PROXIES_MAX);
            if (!net_parse(word, word_len, &out->net[out->n]))
                return fail_set(f, RC_VALIDATION, "\"%.*s\" is no address or network",
                                (int)(word_len < 64 ? word_len : 64), word);
            out->n++;
        }
        s += len + (s[len] == ',');
    }
    return RC_OK;
}

static bool
is_listed(const struct proxy_list *list, const uint8_t addr[16])
{
    for (size_t i = 0; i < list->n; i++) {
        if (net_contains(&list->net[i], addr))
            return true;
    }
    return false;
}

void
address_of_client(const struct proxy_list *proxies, const char *peer, const char *forwarded_for,
                  char out[ADDRESS_MAX])
{
    uint8_t addr[16], hop[16];
    const char *list = forwarded_for != NULL ? forwarded_for : "";
    size_t left = strlen(list);

    if (peer == NULL || !net_parse_addr(peer, strlen(peer), addr)) {
        snprintf(out, ADDRESS_MAX, "unknown");
        return;
    }
    while (left > 0 && is_listed(proxies, addr)) {
        const char *comma = memrchr(list, ',', left);
        const char *word = comma != NULL ? comma + 1 : list;
        size_t len = left - (size_t)(word - list);

        left = comma != NULL ? (size_t)(comma - list) : 0;
        word = trim(word, &len);
        if (!net_parse_addr(word, len, hop))
            break;
        memcpy(addr, hop, sizeof(addr));
    }
    net_print(addr, out);
}

bool
address_is_among(const struct proxy_list *list, const char *address)
{
    uint8_t addr[16];

    return net_parse_addr(address, strlen(address), addr) && is_listed(list, addr);
}

void
address_limit_key(const char *address, char out[ADDRESS_MAX])
{
    uint8_t addr[16];
    char text[ADDRESS_MAX];

    if (!net_parse_addr(address, strlen(address), addr) || net_is_v4(addr)) {
        snprintf(out, ADDRESS_MAX, "%s", address);
        return;
    }
    memset(addr + 8, 0, 8); /* a household has a /64: its hosts can be as many as it likes */
    net_print(addr, text);
    snprintf(out, ADDRESS_MAX, "%.58s/64", text);
}
