/*
 * What answers look like. The members of a state stand in the order in which session_json.c
 * prints them; test_openapi.c compares the two.
 */
#include "fcgi/openapi.h"
#include "fcgi/schema.h"

#include "common/buf.h"
#include "common/rc.h"

#include <stdbool.h>
#include <string.h>

/* clang-format off */
static const struct member participant[] = {
    { "participant_id", UUID, true, "As the client chose it." },
    { "participant_index", COUNT, true, "Place in the rotation." },
    { "total_time_ms", COUNT, true, "Bank left as of the session's cycle_started_at." },
    { "time_used_ms", COUNT, true, "Time of own turns, without pauses, as of the last change." },
    { "time_remaining_ms", COUNT, false, "Bank left at server_time, and once it is gone what is left of the running period or block; per_group: the group's, global: the session's, count_up: left out." },
    { "cycle_count", COUNT, true, "Turns that have ended." },
    { "is_active", FLAG, true, "Whether this is whose turn it is." },
    { "has_expired", FLAG, true, "Whether the bank has been used up." },
    { "group_id", UUID, false, "As it was sent; per_group: always there." },
    { "allotted_ms", COUNT, true, "The bank as created." },
    { "out", "'type':'string','enum':['removed','eliminated']", false, "Why this one takes no more turns." },
    { "delay_left_ms", COUNT, false, "delay: free time that the open turn, or else the next one, has at server_time; 0 at zero." },
    { "periods_left", COUNT, false, "byoyomi: periods that are not used up at server_time, the running one included." },
    { "moves_left", COUNT, false, "canadian: turns left in the block. stages: in the stage; the last one has none." },
    { "stage", "'type':'integer','minimum':1", false, "stages: which one it is." },
    { NULL, NULL, false, NULL },
};

static const struct member group[] = {
    { "group_id", UUID, true, "As the client chose it; of one without a group the participant_id." },
    { "total_time_ms", COUNT, true, "Bank left as of the session's cycle_started_at." },
    { "allotted_ms", COUNT, true, "The bank as created." },
    { "time_used_ms", COUNT, true, "Time of the members' turns, without pauses, as of the last change." },
    { "time_remaining_ms", COUNT, true, "Bank left at server_time." },
    { "has_expired", FLAG, true, "Whether the bank has been used up." },
    { "members", "'type':'array','items':{" UUID "}", true, "The participants that share the bank." },
    { NULL, NULL, false, NULL },
};

#define CONTROL_TYPE(word) { "type", "'type':'string','const':'" word "'", true, "Which time control it is." }
#define PERIOD { "period_ms", COUNT, true, "How long a period or block is." }
#define NO_MORE { NULL, NULL, false, NULL }
#define CONTROLS                                                                              \
    "'oneOf':[{" REF("FischerControl") "},{" REF("DelayControl") "},{" REF("BronsteinControl") \
    "},{" REF("ByoyomiControl") "},{" REF("CanadianControl") "},{" REF("HourglassControl")     \
    "},{" REF("PerMoveControl") "},{" REF("StagesControl") "}]"

static const struct member fischer[] = {
    CONTROL_TYPE("fischer"),
    { "increment_ms", COUNT, true, "What a hand-over adds." },
    NO_MORE,
};
static const struct member delay[] = {
    CONTROL_TYPE("delay"),
    { "delay_ms", COUNT, true, "For how long a turn is free." },
    NO_MORE,
};
static const struct member bronstein[] = {
    CONTROL_TYPE("bronstein"),
    { "delay_ms", COUNT, true, "How much of a turn a hand-over gives back at most." },
    NO_MORE,
};
static const struct member byoyomi[] = {
    CONTROL_TYPE("byoyomi"),
    { "periods", COUNT, true, "How many there are." },
    PERIOD,
    NO_MORE,
};
static const struct member canadian[] = {
    CONTROL_TYPE("canadian"),
    { "moves", COUNT, true, "How many turns a block is for." },
    PERIOD,
    NO_MORE,
};
static const struct member hourglass[] = { CONTROL_TYPE("hourglass"), NO_MORE };
static const struct member per_move[] = { CONTROL_TYPE("per_move"), NO_MORE };
static const struct member stage[] = {
    { "moves", COUNT, false, "How many turns it has; left out in the last one." },
    { "add_ms", COUNT, true, "What the bank gets when it has ended." },
    { "increment_ms", COUNT, true, "What each hand-over in it adds." },
    NO_MORE,
};
static const struct member stages[] = {
    CONTROL_TYPE("stages"),
    { "stages", LIST("Stage"), true, "In their order." },
    NO_MORE,
};

