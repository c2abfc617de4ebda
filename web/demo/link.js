/** link.js - how the link to the server is: for the lamp, and for a banner. */

const BANNER_AFTER_MS = 1000;
const LAMP = {
  connecting: 'Connecting',
  connected: 'Connected',
  reconnecting: 'Reconnecting',
  away: 'No store',
};

export class Link {
  #lamp;
  #changed;
  #watch = null;
  #lost = false;
  #timer = 0;

  /** lamp: the element; changed(): what trouble() says may be different now. */
  constructor(lamp, changed) {
    this.#lamp = lamp;
    this.#changed = changed;
  }

  /** null: nothing is followed. */
  follow(watch) {
    this.#watch = watch;
    if (!watch) return;
    const on = (event, name) =>
      watch.on(event, () => {
        if (this.#watch === watch) this.#show(name());
      });
    const up = () => (watch.storeAvailable ? 'connected' : 'away');
    on('connected', up);
    on('store', up);
    on('disconnected', () => 'reconnecting');
    on('reconnecting', () => 'reconnecting');
    this.#show('connecting');
  }

  /** Why what is shown may not be so; '' when all is well. */
  trouble() {
    if (!this.#watch) return '';
    if (this.#watch.connected && !this.#watch.storeAvailable)
      return 'The server cannot reach its store. Trying again…';
    return this.#lost ? 'No connection. Trying again…' : '';
  }

  #show(name) {
    this.#lamp.dataset.state = name;
    this.#lamp.textContent = LAMP[name];
    if (this.#watch.connected) {
      clearTimeout(this.#timer);
      this.#timer = 0;
      this.#lost = false;
    } else {
      this.#timer ||= setTimeout(() => {
        this.#lost = true;
        this.#changed();
      }, BANNER_AFTER_MS);
    }
    this.#changed();
  }
}
