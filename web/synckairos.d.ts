/** Types of synckairos.js; the rules behind them are in the head of that file. */

export type SyncMode = 'per_participant' | 'per_cycle' | 'per_group' | 'global' | 'count_up';
export type SyncStatus =
  'pending' | 'running' | 'paused' | 'completed' | 'expired' | 'cancelled';

/** ISO-8601 UTC with milliseconds. */
export type Instant = string;

export interface SyncParticipant {
  participant_id: string;
  participant_index: number;
  /** The bank left as of `cycle_started_at`. */
  total_time_ms: number;
  /** The bank as created, moved by adjustments. */
  allotted_ms: number;
  time_used_ms: number;
  /** What is left at the state's `server_time`; left out in count_up. */
  time_remaining_ms?: number;
  cycle_count: number;
  is_active: boolean;
  has_expired: boolean;
  group_id?: string;
  out?: 'removed' | 'eliminated';
  /** delay: free time of the open turn, or else of the next one, at `server_time`. */
  delay_left_ms?: number;
  /** byoyomi: periods that are not used up, the running one included. */
  periods_left?: number;
  /** canadian: turns left in the block; stages: in the stage, but for the last one. */
  moves_left?: number;
  /** stages: which one it is; 1 is the first. */
  stage?: number;
}

export type Counters = Pick<
  SyncParticipant,
  'delay_left_ms' | 'periods_left' | 'moves_left' | 'stage'
>;

/** How banks burn in per_participant, and what a hand-over brings. */
export type TimeControl =
  | { type?: 'fischer'; increment_ms?: number }
  | { type: 'delay' | 'bronstein'; delay_ms: number }
  | { type: 'byoyomi'; periods: number; period_ms: number }
  | { type: 'canadian'; moves: number; period_ms: number }
  | { type: 'hourglass' }
  | { type: 'per_move' }
  | { type: 'stages'; stages: { moves?: number; add_ms?: number; increment_ms?: number }[] };

/** per_group: participants who share a bank. */
export interface SyncGroup {
  group_id: string;
  total_time_ms: number;
  allotted_ms: number;
  time_used_ms: number;
  time_remaining_ms: number;
  has_expired: boolean;
  members: string[];
}

export type TimeoutAction =
  'notify' | 'end_session' | 'skip_cycle' | 'auto_action' | 'eliminate';

/** What happens when a clock reaches zero. */
export interface ActionOnTimeout {
  type: TimeoutAction;
  action?: string;
  penalty?: Record<string, unknown>;
  outcome?: string;
  winner_participant_id?: string;
}

export interface LastTimeout {
  version: number;
  at: Instant;
  expired_participant_id?: string;
  /** per_group. */
  expired_group_id?: string;
  action_applied?: string | null;
  action?: string;
  penalty?: Record<string, unknown>;
}

export interface SessionResult {
  reason: 'timeout' | 'last_one_left' | 'cycles_done' | 'completed' | 'cancelled';
  expired_participant_id?: string;
  winner_participant_id?: string;
  outcome?: string;
}

export interface SyncState {
  session_id: string;
  sync_mode: SyncMode;
  status: SyncStatus;
  /** Grows by exactly 1 per change. */
  version: number;
  /** This life of the session; sorts as text. */
  epoch: string;
  participants: SyncParticipant[];
  /** per_group, in the order in which turns go round. */
  groups?: SyncGroup[];
  active_group_id?: string | null;
  active_participant_id: string | null;
  total_time_ms: number;
  time_per_cycle_ms: number | null;
  increment_ms: number;
  max_time_ms?: number;
  /** per_cycle, global, count_up with a limit: what the clock has left at `server_time`. */
  time_remaining_ms?: number;
  /** global: the bank as created. */
  allotted_ms?: number;
  /** count_up: running time at `server_time`. */
  time_elapsed_ms?: number;
  /** Without participants: running time as of the last change. */
  time_used_ms?: number;
  cycle_number: number;
  cycle_started_at: Instant | null;
  session_started_at: Instant | null;
  session_completed_at: Instant | null;
  created_at: Instant;
  updated_at: Instant;
  paused_at?: Instant | null;
  paused_total_ms: number;
  time_control?: TimeControl;
  auto_advance: boolean;
  /** per_cycle: the session is completed after so many turns. */
  max_cycles?: number;
  action_on_timeout?: ActionOnTimeout;
  /** At which remaining times the clients are warned; ascending. */
  warn_at_ms: number[];
  /** When the running clock reaches zero. */
  deadline_at?: Instant;
  last_timeout?: LastTimeout;
  result?: SessionResult;
  metadata?: Record<string, unknown>;
  owner?: string;
  server_time: Instant;
}