static const struct member action_on_timeout[] = {
    { "type", TIMEOUT_TYPE, true, "What happens when a clock reaches zero; of several words for the same the first." },
    { "action", TEXT, false, "What is announced." },
    { "penalty", "'type':'object','additionalProperties':true", false, "As it was sent." },
    { "outcome", TEXT, false, "Goes into the result." },
    { "winner_participant_id", UUID, false, "Goes into the result." },
    { NULL, NULL, false, NULL },
};

static const struct member last_timeout[] = {
    { "version", INTEGER, true, "The version that the expiry made." },
    { "at", INSTANT, true, "When the clock reached zero." },
    { "expired_participant_id", UUID, false, "Whose it was." },
    { "expired_group_id", UUID, false, "per_group: the group whose it was." },
    { "action_applied", TIMEOUT_TYPE, true, "What was done about it." },
    { "action", TEXT, false, "As created." },
    { "penalty", "'type':'object','additionalProperties':true", false, "As created." },
    { NULL, NULL, false, NULL },
};

static const struct member result[] = {
    { "reason", "'type':'string','enum':['timeout','last_one_left','cycles_done','completed','cancelled']", true, "Why the session ended." },
    { "expired_participant_id", UUID, false, "Whose time was used up." },
    { "winner_participant_id", UUID, false, "Who won." },
    { "outcome", TEXT, false, "As created, when the session ended as expired." },
    { NULL, NULL, false, NULL },
};

static const struct member state[] = {
    { "session_id", UUID, true, "As the client chose it." },
    { "sync_mode", "'type':'string','enum':['per_participant','per_cycle','per_group','global','count_up']", true, "What burns." },
    { "status", STATUS, true, "Where the session is in its life." },
    { "version", "'type':'integer','minimum':1", true, "Grows by 1 with every change." },
    { "participants", LIST("Participant"), true, "In the order of the create body." },
    { "groups", LIST("Group"), false, "per_group: who shares a bank, in the order in which turns go round." },
    { "active_participant_id", UUID_OR_NULL, true, "Whose turn it is." },
    { "active_group_id", UUID_OR_NULL, false, "per_group: the group of whose turn it is." },
    { "total_time_ms", COUNT, true, "As created, 0 when it was left out; global: the bank left as of cycle_started_at." },
    { "time_per_cycle_ms", "'type':['integer','null']", true, "As created." },
    { "cycle_started_at", INSTANT_OR_NULL, true, "Since when the open turn's time counts; null while no clock runs." },
    { "session_started_at", INSTANT_OR_NULL, true, "When the first turn began." },
    { "session_completed_at", INSTANT_OR_NULL, true, "When the session ended." },
    { "increment_ms", COUNT, true, "Added to a bank at each hand-over." },
    { "max_time_ms", COUNT, false, "As created." },
    { "created_at", INSTANT, true, "When the session was created." },
    { "updated_at", INSTANT, true, "When it last changed." },
    { "time_remaining_ms", COUNT, false, "per_cycle, global, and count_up with a max_time_ms: what the clock has left at server_time." },
    { "allotted_ms", COUNT, false, "global: the bank as created." },
    { "time_elapsed_ms", COUNT, false, "count_up: running time without pauses at server_time." },
    { "time_used_ms", COUNT, false, "Without participants: running time without pauses as of the last change." },
    { "cycle_number", COUNT, true, "0 before the start, then 1 for the first turn." },
    { "paused_at", INSTANT_OR_NULL, true, "Since when the session is paused." },
    { "paused_total_ms", COUNT, true, "Time spent paused, as of the last change." },
    { "time_control", CONTROLS, false, "As created, with what was left out of it." },
    { "auto_advance", FLAG, true, "Whether the turn is handed over when its time is up." },
    { "max_cycles", COUNT, false, "per_cycle: how many turns there are." },
    { "warn_at_ms", "'type':'array','items':{" COUNT "}", true, "At which remaining times clients are warned; ascending." },
    { "action_on_timeout", REF("ActionOnTimeout"), false, "What happens when a clock reaches zero." },
    { "last_timeout", REF("LastTimeout"), false, "The newest expiry." },
    { "deadline_at", INSTANT, false, "When the running clock reaches zero." },
    { "result", REF("Result"), false, "How it ended." },
    { "metadata", "'type':'object','additionalProperties':true", false, "As it was sent." },
    { "owner", TEXT, false, "Who created the session." },
    { "epoch", TEXT, true, "This life of the session: versions of a later epoch are newer, whatever their number. Sorts as text." },
    { "server_time", INSTANT, true, "The instant for which remaining times are computed." },
    { NULL, NULL, false, NULL },
};

