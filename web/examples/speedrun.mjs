/** Speedrun: a stopwatch without participants; a switch is a split, one hour is the limit. */

import { elapsedAt } from '../synckairos.js';
import { example, expect, say, seconds, sleep } from './example.mjs';

const LEVELS = ['forest', 'castle', 'dragon'];

await example(async (client) => {
  const { session_id: id } = await client.create({
    sync_mode: 'count_up',
    max_time_ms: 3600000,
    metadata: { game: 'Example Quest', levels: LEVELS },
  });
  await client.start(id);
  let before = 0;
  for (const level of LEVELS.slice(0, -1)) {
    await sleep(400);
    await client.switch(id);
    const state = await client.get(id);
    const split = elapsedAt(state, Date.parse(state.updated_at)); // the instant of the split
    say(`${level}: ${seconds(split - before)}, together ${seconds(split)}`);
    expect(split - before >= 400, 'a split is as long as it took');
    before = split;
  }
  await client.pause(id);
  await sleep(500); // a break does not count
  await client.resume(id);
  await sleep(400);
  const end = await client.complete(id);
  say(`${LEVELS.at(-1)}: done in ${seconds(end.time_elapsed_ms)}`);
  expect(end.cycle_number === 3, 'three levels');
  expect(end.time_elapsed_ms >= 1200 && end.paused_total_ms >= 500, 'the break is not counted');
});
