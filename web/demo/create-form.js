/** create-form.js - the form that makes a session: waiting, refusals, and where to go then. */

import { uuid } from '../synckairos.js';
import { $ } from './dom.js';
import { sentence, wantsSignIn } from './words.js';

const WAITING_AFTER_MS = 700;

let holdup = () => {};

/** The client repeats a request: say why it takes so long. */
export const createHeldUp = (error) => holdup(error);

/**
 * Wire #setup-form. body(form, problem) gives the create body without its id, or null after
 * problem(text) has said what is wrong with the form.
 */
export function createForm(client, noun, body) {
  const button = $('create');
  const label = button.textContent;
  const problem = (text) => {
    $('setup-error').textContent = text;
    $('setup-error').hidden = text === '';
  };
  const refused = (e) => {
    const wait = Math.ceil((e.retryAfterMs ?? 60000) / 1000);
    if (e.status === 429) problem(`Too many new ${noun}. Try again in ${wait} s.`);
    else problem(`${wantsSignIn(e) ? 'You need to sign in. ' : ''}${sentence(e.message)}`);
  };
  $('setup-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const params = body(new FormData($('setup-form')), problem);
    if (!params) return;
    problem('');
    button.disabled = true;
    button.textContent = 'Creating…';
    const slow = setTimeout(() => problem('Waiting for the server…'), WAITING_AFTER_MS);
    holdup = (e) => {
      clearTimeout(slow);
      problem(`${sentence(e.message)} Trying again…`);
    };
    try {
      const { session_id } = await client.create({ session_id: uuid(), ...params });
      problem('');
      location.hash = session_id;
    } catch (e) {
      refused(e);
    } finally {
      clearTimeout(slow);
      holdup = () => {};
      button.disabled = false;
      button.textContent = label;
    }
  });
}