static const struct member switch_result[] = {
    { "session_id", UUID, true, "As the client chose it." },
    { "active_participant_id", UUID_OR_NULL, true, "Whose turn it is now." },
    { "cycle_started_at", INSTANT_OR_NULL, true, "When that turn began." },
    { "participants", LIST("Participant"), true, "In the order of the create body." },
    { "status", STATUS, true, "Where the session is in its life." },
    { "expired_participant_id", UUID, false, "Who handed over with an empty bank." },
    { "version", "'type':'integer','minimum':1", true, "Grows by 1 with every change." },
    { "cycle_number", COUNT, true, "1 for the first turn." },
    { "epoch", TEXT, true, "This life of the session." },
    { "server_time", INSTANT, true, "The instant for which remaining times are computed." },
    { NULL, NULL, false, NULL },
};

static const struct member session_batch[] = {
    { "sessions", LIST("SyncState"), true, "Those that exist, in the order in which they were asked for." },
    { "missing", "'type':'array','items':{" UUID "}", true, "The ids of the others, as sent." },
    { NULL, NULL, false, NULL },
};

static const struct member session_list[] = {
    { "sessions", LIST("SyncState"), true, "The newest first." },
    { "next_cursor", TEXT, false, "Names the following page; there is none where it is omitted." },
    { NULL, NULL, false, NULL },
};

static const struct member session_event[] = {
    { "version", "'type':'integer','minimum':1", true, "The version that the change has led to." },
    { "epoch", TEXT, true, "The life of the session that it belongs to." },
    { "event_type", TEXT, true, "What it was: session_created, cycle_switched, participant_expired, ..." },
    { "timestamp", INSTANT, true, "When it took effect: for an expiry its deadline." },
    { "participant_id", UUID, false, "Whom it is about, in lower case." },
    { "group_id", UUID, false, "The group of that participant." },
    { "time_remaining_ms", COUNT, false, "What the clock had left afterwards." },
    { "time_elapsed_ms", COUNT, false, "The running time of that participant, or of the session." },
    { "cycle_number", COUNT, false, "The turn that followed." },
    { "actor", TEXT, false, "Who did it, where that is known." },
    { "reason", TEXT, false, "Why, where nobody asked for it: timeout, idle, recovery, ..." },
    { NULL, NULL, false, NULL },
};

static const struct member session_events[] = {
    { "events", LIST("SessionEvent"), true, "In the order of epoch and version." },
    { "recorded_up_to", "'type':'object','additionalProperties':false,'required':['epoch','version'],'properties':{'epoch':{" TEXT "},'version':{" COUNT "}}", false, "The newest change that is recorded; changes reach the record a moment after they happen." },
    { "next_cursor", TEXT, false, "Where there are more: the cursor for the next page." },
    { NULL, NULL, false, NULL },
};

static const struct member time_[] = {
    { "timestamp_ms", INTEGER, true, "Now, in milliseconds since 1970." },
    { "server_version", TEXT, true, "The version of the protocol." },
    { "drift_tolerance_ms", INTEGER, true, "How far a client's clock may be off." },
    { "receive_us", INTEGER, true, "When the request arrived, in microseconds since 1970." },
    { "transmit_us", INTEGER, true, "When the answer left." },
    { NULL, NULL, false, NULL },
};

static const struct member health[] = {
    { "status", "'type':'string','const':'ok'", true, "The process works." },
    { "timestamp", INTEGER, true, "Now, in milliseconds since 1970." },
    { "uptime", COUNT, true, "Seconds since the service was started on this host." },
    { "database", "'type':'string','enum':['connected','down','off']", true, "PostgreSQL." },
    { "redis", "'type':'string','enum':['connected','down']", true, "Redis." },
    { "timekeeper", "'type':'string','enum':['ok','absent']", true, "Whether clocks that reach zero are noticed by themselves." },
    { "anonymous", "'type':'string','const':'sync'", false, "In production: what callers without a token may do." },
    { NULL, NULL, false, NULL },
};

static const struct member ready[] = {
    { "ready", FLAG, true, "Whether requests can be served." },
    { "status", "'type':'string','enum':['ready','not_ready']", true, "The same as a word." },
    { "error", TEXT, false, "Why not." },
    { NULL, NULL, false, NULL },
};

