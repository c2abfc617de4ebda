#include "broadcaster/client.h"

#include "fake.h"
#include "tests/lib/metric_value.h"

static struct clients set;

static int
begin(void **state)
{
    (void)state;
    clients_init(&set, &fake_io, 1000, 0);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    clients_fini(&set);
    return 0;
}

static struct frame *
numbered(int i)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "{\"type\":\"S\",\"version\":%d}", i);

    return frame_new(FRAME_TEXT, text, (size_t)n);
}

static bool
queue(struct fake *f, int i)
{
    struct frame *frame = numbered(i);
    bool ok = client_queue(&f->c, frame);

    frame_drop(frame);
    return ok;
}

static struct frame *
big(size_t len)
{
    char *text = xalloc(len);
    struct frame *f;

    memset(text, ' ', len);
    memcpy(text, "{\"type\":\"BIG\"}", 14);
    f = frame_new(FRAME_TEXT, text, len);
    free(text);
    return f;
}

static void
a_turn_leaves_in_one_write_and_in_order(void **state)
{
    struct fake *f = fake_open(&set, 0);

    (void)state;
    for (int i = 1; i <= 100; i++)
        assert_true(queue(f, i));
    assert_int_equal(f->writes, 0);
    clients_flush(&set);
    assert_int_equal(f->writes, 1);
    assert_memory_equal(fake_words(f), "S:1 S:2 S:3", 11);
    clients_flush(&set);
    assert_int_equal(f->writes, 1);
    fake_close(f);
}

static void
long_messages_go_alone(void **state)
{
    struct fake *f = fake_open(&set, 0);
    struct frame *b = big(CLIENT_WRITE_MAX + 1);

    (void)state;
    queue(f, 1);
    queue(f, 2);
    client_queue(&f->c, b);
    queue(f, 3);
    clients_flush(&set);
    assert_int_equal(f->writes, 3);
    assert_string_equal(fake_words(f), "S:1 S:2 BIG S:3");
    frame_drop(b);
    fake_close(f);
}

static void
a_stuck_client_keeps_what_fits(void **state)
{
    struct fake *f = fake_open(&set, 0);

    (void)state;
    f->stuck = true;
    for (int i = 1; i <= CLIENT_FRAMES_MAX; i++)
        assert_true(queue(f, i));
    clients_flush(&set);
    assert_int_equal(f->writes, 0);
    assert_int_equal(f->wants, 1);
    f->stuck = false;
    assert_false(client_writable(&f->c));
    assert_int_equal(f->writes, 1);
    assert_int_equal(set.skips, 0);
    fake_close(f);
}

static void
a_full_queue_is_given_up(void **state)
{
    struct fake *f = fake_open(&set, 0);

    (void)state;
    f->stuck = true;
    for (int i = 1; i <= CLIENT_FRAMES_MAX; i++)
        queue(f, i);
    assert_false(queue(f, 999));
    assert_true(f->c.is_behind);
    assert_null(f->c.queue);
    assert_int_equal(f->c.queue_bytes, 0);
    assert_int_equal(set.skips, 1);
    assert_false(queue(f, 1000));
    clients_flush(&set);
    /* still stuck: not yet */
    assert_false(client_writable(&f->c));
    f->stuck = false;
    assert_true(client_writable(&f->c));
    assert_false(f->c.is_behind);
    assert_true(queue(f, 1001));
    clients_flush(&set);
    assert_string_equal(fake_words(f), "S:1001");
    fake_close(f);
}

static void
bytes_are_bounded_too(void **state)
{
    struct fake *f = fake_open(&set, 0);
    struct frame *b = big(CLIENT_BYTES_MAX / 3 - 100);

    (void)state;
    f->stuck = true;
    assert_true(client_queue(&f->c, b));
    assert_true(client_queue(&f->c, b));
    assert_true(client_queue(&f->c, b));
    assert_false(client_queue(&f->c, b));
    assert_int_equal(b->refs, 1);
    frame_drop(b);
    /* one that is longer than the bound goes, if it is alone */
    f->stuck = false;
    assert_true(client_writable(&f->c));
    b = big(CLIENT_BYTES_MAX * 2);
    assert_true(client_queue(&f->c, b));
    clients_flush(&set);
    assert_string_equal(fake_words(f), "BIG");
    frame_drop(b);
    fake_close(f);
}

