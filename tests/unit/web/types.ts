// Compiled by test_types.mjs: what the types must allow, and (@ts-expect-error) what they must not.
import {
  SyncKairosClient,
  SyncKairosError,
  clockAt,
  elapsedAt,
  isNewer,
  remainingAt,
  uuid,
} from '../../../web/synckairos.js';
import type { CreateSession, SessionWatch, SyncState, WatchEvents } from '../../../web/synckairos.js';

const client = new SyncKairosClient({ baseUrl: 'http://x', token: async () => 'jwt', retryForMs: 1 });
new SyncKairosClient({ WebSocket, fetch, onRetry: ({ error, delayMs }) => [error.code, delayMs + 1] });
// @ts-expect-error a token is text
new SyncKairosClient({ token: 5 });

export async function commands(id: string, body: CreateSession): Promise<number> {
  const state: SyncState = await client.create(body);
  await client.start(id, { state, idempotencyKey: 'k' });
  const turn = await client.switch(id, { currentParticipantId: id, nextParticipantId: id });
  const small = await client.pause(id, { minimal: true });
  // @ts-expect-error a minimal answer has no participants
  small.participants.length;
  const whole = await client.resume(id, { expectedVersion: small.version });
  await client.addParticipant(id, { total_time_ms: 1000 });
  await client.adjust(id, id, { add_ms: -500, reason: 'late' });
  // @ts-expect-error a reason is required
  await client.adjust(id, id, { add_ms: 5 });
  // @ts-expect-error one of the two
  await client.adjust(id, id, { add_ms: 5, total_time_ms: 5, reason: 'both' });
  await client.removeParticipant(id, id);
  const { sessions, next_cursor } = await client.list({ status: 'running', limit: 5 });
  // @ts-expect-error no such status
  await client.list({ status: 'done' });
  const { missing } = await client.batch(sessions.map((s) => s.session_id));
  const newer = await client.poll(id, whole);
  // @ts-expect-error it may be null
  newer.version;
  const { events } = await client.events(id, { cursor: next_cursor });
  await client.complete(id);
  await client.cancel(id);
  await client.delete(id);
  const left: number = remainingAt(whole, id, client.serverNow()) + clockAt(whole, 0) + elapsedAt(whole, 0);
  return left + turn.cycle_number + missing.length + events.length + (isNewer(whole, state) ? 1 : 0);
}

export function watching(): () => void {
  const watch: SessionWatch = client.watch(uuid());
  const stop = watch.on('state', (state, { from }) => [state.version, from === 'STATE_UPDATE']);
  watch.on('error', (e: SyncKairosError) => e.retryAfterMs?.toFixed());
  watch.on('warning', ({ remainingMs, thresholdMs, groupId }) => [remainingMs - thresholdMs, groupId]);
  watch.on('action', ({ participantId, action }) => [participantId, action]);
  // @ts-expect-error no such event
  watch.on('tick', () => {});
  const left: number | undefined = watch.counters(uuid()).periods_left;
  if (left === 0) return () => {};
  const names: (keyof WatchEvents)[] = ['connected', 'disconnected', 'deleted', 'expired', 'store'];
  for (const name of names) watch.on(name, () => {});
  return () => (stop(), watch.close(), client.close());
}

const quiz: CreateSession = {
  sync_mode: 'per_cycle',
  total_time_ms: 1000,
  participants: [{ participant_id: uuid(), participant_index: 0, total_time_ms: 1000 }],
  action_on_timeout: { type: 'skip_question' },
};
// @ts-expect-error no such mode
const other: CreateSession = { ...quiz, sync_mode: 'countdown' };
export { other };
