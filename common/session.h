/*
 * session.h - the engine: what a sync session is and how it changes.
 *
 * A pure function of (state, command, now): no I/O, no clock of its own, so
 * the workers, the timekeeper, the tests and the fuzzers run the same code.
 * Nothing ticks: a remaining time is `bank - (now - cycle_started_at)`. Times
 * are epoch milliseconds of Redis TIME; 0 means "not set". Contract: spec sync,
 * sections 1-5.
 *
 * A change is applied in memory and described by `struct change`; rows that it touched carry
 * `dirty`, which session_row.h and event.h turn into what is stored and
 * published. The caller first applies what is due (session_due,
 * session_expire), one change at a time, then its command.
 */
#ifndef COMMON_SESSION_H
#define COMMON_SESSION_H

#include "id.h"
#include "rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_PARTICIPANTS_MAX 1000
#define SESSION_GROUPS_MAX 1000
#define SESSION_METADATA_MAX (10 * 1024)
#define SESSION_OWNER_MAX 256
#define SESSION_READERS_MAX 100
#define SESSION_TEXT_MAX (64 * 4 + 1) /* 64 characters */
#define SESSION_PENALTY_MAX 1024
#define SESSION_NOTE_MAX (200 * 4 + 1) /* 200 characters */
#define SESSION_BANK_MAX 86400000
#define SESSION_INDEX_MAX 9007199254740991
#define SESSION_CYCLES_DEFAULT 1000
#define SESSION_CYCLES_MAX 100000
#define SESSION_STAGES_MAX 5
#define SESSION_MOVES_MAX 200 /* of a block or a stage */
#define SESSION_PERIODS_MAX 100
#define SESSION_PERIOD_MAX_MS 3600000
#define SESSION_WARNINGS_MAX 5
#define SESSION_WARNING_MS 10000 /* warn_at_ms of a session that says nothing */
#define SESSION_IDLE_MS (24 * 3600 * 1000LL)

enum sync_mode {
    MODE_UNSET,
    MODE_PER_PARTICIPANT,
    MODE_PER_CYCLE,
    MODE_PER_GROUP,
    MODE_GLOBAL,
    MODE_COUNT_UP,
    MODE__MAX
};

enum sync_status {
    STATUS_UNSET,
    STATUS_PENDING,
    STATUS_RUNNING,
    STATUS_PAUSED,
    STATUS_COMPLETED,
    STATUS_EXPIRED,
    STATUS_CANCELLED,
    STATUS__MAX
};

enum event_type {
    EVENT_NONE,
    EVENT_SESSION_CREATED,
    EVENT_SESSION_STARTED,
    EVENT_CYCLE_SWITCHED,
    EVENT_SESSION_PAUSED,
    EVENT_SESSION_RESUMED,
    EVENT_PARTICIPANT_EXPIRED,
    EVENT_PARTICIPANT_ADDED,
    EVENT_PARTICIPANT_ADJUSTED,
    EVENT_PARTICIPANT_REMOVED,
    EVENT_SESSION_COMPLETED,
    EVENT_SESSION_CANCELLED,
    EVENT_SESSION_EXPIRED,
    EVENT_SESSION_DELETED,
    EVENT__MAX
};

enum change_reason {
    REASON_NONE,
    REASON_TIMEOUT,
    REASON_IDLE,
    REASON_RECOVERY,
    REASON_COMPLETED,
    REASON_CANCELLED,
    REASON_LAST_ONE_LEFT,
    REASON_CYCLES_DONE,
    REASON__MAX
};

/* What an end of time leads to (spec sync, section 4). */
enum timeout_action {
    TIMEOUT_NONE, /* nothing was said: as TIMEOUT_NOTIFY */
    TIMEOUT_NOTIFY,
    TIMEOUT_END_SESSION,
    TIMEOUT_SKIP_CYCLE,
    TIMEOUT_AUTO_ACTION,
    TIMEOUT_ELIMINATE,
    TIMEOUT__MAX
};

/* How the banks of mode per_participant burn and what a hand-over brings (control.h). */
enum control_type {
    CONTROL_NONE, /* nothing was said: as CONTROL_FISCHER */
    CONTROL_FISCHER,
    CONTROL_DELAY,
    CONTROL_BRONSTEIN,
    CONTROL_BYOYOMI,
    CONTROL_CANADIAN,
    CONTROL_HOURGLASS,
    CONTROL_PER_MOVE,
    CONTROL_STAGES,
    CONTROL__MAX
};

enum participant_out { OUT_NONE, OUT_REMOVED, OUT_ELIMINATED, OUT__MAX };

/* Wire words: "per_participant", "running", "session_created", "timeout", ...; "" for the 0
 * member. */
