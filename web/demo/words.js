/** words.js - times and errors as people read them. */

const LOW_MS = 20000; // below this tenths are shown

const two = (n) => String(n).padStart(2, '0');

/** What is left: 1:02:03, 4:59, 9.9; rounded up, so that 0.0 means that nothing is left. */
export function countdown(ms) {
  if (ms < LOW_MS) return (Math.ceil(ms / 100) / 10).toFixed(1);
  const s = Math.ceil(ms / 1000);
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

/** What has passed: 0:07.3, 1:02:03.4; rounded down. */
export function passed(ms) {
  const tenths = Math.floor(ms / 100);
  const s = Math.floor(tenths / 10);
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  const rest = `${two(s % 60)}.${tenths % 10}`;
  return h > 0 ? `${h}:${two(m)}:${rest}` : `${m}:${rest}`;
}

/** An instant of the server's as this place reads its clocks; Date only as a parser. */
export function clockTime(instant) {
  return new Date(instant).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

export function count(n, one, many = `${one}s`) {
  return n === 1 ? `1 ${one}` : `${n} ${many}`;
}

export function sentence(text) {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/** How far the clock of this screen may be off. */
export function bound(error) {
  return Number.isFinite(error) ? `± ${Math.ceil(error)} ms` : '± –';
}

export const wantsSignIn = (e) =>
  e.status === 401 || e.status === 403 || e.code === 'UNAUTHENTICATED';

/** Does it make sense to send this again? */
export const isPassing = (e) => e.status === 0 || e.status === 429 || e.status >= 500;
