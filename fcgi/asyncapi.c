#include "fcgi/asyncapi.h"

#include "common/buf.h"
#include "common/fault.h"
#include "fcgi/openapi.h"
#include "fcgi/schema.h"

#include <string.h>

#define DESCRIPTION                                                                            \
    "What is said on `/ws`, as JSON text. A socket opened with `?sessionId=<uuid>` watches "   \
    "that session: CONNECTED, then STATE_SYNC, then every change. One without needs a token "  \
    "or the subprotocol `synckairos.v1`, and asks by SUBSCRIBE. For one client versions of a " \
    "session only grow; a later `epoch` is newer whatever its version.\n\n"                    \
    "**Closed with** 1000 the session was deleted, 1001 the server stops, 1002 a frame that "  \
    "the protocol forbids, 1007 text that is no UTF-8, 1008 a sessionId that is missing or "   \
    "malformed, the 11th malformed message within a minute, the 101st message, or too many "   \
    "failed tokens, 1009 a message over 10 KB, 1013 no room, 4401 the token has ended or was " \
    "revoked, 4429 too many sockets of one user.\n\n"                                          \
    "**Who is asking.** `?token=<JWT>`, `Authorization: Bearer <JWT>`, or the subprotocols "   \
    "`synckairos.v1, bearer.<JWT>`, of which the first is echoed."

#define TYPE(name)                                                                   \
    {                                                                                \
        "type", "'type':'string','const':'" name "'", true, "Which message this is." \
    }
#define SESSION                                               \
    {                                                         \
        "sessionId", UUID, true, "Which session it is about." \
    }
#define MAYBE_SESSION                                          \
    {                                                          \
        "sessionId", UUID, false, "Which session it is about." \
    }
#define WHEN                                                                                   \
    {                                                                                          \
        "timestamp", COUNT, true, "When it was said or committed, in milliseconds since 1970." \
    }
#define EPOCH                                                                       \
    {                                                                               \
        "epoch", TEXT, true, "The life of the session that the version belongs to." \
    }
#define VERSION                                          \
    {                                                    \
        "version", "'type':'integer','minimum':1", true, \
            "Of the state that is shown or changed."     \
    }
#define STATE                                                     \
    {                                                             \
        "state", REF("SyncState"), true, "The session, complete." \
    }
#define END                     \
    {                           \
        NULL, NULL, false, NULL \
    }
#define ERROR_CODE "'$ref':'#/components/schemas/ErrorCode'"

/* clang-format off */

/* ---- of the server ---- */

static const struct member connected[] = { TYPE("CONNECTED"), MAYBE_SESSION, WHEN, END };
static const struct member state_sync[] = { TYPE("STATE_SYNC"), SESSION, WHEN, EPOCH, VERSION, STATE, END };
static const struct member unchanged[] = {
    TYPE("STATE_SYNC"), SESSION, WHEN, EPOCH, VERSION,
    { "unchanged", "'type':'boolean','const':true", true, "The client holds this epoch and version." }, END
};
static const struct member state_update[] = { TYPE("STATE_UPDATE"), SESSION, WHEN, EPOCH, VERSION, STATE, END };
static const struct member state_delta[] = {
    TYPE("STATE_DELTA"), SESSION, WHEN, EPOCH, VERSION,
    { "previous_version", "'type':'integer','minimum':1", true, "The version that this is put on." },
    { "server_time", INSTANT, true, "The instant for which remaining times are computed." },
    { "changed", "'type':'object','additionalProperties':true", true, "An RFC 7396 merge patch on the session without participants and groups. null removes a member, but is the value of one that is always present." },
    { "participants", LIST("Participant"), true, "Those that have changed, whole; new ones come last." },
    { "groups", LIST("Group"), true, "The same of groups." }, END
};
static const struct member time_warning[] = {
    TYPE("TIME_WARNING"), SESSION, WHEN, EPOCH, VERSION,
    { "participant_id", UUID, false, "Whose clock it is; none in global and count_up." },
    { "group_id", UUID, false, "per_group: the group whose clock it is." },
    { "time_remaining_ms", COUNT, true, "What the clock had left at `timestamp`." },
    { "threshold_ms", COUNT, true, "The value of warn_at_ms that was crossed." }, END
};
static const struct member action[] = {
    TYPE("ACTION"), SESSION, WHEN, EPOCH, VERSION,
    { "participant_id", UUID, true, "Whose turn ran out." },
    { "action", TEXT, false, "As action_on_timeout names it." }, END
};
static const struct member time_expired[] = {
    TYPE("TIME_EXPIRED"), SESSION, WHEN, EPOCH, VERSION,
    { "expired_participant_id", UUID, false, "Whose clock it was; none in global and count_up." },
    { "expired_group_id", UUID, false, "per_group: the group whose clock it was." },
    { "action_applied", TIMEOUT_TYPE, true, "What was done about it." }, END
};
static const struct member session_deleted[] = {
    TYPE("SESSION_DELETED"), SESSION, WHEN, EPOCH,
    { "version", "'type':'integer','minimum':1", true, "That of the deletion; when the session is simply gone, one more than was known." }, END
};
static const struct member subscribed[] = { TYPE("SUBSCRIBED"), SESSION, WHEN, END };
static const struct member unsubscribed[] = { TYPE("UNSUBSCRIBED"), SESSION, WHEN, END };
static const struct member pong[] = {
    TYPE("PONG"), WHEN,
    { "client_timestamp", "'type':'number'", false, "As it was sent." },
    { "receive_us", COUNT, true, "When the PING came, in microseconds since 1970." },
    { "transmit_us", COUNT, true, "When this left." },
    { "store", "'type':'string','const':'unavailable'", false, "Changes do not come through at the moment." }, END
};
static const struct member error[] = {
    TYPE("ERROR"), MAYBE_SESSION, WHEN,
    { "code", ERROR_CODE, true, "What is wrong, as a word." },
    { "message", TEXT, true, "The same as a sentence for a person." }, END
};
static const struct member token_expiring[] = {
    TYPE("TOKEN_EXPIRING"), WHEN,
    { "expires_at", INSTANT, true, "When the connection is closed with 4401, unless a REFRESH comes." }, END
};
static const struct member draining[] = {
    TYPE("SERVER_DRAINING"), WHEN,
    { "reconnect_in_ms", COUNT, true, "How long to wait before connecting again." }, END
};

