#!/usr/bin/python3
"""Breaks the engine in listed ways, one at a time: the tests must notice every one.

    mutate.py BUILD [--only N,N...] [--jobs J]

BUILD holds what `make test` builds. Each mutant is one replacement of text that occurs exactly
once; the file is compiled again and linked before the library into the driver and into the unit
tests, which run until one fails. A mutant that passes them all is a hole in the tests, and so is
one that no longer fits the source: it has to be written anew.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
UNITS = ("id", "row", "control", "session", "session_modes", "session_groups", "session_members", "session_timeout", "session_warn", "session_row", "event", "session_json")
SOURCES = {path: path.read_text() for path in sorted((ROOT / "common").glob("*.c"))}

# (file, text that occurs once in it, what stands there instead)
MUTANTS = [
    ("mode.c", "a].index < s->p[b].index", "a].index > s->p[b].index"),
    ("mode.c", "return a < b;", "return a > b;"),
    ("mode.c", "if (can_be_on(s, k, timed) && (best < 0 || mode_is_before(s, k, best)))",
     "if (best < 0 || mode_is_before(s, k, best))"),
    ("mode.c", "if (can_be_on(s, k, timed) && mode_is_before(s, s->active, k) &&", "if (mode_is_before(s, s->active, k) &&"),
    ("mode.c", "(best < 0 || mode_is_before(s, k, best)))\n            best = k;\n    return best >= 0",
     "best < 0)\n            best = k;\n    return best >= 0"),
    ("mode.c", "return best >= 0 ? best : turn_lowest(s, timed);", "return best >= 0 ? best : 0;"),
    ("mode.c", "return elapsed < bank ? bank - elapsed : 0;", "return bank - elapsed;"),
    ("mode.c", "s->p[s->active].time_used_ms += elapsed;",
     "s->p[s->active].time_used_ms += elapsed < 1000 ? elapsed : 1000;"),
    ("mode.c", "time_used_ms += elapsed;\n        s->p[s->active].dirty = true;", "time_used_ms += elapsed;"),
    ("mode.c", "s->turn_used_ms += elapsed;", ""),
    ("mode.c", "s->cycle_started_at = at;", ""),
    ("mode.c", "ends ? s->cycle_started_at + span : 0", "ends ? s->cycle_started_at + span + 1 : 0"),
    ("mode.c", "bool ends = span > 0 ||", "bool ends = span >= 0 ||"),
    ("mode.c", "(s->emptied || !mode_ops", "(!mode_ops"),
    ("mode.c", "(s->emptied || !mode_ops(s->mode)->has_turns)", "s->emptied"),
    ("mode.c", "s->status != STATUS_RUNNING || ", ""),
    ("mode.c", " || now <= s->cycle_started_at)", ")"),
    ("mode.c", "s->p[s->active].cycle_count++;", ""),
    ("mode.c", "s->time_per_cycle_ms >= 0 ? s->time_per_cycle_ms : s->total_time_ms", "s->total_time_ms"),
    ("mode.c", "s->cycle_left_ms = mode_left_of(s->cycle_left_ms, elapsed);", ""),
    ("mode.c", "if (s->cycle_left_ms == 0)\n        s->p[s->active].has_expired = true;", ""),
    ("mode.c", "s->p[s->active].has_expired = false;", ""),
    ("mode.c", "s->cycle_left_ms == 0 ? s->active : -1", "-1"),
    ("mode.c", "    cycle_set_up(s);\n    return expired;", "    return expired;"),
    ("mode.c", "if (s->total_time_ms == 0)\n        s->total", "if (s->time_per_cycle_ms >= 0)\n        s->total"),
    ("mode.c", "s->allotted_ms = s->total_time_ms;", ""),
    ("mode.c", "s->total_time_ms = mode_left_of(s->total_time_ms, elapsed);", ""),
    ("mode.c", "s->max_time_ms < 0 ? -1 : mode_left_of(s->max_time_ms, s->time_used_ms + open)",
     "s->max_time_ms < 0 ? -1 : mode_left_of(s->max_time_ms, open)"),
    ("mode.c", ".of_participant = own_bank,", ".of_participant = cycle_left,"),
    ("mode.c", ".of_participant = global_left,", ".of_participant = own_bank,"),
    ("mode.c", ".of_participant = no_bank,", ".of_participant = limit_left,"),
    ("session_clock.c", "c->expired = has_turns ? s->active : -1;", "c->expired = -1;"),
    ("session_clock.c", "session_finish(s, STATUS_EXPIRED, REASON_TIMEOUT, at);",
     "session_finish(s, STATUS_COMPLETED, REASON_TIMEOUT, at);"),
    ("session.c", "session_finish(s, STATUS_CANCELLED, REASON_CANCELLED, now);",
     "session_finish(s, STATUS_CANCELLED, REASON_COMPLETED, now);"),
    ("session.c", "    session_charge(s, now);\n    c->type = EVENT_SESSION_CANCELLED;",
     "    c->type = EVENT_SESSION_CANCELLED;"),
    ("session.c", "\"cannot be cancelled\",   { NO, DO, DO, DO,", "\"cannot be cancelled\",   { NO, DO, DO, NO,"),
    ("session.c", "session_member_remove, MEMBERS,       { NO, DO, DO, DO,", "session_member_remove, MEMBERS,       { NO, DO, DO, NO,"),
    ("session.c", "session_member_add,    MEMBERS,       { NO, DO, DO, DO,", "session_member_add,    MEMBERS,       { NO, DO, NO, DO,"),
    ("session.c", "session_member_adjust, MEMBERS,       { NO, DO, DO, DO,", "session_member_adjust, MEMBERS,       { NO, NO, DO, DO,"),
    ("session_create.c", "s->n == 0 && mode_ops(s->mode)->has_turns", "s->n == 0"),
    ("id.c", "order != 0 ? order : x->place - y->place", "order != 0 ? order : y->place - x->place"),
    ("id.c", "int order = strcasecmp(x->id, y->id);", "int order = strcmp(x->id, y->id);"),
    ("session_create.c", "id_refs_sort(ids, s->n);", ""),
    ("session_create.c", "> SESSION_METADATA_MAX", ">= SESSION_METADATA_MAX"),
    ("session_create.c", "            *s = ' ';", "            continue;"),
    ("session_change.c", "s->version++;\n    s->updated_at = at;", "s->version += 2;\n    s->updated_at = at;"),
    ("session_change.c", "    s->updated_at = at;\n    s->dirty = true;", "    s->dirty = true;"),
    ("session_change.c", "    s->updated_at = at;\n    s->dirty = true;", "    s->updated_at = at;"),
    ("session_change.c", "c->participant < 0 ? s->time_used_ms : s->p[c->participant].time_used_ms", "s->time_used_ms"),
    ("session_create.c", "s->p[k].allotted_ms = s->p[k].total_time_ms;", ""),
    ("session_change.c", "s->paused_total_ms += at - s->paused_charged_at;",
     "s->paused_total_ms += at - s->paused_charged_at - 1;"),
    ("session_change.c", "s->cycle_number++;", ""),
    ("session_change.c", "    s->cycle_number++;\n    s->turn_used_ms = 0;", "    s->cycle_number++;"),
    ("session_change.c", "    session_charge(s, at);\n    s->status = STATUS_PAUSED;",
     "    s->status = STATUS_PAUSED;"),
    ("session_change.c", "s->paused_charged_at = at;\n    c->type = EVENT_SESSION_PAUSED;",
     "s->paused_charged_at = at - 1;\n    c->type = EVENT_SESSION_PAUSED;"),
    ("session_change.c", "s->paused_at = 0;", ""),
    ("session.c", "s->session_started_at = now;", ""),
    ("session.c", "if (next < 0 || s->p[next].out != OUT_NONE)", "if (next < 0)"),
    ("session.c", "    session_charge(s, now);\n    c->type = EVENT_CYCLE_SWITCHED;",
     "    c->type = EVENT_CYCLE_SWITCHED;"),
    ("session.c", "c->expired = mode->hand_over(s);", "mode->hand_over(s);"),
    ("session.c", "    session_charge(s, now);\n    session_pause_end(s);\n    s->status",
     "    session_pause_end(s);\n    s->status"),
    ("session.c", "s->cycle_started_at = now;\n    c->type = EVENT_SESSION_RESUMED;",
     "c->type = EVENT_SESSION_RESUMED;"),
    ("session.c", "    session_charge(s, now);\n    c->type = EVENT_SESSION_COMPLETED;",
     "    c->type = EVENT_SESSION_COMPLETED;"),
    ("session_change.c", "s->result.reason = reason;", ""),
    ("session_change.c", "s->active = -1;\n    s->cycle_started_at = 0;", "s->active = -1;"),
    ("session_change.c", "s->cycle_started_at = 0;\n    s->turn_used_ms = 0;\n    s->warned = 0;\n}", "s->cycle_started_at = 0;\n    s->warned = 0;\n}"),
    ("session_change.c", "s->version++;\n    c->type = EVENT_SESSION_DELETED;", "c->type = EVENT_SESSION_DELETED;"),
    ("session.c", "{ NO, DO, DO, DO, SAME, SAME, SAME }", "{ NO, DO, DO, DO, DO,   DO,   DO }"),
    ("session.c", "{ NO, NO, DO, NO, NO,   NO,   NO } },\n    [COMMAND_PAUSE]",
     "{ NO, NO, DO, DO, NO,   NO,   NO } },\n    [COMMAND_PAUSE]"),
    ("session.c", "cmd->expected_version == 0 || ", ""),
    ("session.c", "cmd->type != COMMAND_SWITCH || given == NULL", "given == NULL"),
    ("session.c", "id_equal(has, given)", "strcmp(has, given) == 0"),
    ("session.c", "    if (rc == RC_OK)\n        rc = turn_guard(s, cmd, f);", ""),
    ("session.c", "        now_ms = s->updated_at;\n", "        now_ms = now_ms;\n"),
    ("session_clock.c", "return s->status == STATUS_RUNNING ? mode_deadline(s) : 0;",
     "return s->session_started_at > 0 ? mode_deadline(s) : 0;"),
    ("session_clock.c", "return s->session_completed_at + ended_ttl_ms;", "return s->created_at + ended_ttl_ms;"),
    ("session_clock.c", "(deadline != 0 ? deadline : s->updated_at) + SESSION_IDLE_MS",
     "s->updated_at + SESSION_IDLE_MS"),
    ("session_clock.c", "return deadline != 0 ? deadline : session_last_resort", "return session_last_resort"),
    ("session_clock.c", "deadline <= now_ms", "deadline < now_ms"),
    ("session_clock.c", "session_charge(s, deadline);", "session_charge(s, now_ms);"),
    ("session_clock.c", "session_change_seal(s, at, c);", "session_change_seal(s, now, c);"),
    ("session_clock.c", "s->last_timeout.version = s->version;", "s->last_timeout.version = s->version - 1;"),
    ("session_clock.c", "s->last_timeout.expired = c->expired;", ""),
    ("session_clock.c", "if (end > now_ms)", "if (end >= now_ms)"),
    ("session_clock.c", "session_delete_at(s, end, c);", "session_delete_at(s, now_ms, c);"),
    ("session_clock.c", "gap_from_ms > s->updated_at ? gap_from_ms : s->updated_at", "gap_from_ms"),
    ("session_data.c", "s->p[k].dirty = false;", "s->p[k].dirty |= false;"),
    ("session_data.c", "if (id_equal(s->p[k].id, participant_id))", "if (strcmp(s->p[k].id, participant_id) == 0)"),
    ("session_row.c", "H(turn_used_ms), ", "H(cycle_number), "),
    ("session_row.c", "(s->dirty && s->version == 1)", "s->dirty"),
    ("session_row.c", "(s->dirty && s->version == 1)", "false"),
    ("session_row.c", "if (!all && !s->p[k].dirty)\n            continue;", ""),
    ("session_row.c", "len > 3 || ", "len > 4 || "),
    ("session_row.c", "s->cycle_started_at <= s->updated_at;", "true;"),
    ("session_row.c", "    s->p[place] = (struct participant){ .group = -1 };", ""),
    ("session_row.c", "    s->g[place] = (struct group){ .last = -1 };", ""),
    ("row.c", "if (s - first <= SAFE_DIGITS)", "if (true)"),
    ("id.c", "(c | 0x20) - 'a' < 6", "(c | 0x20) - 'a' < 7"),
    ("row.c", "c > ' ' && c != '%' && c != 0x7f", "c > ' ' && c != 0x7f"),
    ("row.c", "(*first == '0' && (minus || s - first > 1))", "false"),
    ("row.c", "v >= 0 && v < fd->max", "v >= 0 && v <= fd->max"),
    ("row.c", "fd == NULL || (seen >> (fd - fields) & 1) != 0", "fd == NULL"),
    ("row.c", "n + 1 >= max", "n > max"),
    ("row.c", "n > 0 && json_utf8_is_valid(out, n)", "n > 0"),
    ("event.c", "if (!id_equal(s->id, ev->session_id))", "if (false)"),
    ("event.c", "if (ev->type == EVENT_SESSION_CREATED) {", "if (false) {"),
    ("event.c", "memcpy(s->epoch, ev->epoch, sizeof(s->epoch));", ""),
    ("event.c", "s->version = ev->version;", ""),
    ("session_json.c", "session_remaining(s, k, now)", "p->total_time_ms"),
    ("session_json.c", "if (s->max_time_ms >= 0) {", "if (true) {"),
    ("mode.c", "!timed || !mode_ops", "!mode_ops"),
    ("session_clock.c", "c->type == EVENT_CYCLE_SWITCHED", "false"),
    ("session_clock.c", "s->handed_over_at = now;", "s->handed_over_at = at;"),
    ("session_clock.c", "return in == 2 ? other : -1;", "return other;"),
    ("session_clock.c", "s->on_timeout.winner >= 0 || ", ""),
    ("session_clock.c", "sides(s, &last) != 1", "sides(s, &last) != 0"),
    ("mode.c", "s->p[s->active].out = OUT_ELIMINATED;", ""),
    ("mode.c", "*last = n++ == 0 ? (int32_t)k : -1;", "n++;"),
    ("session_clock.c", "s->last_timeout.applied = s->on_timeout.type;", ""),
    ("session_clock.c", "[TIMEOUT_AUTO_ACTION] = { go_on, hand_over }", "[TIMEOUT_AUTO_ACTION] = { go_on, go_on }"),
    ("session_clock.c", "[TIMEOUT_SKIP_CYCLE] = { hand_over, hand_over }",
     "[TIMEOUT_SKIP_CYCLE] = { go_on, hand_over }"),
    ("session_clock.c", "[TIMEOUT_NONE] = { go_on, hand_over }", "[TIMEOUT_NONE] = { go_on, go_on }"),
    ("session_change.c", "s->cycle_number >= s->max_cycles", "s->cycle_number > s->max_cycles"),
    ("session_change.c", "    mode_turn_count(s);\n", ""),
    ("session_create.c", "return s->auto_advance || s->on_timeout.type == TIMEOUT_SKIP_CYCLE;",
     "return s->auto_advance;"),
    ("session_create.c", "s->max_cycles > 0 && s->mode != MODE_PER_CYCLE",
     "s->max_cycles > 5 && s->mode != MODE_PER_CYCLE"),
    ("session_create.c", "!has_turns && s->auto_advance", "false"),
    ("session_member.c", "    session_charge(s, now);\n    s->p[place].out", "    s->p[place].out"),
    ("session_member.c", "s->p[place].dirty = true;", ""),
    ("session_member.c", "(int32_t)k != place && ", ""),
    ("session.c", "s->first >= 0 && s->p[s->first].out == OUT_NONE", "s->first >= 0"),
    ("session.c", "now - s->handed_over_at >= cmd->grace_ms", "now - s->handed_over_at > cmd->grace_ms"),
    ("session.c", "cmd->type != COMMAND_SWITCH || cmd->expected_version != 0 ||", "cmd->type != COMMAND_SWITCH ||"),
    ("session_row.c", "H(on_timeout.outcome),", "H(on_timeout.action),"),
    ("mode_group.c", "if (s->p[k].out != OUT_NONE)\n            continue;\n        if (lowest", "if (lowest"),
    ("mode_group.c", "s->p[k].group != group || s->p[k].out != OUT_NONE", "s->p[k].group != group"),
    ("mode_group.c", "newest >= 0 && mode_is_before(s, newest, k)", "newest >= 0"),
    ("mode_group.c", "!(timed && s->g[g].total_time_ms == 0)", "s->g[g].total_time_ms != 0"),
    ("mode_group.c", "!(timed && s->g[g].total_time_ms == 0)", "true"),
    ("mode_group.c", "        return s->active;\n    return s->g[group].last;", "        return s->g[group].last;\n    return s->g[group].last;"),
    ("mode_group.c", "for (size_t i = 1; i <= s->n_groups; i++)", "for (size_t i = 1; i < s->n_groups; i++)"),
    ("mode_group.c", "g->last = s->active;", ""),
    ("mode_group.c", "g->time_used_ms += elapsed;", ""),
    ("mode_group.c", "    g->dirty = true;", ""),
    ("mode_group.c", "s->g[g].allotted_ms = s->g[g].total_time_ms;", ""),
    ("mode_group.c", "s->p[s->active].group == s->p[place].group;", "place == s->active;"),
    ("mode_group.c", "return g->total_time_ms == 0 ? s->active : -1;", "return -1;"),
    ("mode_group.c", "s->p[k].out = OUT_ELIMINATED;\n        s->p[k].dirty = true;", "s->p[k].out = OUT_ELIMINATED;"),
    ("mode_group.c", "sides += next[g] >= 0;", "sides++;"),
    ("mode_group.c", "*last = people++ == 0 ? (int32_t)k : -1;", "*last = (int32_t)k;"),
    ("session_group.c", "return p->group_id[0] != '\\0' ? p->group_id : p->id;", "return p->id;"),
    ("session_group.c", "if (p->total_time_ms > d->bank)", "if (d->bank == 0)"),
    ("session_group.c", "if (p->index < d->index) {", "if (false) {"),
    ("session_group.c", "else if (s->p[place].group >= 0)", "else if (false)"),
    ("session_clock.c", "p->group >= 0 ? s->g[p->group].has_expired : p->has_expired", "p->has_expired"),
    ("session_json.c", "session_has_expired(s, k)", "p->has_expired"),
    ("session_row.c", "if (!all && !s->g[k].dirty)\n            continue;", ""),
    ("session_row.c", "(s->p[k].group >= 0) != grouped || ", ""),
    ("session_data.c", "s->g[k].dirty = false;", "s->g[k].dirty |= false;"),
    ("event.c", "if (s->p[place].group >= 0)", "if (false)"),
    ("mode.c", "mode_ops(s->mode)->left(s, k, 0) > 0;", "s->p[k].total_time_ms > 0;"),
    ("mode.c", "mode_ops(s->mode)->left(s, k, 0) > 0;", "true;"),
    ("mode.c", "if (control_left(s, s->active, 0) == 0)\n        return s->active;", ""),
    ("mode.c", "    control_hand_over(s);\n", ""),
    ("mode.c", "        control_set_up(s, &s->p[k]);", "        (void)k;"),
    ("control.c", "p->total_time_ms += s->increment_ms;", "p->total_time_ms += s->increment_ms / 2;"),
    ("control.c", "mode_left_of(s->control.delay_ms, s->turn_used_ms)));", "s->control.delay_ms));"),
    ("control.c", "if (p->total_time_ms == 0)\n        return 0;\n    return p->total_time_ms + mode",
     "return p->total_time_ms + mode"),
    ("control.c", "return p->total_time_ms + mode_left_of(s->control.delay_ms, s->turn_used_ms);",
     "return p->total_time_ms + s->control.delay_ms;"),
    ("control.c", "p->total_time_ms > 0 ? mode_left_of(s->control.delay_ms, turn_ms) : 0", "mode_left_of(s->control.delay_ms, turn_ms)"),
    ("control.c", "s->turn_used_ms < delay ? s->turn_used_ms : delay", "delay"),
    ("control.c", "s->turn_used_ms < delay ? s->turn_used_ms : delay", "s->turn_used_ms"),
    ("control.c", "p->periods_left = s->control.periods;", "p->periods_left = s->control.periods + 1;"),
    ("control.c", "if (over < p->overtime_ms) {", "if (over <= p->overtime_ms) {"),
    ("control.c", "lost = 1 + over / period;", "lost = 1 + (over - 1) / period;"),
    ("control.c", "over -= p->overtime_ms;", "over -= period;"),
    ("control.c", "p->periods_left > 0 ? period - over % period : 0", "period - over % period"),
    ("control.c", "(p->periods_left - 1) * s->control.period_ms : 0", "p->periods_left * s->control.period_ms : 0"),
    ("control.c", "return p->total_time_ms + p->overtime_ms + more;", "return p->total_time_ms + more;"),
    ("control.c", "if (p->periods_left > 0)\n        p->overtime_ms = s->control.period_ms;", "p->overtime_ms = s->control.period_ms;"),
    ("control.c", "if (p->periods_left > 0)\n        p->overtime_ms = s->control.period_ms;", ""),
    ("control.c", "p->overtime_ms = mode_left_of(p->overtime_ms, over);", ""),
    ("control.c", "return p->total_time_ms + p->overtime_ms;", "return p->total_time_ms;"),
    ("control.c", "if (p->total_time_ms > 0 || --p->moves_left > 0)", "if (--p->moves_left > 0)"),
    ("control.c", "if (p->total_time_ms > 0 || --p->moves_left > 0)", "if (p->total_time_ms > 0 || p->moves_left-- > 0)"),
    ("control.c", "        return;\n    canadian_set_up(s, p);", "        return;\n    p->moves_left = s->control.moves;"),
    ("control.c", "p->total_time_ms = p->allotted_ms;", ""),
    ("control.c", "p->total_time_ms += stage->increment_ms;", ""),
    ("control.c", "p->total_time_ms += stage->add_ms;", "p->total_time_ms += stage[1].add_ms;"),
    ("control.c", "p->stage == s->control.n_stages || --p->moves_left > 0", "p->stage == s->control.n_stages || --p->moves_left >= 0"),
    ("control.c", "p->stage == s->control.n_stages || ", ""),
    ("control.c", "p->moves_left = stage[1].moves;", "p->moves_left = stage->moves;"),
    ("control.c", "if (p->stage < s->control.n_stages)\n", ""),
    ("control.c", "return s->p[1 - active].total_time_ms > 0 ? 1 - active : -1;", "return 1 - active;"),
    ("control.c", "p.total_time_ms += open < bank ? open : bank;", "p.total_time_ms += open;"),
    ("control.c", "if (fed_by(s, s->active) == place) {", "if (false) {"),
    ("control.c", "p->total_time_ms > 0 ? p->total_time_ms : p->overtime_ms", "p->total_time_ms"),
    ("control.c", "if (shown_by(p) == 0)\n        p->has_expired = true;", ""),
    ("control.c", "if (shown_by(p) == 0)", "if (p->total_time_ms == 0)"),
    ("control.c", "s->p[fed].total_time_ms += bank - p->total_time_ms;", ""),
    ("control.c", "s->p[fed].dirty = true;", ""),
    ("control.c", "place == s->active ? s->turn_used_ms + open : 0", "s->turn_used_ms + open"),
    ("control.c", "place == s->active ? s->turn_used_ms + open : 0", "place == s->active ? open : 0"),
    ("control.c", "control->type != CONTROL_NONE && s->mode != MODE_PER_PARTICIPANT", "false"),
    ("control.c", "control->type > CONTROL_FISCHER && s->increment_ms >= 0", "control->type > CONTROL_FISCHER && s->increment_ms > 0"),
    ("control.c", "s->n > 0 && s->n != 2", "s->n > 2"),
    ("control.c", "is_last == (s->control.stages[k].moves == 0)", "is_last || s->control.stages[k].moves > 0"),
    ("control.c", "return s->control.period_ms > 0;", "return true;"),
    ("control.c", "s->p[k].stage > s->control.n_stages", "false"),
    ("session_create.c", "s->increment_ms = s->control.increment_ms;", "s->increment_ms = 0;"),
    ("session_row.c", "if (is_new && s->control.type != CONTROL_NONE) {", "if (s->control.type != CONTROL_NONE && false) {"),
    ("session_member.c", "    session_charge(s, now);\n    if (index < 0)", "    if (index < 0)"),
    ("session_member.c", "index = index_highest(s) + 1;", "index = index_highest(s);"),
    ("session_member.c", "p->total_time_ms = p->allotted_ms = cmd->newcomer", "p->total_time_ms = cmd->newcomer"),
    ("session_member.c", "g->total_time_ms = g->allotted_ms = p->total_time_ms;", "g->total_time_ms = p->total_time_ms;"),
    ("session_member.c", "    p->dirty = true;\n", ""),
    ("session_member.c", "    g->dirty = true;\n", ""),
    ("session_member.c", "cmd->newcomer.group_id != NULL ? cmd->newcomer.group_id : cmd->participant_id", "cmd->participant_id"),
    ("session_member.c", "if (session_find(s, cmd->participant_id) >= 0)", "if (false)"),
    ("session_member.c", "s->n >= SESSION_PARTICIPANTS_MAX", "s->n > SESSION_PARTICIPANTS_MAX"),
    ("session_member.c", "    if (s->n == 0)\n", "    if (false)\n"),
    ("session_member.c", "    session_charge(s, now);\n    had", "    had"),
    ("session_member.c", "by -= *clock.bank;", "by -= 0;"),
    ("session_member.c", "*clock.bank + by < 0 || ", ""),
    ("session_member.c", "*clock.bank + by > SESSION_BANK_MAX", "*clock.bank + by >= SESSION_BANK_MAX"),
    ("session_member.c", "*clock.allotted + by > 0 ? *clock.allotted + by : 0", "*clock.allotted + by"),
    ("session_member.c", "mode_ops(s->mode)->left(s, place, 0) == 0;", "false;"),
    ("session_member.c", "*clock.dirty = true;", ""),
    ("session_member.c", "had > 0 && span_running(s) == 0", "span_running(s) == 0"),
    ("session_member.c", "had > 0 && span_running(s) == 0", "false"),
    ("session_member.c", "c->note = cmd->correction.note;", ""),
    ("session_change.c", "s->emptied = false;", ""),
    ("session_clock.c", "    if (now_ms < s->updated_at)\n        now_ms = s->updated_at;\n", ""),
    ("mode.c", "s->emptied || !mode_ops(s->mode)->has_turns", "s->emptied"),
    ("mode.c", "s->emptied || !mode_ops(s->mode)->has_turns", "!mode_ops(s->mode)->has_turns"),
    ("mode.c", "return place == s->active;", "return true;"),
    ("session_member.c", "    control_set_up(s, p);\n", ""),
    ("session_member.c", "s->control.type == CONTROL_HOURGLASS", "false"),
    ("session_warn.c", "return x < y ? -1 : x > y;", "return x < y ? 1 : x < y;"),
    ("session_warn.c", "(n == 0 || s->warn_at_ms[n - 1] != given[k])", "true"),
    ("session_warn.c", "(s->warned >> k & 1) != 0", "false"),
    ("session_warn.c", "in_ms < 0 ? 0 : s->cycle_started_at + in_ms", "in_ms < 0 ? 0 : s->cycle_started_at + in_ms + 1"),
    ("session_warn.c", "in_ms < 0 ? 0 : s->cycle_started_at + in_ms", "s->cycle_started_at + in_ms"),
    ("session_warn.c", "crossed_at <= at", "crossed_at < at"),
    ("session_warn.c", "s->warned |= INT64_C(1) << k;", "s->warned = INT64_C(1) << k;"),
    ("session_warn.c", "s->warned |= INT64_C(1) << k;", ";"),
    ("session_warn.c", "i > 0 && out[i - 1].at_ms >= at", "false"),
    ("session_warn.c", ".threshold_ms = s->warn_at_ms[k]", ".threshold_ms = s->warn_at_ms[n]"),
    ("session_warn.c", "warnings[i].at_ms > told_ms", "warnings[i].at_ms >= told_ms"),
    ("session_warn.c", "return session_due_at(s, ended_ttl_ms);", "return session_deadline(s);"),
    ("session_change.c", "session_warn_passed(s, at);", ""),
    ("session_change.c", "s->turn_used_ms = 0; s->warned = 0; } void", "s->turn_used_ms = 0; } void"),
    ("session_change.c", "    s->emptied = false;", ""),
    ("session_create.c", "session_warn_set_up(s);", ""),
    ("session_row.c", "H(warned),", "H(cycle_number),"),
    ("mode.c", "return left > ms ? left - ms : -1;", "return left >= ms ? left - ms : -1;"),
    ("control.c", "if (falls[i] > ms) return end - ms;", "if (falls[i] >= ms) return end - ms;"),
    ("control.c", "end += falls[i];", "end = falls[i];"),
]


def run(command, seconds=120):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT,
                              timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None


def flags(build):
    """How the Makefile compiles and links here."""
    said = subprocess.run(["make", "-s", "mutate-flags", f"BUILD={build}"], stdout=subprocess.PIPE,
                          cwd=ROOT, text=True, check=True,
                          env={**os.environ, "MAKEFLAGS": ""}).stdout.splitlines()
    return said[0].split(), said[1].split()


def broken(mutant):
    """(file, its text with the mutant in it). How lines are broken does not matter, and what
    has moved to another file is found when nothing else there reads like it."""
    name, old, new = mutant
    pattern = re.compile(r"\s+".join(re.escape(word) for word in old.split()))
    places = [(path.name, match) for path, text in SOURCES.items() for match in pattern.finditer(text)]
    places = [place for place in places if place[0] == name] or places
    if len(places) != 1:
        raise LookupError(f"occurs {len(places)} times")
    name, found = places[0]
    return name, found.string[:found.start()] + new.strip() + found.string[found.end():]


class Bench:
    """Builds and runs what has to notice."""

    def __init__(self, build):
        self.build = build
        self.compile_with, self.link_with = flags(build)
        self.tests = [("driver", ["--commands", "3000", "--seed", "1", "--jobs", "1"])] + \
            [(f"test_{unit}", None) for unit in UNITS] + \
            [("driver", ["--commands", "20000", "--seed", "2", "--jobs", "1"])]

    def link(self, work, test, extra):
        folder = "tests/fuzz/engine" if test == "driver" else "tests/unit/common"
        done = run(self.compile_with + ["-pie", "-o", str(work / test), f"{self.build}/{folder}/{test}.o"] + extra +
                   [f"{self.build}/libcommon.a", "-lcmocka"] + self.link_with)
        if done is None or done.returncode != 0:
            raise LookupError("does not link: " + done.stdout.decode())

    def noticed(self, work, extra):
        """The name of the first test that fails, or None."""
        for test, options in self.tests:
            self.link(work, test, extra)
            command = [str(work / test)]
            if test == "driver":
                command = [sys.executable, str(HERE / "props.py"), "--driver", command[0]] + options
            done = run(command)
            if done is None or done.returncode != 0:
                return test
        return None

    def killer(self, mutant):
        """(the test that notices or None, what else there is to say)"""
        with tempfile.TemporaryDirectory() as folder:
            work = pathlib.Path(folder)
            try:
                name, text = broken(mutant)
                (work / name).write_text(text)
                made = str(work / "mutant.o")
                done = run(self.compile_with + ["-Icommon", "-w", "-c", "-o", made, str(work / name)])
                if done is None or done.returncode != 0:
                    raise LookupError("does not compile: " + done.stdout.decode())
                return self.noticed(work, [made]), ""
            except LookupError as error:
                return None, str(error)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--only", type=lambda text: [int(k) for k in text.split(",")])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    bench = Bench(args.build)
    with tempfile.TemporaryDirectory() as folder:
        test = bench.noticed(pathlib.Path(folder), [])
        if test is not None:
            sys.exit(f"{test} fails without any mutant")
    numbers = range(len(MUTANTS)) if args.only is None else args.only
    alive = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for k, (test, said) in zip(numbers, pool.map(lambda k: bench.killer(MUTANTS[k]), numbers)):
            alive += test is None
            what = " ".join(MUTANTS[k][1].split())[:60]
            print(f"{k:3} {MUTANTS[k][0]:15} {what:60} {test or 'SURVIVED ' + said}", flush=True)
    print(f"{len(numbers)} mutants, {alive} survived")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