/** The answer of a switch: a part of the state. */
export type SwitchResult = Pick<
  SyncState,
  | 'session_id'
  | 'active_participant_id'
  | 'cycle_started_at'
  | 'participants'
  | 'status'
  | 'version'
  | 'epoch'
  | 'cycle_number'
  | 'server_time'
> & {
  /** Who was found at zero by this switch. */
  expired_participant_id?: string;
};

export interface CreateParticipant {
  participant_id: string;
  participant_index: number;
  total_time_ms: number;
  group_id?: string;
}

export interface CreateGroup {
  group_id: string;
  total_time_ms: number;
  members?: string[];
}

export interface CreateSession {
  /** A random one is made when it is left out. */
  session_id?: string;
  sync_mode: SyncMode;
  /** Not needed in global and count_up. */
  participants?: CreateParticipant[];
  /** per_group; those that only participants name need not be here. */
  groups?: CreateGroup[];
  /** Not needed in count_up, nor in global beside time_per_cycle_ms. */
  total_time_ms?: number;
  time_per_cycle_ms?: number;
  /** Short for the time_control fischer. */
  increment_ms?: number;
  /** per_participant only. */
  time_control?: TimeControl;
  max_time_ms?: number;
  /** Who begins; by rotation when it is left out. */
  active_participant_id?: string;
  auto_advance?: boolean;
  max_cycles?: number;
  action_on_timeout?: Omit<ActionOnTimeout, 'type'> & {
    type: TimeoutAction | 'game_over' | 'skip_question' | 'auto_fold';
  };
  /** At most 5 remaining times, 100 to 86400000; [10000] when it is left out. */
  warn_at_ms?: number[];
  metadata?: Record<string, unknown>;
}

export interface ServerTime {
  timestamp_ms: number;
  server_version: string;
  drift_tolerance_ms: number;
  receive_us: number;
  transmit_us: number;
}

export interface CommandOptions {
  /** Only carry the command out on exactly this version. Default: the newest known here. */
  expectedVersion?: number;
  /** The state that the command is meant for. Default: the newest known here, else it is read. */
  state?: SyncState;
  /**
   * 1 to 255 visible ASCII characters: the same key is carried out once, also after a reload of
   * the page. Default: a random one for each call. With a key the version is never exchanged.
   */
  idempotencyKey?: string;
  /**
   * Leave the participants out of the answer (Prefer: return=minimal). When it is not said, they
   * are left out of a session of more than 64 that is watched, and the command resolves to
   * the whole state as its push completes it.
   */
  minimal?: boolean;
}

/** What a command resolves to with `minimal: true`. */
export type MinimalState = Omit<SyncState, 'participants'> & { participants?: undefined };

/** Exactly one of the two times; the result is between 0 and 24 h. */
export type Adjustment = { reason: string } & (
  | { total_time_ms: number; add_ms?: undefined }
  | { add_ms: number; total_time_ms?: undefined }
);

export interface ListOptions {
  status?: SyncStatus;
  /** 1..100, default 20. */
  limit?: number;
  /** `next_cursor` of the page before. */
  cursor?: string;
  /** Whose sessions; for services only. */
  owner?: string;
}

export interface SessionList {
  sessions: SyncState[];
  next_cursor?: string;
}

export interface SessionBatch {
  sessions: SyncState[];
  /** Ids that do not exist. */
  missing: string[];
}

export interface EventsOptions {
  /** 1..200, default 50. */
  limit?: number;
  cursor?: string;
}

/** One record of the audit trail. */
export interface SessionEvent {
  version: number;
  epoch: string;
  event_type: string;
  timestamp: Instant;
  participant_id?: string;
  group_id?: string;
  time_remaining_ms?: number;
  time_elapsed_ms?: number;
  cycle_number?: number;
  actor?: string;
  reason?: string;
}

export interface SessionEvents {
  events: SessionEvent[];
  recorded_up_to?: { epoch: string; version: number };
  next_cursor?: string;
}

export interface SwitchOptions extends CommandOptions {
  /** Whose turn is to end. Default: whoever is active in the state the command is meant for. */
  currentParticipantId?: string;
  /** Whose turn is next. Default: rotation. */
  nextParticipantId?: string;
}

