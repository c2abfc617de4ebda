/**
 * commands.js - what people press, one at a time. A second press on the same state is impatience;
 * one on a later state, which the push brought before the answer, is meant and waits for its turn.
 */

const SLOW_AFTER_MS = 150;
const KEPT_AFTER_MS = 700;

export class Commands {
  #page;
  #busy = null; // the one under way: { version, done }
  #queued = false;

  /** A press has not been answered yet. */
  kept = false;

  /**
   * page.watch()        the session that is meant, or null
   * page.changed()      `kept` is different now
   * page.slow()         it takes a moment; what it returns is called when that is over
   * page.failed(error)  say what went wrong
   */
  constructor(page) {
    this.#page = page;
  }

  async act(command) {
    const version = this.#page.watch()?.state?.version;
    if (this.#busy) {
      if (this.#queued || version === this.#busy.version) return;
      this.#queued = true;
      await this.#busy.done;
      this.#queued = false;
    }
    const mine = { version };
    mine.done = this.#run(command).finally(() => {
      if (this.#busy === mine) this.#busy = null;
    });
    this.#busy = mine;
    await mine.done;
  }

  /** The client repeats a request: what is under way will take longer. */
  heldUp() {
    if (this.#busy) this.#keep(true);
  }

  #keep(kept) {
    this.kept = kept;
    this.#page.changed();
  }

  async #run(command) {
    let quick = () => {};
    const slow = setTimeout(() => (quick = this.#page.slow() ?? quick), SLOW_AFTER_MS);
    const held = setTimeout(() => this.#keep(true), KEPT_AFTER_MS);
    const watch = this.#page.watch();
    if (!watch?.connected || !watch.storeAvailable) this.#keep(true);
    try {
      await command();
    } catch (e) {
      this.#page.failed(e);
    } finally {
      clearTimeout(slow);
      clearTimeout(held);
      quick();
      this.#keep(false);
    }
  }
}