static const struct member issue[] = {
    { "field", TEXT, true, "Path of the value, for example participants.0.total_time_ms." },
    { "message", TEXT, true, "What is wrong with it, as a sentence." },
    { "code", TEXT, true, "The same as a word: invalid_type, too_small, unrecognized_key, ..." },
    { NULL, NULL, false, NULL },
};

static const struct member error[] = {
    { "code", REF("ErrorCode"), true, "What went wrong, as a word." },
    { "message", TEXT, true, "The same as a sentence for a person." },
    { "details", "'oneOf':[{" LIST("Issue") "},{'type':'object'}]", false, "All faults of a body, or what a guard expected and found." },
    { "retry_after_seconds", COUNT, false, "With 429: when to come back." },
    { NULL, NULL, false, NULL },
};

static const struct {
    const char *name;
    const struct member *members;
    bool minimal; /* without participants and groups */
    const char *doc;
} objects[] = {
    { "SyncState", state, false, "A session, complete." },
    { "SyncStateMinimal", state, true, "A session without its participants and groups." },
    { "Participant", participant, false, "One who takes turns." },
    { "Group", group, false, "Participants who share a bank." },
    { "FischerControl", fischer, false, "Each hand-over adds to the bank." },
    { "DelayControl", delay, false, "The beginning of every turn is free." },
    { "BronsteinControl", bronstein, false, "A hand-over gives back what the turn took, up to a limit." },
    { "ByoyomiControl", byoyomi, false, "Periods after the bank; one used up is lost." },
    { "CanadianControl", canadian, false, "Blocks of time for several turns together after the bank." },
    { "HourglassControl", hourglass, false, "What burns for one runs to the other." },
    { "PerMoveControl", per_move, false, "Every turn has the whole bank." },
    { "StagesControl", stages, false, "Time is added after so many turns." },
    { "Stage", stage, false, "One stage of such a control." },
    { "ActionOnTimeout", action_on_timeout, false, "What happens when a clock reaches zero." },
    { "LastTimeout", last_timeout, false, "A clock that reached zero." },
    { "Result", result, false, "How a session ended." },
    { "SwitchResult", switch_result, false, "What a switch shows." },
    { "SwitchResultMinimal", switch_result, true, "The same without the participants." },
    { "SessionBatch", session_batch, false, "Several sessions." },
    { "SessionList", session_list, false, "Sessions of one owner." },
    { "SessionEvent", session_event, false, "A change of a session." },
    { "SessionEvents", session_events, false, "The audit trail of a session." },
    { "Time", time_, false, "The server's clock." },
    { "Health", health, false, "How this host is." },
    { "Ready", ready, false, "Whether requests can be served." },
    { "Error", error, false, "A failure." },
    { "Issue", issue, false, "One fault of a body or a parameter." },
};

static const struct {
    const char *name;
    const char *schema;
    bool always; /* where it is described at all */
    const char *doc;
} headers[] = {
    { "ETag", TEXT, true, "Names what is shown, for If-None-Match." },
    { "Location", TEXT, true, "Where the new session or participant is." },
    { "Idempotency-Replayed", TEXT, false, "true: an answer from before, told again." },
    { "Preference-Applied", TEXT, false, "return=minimal where that was asked for." },
    { "Server-Time", INTEGER, false, "Redis time of the answer, in milliseconds since 1970, where Redis answered." },
    { "X-Request-Id", TEXT, true, "The request's id in the logs; taken from the request if it brings one." },
    { "Retry-After", COUNT, true, "Seconds until trying again makes sense." },
    { "RateLimit-Limit", COUNT, true, "Requests of this kind in one window." },
    { "RateLimit-Remaining", COUNT, true, "How many of them are left." },
    { "RateLimit-Reset", COUNT, true, "Seconds until the window is free again." },
    { "RateLimit-Policy", TEXT, true, "The limit as count;w=seconds." },
};

