/**
 * names.js - people by name. The server knows participants by UUID; their names travel in the
 * session's metadata, in the order of the participants.
 */

import { uuid } from '../synckairos.js';

const key = (id) => String(id).toLowerCase();

/** "Ada, Grace" as ["Ada", "Grace"]. */
export function splitNames(text) {
  return String(text)
    .split(/[,;\n]/)
    .map((name) => name.trim().slice(0, 40))
    .filter(Boolean);
}

/** Participants for a create body, one for each name. */
export function participants(names, ms) {
  return names.map((_, participant_index) => ({
    participant_id: uuid(),
    participant_index,
    total_time_ms: ms,
  }));
}

/** Participants with their names: [{ ...participant, name }]. */
export function named(state) {
  const names = state.metadata?.names ?? [];
  return state.participants.map((p, k) => ({ ...p, name: names[k] ?? `Player ${k + 1}` }));
}

export function nameOf(state, id) {
  return id ? named(state).find((p) => key(p.participant_id) === key(id))?.name : undefined;
}
