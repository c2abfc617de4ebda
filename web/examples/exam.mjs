/** Exam: one bank for everybody; a word before the end, and the end for all at once. */

import { example, expect, next, say, seconds, until } from './example.mjs';

await example(async (client) => {
  const { session_id: id } = await client.create({
    sync_mode: 'global',
    total_time_ms: 3000,
    warn_at_ms: [1000],
    metadata: { subject: 'Mathematics' },
  });
  const rooms = ['hall', 'library'].map((name) => ({ name, watch: client.watch(id) }));
  await Promise.all(rooms.map(({ watch }) => until(watch, () => true)));
  const warned = rooms.map(({ watch }) => next(watch, 'warning'));
  const { deadline_at } = await client.start(id);
  say(`begin; it ends at ${deadline_at}`);

  for (const [k, { thresholdMs, remainingMs }] of (await Promise.all(warned)).entries()) {
    say(`${rooms[k].name}: ${seconds(remainingMs)} left`);
    expect(thresholdMs === 1000, 'the warning that was asked for');
  }
  for (const { name, watch } of rooms) {
    const end = await until(watch, (s) => s.status === 'expired');
    say(`${name}: pens down`);
    expect(end.session_completed_at === deadline_at, 'it ended at the deadline itself');
    expect(watch.clock() === 0, 'nothing is left');
  }
});
