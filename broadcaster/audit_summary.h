/*
 * audit_summary.h - what the records of a batch come to for each session and participant, no
 * I/O. Of a session only its newest birth counts; whoever writes the rows compares (epoch,
 * version) with what is there.
 */
#ifndef BROADCASTER_AUDIT_SUMMARY_H
#define BROADCASTER_AUDIT_SUMMARY_H

#include <stdbool.h>

struct audit_summaries; /* opaque */
struct buf;
struct event;
struct session;

struct audit_summaries *audit_summaries_new(void);
void audit_summaries_free(struct audit_summaries *all);
/* Begin anew. */
void audit_summaries_clear(struct audit_summaries *all);

/* Take a record: the fields that its event tells; `whole`: all of them, not only those that
 * have changed. */
void audit_summaries_take(struct audit_summaries *all, const struct session *state,
                          const struct event *ev, bool whole);

/* Append the rows, in the columns of audit_writer.c, sorted by session id. */
void audit_summaries_print_sessions(struct audit_summaries *all, struct buf *out);
void audit_summaries_print_participants(struct audit_summaries *all, struct buf *out);

#endif
