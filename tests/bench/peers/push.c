/*
 * push - the ceiling of every fan-out: epoll, one frame made once, one send() per socket and
 * message. It knows no channels, no queues and no pings. `push PORT`: GET anything upgrades,
 * POST sends its body to every socket.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FD_MAX = 65536, REQUEST_MAX = 16384 };
static bool watches[FD_MAX];
static int highest;

static void
upgrade(int fd, const char *request)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char key[128] = "", answer[256];
    unsigned char sha[SHA_DIGEST_LENGTH], text[64];
    const char *line = strcasestr(request, "\r\nsec-websocket-key:");
    if (!line || sscanf(line + 20, " %60s", key) != 1)
        return;
    strcat(key, guid);
    SHA1((const unsigned char *)key, strlen(key), sha);
    EVP_EncodeBlock(text, sha, sizeof sha);
    int n = snprintf(answer, sizeof answer,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                     (char *)text);
    send(fd, answer, (size_t)n, MSG_NOSIGNAL);
    watches[fd] = true;
}

static void
push(int fd, const char *body, size_t len)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    unsigned char frame[REQUEST_MAX + 4] = { 0x81, (unsigned char)len };
    size_t head = 2;
    if (len > 125) {
        frame[1] = 126, frame[2] = (unsigned char)(len >> 8), frame[3] = (unsigned char)len;
        head = 4;
    }
    memcpy(frame + head, body, len);
    for (int k = 0; k <= highest; k++)
        if (watches[k])
            send(k, frame, head + len, MSG_NOSIGNAL | MSG_DONTWAIT);
    send(fd, ok, sizeof ok - 1, MSG_NOSIGNAL);
}

/* A request comes in one piece from the load client beside us. */
static void
readable(int fd)
{
    char in[REQUEST_MAX];
    ssize_t n = recv(fd, in, sizeof in - 1, 0);
    if (n <= 0) {
        watches[fd] = false;
        close(fd);
        return;
    }
    in[n] = 0;
    char *end = strstr(in, "\r\n\r\n");
    if (!watches[fd] && end && in[0] == 'G')
        upgrade(fd, in);
    else if (!watches[fd] && end && in[0] == 'P')
        push(fd, end + 4, (size_t)(in + n - end - 4));
}

int
main(int argc, char **argv)
{
    struct rlimit files = { FD_MAX, FD_MAX };
    setrlimit(RLIMIT_NOFILE, &files);
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "0")),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1, listening = socket(AF_INET, SOCK_STREAM, 0), ep = epoll_create1(0);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listening, (struct sockaddr *)&a, sizeof a) != 0 || listen(listening, 4096) != 0) {
        perror("push");
        return 1;
    }
    struct epoll_event e[256] = { { .events = EPOLLIN, .data.fd = listening } };
    epoll_ctl(ep, EPOLL_CTL_ADD, listening, e);
    for (;;) {
        int n = epoll_wait(ep, e, 256, -1);
        for (int k = 0; k < n; k++) {
            if (e[k].data.fd != listening) {
                readable(e[k].data.fd);
                continue;
            }
            int fd = accept(listening, NULL, NULL);
            if (fd < 0 || fd >= FD_MAX)
                continue;
            highest = fd > highest ? fd : highest;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            struct epoll_event add = { .events = EPOLLIN, .data.fd = fd };
            epoll_ctl(ep, EPOLL_CTL_ADD, fd, &add);
        }
    }
}
