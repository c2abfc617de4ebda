#include "fcgi/guard.h"

#include "common/arena.h"
#include "common/etag.h"
#include "common/session.h"
#include "fcgi/gate.h"
#include "fcgi/request.h"

#include <json-c/json.h>
#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t"
#define KEY_LEN_MAX 255
#define SCOPE_MAX (16u << 10) /* caller, method, path, key */

/* ---- reading ---- */

static void
read_if_match(struct guard *g)
{
    struct req *rq = g->rq;

    g->terms.if_match = request_header(rq, "HTTP_IF_MATCH");
    if (g->terms.if_match != NULL && !etag_list_is_valid(g->terms.if_match))
        body_issue(&rq->body, rq->mem, "If-Match", "invalid_format",
                   "If-Match must be * or a list of entity tags");
}

static bool
key_is_valid(const char *key)
{
    size_t n = 0;

    while (n <= KEY_LEN_MAX && key[n] > ' ' && key[n] < 0x7f)
        n++;
    return n > 0 && n <= KEY_LEN_MAX && key[n] == '\0';
}

static void
put_hash(char out[STORE_HASH_MAX], const unsigned char hash[SHA256_DIGEST_LENGTH])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[2 * (size_t)SHA256_DIGEST_LENGTH] = '\0';
}

/* One part of what a key is unique in; ids are the same in any case. */
static void
put_part(struct buf *scope, const char *s, bool is_id)
{
    for (; s != NULL && *s != '\0'; s++)
        buf_char(scope, is_id && *s >= 'A' && *s <= 'Z' ? (char)(*s | 0x20) : *s);
    buf_char(scope, '\0');
}

static void
hash_key(struct guard *g, const char *key)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    const struct req *rq = g->rq;
    struct buf scope;

    buf_init(&scope, SCOPE_MAX);
    put_part(&scope, rq->user, false);
    put_part(&scope, method_name(rq->method), false);
    put_part(&scope, rq->route->path, false);
    for (size_t i = 0; i < ROUTE_PARAMS_MAX && rq->params[i] != NULL; i++)
        put_part(&scope, rq->params[i], true);
    put_part(&scope, key, false);
    put_part(&scope, body_str(rq->body.json, "session_id"), true);
    SHA256((const unsigned char *)scope.data, scope.len, hash);
    buf_fini(&scope);
    put_hash(g->idem.key, hash);
    id_uuid8(hash, g->made_id);
}

/* No body is the same as {}; blanks between the tokens do not count. */
static void
hash_body(struct guard *g)
{
    struct json_object *json = g->rq->body.json;
    const char *text =
        json != NULL ? json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN) : "{}";
    unsigned char hash[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)text, strlen(text), hash);
    put_hash(g->idem.body, hash);
}

static int print_verdict(void *ctx, struct buf *out, const struct session *s,
                         const struct store_result *res, const struct fail *f);

static void
read_key(struct guard *g)
{
    const char *key = request_header(g->rq, "HTTP_IDEMPOTENCY_KEY");

    if (key == NULL)
        return;
    if (!key_is_valid(key)) {
        body_issue(&g->rq->body, g->rq->mem, "Idempotency-Key", "invalid_format",
                   "Idempotency-Key must be 1 to 255 visible ASCII characters");
        return;
    }
    hash_key(g, key);
    hash_body(g);
    g->idem.print = print_verdict;
    g->idem.ctx = g;
    g->terms.idem = &g->idem;
}

/* ---- Prefer ---- */

/* The end of a preference: the next comma that is not in quotes. */
static const char *
preference_end(const char *p)
{
    bool quoted = false;

    for (; *p != '\0' && (quoted || *p != ','); p++) {
        if (quoted && *p == '\\' && p[1] != '\0')
            p++;
        else if (*p == '"')
            quoted = !quoted;
    }
    return p;
}

/* `p` behind `word` and blanks, or NULL when it begins otherwise. */
static const char *
skip_word(const char *p, const char *word)
{
    size_t len = strlen(word);

    if (strncasecmp(p, word, len) != 0)
        return NULL;
    return p + len + strspn(p + len, BLANKS);
}

/* Where the value of `return` begins; NULL when this is another preference. */
static const char *
return_value(const char *p)
{
    p = skip_word(p, "return");
    if (p == NULL || *p != '=')
        return NULL;
    p++;
    p += strspn(p, BLANKS);
    return *p == '"' ? p + 1 : p;
}

/* RFC 7240, section 2: the first mention of a preference counts, case of its name does not. */
static bool
prefers_minimal(const struct req *rq)
{
    const char *p = request_header(rq, "HTTP_PREFER");

    while (p != NULL && *p != '\0') {
        const char *value;

        p += strspn(p, BLANKS ",");
        value = return_value(p);
        if (value != NULL) {
            value = skip_word(value, "minimal");
            return value != NULL && strchr(",;\"", *value) != NULL;
        }
        p = preference_end(p);
    }
    return false;
}

/* ---- both ---- */

enum rc
guard_read(struct guard *g, struct req *rq, guard_print *print, struct fail *f)
{
    *g = (struct guard){ .rq = rq, .print = print };
    g->terms.actor = rq->user;
    g->terms.caller = &rq->caller;
    g->terms.rider = gate_rider(rq);
    g->terms.is_brief = print != NULL && prefers_minimal(rq);
    read_if_match(g);
    read_key(g);
    if (rq->body.issues != NULL)
        return fail_invalid(f);
    return RC_OK;
}

/* ---- answers ---- */

/* A creation that found its session there answers 200. */
static int
success_status(const struct guard *g, const struct store_result *res)
{
    bool creates = g->rq->params[0] == NULL;

    return creates && !res->created ? 200 : g->rq->route->status;
}

/* As a repetition gets it: '-' and the body, or 'm' and the body when that is a minimal one. */
static int
print_verdict(void *ctx, struct buf *out, const struct session *s,
              const struct store_result *res, const struct fail *f)
{
    const struct guard *g = ctx;
    bool minimal =
        g->print != NULL && f == NULL &&
        (s->n > GUARD_WHOLE_MAX || s->n_groups > GUARD_WHOLE_MAX || g->terms.is_brief);

    buf_char(out, minimal ? 'm' : '-');
    if (f != NULL) {
        reply_fail_json(out, f, NULL);
        return rc_status(f->rc);
    }
    if (g->print != NULL) {
        buf_str(out, "{\"data\":");
        g->print(out, s, res, minimal);
        buf_char(out, '}');
    }
    return success_status(g, res);
}

static void
say_minimal(struct req *rq)
{
    reply_header(rq, "Preference-Applied", "return=minimal");
}

static void
replay(struct req *rq, const struct store_result *res)
{
    const char *text = res->replay.text;

    if (text[0] == '\0' || text[1] == '\0')
        reply_empty(rq, res->replay.status);
    else
        buf_str(reply_bare(rq, res->replay.status, REPLY_JSON_TYPE), text + 1);
    if (text[0] == 'm')
        say_minimal(rq);
    reply_header(rq, "Idempotency-Replayed", "true");
}

void
guard_answer(struct guard *g, const struct session *s, const struct store_result *res)
{
    int status = success_status(g, res);

    if (res->replay.status != 0) {
        replay(g->rq, res);
        return;
    }
    if (g->print == NULL) {
        reply_empty(g->rq, status);
        return;
    }
    g->print(reply_data(g->rq, status), s, res, g->terms.is_brief);
    if (g->terms.is_brief)
        say_minimal(g->rq);
}
