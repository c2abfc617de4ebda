/*
 * Broken bytes into the decoders of stored sessions and events. Each round takes what the
 * engine writes, damages it in a few places and reads it back. It may be refused; but what is
 * accepted must be a session on which the whole engine runs (under ASan and UBSan: without a
 * finding), and which is stored and read again as the same.
 *
 * A seed as the first argument repeats a run.
 */
#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/event.h"
#include "common/id.h"
#include "common/session.h"
#include "common/session_row.h"
#include "tests/fuzz/life.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROUNDS 60000
#define T0 1795362403096LL
#define TEXT_MAX (1024 * 1024)

static uint64_t seed;

static uint64_t
draw(uint64_t below)
{
    return life_draw(&seed, below);
}

/* --- a session with something in every field --- */

static void
sample_control(struct session *s)
{
    struct time_control *control = &s->control;
    bool has_periods;

    if (s->mode != MODE_PER_PARTICIPANT)
        return;
    control->type = (enum control_type)draw(CONTROL__MAX);
    if (control->type > CONTROL_FISCHER)
        s->increment_ms = -1;
    if (control->type == CONTROL_FISCHER)
        control->increment_ms = s->increment_ms;
    if (control->type == CONTROL_DELAY || control->type == CONTROL_BRONSTEIN)
        control->delay_ms = 1 + (int64_t)draw(3000);
    has_periods = control->type == CONTROL_BYOYOMI || control->type == CONTROL_CANADIAN;
    control->period_ms = has_periods ? 1000 + (int64_t)draw(2000) : 0;
    control->periods = control->type == CONTROL_BYOYOMI ? 1 + (int64_t)draw(3) : 0;
    control->moves = control->type == CONTROL_CANADIAN ? 1 + (int64_t)draw(3) : 0;
    control->n_stages = control->type == CONTROL_STAGES ? 1 + (int32_t)draw(5) : 0;
    for (int32_t k = 0; k < control->n_stages; k++)
        control->stages[k] = (struct time_stage){ .moves = k + 1 < control->n_stages,
                                                  .add_ms = (int64_t)draw(500) };
}

static void
sample(struct session *s, struct change *c)
{
    int64_t now = T0;

    session_init(s);
    id_uuid4(s->id);
    epoch_make(s->epoch, T0 * 1000, (int64_t)draw(9));
    s->mode = (enum sync_mode)(MODE_UNSET + 1 + draw(MODE__MAX - MODE_UNSET - 1));
    s->auto_advance = s->mode <= MODE_PER_GROUP && draw(2) == 0;
    if (s->mode <= MODE_PER_GROUP)
        s->on_timeout.type = (enum timeout_action)draw(TIMEOUT__MAX);
    memcpy(s->on_timeout.penalty, "{\"points\":-5}", 14);
    s->total_time_ms = 60000;
    s->increment_ms = (int64_t)draw(3) * 100;
    s->max_time_ms = draw(2) == 0 ? -1 : 5000;
    memcpy(s->owner, "an owner", 9);
    s->metadata = draw(2) == 0 ? NULL : xstrdup("{\"a\":[1,\"\\u00e4\"]}");
    sample_control(s);
    for (uint64_t k = s->control.type == CONTROL_HOURGLASS ? 2 : 1 + draw(12); k > 0; k--) {
        struct participant *p = session_add_participant(s);

        id_uuid4(p->id);
        p->total_time_ms = 1000 + (int64_t)draw(60000);
        p->index = (int64_t)k;
        if (draw(4) == 0)
            id_uuid4(p->group_id);
        else if (s->n > 1 && draw(3) == 0)
            memcpy(p->group_id, s->p[draw(s->n - 1)].id, sizeof(p->group_id));
    }
    assert_int_equal(session_create(s, now, c, NULL), RC_OK);
    for (uint64_t n = draw(8); n > 0; n--) {
        session_clean(s);
        now += (int64_t)draw(3000);
        if (session_expire(s, now, 1000, c))
            continue;
        life_apply(s, n % 4 == 3 ? COMMAND_START : (enum command_type)(1 + draw(5)), now, &seed,
                   c);
    }
}

/* --- damage --- */

