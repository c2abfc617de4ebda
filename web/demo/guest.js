// A token for pages that nobody signs in to: given in development, where it is needed (GUEST_TOKENS). All demo pages are
// one guest, so that every window may do everything, as where no token is needed.

const EARLY_MS = 90000;

let held = null;

async function ask() {
  const response = await fetch('/v1/tokens/guest', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: 'demo', if_needed: true }),
  });
  if (response.status !== 200) return { token: undefined, until: [204, 401].includes(response.status) ? Infinity : 0 };
  const { data } = await response.json();
  return { token: data.token, until: Date.now() + (Date.parse(data.expires_at) - Date.parse(response.headers.get('date'))) - EARLY_MS };
}

/** For SyncKairosClient's `token`: the token, or undefined where there is none to be had. */
export async function guestToken() {
  const now = held && (await held.catch(() => null));
  if (!now || Date.now() >= now.until) held = ask();
  return (await held.catch(() => null))?.token;
}