/* ---- of the client ---- */

static const struct member ping[] = {
    TYPE("PING"),
    { "timestamp", "'type':'number'", false, "Comes back as client_timestamp." }, END
};
static const struct member reconnect[] = {
    TYPE("RECONNECT"),
    { "sessionId", UUID, false, "Left out: all that this connection watches." },
    { "last_known_version", COUNT, false, "The version that the client holds." },
    { "epoch", TEXT, false, "The life that it belongs to." }, END
};
static const struct member subscribe[] = {
    TYPE("SUBSCRIBE"),
    { "sessionId", UUID, true, "It need not exist yet." },
    { "delta", FLAG, false, "Changes as STATE_DELTA instead of whole states." }, END
};
static const struct member unsubscribe[] = {
    TYPE("UNSUBSCRIBE"),
    { "sessionId", UUID, true, "One that this connection watches." }, END
};

static const struct member refresh[] = {
    TYPE("REFRESH"),
    { "token", TEXT, true, "Another token of the same sub." }, END
};

static const struct {
    const char *key; /* in this document; what is on the wire is `type` of the members */
    const struct member *members;
    const char *answers; /* of the client: keys of what comes back, "a|b"; NULL: of the server */
    const char *doc;
} messages[] = {
    { "CONNECTED", connected, NULL, "The first message; with the session that was asked for in the address." },
    { "STATE_SYNC", state_sync, NULL, "The current state: at the beginning, when asked for, after a gap." },
    { "STATE_SYNC_unchanged", unchanged, NULL, "The client is up to date." },
    { "STATE_UPDATE", state_update, NULL, "A change." },
    { "STATE_DELTA", state_delta, NULL, "A change, for those who asked for delta; when versions do not follow each other they get STATE_SYNC." },
    { "TIME_WARNING", time_warning, NULL, "A running clock crosses one of warn_at_ms. No change of the state." },
    { "ACTION", action, NULL, "auto_action: what is done for the one whose clock has reached zero; between the state that shows it and TIME_EXPIRED." },
    { "TIME_EXPIRED", time_expired, NULL, "A clock has reached zero; follows the state that shows it." },
    { "SESSION_DELETED", session_deleted, NULL, "The subscription has ended with the session. A socket opened for it that watches no other is closed." },
    { "SUBSCRIBED", subscribed, NULL, "The session is watched from now on; its state follows." },
    { "UNSUBSCRIBED", unsubscribed, NULL, "Nothing of that session follows." },
    { "PONG", pong, NULL, "The server's clock." },
    { "ERROR", error, NULL, "What was asked cannot be done, or is no message." },
    { "SERVER_DRAINING", draining, NULL, "The server is about to stop." },
    { "TOKEN_EXPIRING", token_expiring, NULL, "The token ends within a minute." },
    { "PING", ping, "PONG", "Asks for the server's clock." },
    { "RECONNECT", reconnect, "STATE_SYNC|STATE_SYNC_unchanged|ERROR", "Asks for the current state." },
    { "SUBSCRIBE", subscribe, "SUBSCRIBED|ERROR", "Watches one more session, at most 100." },
    { "UNSUBSCRIBE", unsubscribe, "UNSUBSCRIBED|ERROR", "Ends that." },
    { "REFRESH", refresh, "ERROR", "Brings a new token; only a bad one is answered." },
};
/* clang-format on */

