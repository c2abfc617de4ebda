/*
 * servers.h - a Redis and a PostgreSQL that say what the input says.
 *
 * Whoever connects to Redis over a unix socket gets one end of a pair of sockets in which all
 * that the server will ever say lies already: a greeting, parts of the input, each to be read
 * by itself as if it came after a question, and the end. So the connections, the reader of
 * hiredis and what interprets the replies are the real ones. Statements to PostgreSQL are
 * answered here instead of by pg.c: with the next part as rows, and no more when there is none.
 *
 * A part begins with "~R" (a connection to Redis; the greeting is ours), "~r" (the same, and
 * the part greets by itself), "~+" (more on the connection) or "~P" (rows that end with \036,
 * of columns that end with \037; "!" and an SQLSTATE: refused). What stands before the first
 * of them is the driver's. In what Redis says, \035, a byte n, some bytes and \035 stand for
 * those bytes n % 64 + 1 times: many questions are asked of each partition. Nothing is random:
 * getrandom gives zeros.
 */
#ifndef TESTS_FUZZ_SERVERS_H
#define TESTS_FUZZ_SERVERS_H

#include "common/conf.h"
#include <stdbool.h>
#include <stddef.h>

#define SERVERS_RUN_ID "0123456789abcdef0123456789abcdef01234567"

/*
 * Returns the length of what stands before the first part. The bytes are borrowed until
 * servers_end. `in_turns`, for an event loop: a connection says its parts one by one, at each
 * servers_turn, and never ends; the greeting is that of a link (broadcaster/link.h).
 */
size_t servers_begin(const char *s, size_t len, bool in_turns);
/* False when everything was said. */
bool servers_turn(void);
/* The next part "~C", which is the driver's, too; NULL when there is none. */
const char *servers_client(size_t *len);
/* All connections were closed. */
void servers_end(void);

/* Settings of a program that uses them. */
struct conf servers_conf(void);

#endif
