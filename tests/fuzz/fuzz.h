/*
 * fuzz.h - a driver feeds bytes to one kind of parser, and what it makes of them to the code
 * behind. Two programs are made of each: with replay.c one that feeds it the files of a folder,
 * for `make test`, and with libfuzzer.c one that looks for more, for `make fuzz`.
 *
 * fuzz_NAME.c has its seeds in corpus/NAME. A file whose name begins with `taken` must be
 * accepted, with `refused` it must not be; others only have to do no harm.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

struct buf;       /* common/buf.h */
struct token_key; /* common/token_key.h */

/* Whether the bytes were accepted. Ends the program when something does not hold. */
bool fuzz_take(const char *s, size_t len);

/* What we print is JSON, and all of it. */
void fuzz_hold_json(const struct buf *text);
/* The same of what shows a stored session, unless that has metadata or a penalty: those were
 * scanned when they came in, and are shown as they are stored. */
void fuzz_hold_shown(const struct buf *text);

/* A token out of two lines, its header and its claims; *out_len bytes, and a NUL behind them,
 * to be freed. */
char *fuzz_sign(const struct token_key *key, const char *s, size_t len, size_t *out_len);

#define HOLD(cond)                                                              \
    do {                                                                        \
        if (!(cond)) {                                                          \
            fprintf(stderr, "broken: %s (%s:%d)\n", #cond, __FILE__, __LINE__); \
            abort();                                                            \
        }                                                                       \
    } while (0)

#endif
