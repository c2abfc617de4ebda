/*
 * session_mine.h - the sessions of one owner, newest first.
 *
 * Redis keys: keys_owned() (zset id -> when it was named, epoch ms; TTL 30 days from the last
 * creation or listing; the newest 10,000 names). Scripts: lua/own_put.lua, lua/own_drop.lua.
 *
 * A name is written in the round trip of the load that precedes the create commit, so a session
 * cannot be without one; a name can be without a session, and such are dropped when they are
 * read a minute or more later. Creating costs no round trip more, but one when the same owner
 * had a session of that id before: its name then moves to the front.
 *
 * A listing is two round trips: the names, with what the rider asks, then the sessions. Names
 * that were dropped, and with `status` sessions in another one, cost further ones, at most
 * MINE_NAMES_MAX / 100 + 2 in all, and one more drops the names.
 */
#ifndef COMMON_SESSION_MINE_H
#define COMMON_SESSION_MINE_H

#include "session_store.h"

#define MINE_LIMIT_MAX 100
#define MINE_CURSOR_MAX 64
#define MINE_NAMES_MAX 500 /* looked at for one page */

struct store_mine {
    const char *owner;       /* a `sub` */
    enum sync_status status; /* STATUS_UNSET: any */
    const char *cursor;      /* of the page before; NULL: the newest */
    size_t limit;            /* 1..MINE_LIMIT_MAX */
};

/* Whether a text is a cursor. */
bool session_mine_cursor_is_valid(const char *cursor);

/*
 * Read one page into out[limit] (each with its own initialised `s`), *n of them. `next` is the
 * cursor of the following page, "" when there is none; a page may be shorter than the limit and
 * yet have one. RC_OK; RC_STATE_UNREADABLE; store codes; the rider's code.
 */
enum rc session_store_mine(struct session_store *st, const struct store_mine *q,
                           const struct store_rider *rider, struct store_read *out, size_t *n,
                           char next[MINE_CURSOR_MAX], struct fail *f) MUSTCHECK;

/* --- for broadcaster/recovery_put.c --- */

/* Add the name of a session that is put back, two commands: in its old place, by its creation,
 * also when it is named already. */
void session_mine_put_back(struct redis_batch *b, const char *prefix, const char *owner,
                           const char *id, int64_t created_at);

/* --- for session_store.c --- */

/* Add the name of a session to a batch; its place. `anew`: also when it is there already. */
int session_mine_put(struct redis_batch *b, const char *prefix, const char *owner,
                     const char *id, bool anew);

#endif
