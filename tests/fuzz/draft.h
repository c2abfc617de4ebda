/*
 * draft.h - a session out of a line of words, for the driver of the engine.
 */
#ifndef TESTS_FUZZ_DRAFT_H
#define TESTS_FUZZ_DRAFT_H

#include "common/session.h"

struct buf;

/* The next word of the line, NUL-terminated in place; NULL at the end. */
char *word_next(char **line);
/* What stands behind the `=` of a word, which then ends there. */
char *word_value(char *word);

/* Fill `s` (initialised) from "key=value key=value ...", the keys as in driver.c. */
void draft_read(struct session *s, char *args);
/* All faults of the draft that was read last, as a worker collects them; a draft with one is no
 * session: false, and they stand in `faults`. */
bool draft_is_good(struct session *s, struct buf *faults, struct fail *f);

#endif
