#include "broadcaster/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct sockaddr_in here;

static int
tcp(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    return fd;
}

/* A port that stays ours: bound by somebody who shares it, and does not listen. */
static int
take_port(void)
{
    socklen_t len = sizeof(here);
    int fd = tcp(), on = 1;

    here = (struct sockaddr_in){ .sin_family = AF_INET };
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    assert_int_equal(bind(fd, (struct sockaddr *)&here, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &len), 0);
    return fd;
}

static int
option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void
on_socket(void *ctx, int fd)
{
    int *n = ctx;

    (*n)++;
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_not_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    /* the kernel says twice what was asked for, and would let it grow to megabytes */
    assert_in_range(option(fd, SOL_SOCKET, SO_SNDBUF), 64 * 1024, 256 * 1024);
    close(fd);
}

static void
what_is_accepted_sends_at_once_and_holds_little(void **state)
{
    uv_loop_t loop;
    struct listener *l;
    int port = take_port(), peers[3], n = 0;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    l = listener_new(&loop, "127.0.0.1", ntohs(here.sin_port), on_socket, &n);
    for (int i = 0; i < 2; i++) {
        peers[i] = tcp();
        assert_int_equal(connect(peers[i], (struct sockaddr *)&here, sizeof(here)), 0);
    }
    uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(n, 2);
    /* who has come before it closes is taken */
    peers[2] = tcp();
    assert_int_equal(connect(peers[2], (struct sockaddr *)&here, sizeof(here)), 0);
    listener_close(l);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(n, 3);
    assert_int_equal(uv_loop_close(&loop), 0);
    for (int i = 0; i < 3; i++)
        close(peers[i]);
    close(port);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_accepted_sends_at_once_and_holds_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