const char *sync_mode_name(enum sync_mode m);
const char *sync_status_name(enum sync_status s);
const char *event_type_name(enum event_type t);
const char *change_reason_name(enum change_reason r);
const char *participant_out_name(enum participant_out o);
const char *timeout_action_name(enum timeout_action a); /* of TIMEOUT_NONE: "notify" */
const char *control_type_name(enum control_type t);
/* The member with that wire word, or the 0 member. */
enum sync_mode sync_mode_parse(const char *s);
enum timeout_action timeout_action_parse(const char *s); /* knows the aliases */
enum control_type control_type_parse(const char *s);
/* Whether it hands a turn over, or is about one. */
bool timeout_action_needs_turns(enum timeout_action a);
/* Completed, expired or cancelled: it never changes again, but may be deleted. */
bool sync_status_is_terminal(enum sync_status s);

/* The parameters of a time control; what its type does not have is 0. */
struct time_stage {
    int64_t moves; /* 0 in the last one */
    int64_t add_ms, increment_ms;
};
struct time_control {
    enum control_type type;
    int64_t increment_ms; /* fischer: as the session's */
    int64_t delay_ms, periods, period_ms, moves;
    int32_t n_stages;
    struct time_stage stages[SESSION_STAGES_MAX];
};

struct participant {
    char id[ID_LEN + 1];
    char group_id[ID_LEN + 1]; /* "" when unset; per_group: only in a draft */
    int32_t group;             /* per_group: place in g[]; else -1 */
    int32_t place;             /* in the list: in p[], too, but in a slice */
    int64_t index;
    int64_t total_time_ms; /* bank left as of cycle_started_at */
    int64_t allotted_ms;   /* bank as created, moved by adjustments */
    int64_t time_used_ms;  /* wall time of own turns without pauses, as of the last change */
    int64_t cycle_count;
    int64_t overtime_ms; /* byoyomi, canadian: left of the running period or block */
    int64_t periods_left, moves_left, stage; /* 0 where the control has none */
    enum participant_out out;
    bool has_expired; /* per_group: its group's counts */
    bool dirty;       /* touched since the last session_clean */
};

/* per_group: who shares a bank. Members are the participants that name it. */
struct group {
    char id[ID_LEN + 1];
    int64_t total_time_ms; /* as those of a participant */
    int64_t allotted_ms;
    int64_t time_used_ms;
    int32_t last;  /* which member had the newest turn that has ended, -1 none */
    int32_t place; /* as that of a participant */
    bool has_expired;
    bool dirty;
};

struct session {
    char id[ID_LEN + 1];
    enum sync_mode mode;
    enum sync_status status;
    int64_t version;           /* 1 at creation, +1 per change */
    char epoch[EPOCH_MAX];     /* this life of the session */
    int64_t total_time_ms;     /* global: the bank left as of cycle_started_at */
    int64_t time_per_cycle_ms; /* -1 unset (JSON null) */
    int64_t increment_ms;      /* in a draft -1: it was not sent */
    int64_t max_time_ms;       /* -1 unset (omitted) */
    int64_t created_at, updated_at, session_started_at, session_completed_at;
    int64_t cycle_started_at; /* last charge of the open turn */
    int64_t paused_at, paused_total_ms;
    int64_t paused_charged_at;   /* up to where paused_total_ms counts, while paused */
    int64_t cycle_number;        /* 0 before start */
    int64_t turn_used_ms;        /* running time of the open turn that is already charged */
    int64_t cycle_left_ms;       /* per_cycle: what the cycle has left as of cycle_started_at */
    int64_t allotted_ms;         /* global: the bank as created */
    int64_t time_used_ms;        /* global, count_up: running time as of the last change */
    int32_t active;              /* place in p[], -1 none */
    int32_t first;               /* who begins, place in p[]; -1: by rotation */
    struct time_control control; /* never changes */
    bool auto_advance;
    bool emptied; /* the running clock was put to zero by the newest change: expires at once */
    int64_t max_cycles;                       /* per_cycle, 0 unlimited */
    int64_t handed_over_at;                   /* when the last timed hand-over was committed */
    int64_t warn_at_ms[SESSION_WARNINGS_MAX]; /* never change; ascending, 0 behind the last */
    int64_t warned; /* bit k: the clock has crossed warn_at_ms[k] in this turn, charged */
    struct {        /* never changes */
        enum timeout_action type;
        char action[SESSION_TEXT_MAX], outcome[SESSION_TEXT_MAX]; /* "" none */
        char penalty[SESSION_PENALTY_MAX + 1]; /* JSON text of an object, "" none */
        int32_t winner;                        /* place in p[], -1 none */
    } on_timeout;
    struct {
        int64_t version, at; /* version 0: never */
        int32_t expired;     /* place in p[], -1 none */
        enum timeout_action applied;
    } last_timeout;
    struct {
        enum change_reason reason; /* REASON_NONE until terminal */
        int32_t expired, winner;   /* places in p[], -1 none */
    } result;
    char owner[SESSION_OWNER_MAX]; /* "" anonymous */
    char *metadata;                /* JSON text of an object or NULL; owned */
    bool is_private;               /* metadata.visibility says so */
    char *readers;         /* who alone may see it (session_add_reader) or NULL; owned */
    struct participant *p; /* owned */
    size_t n;
    struct group *g; /* owned; none but in per_group */
    size_t n_groups;
    bool dirty;    /* the header was touched since the last session_clean */
    bool is_slice; /* p[] and g[] hold only some of the rows (session_slice.h) */
};

