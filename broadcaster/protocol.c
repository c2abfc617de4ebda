#include "protocol.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/event.h"
#include "common/json.h"
#include "common/session.h"
#include "common/session_json.h"
#include "common/warning.h"
#include "delta.h"

#include <assert.h>
#include <json-c/json.h>

/* --- reading --- */

static bool
take_timestamp(struct json_object *value, struct message *m)
{
    const char *text;

    /* Clients of SyncKairos 2.0 may put anything here; only a number is given back. */
    if (!json_object_is_type(value, json_type_int) &&
        !json_object_is_type(value, json_type_double))
        return true;
    text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);
    if (strlen(text) < sizeof(m->timestamp))
        snprintf(m->timestamp, sizeof(m->timestamp), "%s", text);
    return true;
}

static bool
take_session_id(struct json_object *value, struct message *m)
{
    const char *text = json_object_get_string(value);

    if (!json_object_is_type(value, json_type_string) ||
        !id_is_uuid_shape(text, (size_t)json_object_get_string_len(value)))
        return false;
    memcpy(m->session_id, text, ID_LEN + 1);
    return true;
}

static bool
take_version(struct json_object *value, struct message *m)
{
    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
        return false;
    m->last_known_version = json_object_get_int64(value);
    return true;
}

static bool
take_epoch(struct json_object *value, struct message *m)
{
    size_t len;

    if (!json_object_is_type(value, json_type_string))
        return false;
    /* too long for any epoch of ours: it is not the current one, which is all that is asked */
    len = (size_t)json_object_get_string_len(value);
    if (len < sizeof(m->epoch))
        memcpy(m->epoch, json_object_get_string(value), len + 1);
    return true;
}

static bool
take_delta(struct json_object *value, struct message *m)
{
    if (!json_object_is_type(value, json_type_boolean))
        return false;
    m->delta = json_object_get_boolean(value) != 0;
    return true;
}

static bool
take_token(struct json_object *value, struct message *m)
{
    if (!json_object_is_type(value, json_type_string))
        return false;
    m->token = xstrdup(json_object_get_string(value));
    return true;
}

struct message_key {
    const char *name;
    bool (*take)(struct json_object *value, struct message *m);
    bool required;
};

/* What a client may say. */
static const struct message_kind {
    const char *name;
    enum message_type type;
    struct message_key keys[4];
} kinds[] = {
    { "PING", MESSAGE_PING, { { "timestamp", take_timestamp, false } } },
    { "RECONNECT",
      MESSAGE_RECONNECT,
      { { "sessionId", take_session_id, false },
        { "last_known_version", take_version, false },
        { "epoch", take_epoch, false } } },
    { "SUBSCRIBE",
      MESSAGE_SUBSCRIBE,
      { { "sessionId", take_session_id, true }, { "delta", take_delta, false } } },
    { "UNSUBSCRIBE", MESSAGE_UNSUBSCRIBE, { { "sessionId", take_session_id, true } } },
    { "REFRESH", MESSAGE_REFRESH, { { "token", take_token, true } } },
};

static const struct message_kind *
kind_find(struct json_object *json)
{
    struct json_object *type = NULL;

    if (!json_object_object_get_ex(json, "type", &type) ||
        !json_object_is_type(type, json_type_string))
        return NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strcmp(kinds[i].name, json_object_get_string(type)) == 0)
            return &kinds[i];
    return NULL;
}

static enum fault
read_keys(const struct message_kind *kind, struct json_object *json, struct message *out)
{
    out->type = kind->type;
    for (const struct message_key *k = kind->keys; k->name != NULL; k++) {
        struct json_object *value = NULL;

        /* null counts as left out */
        json_object_object_get_ex(json, k->name, &value);
        if (value == NULL ? k->required : !k->take(value, out))
            return FAULT_INVALID_MESSAGE;
    }
    return FAULT_NONE;
}

enum fault
protocol_parse(const char *s, size_t len, struct message *out)
{
    struct json_object *json = NULL;
    const struct message_kind *kind;
    enum fault fault = FAULT_INVALID_MESSAGE;

    *out = (struct message){ .last_known_version = -1 };
    if (json_parse(s, len, &json, NULL) != RC_OK)
        return FAULT_INVALID_MESSAGE;
    if (json_object_is_type(json, json_type_object)) {
        kind = kind_find(json);
        fault = kind == NULL ? FAULT_UNKNOWN_TYPE : read_keys(kind, json, out);
    }
    json_object_put(json);
    return fault;
}

/* --- writing --- */

static void
begin(struct buf *out, const char *type, const char *id, int64_t at_ms)
{
    buf_str(out, "{\"type\":\"");
    buf_str(out, type);
    if (id != NULL && id[0] != '\0') {
        buf_str(out, "\",\"sessionId\":\"");
        buf_str(out, id);
    }
    buf_str(out, "\",\"timestamp\":");
    buf_i64(out, at_ms);
}

static void
place(struct buf *out, const char *epoch, int64_t version)
{
    buf_str(out, ",\"epoch\":\"");
    buf_str(out, epoch);
    buf_str(out, "\",\"version\":");
    buf_i64(out, version);
}

static void
text_add(struct buf *out, const char *name, const char *text)
{
    if (text[0] == '\0')
        return;
    buf_printf(out, ",\"%s\":", name);
    buf_json(out, text, strlen(text));
}

void
protocol_connected(struct buf *out, const char *id, int64_t at_ms)
{
    begin(out, "CONNECTED", id, at_ms);
    buf_char(out, '}');
}

