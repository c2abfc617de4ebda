/*
 * The scan is a state machine over bytes with an explicit stack, so that no input can make it
 * recurse. Keys are remembered as places in the input, never decoded into memory: at the end of
 * each object its keys are sorted and neighbours compared, which costs n log n whatever the
 * keys are (a hash table could be flooded with collisions).
 */
#include "json.h"
#include "arena.h"
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>

struct key {
    const char *s; /* between the quotes, still escaped */
    size_t len;
    bool escaped;
};

enum state {
    AT_VALUE,      /* a value must come */
    AT_FIRST_ITEM, /* after '[': a value or ']' */
    AT_FIRST_KEY,  /* after '{': a key or '}' */
    AT_NEXT_KEY,   /* after ',' in an object: a key */
    AT_END,        /* after a value: ',' or the bracket, at depth 0 nothing more */
};

struct scan {
    const char *s;
    size_t len, at;
    enum state state;
    struct fail *f;
    size_t depth;
    struct {
        bool is_object;
        size_t first_key; /* its keys are keys[first_key .. n_keys) */
    } level[JSON_DEPTH_MAX];
    struct key *keys;
    size_t n_keys, room;
};

static enum rc
refuse(struct scan *sc, size_t at, const char *what)
{
    return fail_set(sc->f, RC_MALFORMED_JSON, "Malformed JSON: %s at byte %zu", what, at);
}

/* ---- UTF-8 ---- */

/* RFC 3629 section 4: what may follow which first byte. The second byte's range is where
 * overlong forms, surrogates and code points above U+10FFFF are kept out. */