static void
damage_number(char *s, size_t len)
{
    static const char *const odd[] = { "9223372036854775807",
                                       "-9223372036854775808",
                                       "-1",
                                       "0",
                                       "100000000000000",
                                       "100000000000001",
                                       "999",
                                       "9007199254740991",
                                       "1000",
                                       "4294967296" };
    const char *put = odd[draw(sizeof(odd) / sizeof(*odd))];
    size_t at = draw(len), n = strlen(put);

    if (at + n <= len)
        memcpy(s + at, put, n);
}

static void
damage_copy(char *s, size_t len)
{
    size_t n = draw(40) % len, from = draw(len - n), to = draw(len - n);

    memmove(s + to, s + from, n);
}

static void
damage_byte(char *s, size_t len)
{
    static const char likely[] = " \n%-:019piMshmEWaOegtuxcynfb\xff\x00\x7f";

    s[draw(len)] = draw(4) == 0 ? (char)draw(256) : likely[draw(sizeof(likely))];
}

/* Exactly len bytes on the heap, so that a read past the end is a finding. */
static char *
damaged(const struct buf *text, size_t *len)
{
    size_t cut = draw(6) == 0 ? draw(text->len) + 1 : text->len;
    char *s = xalloc(cut);

    memcpy(s, text->data, cut);
    for (uint64_t n = draw(4); n > 0; n--) {
        switch (draw(3)) {
        case 0:
            damage_number(s, cut);
            break;
        case 1:
            damage_copy(s, cut);
            break;
        default:
            damage_byte(s, cut);
        }
    }
    *len = cut;
    return s;
}

/* --- what was accepted must work --- */

static void
live_on(struct session *s)
{
    int64_t later = draw(2) == 0 ? T0 + (int64_t)draw(100000) : (int64_t)draw(100000000000000);

    life_same_again(s);
    life_run(s, later, &seed);
}

static int accepted;

static void
feed_lines(const struct buf *text)
{
    struct session s;
    size_t len;
    char *bytes = damaged(text, &len);

    session_init(&s);
    if (event_lines_apply(bytes, len, &s, NULL) == RC_OK) {
        accepted++;
        live_on(&s);
    }
    session_fini(&s);
    free(bytes);
}

static void
feed_event(const struct buf *text, const struct session *before)
{
    struct event ev;
    struct session s;
    size_t len;
    char *bytes = damaged(text, &len);

    session_init(&s);
    session_copy(&s, before);
    if (event_decode(bytes, len, &ev, NULL) == RC_OK && event_apply(&ev, &s, NULL) == RC_OK) {
        accepted++;
        live_on(&s);
    }
    session_fini(&s);
    free(bytes);
}

static void
broken_bytes_are_refused_or_harmless(void **state)
{
    struct buf lines, event;

    (void)state;
    buf_init(&lines, TEXT_MAX);
    buf_init(&event, TEXT_MAX);
    for (int round = 0; round < ROUNDS; round += 10) {
        struct session s;
        struct change c;

        sample(&s, &c);
        buf_clear(&lines);
        buf_clear(&event);
        event_snapshot(&lines, &s);
        if (c.type == EVENT_NONE)
            c = (struct change){ EVENT_SESSION_PAUSED, REASON_NONE, 2, T0, 0, -1, 1, 1, NULL };
        event_encode(&event, &s, &c, T0 + 5, "actor", draw(2) == 0);
        for (int i = 0; i < 5; i++) {
            feed_lines(&lines);
            feed_event(&event, &s);
        }
        session_fini(&s);
    }
    printf("%d of %d were accepted\n", accepted, ROUNDS);
    assert_in_range(accepted, ROUNDS / 50, ROUNDS * 9 / 10);
    buf_fini(&lines);
    buf_fini(&event);
}

static void
noise_is_refused(void **state)
{
    struct session s;
    struct event ev;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        size_t len = draw(60);
        char *bytes = xalloc(len + 1);

        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)draw(256);
        session_init(&s);
        assert_int_equal(event_decode(bytes, len, &ev, NULL), RC_STATE_UNREADABLE);
        assert_int_equal(event_lines_apply(bytes, len, &s, NULL), RC_STATE_UNREADABLE);
        if (len > 3)
            assert_int_equal(session_field_set(&s, "h", 1, bytes, len, NULL),
                             RC_STATE_UNREADABLE);
        session_fini(&s);
        free(bytes);
    }
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_bytes_are_refused_or_harmless),
        cmocka_unit_test(noise_is_refused),
    };

    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)clock_wall_us();
    if (seed == 0)
        seed = 1;
    printf("seed %" PRIu64 "\n", seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
