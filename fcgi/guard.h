/*
 * guard.h - what the headers of a command say beside its body: under which condition it is
 * carried out (If-Match), what to do when it has been already (Idempotency-Key), and how short
 * the answer may be (Prefer).
 */
#ifndef FCGI_GUARD_H
#define FCGI_GUARD_H

#include "common/id.h"
#include "common/rc.h"
#include "common/session_store.h"
#include <stdbool.h>

struct buf;
struct req;

/* With more participants or groups, answers are told to repetitions without them. */
#define GUARD_WHOLE_MAX 16

/* Print what a command shows, with its participants or without. */
typedef void guard_print(struct buf *out, const struct session *s,
                         const struct store_result *res, bool minimal);

struct guard {
    struct store_terms terms; /* for the store */
    struct store_idem idem;
    struct req *rq;
    guard_print *print;       /* NULL: a success has no body */
    char made_id[ID_LEN + 1]; /* the id of a session made under this key; "" without a key */
};

/*
 * Read the headers of `rq`. RC_OK, or RC_VALIDATION with the header in rq->body.issues. `g` has
 * to stay where it is: its terms point into it.
 */
enum rc guard_read(struct guard *g, struct req *rq, guard_print *print,
                   struct fail *f) MUSTCHECK;

/* Answer the success of a command; a repetition gets what the first one got. */
void guard_answer(struct guard *g, const struct session *s, const struct store_result *res);

#endif
