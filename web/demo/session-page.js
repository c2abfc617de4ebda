/**
 * session-page.js - what every page of the gallery has around its clock: the session named by the
 * fragment of the address, the form that makes one, the link to share, the lamp, and words about
 * what goes wrong. Nothing here keeps time: every frame asks the client what is left.
 *
 * A page is an object with
 *   title, noun, mode      "Stopwatch", "stopwatch", "count_up"
 *   create(form, problem)  the create body of its form, or null; see create-form.js
 *   draw(state)            the state is another one
 *   opened(watch)          a session is followed (may be left out)
 *   frame(state)           only what depends on the time; returns the clock's text for the title
 * and its document has #setup with #setup-form, #create and #setup-error, and #session.
 * sessionPage in the console is what a window believes.
 */

import { guestToken } from './guest.js';
import { SyncKairosClient } from '../synckairos.js';
import { Commands } from './commands.js';
import { createForm, createHeldUp } from './create-form.js';
import { $, h, write } from './dom.js';
import { Link } from './link.js';
import { shareDialog } from './share.js';
import { keepAwake } from './wake-lock.js';
import { bound, isPassing, sentence, wantsSignIn } from './words.js';

const STATUS = {
  pending: 'Ready',
  paused: 'Paused',
  completed: 'Over',
  expired: 'Over',
  cancelled: 'Called off',
};

export class SessionPage {
  #page;
  #note = '';
  #noteTimer = 0;
  #link;
  #commands;
  watch = null;

  client = new SyncKairosClient({
    token: guestToken,
    onRetry: ({ error }) => {
      createHeldUp(error);
      this.#commands.heldUp();
    },
  });

