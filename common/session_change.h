/*
 * session_change.h - the steps that changes of a session are made of; only session_*.c use it.
 */
#ifndef COMMON_SESSION_CHANGE_H
#define COMMON_SESSION_CHANGE_H

#include "session.h"

/* Where the faults of a draft go, and how many there were. */
struct session_faults {
    session_fault_fn *tell;
    void *ctx;
    size_t n;
};
void session_fault_add(struct session_faults *to, const char *field, const char *message,
                       const char *code);
/* RC_VALIDATION with this fault as details; of several the first one stays. */
enum rc session_refuse(struct fail *f, const char *field, const char *message,
                       const char *code);

void session_change_none(struct change *c);
/* The state has changed at `at`: one version more, and c complete. */
void session_change_seal(struct session *s, int64_t at, struct change *c);

/* Bring times up to `at`: the open turn's, or the pause's. */
void session_charge(struct session *s, int64_t at);
/* The running clock is about to be charged up to `at`: note what it crosses (session_warn.c).
 */
void session_warn_passed(struct session *s, int64_t at);
/* Bring warn_at_ms of a draft into order. */
void session_warn_set_up(struct session *s);
void session_turn_begin(struct session *s, int32_t place, int64_t at);
/* A whole change: the running session stands still from `at` on. */
void session_pause_begin(struct session *s, int64_t at, struct change *c);
void session_pause_end(struct session *s);
/* The session has ended at `at`, where its times have been brought up to. */
void session_finish(struct session *s, enum sync_status status, enum change_reason reason,
                    int64_t at);
/* A whole change: nothing but the version moves. */
void session_delete_at(struct session *s, int64_t at, struct change *c);

/* The commands about participants, as in the table of session.c. */
enum rc session_member_add(struct session *s, const struct command *cmd, int64_t now,
                           struct change *c, struct fail *f);
enum rc session_member_adjust(struct session *s, const struct command *cmd, int64_t now,
                              struct change *c, struct fail *f);
enum rc session_member_remove(struct session *s, const struct command *cmd, int64_t now,
                              struct change *c, struct fail *f);

/* per_cycle: whether the open turn is the last one of max_cycles. */
bool session_is_last_cycle(const struct session *s);
/* The last turn has ended, charged, by a command or a timeout: completed, cycles_done. */
void session_cycles_done(struct session *s, int64_t at, struct change *c);

#endif
