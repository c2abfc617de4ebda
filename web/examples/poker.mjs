/** Poker: so much time for each decision; who does not decide is folded by the clock. */

import { example, expect, next, people, say, sleep, until } from './example.mjs';

await example(async (client) => {
  const { participants, id: idOf, name } = people(['Ada', 'Grace', 'Alan'], 1500);
  const { session_id: id } = await client.create({
    sync_mode: 'per_cycle',
    total_time_ms: 1500,
    time_per_cycle_ms: 1500,
    auto_advance: true,
    action_on_timeout: { type: 'auto_fold', action: 'fold' },
    participants,
  });
  const watch = client.watch(id);
  const action = next(watch, 'action');
  await client.start(id);
  say('Ada looks at her cards');
  await sleep(300);
  await client.switch(id);
  say('Ada raises; Grace hesitates...');

  const { participantId, action: does } = await action;
  say(`the clock says for ${name(participantId)}: ${does}`);
  expect(name(participantId) === 'Grace' && does === 'fold', 'Grace is folded');
  await until(watch, (s) => s.active_participant_id === idOf('Alan'));
  await client.removeParticipant(id, idOf('Grace')); // takes no more turns in this hand
  await client.switch(id);
  const state = await until(watch, (s) => s.active_participant_id === idOf('Ada'));
  say('Alan calls, and it is up to Ada again');
  expect(state.participants[1].out === 'removed', 'Grace is out of this hand');
  const end = await client.complete(id);
  expect(end.status === 'completed', 'the hand is over');
});