#define MESSAGES (sizeof(messages) / sizeof(messages[0]))

/* The value of the member "type": 'const':'X' is the end of its schema. */
static void
put_type(struct buf *out, size_t i)
{
    const char *word = strstr(messages[i].members[0].schema, "'const':'") + 9;

    buf_char(out, '"');
    buf_add(out, word, strcspn(word, "'"));
    buf_char(out, '"');
}

static void
put_messages(struct buf *out)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        buf_printf(out, "%s\"%s\":{\"name\":", i > 0 ? "," : "", messages[i].key);
        put_type(out, i);
        schema_put(out, ",'summary':");
        buf_json(out, messages[i].doc, strlen(messages[i].doc));
        schema_put(out, ",'payload':");
        schema_object(out, messages[i].members, false, messages[i].doc);
        buf_char(out, '}');
    }
}

static void
put_channel(struct buf *out)
{
    schema_put(out, "{'address':'/ws','messages':{");
    for (size_t i = 0; i < MESSAGES; i++)
        buf_printf(out, "%s\"%s\":{\"$ref\":\"#/components/messages/%s\"}", i > 0 ? "," : "",
                   messages[i].key, messages[i].key);
    schema_put(out,
               "},'bindings':{'ws':{'method':'GET','query':{'type':'object',"
               "'additionalProperties':false,'properties':{'sessionId':{" UUID
               ",'description':'The session to watch.'},'delta':{'type':'string','enum':['1'],"
               "'description':'Changes as STATE_DELTA.'},'token':{" TEXT
               ",'description':'A JSON Web Token.'}}},'bindingVersion':'0.1.0'}}}");
}

/* References to the messages "a|b". */
static void
put_list(struct buf *out, const char *keys)
{
    schema_put(out, "'messages':[");
    while (*keys != '\0') {
        int len = (int)strcspn(keys, "|");

        buf_printf(out, "{\"$ref\":\"#/channels/ws/messages/%.*s\"}", len, keys);
        keys += len;
        if (*keys == '|') {
            buf_char(out, ',');
            keys++;
        }
    }
    buf_char(out, ']');
}

/* "send" and "receive" are the server's. */
static void
put_operations(struct buf *out)
{
    for (size_t i = 0; i < MESSAGES; i++) {
        const char *answers = messages[i].answers;

        buf_printf(out, "%s\"%s\":{\"action\":\"%s\",", i > 0 ? "," : "", messages[i].key,
                   answers != NULL ? "receive" : "send");
        schema_put(out, "'channel':{'$ref':'#/channels/ws'},");
        put_list(out, messages[i].key);
        if (answers != NULL) {
            schema_put(out, ",'reply':{'channel':{'$ref':'#/channels/ws'},");
            put_list(out, answers);
            buf_char(out, '}');
        }
        buf_char(out, '}');
    }
}

static void
put_error_code(struct buf *out)
{
    schema_put(out, ",'ErrorCode':{'type':'string','enum':[");
    for (enum fault f = FAULT_NONE + 1; f < FAULT__MAX; f++)
        buf_printf(out, "%s\"%s\"", f > FAULT_NONE + 1 ? "," : "", fault_code(f));
    buf_str(out, "]}");
}

void
asyncapi_json(struct buf *out)
{
    schema_put(out, "{'asyncapi':'3.0.0','info':{'title':'SyncKairos WebSocket','version':"
                    "'2.0.0','description':");
    buf_json(out, DESCRIPTION, sizeof(DESCRIPTION) - 1);
    schema_put(out, "},'defaultContentType':'application/json','servers':{'here':{'host':"
                    "'{host}','protocol':'ws','description':'wss behind TLS.','variables':"
                    "{'host':{'default':'localhost:3000'}}}},'channels':{'ws':");
    put_channel(out);
    schema_put(out, "},'operations':{");
    put_operations(out);
    schema_put(out, "},'components':{'messages':{");
    put_messages(out);
    schema_put(out, "},'schemas':{");
    openapi_state_schemas(out);
    put_error_code(out);
    buf_str(out, "}}}");
}
