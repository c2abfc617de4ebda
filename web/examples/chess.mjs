/** Chess: a bank for each player, an increment for each move; who runs out of time has lost. */

import { example, expect, people, say, seconds, sleep, until } from './example.mjs';

await example(async (client) => {
  const { participants, name } = people(['White', 'Black'], 2000);
  const { session_id: id } = await client.create({
    sync_mode: 'per_participant',
    total_time_ms: 4000,
    increment_ms: 500,
    participants,
    action_on_timeout: { type: 'end_session', outcome: 'lost on time' },
  });
  const watch = client.watch(id);
  await client.start(id);
  for (let move = 1; move <= 4; move++) {
    await sleep(100);
    const { participants: clocks } = await client.switch(id);
    say(`move ${move}: ${clocks.map((p) => seconds(p.time_remaining_ms)).join(' to ')}`);
  }
  say('White thinks about the fifth move, for too long');
  const end = await until(watch, (s) => s.status === 'expired');
  const { winner_participant_id, outcome } = end.result;
  say(`${name(winner_participant_id)} wins: White has ${outcome}`);
  expect(name(winner_participant_id) === 'Black', 'Black has won');
  expect(end.version === 7, 'four moves, and the end by itself');
  expect(end.participants[1].total_time_ms > 2000, 'quick moves have gained time');
});