void
protocol_subscribed(struct buf *out, const char *id, int64_t at_ms)
{
    begin(out, "SUBSCRIBED", id, at_ms);
    buf_char(out, '}');
}

void
protocol_unsubscribed(struct buf *out, const char *id, int64_t at_ms)
{
    begin(out, "UNSUBSCRIBED", id, at_ms);
    buf_char(out, '}');
}

void
protocol_state(struct buf *out, enum state_kind kind, const struct session *s, int64_t at_ms)
{
    begin(out, kind == STATE_SYNC ? "STATE_SYNC" : "STATE_UPDATE", s->id, at_ms);
    place(out, s->epoch, s->version);
    buf_str(out, ",\"state\":");
    session_json(out, s, at_ms);
    buf_char(out, '}');
}

void
protocol_delta(struct buf *out, const struct session *s, const struct delta *d, int64_t at_ms)
{
    begin(out, "STATE_DELTA", s->id, at_ms);
    place(out, s->epoch, s->version);
    buf_str(out, ",\"previous_version\":");
    buf_i64(out, d->version);
    buf_str(out, ",\"server_time\":");
    buf_time(out, at_ms);
    buf_str(out, ",\"changed\":");
    delta_patch(out, buf_cstr(&d->before), buf_cstr(&d->after));
    session_part_json(out, s, &d->part, at_ms);
    buf_char(out, '}');
}

void
protocol_unchanged(struct buf *out, const struct session *s, int64_t at_ms)
{
    begin(out, "STATE_SYNC", s->id, at_ms);
    place(out, s->epoch, s->version);
    buf_str(out, ",\"unchanged\":true}");
}

void
protocol_action(struct buf *out, const char *id, const struct event *ev, const char *action)
{
    begin(out, "ACTION", id, ev->server_time_ms);
    place(out, ev->epoch, ev->version);
    text_add(out, "participant_id", ev->participant_id);
    text_add(out, "action", action);
    buf_char(out, '}');
}

void
protocol_time_expired(struct buf *out, const char *id, const struct event *ev)
{
    begin(out, "TIME_EXPIRED", id, ev->server_time_ms);
    place(out, ev->epoch, ev->version);
    text_add(out, "expired_group_id", ev->expired_group_id);
    if (ev->expired_group_id[0] == '\0')
        text_add(out, "expired_participant_id", ev->expired_id);
    buf_str(out, ",\"action_applied\":\"");
    buf_str(out, timeout_action_name(ev->applied));
    buf_str(out, "\"}");
}

void
protocol_time_warning(struct buf *out, const char *id, const struct warning_note *w)
{
    begin(out, "TIME_WARNING", id, w->server_time_ms);
    place(out, w->epoch, w->version);
    text_add(out, "participant_id", w->participant_id);
    text_add(out, "group_id", w->group_id);
    buf_str(out, ",\"time_remaining_ms\":");
    buf_i64(out, w->remaining_ms);
    buf_str(out, ",\"threshold_ms\":");
    buf_i64(out, w->threshold_ms);
    buf_char(out, '}');
}

void
protocol_deleted(struct buf *out, const char *id, const char *epoch, int64_t version,
                 int64_t at_ms)
{
    begin(out, "SESSION_DELETED", id, at_ms);
    place(out, epoch, version);
    buf_char(out, '}');
}

void
protocol_pong(struct buf *out, const struct pong *p)
{
    begin(out, "PONG", NULL, p->transmit_us / 1000);
    if (p->client_timestamp[0] != '\0') {
        buf_str(out, ",\"client_timestamp\":");
        buf_str(out, p->client_timestamp);
    }
    buf_str(out, ",\"receive_us\":");
    buf_i64(out, p->receive_us);
    buf_str(out, ",\"transmit_us\":");
    buf_i64(out, p->transmit_us);
    if (p->store_is_away)
        buf_str(out, ",\"store\":\"unavailable\"");
    buf_char(out, '}');
}

static void
error(struct buf *out, enum fault fault, const char *id, int64_t at_ms)
{
    begin(out, "ERROR", id, at_ms);
    buf_str(out, ",\"code\":\"");
    buf_str(out, fault_code(fault));
    buf_str(out, "\",\"message\":\"");
}

void
protocol_error(struct buf *out, enum fault fault, const char *id, int64_t at_ms)
{
    assert(fault > FAULT_NONE && fault < FAULT__MAX);
    error(out, fault, id, at_ms);
    buf_str(out, fault_message(fault));
    buf_str(out, "\"}");
}

void
protocol_not_found(struct buf *out, const char *id, int64_t at_ms)
{
    error(out, FAULT_SESSION_NOT_FOUND, id, at_ms);
    buf_str(out, "Session ");
    buf_str(out, id);
    buf_str(out, " not found\"}");
}

void
protocol_token_expiring(struct buf *out, int64_t expires_at_ms, int64_t at_ms)
{
    begin(out, "TOKEN_EXPIRING", NULL, at_ms);
    buf_str(out, ",\"expires_at\":");
    buf_time(out, expires_at_ms);
    buf_char(out, '}');
}

void
protocol_draining(struct buf *out, int64_t reconnect_in_ms, int64_t at_ms)
{
    begin(out, "SERVER_DRAINING", NULL, at_ms);
    buf_str(out, ",\"reconnect_in_ms\":");
    buf_i64(out, reconnect_in_ms);
    buf_char(out, '}');
}