  constructor(page) {
    this.#page = page;
    globalThis.sessionPage = this;
    this.#furnish();
    this.#link = new Link($('connection'), () => this.#refresh());
    this.#commands = new Commands({
      watch: () => this.watch,
      changed: () => this.#refresh(),
      slow: () => {
        $('session').classList.add('waiting');
        return () => $('session').classList.remove('waiting');
      },
      failed: (e) => this.#failed(e),
    });
    createForm(this.client, `${page.noun}s`, (form, problem) => page.create(form, problem));
    this.#listen();
  }

  /** The newest state, or null. */
  get state() {
    return this.watch?.state ?? null;
  }

  /** Begin; the page is complete now. */
  begin() {
    this.#route();
    const tick = () => {
      this.#frame();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  /** Run a command of the client on the state that is shown: act('pause'), act('switch', {...}). */
  async act(verb, options = {}) {
    const { watch } = this;
    if (!watch?.state) return;
    const state = watch.state;
    await this.run(() => this.client[verb](watch.sessionId, { state, ...options }));
  }

  /** Run what somebody has pressed; what goes wrong is said. */
  async run(command) {
    await this.#commands.act(command);
  }

  /** What the page shows has another reason than the state to change. */
  redraw() {
    if (this.state && !$('session').hidden) this.#draw(this.state);
  }

  /** Start, pause or resume, whichever is possible: what #primary does. */
  primary() {
    const verb = { pending: 'start', running: 'pause', paused: 'resume' }[this.state?.status];
    if (verb) this.act(verb);
  }

  /** A word for a while. */
  say(text, forMs = 5000) {
    clearTimeout(this.#noteTimer);
    this.#note = text;
    if (text) this.#noteTimer = setTimeout(() => this.say(''), forMs);
    this.#refresh();
  }

  /** For those who hear the page. */
  announce(text) {
    if (text) write($('live'), text);
  }

  #furnish() {
    const { title, noun } = this.#page;
    const file = location.pathname.split('/').pop();
    const icon = () => h('img', { src: 'icon.svg', alt: '', width: 28, height: 28 });
    const home = () => h('a', { className: 'brand', href: './' }, icon(), 'SyncKairos');
    const fresh = () => h('a', { className: 'button', href: file }, 'New');
    const live = h('p', { id: 'live', className: 'visually-hidden', ariaLive: 'polite' });
    const card = h(
      'div',
      { className: 'card' },
      home(),
      h('h1', { id: 'missing-title' }),
      h('p', { id: 'missing-text', className: 'lead' }),
      fresh(),
    );
    const missing = h('main', { id: 'missing', className: 'page', hidden: true }, card);
    document.body.prepend(live, missing);
    $('setup-form').prepend(home());
    const share = h('button', { id: 'share', type: 'button' }, 'Share');
    const row = h('div', { className: 'row' }, share, fresh());
    const banner = h('p', { id: 'banner', className: 'banner', role: 'status', hidden: true });
    $('session').prepend(h('header', {}, home(), h('h1', {}, title), row), banner);
    $('session').append(this.#statusLine());
    share.addEventListener('click', shareDialog('Open it on another screen', this.#shareText()));
  }

  #shareText() {
    return `Whoever opens this link sees the same ${this.#page.noun} and can steer it.`;
  }

  #statusLine() {
    const hidden = (text) => h('span', { className: 'visually-hidden' }, text);
    return h(
      'footer',
      { className: 'status' },
      h('span', { id: 'connection', className: 'connection' }),
      h(
        'span',
        { title: "How far this screen may be from the server's clock" },
        hidden('Clock error '),
        h('span', { id: 'clock-error' }, '± –'),
      ),
      h(
        'span',
        { title: 'Version of the session' },
        hidden('Version '),
        h('span', { id: 'version' }, 'v–'),
      ),
    );
  }

  #listen() {
    addEventListener('hashchange', () => this.#route());
    $('primary')?.addEventListener('click', () => this.primary());
    document.addEventListener('visibilitychange', () =>
      keepAwake(this.state?.status === 'running'),
    );
    setInterval(() => {
      write($('clock-error'), bound(this.client.clockError()));
      if (document.hidden) this.#frame(); // no frames there, but its title is seen
    }, 250);
  }

  #view(name, section = name) {
    document.body.dataset.view = name;
    for (const id of ['setup', 'missing', 'session']) $(id).hidden = id !== section;
  }

  #card(heading, text) {
    write($('missing-title'), heading);
    write($('missing-text'), text);
    this.#title(heading.replace(/…$/, ''));
  }

  #missing(heading, text) {
    this.#view('missing');
    this.#card(heading, text);
  }

  #title(text) {
    const whole = [text, this.#page.title].filter(Boolean).join(' · ');
    if (document.title !== whole) document.title = whole;
  }

  #refresh() {
    const why = this.#link?.trouble() ?? '';
    const held = !this.#commands?.kept
      ? ''
      : why
        ? 'Your press is kept.'
        : 'No answer yet. Your press is kept…';
    const text = this.#note || [why, held].filter(Boolean).join(' ');
    write($('banner'), text);
    $('banner').hidden = text === '';
    $('session').classList.toggle('stale', why !== '');
    if (document.body.dataset.view === 'loading') write($('missing-text'), why);
  }

  #failed(e) {
    if (e.status === 409) this.say('Somebody was faster.', 2000);
    else if (e.status === 429) this.say('Too fast. Try again in a moment.', 3000);
    else if (wantsSignIn(e)) this.#signIn(e);
    else if (isPassing(e)) this.say(`${sentence(e.message)} If it did not count, press again.`);
    else this.say(sentence(e.message));
  }

  #signIn(e) {
    this.#missing('You need to sign in', `The server says: ${sentence(e.message)}`);
  }

  #route() {
    const id = location.hash.slice(1);
    this.watch?.close();
    this.watch = null;
    this.say('');
    if (id) return this.#follow(id);
    this.#link.follow(null);
    this.#title('New');
    this.#view('setup');
  }

  #follow(id) {
    const { noun } = this.#page;
    try {
      this.watch = this.client.watch(id);
    } catch {
      this.watch = null;
      return this.#missing(`No such ${noun}`, 'The link is incomplete.');
    }
    this.#view('loading', 'missing');
    this.#card('Loading…', '');
    this.#link.follow(this.watch);
    this.watch.on('state', (state) => this.#draw(state));
    this.watch.on('deleted', () => this.#missing(`This ${noun} was deleted`, ''));
    this.watch.on('error', (e) => {
      if (wantsSignIn(e)) this.#signIn(e);
      else if (e.code === 'SESSION_NOT_FOUND' && !this.state)
        this.#missing(`No such ${noun}`, 'It may have been deleted, or the link is incomplete.');
    });
    this.#page.opened?.(this.watch);
  }

  #draw(state) {
    if (state.sync_mode !== this.#page.mode) {
      this.watch.close();
      return this.#missing(`This is no ${this.#page.noun}`, `Its mode is ${state.sync_mode}.`);
    }
    if ($('session').hidden) {
      this.#view('session');
      scrollTo(0, 0); // the form was longer
    }
    $('session').dataset.status = state.status;
    write($('version'), `v${state.version}`);
    const primary = { pending: 'Start', running: 'Pause', paused: 'Resume' }[state.status];
    if ($('primary')) {
      write($('primary'), primary ?? 'Over');
      $('primary').disabled = !primary;
    }
    keepAwake(state.status === 'running');
    this.#page.draw(state);
    this.#frame();
  }

  #frame() {
    const { state } = this;
    if (!state || $('session').hidden) return;
    const clock = this.#page.frame(state);
    this.#title([STATUS[state.status], clock].filter(Boolean).join(' '));
  }
}
