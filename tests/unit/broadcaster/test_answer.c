#include "broadcaster/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE (2 << 20)

static uv_loop_t loop;
static char body[LARGE + 1], got[LARGE + 4096];
static size_t n;

/* What a peer has got, of at most `most` bytes more; false at the end. */
static bool
take(int fd, size_t most)
{
    ssize_t more = recv(fd, got + n, most, MSG_DONTWAIT);

    n += more > 0 ? (size_t)more : 0;
    return more != 0;
}

/* The end of a peer who has said something, and is answered. */
static int
answer(const struct answer *a)
{
    int ends[2];

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(write(ends[1], "behind the head", 15), 15);
    memset(got, 0, sizeof(got));
    n = 0;
    answer_send(&loop, ends[0], a);
    return ends[1];
}

static void
fini(int fd)
{
    close(fd);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void
a_small_one_needs_no_loop(void **state)
{
    struct answer a = { .status = 503, .header = "Retry-After: 1" };
    char text[256];
    int fd;

    (void)state;
    answer_error(&a, text, sizeof(text), "SERVER_FULL", "Too many", ",\"more\":1");
    fd = answer(&a);
    while (take(fd, 100))
        continue;
    assert_memory_equal(got, "HTTP/1.1 503 Service Unavailable\r\n", 34);
    assert_non_null(strstr(got, "\r\nContent-Type: " ANSWER_JSON "\r\n"));
    assert_non_null(strstr(got, "\r\nRetry-After: 1\r\nConnection: close\r\n"));
    assert_string_equal(
        strstr(got, "\r\n\r\n"),
        "\r\n\r\n{\"error\":{\"code\":\"SERVER_FULL\",\"message\":\"Too many\",\"more\":1}}");
    fini(fd);
}

static void
to_HEAD_it_has_no_body(void **state)
{
    const struct answer a = {
        .status = 200, .type = "text/plain", .body = "1", .len = 1, .bare = true
    };
    int fd = answer(&a);

    (void)state;
    while (take(fd, 100))
        continue;
    assert_non_null(strstr(got, "\r\nContent-Length: 1\r\n"));
    assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n");
    fini(fd);
}

static void
a_large_one_goes_out_as_it_is_read(void **state)
{
    const struct answer a = { .status = 200, .body = body, .len = LARGE };
    int fd;

    (void)state;
    memset(body, 'x', LARGE);
    body[LARGE - 1] = '!';
    fd = answer(&a);
    while (take(fd, 10000))
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_string_equal(strstr(got, "\r\n\r\n") + 4, body);
    uv_run(&loop, UV_RUN_DEFAULT);
    fini(fd);
}

/* Who reads now and then, as little as keeps the connection going. */
static void
on_tick(uv_timer_t *timer)
{
    const int *fd = timer->data;

    take(*fd, 40000);
}

static void
one_that_is_read_too_slowly_is_cut(void **state)
{
    const struct answer a = { .status = 200, .body = body, .len = LARGE };
    uv_timer_t timer;
    int fd = answer(&a);

    (void)state;
    uv_timer_init(&loop, &timer);
    timer.data = &fd;
    uv_timer_start(&timer, on_tick, 200, 200);
    uv_unref((uv_handle_t *)&timer);
    uv_run(&loop, UV_RUN_DEFAULT);
    while (take(fd, LARGE))
        continue;
    assert_in_range(n, 40000, LARGE - 1);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    fini(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_one_needs_no_loop),
        cmocka_unit_test(to_HEAD_it_has_no_body),
        cmocka_unit_test(a_large_one_goes_out_as_it_is_read),
        cmocka_unit_test(one_that_is_read_too_slowly_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
