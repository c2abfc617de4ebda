#include "fcgi/guard.h"

#include "common/etag.h"
#include "common/session_store.h"
#include "fcgi/gate.h"
#include "fcgi/request.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"

static enum rc
read_if_match(struct req *rq, struct store_terms *terms, struct fail *f)
{
    terms->if_match = request_header(rq, "HTTP_IF_MATCH");
    if (terms->if_match == NULL || etag_list_is_valid(terms->if_match))
        return RC_OK;
    body_issue(&rq->body, rq->mem, "If-Match", "invalid_format",
               "If-Match must be * or a list of entity tags");
    return fail_set(f, RC_VALIDATION, "Request validation failed");
}

enum rc
guard_read(struct req *rq, struct store_terms *terms, struct fail *f)
{
    terms->actor = rq->user;
    terms->rider = gate_rider(rq);
    return read_if_match(rq, terms, f);
}

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
bool
guard_prefers_minimal(const struct req *rq)
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
