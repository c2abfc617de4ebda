/** wake-lock.js - the screen stays lit while a clock runs on it. */

let lock = null;

export async function keepAwake(on) {
  try {
    if (on && !lock && document.visibilityState === 'visible') {
      lock = await navigator.wakeLock?.request('screen');
      lock?.addEventListener('release', () => (lock = null));
    } else if (!on) {
      await lock?.release();
    }
  } catch {
    // a comfort only; low battery refuses it
  }
}
