/** Quiz: every question has the same time; one that is not answered in time is skipped. */

import { example, expect, people, say, sleep, until } from './example.mjs';

await example(async (client) => {
  const { participants, name } = people(['Ada', 'Grace', 'Alan'], 1500);
  const { session_id: id } = await client.create({
    sync_mode: 'per_cycle',
    total_time_ms: 1500,
    time_per_cycle_ms: 1500,
    auto_advance: true,
    max_cycles: 3,
    action_on_timeout: { type: 'skip_question' },
    participants,
  });
  const watch = client.watch(id);
  watch.on('expired', ({ participantId }) => say(`too late, ${name(participantId)}: skipped`));
  const asked = (n) => until(watch, (s) => s.status === 'running' && s.cycle_number === n);

  await client.start(id);
  for (const question of [1, 2, 3]) {
    const state = await asked(question);
    const who = name(state.active_participant_id);
    say(`question ${question}, for ${who}`);
    if (who === 'Grace') continue; // has no idea, and the next question comes by itself
    await sleep(300);
    await client.switch(id, { currentParticipantId: state.active_participant_id });
    say(`${who} has answered`);
  }
  const end = await until(watch, (s) => s.result !== undefined);
  say(`over: ${end.result.reason}`);
  const [ada, grace, alan] = end.participants;
  expect(end.result.reason === 'cycles_done', 'three questions were the end');
  expect(grace.time_used_ms === 1500, 'a skipped question takes its whole time');
  expect(ada.time_used_ms < 1500 && alan.time_used_ms < 1500, 'the others were quicker');
});