/* Defined empty state: no participants, no groups, active -1, optional fields unset. */
void session_init(struct session *s);
/* Frees what it owns; s may be initialised again. Safe on a zeroed struct. */
void session_fini(struct session *s);
/* dst (initialised) becomes a deep copy of src. */
void session_copy(struct session *dst, const struct session *src);
/* Make room for and return p[n], zeroed and in no group, n grown by one; pointers into p[]
 * become invalid. The same for g[]. */
struct participant *session_add_participant(struct session *s);
struct group *session_add_group(struct session *s);
/* Clear all dirty marks. */
void session_clean(struct session *s);
/* Let `sub` see the session, which from then on is hidden from others. False when it is no text
 * of 1..SESSION_OWNER_MAX - 1 bytes without a tab, or there are too many. */
bool session_add_reader(struct session *s, const char *sub);
/* Whether `sub` is among those; false when there is no list. */
bool session_has_reader(const struct session *s, const char *sub);
/* Place of a participant by id (any case), -1 when there is none. */
int32_t session_find(const struct session *s, const char *participant_id);

/* What one change was; places refer to p[]. */
struct change {
    enum event_type type; /* EVENT_NONE: nothing changed */
    enum change_reason reason;
    int64_t version;     /* after the change */
    int64_t at_ms;       /* the instant it takes effect (a deadline for an expiry) */
    int32_t participant; /* whom it is about: the one whose turn ended or began; -1 none */
    int32_t expired;     /* who was found at zero, -1 none */
    int64_t remaining_ms, elapsed_ms; /* of the clock and the time of `participant`, or of the
                                         session, after the change; -1 none */
    const char *note;                 /* why, in the words of who asked; NULL none; borrowed */
};

/*
 * A draft is a session of which the caller has set id, mode, participants (id, group_id, index,
 * total_time_ms), groups (id, total_time_ms), total_time_ms, time_per_cycle_ms, increment_ms,
 * max_time_ms, first, control, auto_advance, max_cycles, on_timeout (a place beyond the list:
 * somebody unknown), warn_at_ms (in any order, 0: none), metadata, is_private, readers, owner,
 * epoch.
 *
 * What is wrong with it is told one by one: the path of the field as in the create body, a
 * sentence and a word, borrowed until the call returns.
 */
typedef void session_fault_fn(void *ctx, const char *field, const char *message,
                              const char *code);

/* groups[group].members[item] of the create body. */
struct membership {
    int32_t group, item;
    const char *participant_id; /* a UUID */
};

/*
 * Put the participants of a per_group draft into groups: as the memberships say, else as their
 * group_id, else each into one of its own; groups that nobody gave follow those in g[], in the
 * order of their lowest index, with the largest bank of their members. Does nothing in other
 * modes, and nothing more when it is called again. Returns the number of faults: groups and
 * members twice, unknown members, a group_id that contradicts the memberships, too many groups.
 */
size_t session_draft_groups(struct session *s, const struct membership *m, size_t n,
                            session_fault_fn *fault, void *ctx);

/*
 * What else is wrong with a draft: no participant where the mode needs them, a participant_id
 * that stands at an earlier place, too much metadata, nobody of that id to begin or to win, and
 * rules or groups that the mode cannot have. Returns the number of faults.
 */
size_t session_draft_check(const struct session *s, session_fault_fn *fault, void *ctx);

/*
 * Complete a draft for version 1, pending. RC_OK; RC_VALIDATION with the first of its faults as
 * details [{field,message,code}]. Line breaks of the metadata become spaces.
 */
enum rc session_create(struct session *s, int64_t now_ms, struct change *c,
                       struct fail *f) MUSTCHECK;

enum command_type {
    COMMAND_NONE,
    COMMAND_START,
    COMMAND_SWITCH,
    COMMAND_PAUSE,
    COMMAND_RESUME,
    COMMAND_COMPLETE,
    COMMAND_CANCEL,
    COMMAND_ADD,
    COMMAND_ADJUST,
    COMMAND_REMOVE,
    COMMAND_DELETE,
    COMMAND__MAX
};