static const struct {
    const char *name;
    const char *headers; /* beside X-Request-Id, "a|b" */
    const char *doc;
} failures[] = {
    { "BadRequest", "", "What was sent is wrong (VALIDATION_ERROR with all faults in details, MALFORMED_JSON, BAD_REQUEST), or the session is in no state for it (INVALID_STATE_TRANSITION)." },
    { "Unauthenticated", "", "No valid token." },
    { "Forbidden", "", "The caller may not do this." },
    { "NotFound", "", "No such session." },
    { "Conflict", "", "The session exists already (SESSION_EXISTS), is not as the guards in the body say, or was changed by somebody else at the same time (CONFLICT)." },
    { "Precondition", "", "The session is not in a state that If-Match names (PRECONDITION_FAILED); details tell both versions." },
    { "TooLarge", "", "The body is too large." },
    { "MediaType", "", "The body is not application/json." },
    { "KeyReused", "", "The Idempotency-Key came with another body before." },
    { "TooManyRequests", "Retry-After|RateLimit-Limit|RateLimit-Remaining|RateLimit-Reset|RateLimit-Policy", "Too many requests of this kind." },
    { "Internal", "", "A fault of the server." },
    { "Unavailable", "Retry-After", "The store does not answer or is full, no worker is free, or the outcome is unknown. Come back." },
};
/* clang-format on */

static void
put_name(struct buf *out, bool first, const char *name)
{
    buf_printf(out, "%s\"%s\":", first ? "" : ",", name);
}

/* The codes come from the table that makes the answers. */
static void
put_error_code(struct buf *out)
{
    schema_put(out, "'ErrorCode':{'type':'string','enum':[");
    for (enum rc rc = RC_OK + 1; rc < RC__MAX; rc++)
        buf_printf(out, "%s\"%s\"", rc == RC_OK + 1 ? "" : ",", rc_code(rc));
    buf_str(out, "]}");
}

static void
put_schemas(struct buf *out)
{
    put_error_code(out);
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        put_name(out, false, objects[i].name);
        schema_object(out, objects[i].members, objects[i].minimal, objects[i].doc);
    }
}

#define OBJECTS (sizeof(objects) / sizeof(objects[0]))

/* Whether any member of objects[i] refers to objects[k]. */
static bool
refers(size_t i, size_t k)
{
    char ref[64];

    snprintf(ref, sizeof(ref), "#/components/schemas/%s'", objects[k].name);
    for (const struct member *m = objects[i].members; m->name != NULL; m++)
        if (strstr(m->schema, ref) != NULL)
            return true;
    return false;
}

/* Mark objects[i] and all that it refers to. */
static void
want(bool wanted[OBJECTS], size_t i)
{
    wanted[i] = true;
    for (size_t k = 0; k < OBJECTS; k++)
        if (!wanted[k] && refers(i, k))
            want(wanted, k);
}

void
openapi_state_schemas(struct buf *out)
{
    bool wanted[OBJECTS] = { false };
    bool first = true;

    want(wanted, 0); /* SyncState */
    for (size_t i = 0; i < OBJECTS; i++) {
        if (!wanted[i])
            continue;
        put_name(out, first, objects[i].name);
        schema_object(out, objects[i].members, objects[i].minimal, objects[i].doc);
        first = false;
    }
}

static void
put_headers(struct buf *out)
{
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        put_name(out, i == 0, headers[i].name);
        schema_put(out, headers[i].always ? "{'required':true,'schema':{"
                                          : "{'required':false,'schema':{");
        schema_put(out, headers[i].schema);
        buf_char(out, '}');
        schema_doc(out, headers[i].doc);
        buf_char(out, '}');
    }
}

static void
put_failure_headers(struct buf *out, const char *names)
{
    schema_put(out, ",'headers':{'X-Request-Id':{'$ref':'#/components/headers/X-Request-Id'}");
    while (*names != '\0') {
        int len = (int)strcspn(names, "|");

        buf_printf(out, ",\"%.*s\":{\"$ref\":\"#/components/headers/%.*s\"}", len, names, len,
                   names);
        names += len + (names[len] == '|');
    }
    buf_char(out, '}');
}

static void
put_failures(struct buf *out)
{
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        put_name(out, i == 0, failures[i].name);
        schema_put(out, "{'description':");
        buf_json(out, failures[i].doc, strlen(failures[i].doc));
        put_failure_headers(out, failures[i].headers);
        schema_put(out, ",'content':{'application/json':{'schema':{'type':'object',"
                        "'additionalProperties':false,'required':['error'],'properties':"
                        "{'error':{'$ref':'#/components/schemas/Error'}}}}}}");
    }
}

void
openapi_components(struct buf *out)
{
    schema_put(out, "{'schemas':{");
    put_schemas(out);
    schema_put(out, "},'headers':{");
    put_headers(out);
    schema_put(out, "},'responses':{");
    put_failures(out);
    schema_put(out, "},'securitySchemes':{'bearer':{'type':'http','scheme':'bearer',"
                    "'bearerFormat':'JWT'}}}");
}
