/** history.js - what has happened before this window was opened, from the audit trail. */

const PAGES_MAX = 20;
const LATE_MS = 700; // records are written a moment after the change

/**
 * The events of this life of the session, oldest first, up to `state.version` if they have been
 * written by now; what could be had where the trail cannot be read.
 */
export async function history(client, state) {
  const life = (epoch) => epoch.split('.')[0]; // what follows counts restarts of the store
  let all = [];
  try {
    for (let tries = 0; tries < 5; tries++) {
      all = (await pages(client, state)).filter((e) => life(e.epoch) === life(state.epoch));
      if (all.at(-1)?.version >= state.version) break;
      await new Promise((done) => setTimeout(done, LATE_MS));
    }
  } catch {
    // a comfort only: no PostgreSQL, or nobody may read it
  }
  return all;
}

async function pages(client, state) {
  const all = [];
  let cursor;
  for (let n = 0; n < PAGES_MAX; n++) {
    const page = await client.events(state.session_id, { limit: 200, cursor });
    all.push(...page.events);
    cursor = page.next_cursor;
    if (!cursor) break;
  }
  return all;
}
