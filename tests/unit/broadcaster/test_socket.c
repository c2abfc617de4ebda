#include "broadcaster/socket.h"

#include "common/arena.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE (1 << 20)

/* One client, and who is at the other end. */
static uv_loop_t loop;
static struct clients set;
static struct client *client;
static int peer;
static struct {
    char text[64]; /* the first ones */
    size_t n;
    int writable, gone;
    bool cut; /* on receiving */
} seen;

static void
on_received(void *ctx, struct client *c, const void *data, size_t len)
{
    (void)ctx;
    assert_ptr_equal(c, client);
    if (seen.n + len < sizeof(seen.text))
        memcpy(seen.text + seen.n, data, len);
    seen.n += len;
    if (seen.cut)
        socket_io.cut(c);
}

static void
on_writable(void *ctx, struct client *c)
{
    (void)ctx;
    assert_false(socket_io.is_stuck(c));
    seen.writable++;
}

static void
on_gone(void *ctx, struct client *c)
{
    (void)ctx;
    client_gone(c);
    seen.gone++;
}

static int
begin(void **state)
{
    static const struct socket_calls calls = { on_received, on_writable, on_gone, NULL, 0 };
    int ends[2];

    (void)state;
    memset(&seen, 0, sizeof(seen));
    assert_int_equal(uv_loop_init(&loop), 0);
    clients_init(&set, &socket_io, 1000, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    peer = ends[1];
    client = socket_open(&loop, ends[0], &calls);
    assert_non_null(client);
    client_open(client, &set, 0);
    return 0;
}

static void
turns(int n)
{
    for (int i = 0; i < n; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

static int
end(void **state)
{
    (void)state;
    if (seen.gone == 0)
        socket_io.cut(client);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.gone, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
    clients_fini(&set);
    close(peer);
    return 0;
}

static void
what_comes_is_received_until_the_peer_ends(void **state)
{
    (void)state;
    assert_int_equal(write(peer, "hello", 5), 5);
    turns(2);
    assert_string_equal(seen.text, "hello");
    assert_int_equal(seen.gone, 0);
    shutdown(peer, SHUT_WR);
    turns(2);
    assert_int_equal(seen.gone, 1);
    turns(2);
}

static void
what_the_kernel_does_not_take_goes_out_in_order(void **state)
{
    static unsigned char sent[LARGE], got[LARGE];
    size_t n = 0;
    ssize_t more;

    (void)state;
    for (size_t i = 0; i < LARGE; i++)
        sent[i] = (unsigned char)(i * 7 + i / 251);
    assert_true(socket_io.write(client, sent, LARGE));
    assert_true(socket_io.is_stuck(client));
    for (int i = 0; n < LARGE && i < 100000; i++) {
        assert_int_equal(seen.writable, socket_io.is_stuck(client) ? 0 : 1);
        more = read(peer, got + n, 5000);
        n += more > 0 ? (size_t)more : 0;
        if (socket_io.is_stuck(client))
            turns(1);
    }
    assert_int_equal(n, LARGE);
    assert_memory_equal(sent, got, LARGE);
    assert_false(socket_io.is_stuck(client));
    assert_int_equal(seen.writable, 1);
}

static void
one_that_is_stuck_is_read_and_leaves_when_it_ends(void **state)
{
    static char text[LARGE];

    (void)state;
    assert_true(socket_io.write(client, text, LARGE));
    assert_int_equal(write(peer, "still here", 10), 10);
    turns(2);
    assert_true(socket_io.is_stuck(client));
    assert_string_equal(seen.text, "still here");
    shutdown(peer, SHUT_RDWR);
    turns(2);
    assert_int_equal(seen.gone, 1);
}

static void
whoever_wants_to_write_is_called_once(void **state)
{
    (void)state;
    turns(2);
    assert_int_equal(seen.writable, 0);
    socket_io.want_write(client);
    socket_io.want_write(client);
    turns(3);
    assert_int_equal(seen.writable, 1);
}

static void
one_that_is_cut_goes_later_and_once(void **state)
{
    char c;

    (void)state;
    seen.cut = true;
    assert_int_equal(write(peer, "hello", 5), 5);
    socket_io.want_write(client);
    turns(1);
    turns(1);
    assert_int_equal(seen.n, 5);
    assert_int_equal(seen.gone, 1);
    assert_true(read(peer, &c, 1) <= 0);
}

static void
nothing_can_be_written_to_who_has_gone(void **state)
{
    (void)state;
    shutdown(peer, SHUT_RDWR);
    assert_false(socket_io.write(client, "x", 1));
    assert_false(socket_io.is_stuck(client));
}

static void
behind_our_end_the_peer_may_go_on(void **state)
{
    char text[8];

    (void)state;
    assert_true(socket_io.write(client, "bye", 3));
    socket_end(client);
    assert_int_equal(read(peer, text, sizeof(text)), 3);
    assert_int_equal(read(peer, text, sizeof(text)), 0);
    assert_int_equal(write(peer, "and", 3), 3);
    turns(2);
    assert_string_equal(seen.text, "and");
    assert_int_equal(seen.gone, 0);
}

static void
what_cannot_be_polled_is_closed(void **state)
{
    int fd = open("/dev/null", O_RDWR);

    (void)state;
    assert_true(fd >= 0);
    assert_null(socket_open(&loop, fd, NULL));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_comes_is_received_until_the_peer_ends),
        TEST(what_the_kernel_does_not_take_goes_out_in_order),
        TEST(one_that_is_stuck_is_read_and_leaves_when_it_ends),
        TEST(whoever_wants_to_write_is_called_once),
        TEST(one_that_is_cut_goes_later_and_once),
        TEST(nothing_can_be_written_to_who_has_gone),
        TEST(behind_our_end_the_peer_may_go_on),
        TEST(what_cannot_be_polled_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