static void
all_together_are_bounded_too(void **state)
{
    struct fake *f[65];
    struct frame *b = big(CLIENT_BYTES_MAX - 100), *c = big(CLIENT_WRITE_MAX / 2 - 100);

    (void)state;
    for (int i = 0; i < 65; i++) {
        f[i] = fake_open(&set, 0);
        f[i]->stuck = true;
        assert_true(client_queue(&f[i]->c, b));
    }
    /* too much for all: the stuck skip, who takes what he is sent goes on */
    assert_true(set.queued > CLIENTS_BYTES_MAX);
    assert_false(client_queue(&f[0]->c, c));
    f[1]->stuck = false;
    assert_true(client_queue(&f[1]->c, c));
    clients_flush(&set);
    assert_string_equal(fake_words(f[1]), "BIG BIG");
    for (int i = 0; i < 65; i++)
        fake_close(f[i]);
    assert_int_equal(set.queued, 0);
    assert_int_equal(b->refs, 1);
    frame_drop(b);
    frame_drop(c);
}

static void
many_in_one_turn_are_no_lag(void **state)
{
    struct fake *f = fake_open(&set, 0);

    (void)state;
    for (int i = 1; i <= 4 * CLIENT_FRAMES_MAX; i++)
        assert_true(queue(f, i));
    clients_flush(&set);
    assert_int_equal(f->writes, 4);
    fake_close(f);
}

static void
answers_are_dropped_for_the_stuck(void **state)
{
    struct fake *f = fake_open(&set, 0);
    struct frame *frame = numbered(1);

    (void)state;
    f->stuck = true;
    client_answer(&f->c, frame);
    assert_int_equal(f->c.queue_n, 0);
    f->stuck = false;
    client_answer(&f->c, frame);
    clients_flush(&set);
    assert_string_equal(fake_words(f), "S:1");
    frame_drop(frame);
    fake_close(f);
}

static void
finishing(void **state)
{
    struct fake *f = fake_open(&set, 0);
    struct frame *last = numbered(2);

    (void)state;
    queue(f, 1);
    client_finish(&f->c, last, 1000, "Session deleted");
    assert_false(queue(f, 3));
    client_answer(&f->c, last);
    client_finish(&f->c, last, 1001, "again");
    clients_flush(&set);
    assert_string_equal(fake_words(f), "S:1 S:2 close:1000");
    frame_drop(last);
    fake_close(f);
}

static void
the_behind_hear_the_end(void **state)
{
    struct fake *f = fake_open(&set, 0);
    struct frame *last = numbered(9);

    (void)state;
    f->stuck = true;
    for (int i = 0; i <= CLIENT_FRAMES_MAX; i++)
        queue(f, i);
    assert_true(f->c.is_behind);
    client_finish(&f->c, last, 1000, "Session deleted");
    f->stuck = false;
    /* no catching up any more */
    assert_false(client_writable(&f->c));
    assert_string_equal(fake_words(f), "S:9 close:1000");
    frame_drop(last);
    fake_close(f);
}

static void
a_broken_socket_is_cut_once(void **state)
{
    struct fake *f = fake_open(&set, 0);

    (void)state;
    f->broken = true;
    for (int i = 0; i < 5000; i++)
        queue(f, i);
    clients_flush(&set);
    clients_flush(&set);
    assert_int_equal(f->cuts, 1);
    assert_null(f->c.queue);
    fake_close(f);
}

static void
pinged_once_per_interval_and_dropped_when_silent(void **state)
{
    struct fake *f[40];
    int64_t now;
    int most = 0;

    (void)state;
    for (int i = 0; i < 40; i++)
        f[i] = fake_open(&set, 0);
    /* 40 sockets, 40 slots: one at a time */
    for (now = 25; now <= 1000; now += 25) {
        int pings = 0;

        clients_beat(&set, now, 3000);
        clients_flush(&set);
        for (int i = 0; i < 40; i++)
            pings += strcmp(fake_words(f[i]), "ping") == 0;
        most = pings > most ? pings : most;
    }
    assert_int_equal(most, 1);
    for (; now <= 4000; now += 25) {
        f[0]->c.heard_ms = now;
        clients_beat(&set, now, 3000);
    }
    assert_int_equal(f[0]->cuts, 0);
    for (int i = 1; i < 40; i++)
        assert_int_equal(f[i]->cuts, 1);
    for (int i = 0; i < 40; i++)
        fake_close(f[i]);
}

