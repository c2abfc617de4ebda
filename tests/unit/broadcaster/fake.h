/*
 * fake.h - clients whose sockets are buffers, and sessions that change as real ones do: for the
 * unit tests of client, hub and talk.
 */
#ifndef TESTS_UNIT_BROADCASTER_FAKE_H
#define TESTS_UNIT_BROADCASTER_FAKE_H

#include "broadcaster/client.h"
#include "broadcaster/frame.h"
#include "common/arena.h"
#include "common/buf.h"
#include "common/event.h"
#include "common/session.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T0 1795362403096LL
#define SID "AbCdEf01-2345-4789-8abc-def012345678"
#define SID_LOWER "abcdef01-2345-4789-8abc-def012345678"
#define ANNA "aaaaaaaa-0000-4000-8000-00000000000a"
#define BERT "bbbbbbbb-0000-4000-8000-00000000000b"

/* --- a socket --- */

struct fake {
    struct client c;
    struct buf out; /* what was written */
    int writes, wants, cuts;
    int gulp; /* after so many writes it is stuck; 0: never by itself */
    bool stuck, broken;
};

static struct fake *
fake_of(struct client *c)
{
    return c->socket;
}

static bool
fake_write(struct client *c, const void *p, size_t len)
{
    struct fake *f = fake_of(c);

    f->writes++;
    buf_add(&f->out, p, len);
    f->stuck = f->stuck || (f->gulp > 0 && --f->gulp == 0);
    return !f->broken;
}

static bool
fake_is_stuck(struct client *c)
{
    return fake_of(c)->stuck;
}

static void
fake_want_write(struct client *c)
{
    fake_of(c)->wants++;
}

static void
fake_cut(struct client *c)
{
    fake_of(c)->cuts++;
}

static const struct client_io fake_io = { .write = fake_write,
                                          .is_stuck = fake_is_stuck,
                                          .want_write = fake_want_write,
                                          .cut = fake_cut };

static inline struct fake *
fake_open(struct clients *set, int64_t now_ms)
{
    struct fake *f = xalloc(sizeof(*f));

    buf_init(&f->out, 64 * 1024 * 1024);
    f->c.socket = f;
    client_open(&f->c, set, now_ms);
    return f;
}

static inline void
fake_close(struct fake *f)
{
    client_gone(&f->c);
    buf_fini(&f->out);
    free(f);
}

/* --- what it was sent, frame by frame --- */

struct got {
    int opcode;
    const char *payload;
    size_t len;
};

/* The frame at *pos; false at the end. Fails on a frame that is not whole. */
static inline bool
fake_frame(const struct fake *f, size_t *pos, struct got *g)
{
    const unsigned char *p = (const unsigned char *)f->out.data + *pos;
    size_t extra;

    if (*pos == f->out.len)
        return false;
    assert_true(*pos + 2 <= f->out.len);
    assert_int_equal(p[0] & 0xf0, 0x80);
    assert_int_equal(p[1] & 0x80, 0);
    g->opcode = p[0] & 0x0f;
    g->len = p[1];
    extra = p[1] == 126 ? 2 : p[1] == 127 ? 8 : 0;
    if (extra > 0)
        g->len = 0;
    for (size_t i = 0; i < extra; i++)
        g->len = g->len << 8 | p[2 + i];
    g->payload = (const char *)p + 2 + extra;
    *pos += 2 + extra + g->len;
    assert_true(*pos <= f->out.len);
    return true;
}

/*
 * All messages as one line of words: "CONNECTED STATE_SYNC:1 STATE_UPDATE:2"; a Close frame is
 * "close:1000", a ping "ping". Forgets them.
 */
static inline const char *
fake_words(struct fake *f)
{
    static char words[65536];
    size_t pos = 0, n = 0;
    struct got g;

    words[0] = '\0';
    while (fake_frame(f, &pos, &g)) {
        const char *space = n > 0 ? " " : "";

        if (g.opcode == FRAME_CLOSE) {
            n += (size_t)snprintf(words + n, sizeof(words) - n, "%sclose:%d", space,
                                  (unsigned char)g.payload[0] << 8 |
                                      (unsigned char)g.payload[1]);
        } else if (g.opcode == FRAME_PING) {
            n += (size_t)snprintf(words + n, sizeof(words) - n, "%sping", space);
        } else {
            char *text = strndup(g.payload, g.len);
            struct json_object *json = json_tokener_parse(text), *v = NULL;

            assert_non_null(json);
            json_object_object_get_ex(json, "type", &v);
            n += (size_t)snprintf(words + n, sizeof(words) - n, "%s%s", space,
                                  json_object_get_string(v));
            if (json_object_object_get_ex(json, "code", &v))
                n += (size_t)snprintf(words + n, sizeof(words) - n, ":%s",
                                      json_object_get_string(v));
            if (json_object_object_get_ex(json, "version", &v))
                n += (size_t)snprintf(words + n, sizeof(words) - n, ":%s",
                                      json_object_get_string(v));
            if (json_object_object_get_ex(json, "unchanged", &v))
                n += (size_t)snprintf(words + n, sizeof(words) - n, ":unchanged");
            json_object_put(json);
            free(text);
        }
        assert_true(n < sizeof(words));
    }
    buf_clear(&f->out);
    return words;
}

/* --- a session and its events --- */

struct life {
    struct session s;
    struct change c;
    int64_t now;
    struct buf event; /* of the last change */
};

static inline void
life_encode(struct life *l, bool all)
{
    buf_clear(&l->event);
    event_encode(&l->event, &l->s, &l->c, l->now, "", all);
    session_clean(&l->s);
}

static inline void
life_begin(struct life *l, int64_t life_n)
{
    memset(l, 0, sizeof(*l));
    l->now = T0 + life_n;
    buf_init(&l->event, 1024 * 1024);
    session_init(&l->s);
    memcpy(l->s.id, SID, sizeof(SID));
    epoch_make(l->s.epoch, l->now * 1000, life_n);
    l->s.mode = MODE_PER_PARTICIPANT;
    memcpy(session_add_participant(&l->s)->id, ANNA, sizeof(ANNA));
    memcpy(session_add_participant(&l->s)->id, BERT, sizeof(BERT));
    l->s.p[0].total_time_ms = l->s.p[1].total_time_ms = 60000;
    l->s.p[1].index = 1;
    assert_int_equal(session_create(&l->s, l->now, &l->c, NULL), RC_OK);
    life_encode(l, true);
}

static inline void
life_do(struct life *l, enum command_type type)
{
    const struct command command = { .type = type };

    l->now += 100;
    assert_int_equal(session_command(&l->s, &command, l->now, &l->c, NULL), RC_OK);
    life_encode(l, false);
}

static inline void
life_expire(struct life *l)
{
    l->now = session_deadline(&l->s) + 3;
    assert_true(session_expire(&l->s, l->now, 3600000, &l->c));
    life_encode(l, false);
}

static inline void
life_end(struct life *l)
{
    session_fini(&l->s);
    buf_fini(&l->event);
}

#endif
