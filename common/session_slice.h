/*
 * session_slice.h - of a large session, what a hand-over by rotation needs.
 *
 * A session of more than SESSION_LARGE participants also stores `o`: who takes turns, in their
 * order. With it lua/load_slice.lua finds who is on, who follows, and their groups, so that a
 * switch of a thousand participants reads two rows. A slice is a session like any other, only
 * that p[] and g[] hold nobody else: the engine hands over in it exactly as in the whole, and
 * it is written back by the places that its rows name (session.h).
 *
 * What a slice is good for: COMMAND_SWITCH without next_participant_id, while nothing is due,
 * up to its change, event and fields, and session_switch_json_minimal. Not for anything that
 * ends the session, for snapshots, nor for anything that tells of somebody by a place in the
 * header
 * (`first`, last_timeout, on_timeout.winner stay places of the whole).
 */
#ifndef COMMON_SESSION_SLICE_H
#define COMMON_SESSION_SLICE_H

#include "rc.h"
#include <stdbool.h>

#define SESSION_LARGE 64

struct buf;
struct change;
struct session;

/*
 * The field `o`, nothing of a session that is not large: for each group with somebody in it, in
 * their order, ";<group>: <place> <place> ", the members in the order of turns; one ";: ..." in
 * modes without groups.
 */
void session_turns_field(const struct session *s, struct buf *out);
/* Whether the change may have made it another one: who is in has changed. s->p[] is still
 * marked dirty. */
bool session_turns_moved(const struct session *s, const struct change *c);

/*
 * After all fields of a slice (s->is_slice): let the places that the rows tell refer to p[] and
 * g[]. RC_OK; RC_STATE_UNREADABLE when somebody is missing or out, as where a process that does
 * not know `o` has changed who is in: then the whole has to be read.
 */
enum rc session_slice_done(struct session *s, struct fail *f) MUSTCHECK;

#endif