static const struct {
    unsigned char first, last, len, second_min, second_max;
} utf8_rows[] = {
    { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf }, { 0xe1, 0xec, 3, 0x80, 0xbf },
    { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf }, { 0xf0, 0xf0, 4, 0x90, 0xbf },
    { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

/* Bytes of the character that begins at s (not ASCII); 0 when it is none. */
static size_t
utf8_len(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t i, k;

    for (i = 0; i < sizeof utf8_rows / sizeof *utf8_rows; i++)
        if (u[0] >= utf8_rows[i].first && u[0] <= utf8_rows[i].last)
            break;
    if (i == sizeof utf8_rows / sizeof *utf8_rows || len < utf8_rows[i].len)
        return 0;
    if (u[1] < utf8_rows[i].second_min || u[1] > utf8_rows[i].second_max)
        return 0;
    for (k = 2; k < utf8_rows[i].len; k++)
        if ((u[k] & 0xc0) != 0x80)
            return 0;
    return utf8_rows[i].len;
}

/* ---- escapes ---- */

/* The value of 4 hex digits; UINT32_MAX when they are not. */
static uint32_t
hex4(const char *s, size_t len)
{
    uint32_t v = 0;
    size_t i;

    if (len < 4)
        return UINT32_MAX;
    for (i = 0; i < 4; i++) {
        int c = (unsigned char)s[i], letter = c | 0x20;

        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if (letter >= 'a' && letter <= 'f')
            v = v << 4 | (uint32_t)(letter - 'a' + 10);
        else
            return UINT32_MAX;
    }
    return v;
}

/* s is at "\u" of a valid string; the code point, *used bytes of it (6 or 12). */
static uint32_t
unicode_escape(const char *s, size_t *used)
{
    uint32_t v = hex4(s + 2, 4);

    *used = 6;
    if (v < 0xd800 || v > 0xdfff)
        return v;
    *used = 12;
    return 0x10000 + ((v - 0xd800) << 10) + (hex4(s + 8, 4) - 0xdc00);
}

/* sc->at is at a backslash inside a string. */
static enum rc
scan_escape(struct scan *sc)
{
    const char *s = sc->s + sc->at;
    size_t left = sc->len - sc->at;
    uint32_t v;

    if (left < 2)
        return refuse(sc, sc->len, "unfinished string");
    if (s[1] != 'u') {
        if (s[1] == '\0' || strchr("\"\\/bfnrt", s[1]) == NULL)
            return refuse(sc, sc->at, "unknown escape");
        sc->at += 2;
        return RC_OK;
    }
    v = hex4(s + 2, left - 2);
    if (v == UINT32_MAX)
        return refuse(sc, sc->at, "\\u without four hex digits");
    if (v == 0)
        return refuse(sc, sc->at, "U+0000");
    sc->at += 6;
    if (v < 0xd800 || v > 0xdfff)
        return RC_OK;
    if (v <= 0xdbff && left >= 12 && s[6] == '\\' && s[7] == 'u') {
        v = hex4(s + 8, 4);
        sc->at += 6;
        if (v >= 0xdc00 && v <= 0xdfff)
            return RC_OK;
    }
    return refuse(sc, (size_t)(s - sc->s), "lone surrogate");
}

/* sc->at is at the opening quote; *out is what lies between the quotes. */
static enum rc
scan_string(struct scan *sc, struct key *out)
{
    size_t n;

    *out = (struct key){ .s = sc->s + ++sc->at };
    while (sc->at < sc->len) {
        unsigned char c = (unsigned char)sc->s[sc->at];

        if (c == '"') {
            out->len = (size_t)(sc->s + sc->at++ - out->s);
            return RC_OK;
        }
        if (c < 0x20)
            return refuse(sc, sc->at, "control character in a string");
        if (c == '\\') {
            enum rc rc = scan_escape(sc);

            if (rc != RC_OK)
                return rc;
            out->escaped = true;
            continue;
        }
        n = c < 0x80 ? 1 : utf8_len(sc->s + sc->at, sc->len - sc->at);
        if (n == 0)
            return refuse(sc, sc->at, "invalid UTF-8");
        sc->at += n;
    }
    return refuse(sc, sc->len, "unfinished string");
}

/* ---- keys ---- */

/* Take the next code point off a valid key that is not empty. */
static uint32_t
key_next(struct key *k)
{
    static const char letters[] = "bfnrt", values[] = "\b\f\n\r\t";
    const unsigned char *u = (const unsigned char *)k->s;
    size_t used = 1, i;
    uint32_t v = u[0];

    if (u[0] == '\\' && u[1] == 'u') {
        v = unicode_escape(k->s, &used);
    } else if (u[0] == '\\') {
        const char *letter = strchr(letters, u[1]);

        used = 2;
        v = letter != NULL ? (uint32_t)values[letter - letters] : u[1];
    } else if (u[0] >= 0x80) {
        used = utf8_len(k->s, k->len);
        v = u[0] & (0x7fu >> used);
        for (i = 1; i < used; i++)
            v = v << 6 | (u[i] & 0x3f);
    }
    k->s += used;
    k->len -= used;
    return v;
}

/* Order of the decoded keys by code point, which for plain keys is the order of their bytes. */
static int
key_order(struct key a, struct key b)
{
    int order;

    if (!a.escaped && !b.escaped) {
        order = memcmp(a.s, b.s, a.len < b.len ? a.len : b.len);
        return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
    }
    while (a.len > 0 && b.len > 0) {
        uint32_t x = key_next(&a), y = key_next(&b);

        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a.len > 0) - (b.len > 0);
}

/* Equal keys in the order of the input, so that a fault names the second one. */
static int
key_compare(const void *pa, const void *pb)
{
    const struct key *a = pa, *b = pb;
    int order = key_order(*a, *b);

    return order != 0 ? order : (a->s > b->s) - (a->s < b->s);
}

static void
key_push(struct scan *sc, struct key k)
{
    if (sc->n_keys == sc->room) {
        sc->room = sc->room == 0 ? 64 : sc->room * 2;
        sc->keys = xrealloc(sc->keys, sc->room * sizeof *sc->keys);
    }
    sc->keys[sc->n_keys++] = k;
}

/* At the end of an object: forget its keys, none of which may be there twice. */
static enum rc
keys_pop(struct scan *sc)
{
    size_t first = sc->level[sc->depth - 1].first_key, n = sc->n_keys - first, i;
    struct key *keys;

    sc->n_keys = first;
    if (n < 2)
        return RC_OK;
    keys = sc->keys + first;
    qsort(keys, n, sizeof *keys, key_compare);
    for (i = 1; i < n; i++)
        if (key_order(keys[i - 1], keys[i]) == 0)
            return refuse(sc, (size_t)(keys[i].s - sc->s) - 1, "duplicate key");
    return RC_OK;
}

/* ---- values ---- */

static bool
fits_int64(const char *s, size_t len)
{
    size_t i = s[0] == '-';
    int64_t v = 0; /* kept negative: the negative side is the longer one */

    for (; i < len; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, s[i] - '0', &v))
            return false;
    return s[0] == '-' || v != INT64_MIN;
}

static bool
fits_double(const char *s, size_t len)
{
    char local[64], *text = len < sizeof local ? local : xalloc(len + 1);
    bool fits;

    memcpy(text, s, len);
    text[len] = '\0';
    /* strtod reads as the locale says, which stays "C": no program here calls setlocale */
    fits = isfinite(strtod(text, NULL));
    if (text != local)
        free(text);
    return fits;
}

static size_t
scan_digits(struct scan *sc)
{
    size_t from = sc->at;

    while (sc->at < sc->len && sc->s[sc->at] >= '0' && sc->s[sc->at] <= '9')
        sc->at++;
    return sc->at - from;
}

static bool
scan_one_of(struct scan *sc, const char *chars)
{
    if (sc->at == sc->len || sc->s[sc->at] == '\0' || strchr(chars, sc->s[sc->at]) == NULL)
        return false;
    sc->at++;
    return true;
}

static enum rc
scan_number(struct scan *sc)
{
    size_t from = sc->at, digits;
    bool whole = true;

    scan_one_of(sc, "-");
    digits = scan_digits(sc);
    if (digits == 0)
        return refuse(sc, sc->at, "a digit is missing");
    if (digits > 1 && sc->s[sc->at - digits] == '0')
        return refuse(sc, sc->at - digits, "leading zero");
    if (scan_one_of(sc, ".")) {
        whole = false;
        if (scan_digits(sc) == 0)
            return refuse(sc, sc->at, "a digit is missing");
    }
    if (scan_one_of(sc, "eE")) {
        whole = false;
        scan_one_of(sc, "+-");
        if (scan_digits(sc) == 0)
            return refuse(sc, sc->at, "a digit is missing");
    }
    if (whole ? !fits_int64(sc->s + from, sc->at - from)
              : !fits_double(sc->s + from, sc->at - from))
        return refuse(sc, from, "number out of range");
    sc->state = AT_END;
    return RC_OK;
}

static enum rc
scan_word(struct scan *sc, const char *word)
{
    size_t len = strlen(word);

    if (sc->len - sc->at < len || memcmp(sc->s + sc->at, word, len) != 0)
        return refuse(sc, sc->at, "unexpected text");
    sc->at += len;
    sc->state = AT_END;
    return RC_OK;
}

static enum rc
scan_open(struct scan *sc, bool is_object)
{
    if (sc->depth == JSON_DEPTH_MAX)
        return refuse(sc, sc->at, "nesting deeper than 32");
    sc->level[sc->depth].is_object = is_object;
    sc->level[sc->depth].first_key = sc->n_keys;
    sc->depth++;
    sc->at++;
    sc->state = is_object ? AT_FIRST_KEY : AT_FIRST_ITEM;
    return RC_OK;
}

static enum rc
scan_close(struct scan *sc)
{
    enum rc rc = RC_OK;

    sc->at++;
    if (sc->level[sc->depth - 1].is_object)
        rc = keys_pop(sc);
    sc->depth--;
    sc->state = AT_END;
    return rc;
}

/* ---- states ---- */

/* sc->at is at a byte that is no white space. */
static enum rc
scan_value(struct scan *sc)
{
    struct key string;
    enum rc rc;

    switch (sc->s[sc->at]) {
    case '{':
        return scan_open(sc, true);
    case '[':
        return scan_open(sc, false);
    case 't':
        return scan_word(sc, "true");
    case 'f':
        return scan_word(sc, "false");
    case 'n':
        return scan_word(sc, "null");
    case '"':
        rc = scan_string(sc, &string);
        sc->state = AT_END;
        return rc;
    default:
        if (strchr("-0123456789", sc->s[sc->at]) != NULL && sc->s[sc->at] != '\0')
            return scan_number(sc);
        return refuse(sc, sc->at, "unexpected text");
    }
}

static void
skip_space(struct scan *sc)
{
    while (sc->at < sc->len && (sc->s[sc->at] == ' ' || sc->s[sc->at] == '\t' ||
                                sc->s[sc->at] == '\n' || sc->s[sc->at] == '\r'))
        sc->at++;
}

static enum rc
scan_key(struct scan *sc)
{
    struct key key;
    enum rc rc;

    if (sc->s[sc->at] != '"')
        return refuse(sc, sc->at, "a key is missing");
    rc = scan_string(sc, &key);
    if (rc != RC_OK)
        return rc;
    key_push(sc, key);
    skip_space(sc);
    if (!scan_one_of(sc, ":"))
        return refuse(sc, sc->at, "a colon is missing");
    sc->state = AT_VALUE;
    return RC_OK;
}

static enum rc
scan_after_value(struct scan *sc)
{
    bool is_object;

    if (sc->depth == 0)
        return refuse(sc, sc->at, "text after the value");
    is_object = sc->level[sc->depth - 1].is_object;
    if (sc->s[sc->at] == (is_object ? '}' : ']'))
        return scan_close(sc);
    if (!scan_one_of(sc, ","))
        return refuse(sc, sc->at, "a comma or closing bracket is missing");
    sc->state = is_object ? AT_NEXT_KEY : AT_VALUE;
    return RC_OK;
}

static enum rc
scan_step(struct scan *sc)
{
    char c = sc->s[sc->at];

    switch (sc->state) {
    case AT_FIRST_KEY:
        return c == '}' ? scan_close(sc) : scan_key(sc);
    case AT_FIRST_ITEM:
        return c == ']' ? scan_close(sc) : scan_value(sc);
    case AT_NEXT_KEY:
        return scan_key(sc);
    case AT_END:
        return scan_after_value(sc);
    case AT_VALUE:
        break;
    }
    return scan_value(sc);
}

enum rc
json_scan(const char *s, size_t len, struct fail *f)
{
    struct scan sc = { .s = s, .len = len, .f = f };
    enum rc rc = RC_OK;

    for (skip_space(&sc); rc == RC_OK && sc.at < len; skip_space(&sc))
        rc = scan_step(&sc);
    if (rc == RC_OK && (sc.state != AT_END || sc.depth > 0))
        rc = refuse(&sc, len, sc.depth == 0 ? "no value" : "unexpected end");
    free(sc.keys);
    return rc;
}

enum rc
json_parse(const char *s, size_t len, struct json_object **out, struct fail *f)
{
    struct json_tokener *tok;
    enum json_tokener_error err;
    enum rc rc;

    *out = NULL;
    if (len > INT_MAX) /* json-c counts in int */
        return fail_set(f, RC_TOO_LARGE, "The JSON text is too long");
    rc = json_scan(s, len, f);
    if (rc != RC_OK)
        return rc;
    tok = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    if (tok == NULL)
        return fail_log(f, RC_INTERNAL, "json-c: no memory");
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
    *out = json_tokener_parse_ex(tok, s, (int)len);
    err = json_tokener_get_error(tok);
    if (err == json_tokener_continue) { /* a bare number may go on until it is told not to */
        *out = json_tokener_parse_ex(tok, " ", 1);
        err = json_tokener_get_error(tok);
    }
    json_tokener_free(tok);
    if (err != json_tokener_success)
        return fail_log(f, RC_INTERNAL, "json-c refuses what the scan let pass: %s",
                        json_tokener_error_desc(err));
    return RC_OK;
}

int
json_utf8_is_valid(const char *s, size_t len)
{
    size_t at = 0, n;

    while (at < len) {
        if (s[at] == '\0')
            return 0;
        n = (signed char)s[at] > 0 ? 1 : utf8_len(s + at, len - at);
        if (n == 0)
            return 0;
        at += n;
    }
    return 1;
}