struct command {
    enum command_type type;
    int64_t expected_version;           /* 0: not asked for */
    const char *current_participant_id; /* switch guard, a UUID; NULL: none */
    const char *next_participant_id;    /* switch, a UUID; NULL: rotation */
    const char *participant_id;         /* add, adjust, remove: whom, a UUID */
    struct {
        int64_t index; /* -1: behind all others */
        int64_t total_time_ms;
        const char *group_id; /* a UUID; NULL none */
    } newcomer;               /* add */
    struct {
        bool sets; /* the bank becomes ms, else it grows by that */
        int64_t ms;
        const char *note; /* why */
    } correction;         /* adjust */
    int64_t grace_ms; /* for so long after a timed hand-over an unguarded switch is refused */
};

/*
 * Apply one command at `now_ms` (clamped up to the last instant of the session). The caller has
 * applied everything due. Order: guards (expected_version, current_participant_id), then the
 * transition table (spec sync, section 5), then grace_ms.
 *
 * RC_OK: c tells the change; EVENT_NONE when the command changes nothing (complete of a
 * terminal session). RC_CONFLICT: a guard failed, details filled. RC_TRANSITION: with the
 * reference's message. RC_VALIDATION: next_participant_id unknown or out; nobody can be added
 * (none at creation, a participant_id that is there, too many); no clock that could be
 * adjusted, or not to that. RC_NOT_FOUND: participant_id unknown. Removing the active or the
 * last one is RC_CONFLICT. On failure s is untouched. Whatever is due after the command (an
 * adjustment to zero expires the running clock) is the caller's to apply. COMMAND_DELETE:
 * version + 1, the rest of the state stays as it was.
 */
enum rc session_command(struct session *s, const struct command *cmd, int64_t now_ms,
                        struct change *c, struct fail *f) MUSTCHECK;

/* When the running clock reaches zero, epoch ms; 0 when no clock does. */
int64_t session_deadline(const struct session *s);
/* When the session ends untouched (spec sync, section 5): `ended_ttl_ms` after its end when
 * terminal. */
int64_t session_last_resort(const struct session *s, int64_t ended_ttl_ms);
/* When Redis forgets it by itself, should nobody have ended it: an hour behind the last resort,
 * rounded up to a whole quarter of an hour, so that most changes leave it where it is. */
int64_t session_backstop(const struct session *s, int64_t ended_ttl_ms);
/* The earlier of deadline and last resort: when its next change by itself is due. */
int64_t session_due_at(const struct session *s, int64_t ended_ttl_ms);

/* A value of warn_at_ms that the running clock crosses, and when. */
struct warning {
    int64_t at_ms;
    int64_t threshold_ms;
};
/*
 * What the clock, as clients see it, crosses from its last charge on until it reaches zero, if
 * nothing happens, in order of time. How many: 0 when no clock runs. It is crossed from above,
 * so not when a turn begins at or below a value; and in one turn each counts once (a byoyomi
 * clock falls several times).
 */
size_t session_warnings(const struct session *s, struct warning out[SESSION_WARNINGS_MAX]);
/* When the timekeeper has to look at it: the first warning later than `told_ms`, else when a
 * change is due. */
int64_t session_wakeup(const struct session *s, int64_t told_ms, int64_t ended_ttl_ms);

/*
 * Apply the one change that is due first at `now_ms` at its own instant: an expiry, or the
 * deletion of an idle session (the caller stops there). False, and c->type EVENT_NONE, when
 * nothing is due.
 */
bool session_expire(struct session *s, int64_t now_ms, int64_t ended_ttl_ms, struct change *c);

/*
 * Pause a running session as of `gap_from_ms` (not before its last instant): the store was away
 * too long. False when it was not running.
 */
bool session_recover(struct session *s, int64_t gap_from_ms, struct change *c);

/* What a client sees at `now_ms`, the open turn counted: what is left to a participant, to a
 * group, of the clock of the session, and the running time of the whole; -1: the mode has none.
 */
int64_t session_remaining(const struct session *s, size_t place, int64_t now_ms);
int64_t session_group_remaining(const struct session *s, size_t place, int64_t now_ms);
int64_t session_clock(const struct session *s, int64_t now_ms);
/* What is left of the clock that runs, whosever it is; -1: none does. */
int64_t session_running_clock(const struct session *s, int64_t now_ms);
int64_t session_elapsed(const struct session *s, int64_t now_ms);
/* Whether the clock that is somebody's was found at zero: the own one, or the group's. */
bool session_has_expired(const struct session *s, size_t place);

#endif
