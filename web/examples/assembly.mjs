/** Assembly: 200 people speak in turn; what travels is who speaks, and not the whole list. */

import { example, expect, people, say, until } from './example.mjs';

const PEOPLE = 200;
const TURNS = 20;

let answered = 0; // bytes of answers to commands
async function counting(...args) {
  const answer = await fetch(...args);
  answered = (await answer.clone().arrayBuffer()).byteLength;
  return answer;
}

await example(async (client) => {
  const names = Array.from({ length: PEOPLE }, (_, k) => `Member ${k + 1}`);
  const { participants, name } = people(names, 60000);
  const { session_id } = await client.create({
    sync_mode: 'per_participant',
    total_time_ms: 86400000,
    participants,
  });
  const whole = answered;
  const watch = client.watch(session_id);
  await until(watch, (s) => s.status === 'pending');
  await client.start(session_id);
  say(`${names.length} people; the floor is open`);

  const heard = [];
  watch.on('state', (state, { from }) => heard.push(from));
  for (let n = 1; n <= TURNS; n++) {
    const state = await client.switch(session_id);
    expect(state.participants.length === PEOPLE, 'a command resolves to the whole state');
    expect(name(state.active_participant_id) === names[n], `member ${n + 1} has the floor`);
    expect(answered < 2000, 'but the answer to it is short');
  }
  say(`${TURNS} have spoken: answers of ${answered} bytes, where a state takes ${whole}`);
  expect(heard.includes('STATE_DELTA') && !heard.includes('STATE_UPDATE'), 'only changes came');

  const now = await client.get(session_id);
  const clocks = (s) => s.participants.map((p) => [p.total_time_ms, p.cycle_count]).join();
  expect(clocks(watch.state) === clocks(now), 'put together, they are what the server has');
  await client.delete(session_id);
  say('the floor is closed');
}, { fetch: counting });
