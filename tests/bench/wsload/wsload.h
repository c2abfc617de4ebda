/*
 * wsload.h - the parts of the WebSocket load client; main.c says what it does.
 */
#ifndef BENCH_WSLOAD_H
#define BENCH_WSLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIDS_MAX = 128 };

extern struct opt {
    const char *host, *path, *publish_path, *body, *header, *greeting, *key, *publish_redis,
        *publish_header;
    int port, publish_port, publishers, clients, rate;
    double seconds, warm_up;
    long first;
    bool socket_io;
    int pid[PIDS_MAX];
    int pids;
} opt;

/* The timetable: when message k should be sent, of `planned`; those from `measured_from` on
 * count. Filled before the first one is sent. */
extern int64_t *intended;
extern long planned, measured_from;

int64_t now_ns(void);
void die(const char *what);
/* A connected socket of opt.host; the process ends when there is none. */
int dial(int port);
void send_all(int fd, const void *data, size_t len);

/* --- figures.c --- */

/* CPU seconds and resident bytes of each opt.pid so far; of one that is gone 0. */
struct servers {
    double cpu[PIDS_MAX], rss[PIDS_MAX];
};
void servers_look(struct servers *s);

/* One delivery, so long after its intended instant. */
void latency_add(int64_t ns, size_t bytes);
/* In ms; quantile 1 is the longest. */
double latency_ms(double quantile);
extern uint64_t deliveries, bytes_in;

/* --- sockets.c --- */

extern int opened, lost;
extern uint64_t early; /* deliveries before the measured time */
/* Opens opt.clients sockets; returns how many a second that were. */
double sockets_open(void);
/* Reads what comes for at most so long; returns after the first lot. */
void sockets_turn(int timeout_ms);
void sockets_settle(double seconds);

/* --- publish.c --- */

/* Starts opt.publishers connections that POST the timetable; publish_busy() until all is
 * answered.
 */
void publish_start(void);
bool publish_busy(void);
long publish_done(void), publish_failed(void);
/* Bytes of the answers' bodies. */
long publish_bytes(void);

#endif
