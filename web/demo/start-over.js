/**
 * start-over.js - delete a session and make it again under the same id, through refusals,
 * outages and reloads of the page: between the two steps this page holds all that is left of it.
 *
 * A plan is { id, epoch, body }: which life of the session is to end, and what to create then.
 */

import { isPassing } from './words.js';

/** Plans that are not done, where a reload of the page finds them. */
export const plans = {
  read(id) {
    try {
      return JSON.parse(sessionStorage.getItem(`starting-over:${id}`));
    } catch {
      return null;
    }
  },
  write(plan) {
    try {
      sessionStorage.setItem(`starting-over:${plan.id}`, JSON.stringify(plan));
    } catch {
      // without storage it works until a reload
    }
  },
  drop(id) {
    try {
      sessionStorage.removeItem(`starting-over:${id}`);
    } catch {
      // nor was it written
    }
  },
};

/**
 * Carry a plan out, however long it takes: others wait for this. waiting(error, seconds) is
 * called once a second until the next try. Throws what another try would not help against.
 */
export async function carry(client, plan, waiting) {
  if (await insist(() => remove(client, plan), waiting))
    await insist(() => remake(client, plan), waiting);
}

/** Delete the old game; false when somebody has made the new one already. */
async function remove(client, { id, epoch }) {
  const life = (e) => e?.split('.')[0]; // what follows counts restarts of the store
  try {
    if (life((await client.get(id)).epoch) !== life(epoch)) return false;
  } catch (e) {
    if (e.status === 404) return true;
    throw e;
  }
  await client.delete(id);
  return true;
}

async function remake(client, { body }) {
  try {
    await client.create(body);
  } catch (e) {
    if (e.code !== 'SESSION_EXISTS') throw e; // another window was faster with the same
  }
}

async function insist(action, waiting) {
  for (let n = 1; ; n++) {
    try {
      return await action();
    } catch (e) {
      if (!isPassing(e)) throw e;
      const until = performance.now() + Math.max(1000, e.retryAfterMs ?? Math.min(n, 10) * 1000);
      for (let left; (left = until - performance.now()) > 0; ) {
        waiting(e, Math.ceil(left / 1000));
        await new Promise((done) => setTimeout(done, Math.min(left, 1000)));
      }
    }
  }
}