export interface ClientOptions {
  /** Default: the origin of the page. */
  baseUrl?: string;
  /** Default: baseUrl with ws(s): and /ws. */
  wsUrl?: string;
  fetch?: typeof fetch;
  WebSocket?: new (url: string, protocols?: string[]) => WebSocket;
  /** A monotonic clock in milliseconds. Default: performance.now(). */
  now?: () => number;
  /** How long one request may take, ms. Default 5000. */
  timeoutMs?: number;
  /** How long a lost request is repeated, ms. Default 15000. */
  retryForMs?: number;
  /** A request got lost, and is sent again after delayMs. */
  onRetry?: (info: { error: SyncKairosError; delayMs: number }) => void;
  /**
   * Changes come as what has changed (STATE_DELTA), and not as whole states. Default: those of
   * sessions of more than 64 participants.
   */
  delta?: boolean;
  /**
   * A JSON Web Token, or what gets a valid one; asked before every request and connection, and
   * again a minute before the token of a connection ends.
   */
  token?: string | (() => string | undefined | Promise<string | undefined>);
}

export interface ErrorDetail {
  field: string;
  message: string;
  code: string;
}

export class SyncKairosError extends Error {
  constructor(fields: {
    status?: number;
    code: string;
    message: string;
    details?: unknown;
    retryAfterMs?: number;
    requestId?: string;
    cause?: unknown;
  });
  /** HTTP status; 0 when there was no answer, and for errors that came over the WebSocket. */
  readonly status: number;
  /** The wire's code, or NETWORK_ERROR, OUTCOME_UNKNOWN, HTTP_<status>. */
  readonly code: string;
  readonly details?: ErrorDetail[] | Record<string, unknown>;
  readonly retryAfterMs?: number;
  readonly requestId?: string;
}

/** Which state an event goes with, and the server's instant of it (epoch ms). */
export interface Stamp {
  version?: number;
  epoch?: string;
  timestamp?: number;
}

export type StateSource = 'STATE_SYNC' | 'STATE_UPDATE' | 'STATE_DELTA' | 'REST';

export interface WatchEvents {
  /** The socket is open; a state follows by itself. */
  connected: (info: { attempt: number }) => void;
  disconnected: (info: { code: number; reason: string }) => void;
  reconnecting: (info: { attempt: number; delayMs: number }) => void;
  /** A newer state; versions only grow within one epoch. */
  state: (state: SyncState, info: { from: StateSource }) => void;
  /** The session was deleted; the watch has ended. */
  deleted: (info: { sessionId: string; epoch?: string; version?: number }) => void;
  /** A clock reached zero on the server; once per expiry. */
  expired: (info: Stamp & {
    participantId?: string;
    groupId?: string;
    actionApplied?: string | null;
  }) => void;
  /** A clock has come down to one of `warn_at_ms`; neither id in global and count_up. */
  warning: (info: Stamp & {
    participantId?: string;
    groupId?: string;
    remainingMs: number;
    thresholdMs: number;
  }) => void;
  /** auto_action: what is to be done for somebody whose time is up. */
  action: (info: Stamp & { participantId?: string; action?: string }) => void;
  /**
   * The socket is up, but the server cannot reach its store, or can again: until then nothing
   * new arrives and no command can be carried out. Known within about 3 s.
   */
  store: (info: { available: boolean }) => void;
  /**
   * SESSION_NOT_FOUND: it does not exist; the watch goes on, as it may be made again. Status 401
   * or 403: the server wants a sign-in; the watch tries again, but rarely. Others are the
   * server's objections to what was sent, or the reason why the watch has ended.
   */
  error: (error: SyncKairosError) => void;
}

/** One session, followed until close(), over a WebSocket that up to 50 of them share. */
export interface SessionWatch {
  readonly sessionId: string;
  /** The newest state; null before the first, and while the session does not exist. */
  readonly state: SyncState | null;
  readonly connected: boolean;
  /** False while the server says that it cannot reach its store. */
  readonly storeAvailable: boolean;
  /** What is left of a participant's bank now, ms; NaN without a state. */
  remaining(participantId: string): number;
  /** The counters of a participant's time control now. */
  counters(participantId: string): Counters;
  /** What the running clock has left now, ms; see clockAt. */
  clock(): number;
  /** Mode count_up: the running time now, ms. */
  elapsed(): number;
  /** Returns a function that takes the listener away again. */
  on<E extends keyof WatchEvents>(event: E, listener: WatchEvents[E]): () => void;
  close(): void;
}

