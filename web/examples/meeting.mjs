/** Meeting: some minutes for each item; one that takes longer is noticed, not cut off. */

import { example, expect, next, people, say, seconds, sleep, until } from './example.mjs';

const AGENDA = ['minutes of the last meeting', 'the new logo', 'any other business'];

await example(async (client) => {
  const { participants, name } = people(AGENDA, 1500);
  const { session_id: id } = await client.create({
    sync_mode: 'per_cycle',
    total_time_ms: 1500,
    time_per_cycle_ms: 1500,
    max_cycles: AGENDA.length,
    participants,
  });
  const watch = client.watch(id);
  await client.start(id);
  for (const item of AGENDA) {
    const state = await until(watch, (s) => name(s.active_participant_id) === item);
    say(`item ${state.cycle_number}: ${item}`);
    if (item === 'the new logo') {
      const { participantId } = await next(watch, 'expired');
      say(`the time for ${name(participantId)} is over, but everybody has an opinion`);
      expect(watch.state.status === 'running', 'nobody is interrupted');
    }
    await sleep(400);
    await client.switch(id, { currentParticipantId: state.active_participant_id });
  }
  const end = await until(watch, (s) => s.result !== undefined);
  for (const p of end.participants) say(`${name(p.participant_id)}: ${seconds(p.time_used_ms)}`);
  const used = end.participants.map((p) => p.time_used_ms);
  expect(used[1] >= 1900 && used[0] < 1500, 'what was spent on each item is known');
  expect(end.result.reason === 'cycles_done', 'the agenda is done');
});