static void
who_does_not_answer_close_is_cut(void **state)
{
    struct fake *f = fake_open(&set, 0);

    (void)state;
    client_finish(&f->c, NULL, 1001, "x");
    f->c.heard_ms = 0;
    clients_beat(&set, CLIENT_CLOSE_MS - 1000, 3600000);
    assert_int_equal(f->cuts, 0);
    clients_beat(&set, CLIENT_CLOSE_MS, 3600000);
    assert_int_equal(f->cuts, 1);
    fake_close(f);
}

#define ENDED(reason) "websocket_disconnects_total{reason=\"" reason "\"}"

static void
sockets_are_counted(void **state)
{
    static const struct {
        uint16_t code; /* 0: not closed by us */
        bool broken;
        const char *sample;
    } ends[] = {
        { 0, false, ENDED("client") },
        { 0, true, ENDED("lost") },
        { 1000, false, ENDED("session_deleted") },
        { 1001, false, ENDED("draining") },
        { 1008, false, ENDED("policy") },
        { 1009, false, ENDED("too_big") },
        { 1013, false, ENDED("full") },
        { 1001, true, ENDED("draining") },
    };
    const int n = sizeof(ends) / sizeof(ends[0]);
    struct fake *fakes[sizeof(ends) / sizeof(ends[0])];
    void *area = calloc(1, metrics_size());

    (void)state;
    metrics_attach(area);
    for (int i = 0; i < n; i++)
        fakes[i] = fake_open(&set, 0);
    assert_int_equal(metric_value("websocket_connections"), n);
    for (int i = 0; i < n; i++) {
        int64_t before = metric_value(ends[i].sample);

        if (ends[i].code != 0)
            client_finish(&fakes[i]->c, NULL, ends[i].code, "");
        fakes[i]->broken = ends[i].broken;
        if (ends[i].broken)
            queue(fakes[i], 1);
        clients_flush(&set);
        fake_close(fakes[i]);
        assert_int_equal(metric_value(ends[i].sample), before + 1);
        assert_int_equal(metric_value("websocket_connections"), n - i - 1);
    }
    metrics_hold_nothing();
    metrics_attach(NULL);
    free(area);
}

static void
pushes_and_skips_are_counted(void **state)
{
    struct fake *a = fake_open(&set, 0), *b = fake_open(&set, 0);
    void *area = calloc(1, metrics_size());
    int n = 0;

    (void)state;
    metrics_attach(area);
    b->stuck = true;
    while (queue(b, n))
        n++;
    queue(a, 1);
    queue(a, 2);
    clients_flush(&set);
    assert_int_equal(metric_value("websocket_pushes_total"), n + 2);
    assert_int_equal(metric_value("websocket_slow_client_skips_total"), 1);
    queue(b, 1); /* behind already */
    clients_flush(&set);
    assert_int_equal(metric_value("websocket_pushes_total"), n + 2);
    assert_int_equal(metric_value("websocket_slow_client_skips_total"), 1);
    metrics_attach(NULL);
    fake_close(a);
    fake_close(b);
    free(area);
}

static void
an_idle_client_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct client) <= 176);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_turn_leaves_in_one_write_and_in_order),
        TEST(long_messages_go_alone),
        TEST(a_stuck_client_keeps_what_fits),
        TEST(a_full_queue_is_given_up),
        TEST(bytes_are_bounded_too),
        TEST(all_together_are_bounded_too),
        TEST(many_in_one_turn_are_no_lag),
        TEST(answers_are_dropped_for_the_stuck),
        TEST(finishing),
        TEST(the_behind_hear_the_end),
        TEST(a_broken_socket_is_cut_once),
        TEST(pinged_once_per_interval_and_dropped_when_silent),
        TEST(who_does_not_answer_close_is_cut),
        TEST(sockets_are_counted),
        TEST(pushes_and_skips_are_counted),
        TEST(an_idle_client_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