export class SyncKairosClient {
  constructor(options?: ClientOptions);

  create(params: CreateSession): Promise<SyncState>;
  get(sessionId: string): Promise<SyncState>;
  start(sessionId: string, options: CommandOptions & { minimal: true }): Promise<MinimalState>;
  start(sessionId: string, options?: CommandOptions): Promise<SyncState>;
  pause(sessionId: string, options: CommandOptions & { minimal: true }): Promise<MinimalState>;
  pause(sessionId: string, options?: CommandOptions): Promise<SyncState>;
  resume(sessionId: string, options: CommandOptions & { minimal: true }): Promise<MinimalState>;
  resume(sessionId: string, options?: CommandOptions): Promise<SyncState>;
  complete(sessionId: string, options: CommandOptions & { minimal: true }): Promise<MinimalState>;
  complete(sessionId: string, options?: CommandOptions): Promise<SyncState>;
  cancel(sessionId: string, options: CommandOptions & { minimal: true }): Promise<MinimalState>;
  cancel(sessionId: string, options?: CommandOptions): Promise<SyncState>;
  /** After a lost answer it may resolve to the whole state. */
  switch(sessionId: string, options?: SwitchOptions): Promise<SwitchResult>;

  /** Add somebody; a random participant_id is made when it is left out, and the index is the next. */
  addParticipant(
    sessionId: string,
    participant: Partial<CreateParticipant> & { total_time_ms: number },
    options?: CommandOptions,
  ): Promise<SyncState>;
  /** Correct a clock: what is left to somebody, with the reason for the record. */
  adjust(
    sessionId: string,
    participantId: string,
    adjustment: Adjustment,
    options?: CommandOptions,
  ): Promise<SyncState>;
  /** Take somebody out of the rotation; CONFLICT for the one who is active. */
  removeParticipant(
    sessionId: string,
    participantId: string,
    options?: CommandOptions,
  ): Promise<SyncState>;

  /** The caller's own sessions, newest first. */
  list(options?: ListOptions): Promise<SessionList>;
  /** Up to 50 sessions at once. */
  batch(sessionIds: string[]): Promise<SessionBatch>;
  /**
   * For those who cannot watch: the state if it is another one than the newest known here, or than
   * `since`; else null.
   */
  poll(
    sessionId: string,
    since?: { version: number; epoch?: string },
  ): Promise<SyncState | null>;
  /** The audit trail, also of a session that was deleted. */
  events(sessionId: string, options?: EventsOptions): Promise<SessionEvents>;
  /** Also succeeds when the session does not exist. */
  delete(sessionId: string): Promise<void>;
  /** Each call is also a measurement of the server's clock. */
  time(): Promise<ServerTime>;

  /** Follow a session; it need not exist yet. Throws VALIDATION_ERROR when the id is no UUID. */
  watch(sessionId: string): SessionWatch;
  /** End every watch. */
  close(): void;

  /** Server time in epoch ms; never goes backwards; NaN before the first measurement. */
  serverNow(): number;
  /** How far serverNow() may be off, ms; Infinity before the first measurement. */
  clockError(): number;
  /** Measure the clock over REST, for those who do not watch; resolves to clockError(). */
  syncClock(samples?: number): Promise<number>;
  /** What is left of a participant's bank, now or at a server time; NaN if not in the session. */
  remaining(state: SyncState, participantId: string, at?: number): number;
}

/** An offset and its error bound from exchanges of stamps; used by the client, all times in ms. */
export class ServerClock {
  constructor(now: () => number);
  add(
    sent: number,
    serverReceived: number,
    serverSent: number,
    received: number,
    slack?: number,
  ): void;
  addStamp(sent: number, stamp: number, received: number): void;
  now(): number;
  error(): number;
}

/** A random version 4 UUID, also on pages that are no secure context. */
export function uuid(): string;
/** Is a newer than b? By epoch, then version. */
export function isNewer(
  a: { epoch?: string; version: number },
  b?: { epoch?: string; version: number } | null,
): boolean;
/** What is left of a participant's bank at a server time (epoch ms). */
export function remainingAt(state: SyncState, participantId: string, at: number): number;
/** The counters of a participant's time control at a server time. */
export function countersAt(state: SyncState, participantId: string, at: number): Counters;
/** What the clock that runs has left: the session's, or the active participant's; else NaN. */
export function clockAt(state: SyncState, at: number): number;
/** Mode count_up: the running time without pauses; NaN in other modes. */
export function elapsedAt(state: SyncState, at: number): number;
