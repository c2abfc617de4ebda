/*
 * crowd.h - clients by the hundred that write down all that they are told, for the fault tests.
 *
 * One thread and epoll. Players send commands over HTTP and behave as careful clients do: a
 * command carries the version that it is meant for, or an Idempotency-Key under which it is
 * repeated until it is answered. Watchers hold a WebSocket each and come back when it closes.
 * Nothing is judged here; history.py reads what was written:
 *
 *   S session uuid kind                     a session: g guarded, k keyed, c churning,
 *                                           i idle, t ticking
 *   E epoch session text                    the epochs that were seen, numbered
 *   A sent answered player session op key given status code retry epoch version state cycle
 *   O time watcher session                  a socket was opened (the handshake was answered)
 *   H time watcher status retry             or was refused; without an answer: not written
 *   X time watcher                          and has ended
 *   W time watcher kind epoch version state cycle
 *                                           u, d, s STATE_UPDATE, _DELTA, _SYNC;
 *                                           x SESSION_DELETED; n ERROR, there is no such
 *                                           session; l TIME_EXPIRED
 *
 * Times are us of CLOCK_MONOTONIC. op: G get, C create, B start, S switch, P pause, R resume,
 * F complete, D delete. status 0: the connection ended without an answer. retry: 1 when there
 * was a Retry-After. What is unknown is `-`, or -1 where a number stands.
 *
 * The test talks to it by single letters on standard input, and reads a line for each:
 *
 *   (begin)  "ready"         all sessions run and all sockets are open; nobody plays yet
 *   m        "PEAK"          a second of doing their best: 2xx to commands a second; from then
 *                            on they play at their rate
 *   l        "COUNT OPEN"    2xx to commands since the last m or l, sockets that are open
 *   s        "done"          stop playing; every player knows what has become of what he did
 *   q                        leave
 */
#ifndef TESTS_FAULTS_CROWD_H
#define TESTS_FAULTS_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { UUID_LEN = 36, EPOCH_SIZE = 64, EPOCHS_MAX = 64, KEY_SIZE = 40, IN_MAX = 1 << 17 };

struct session {
    int number;
    char kind;
    char id[UUID_LEN + 1];
    int epochs;
    char epoch[EPOCHS_MAX][EPOCH_SIZE];
    int epoch_number[EPOCHS_MAX];
};

struct crowd {
    int port, ep;
    unsigned seed;
    FILE *out;
    enum { PREPARE, PLAY, STOP } phase;
};
extern struct crowd crowd;

/* What epoll hands back: the first member of a player and of a watcher. */
struct source {
    void (*ready)(struct source *);
};

int64_t now_us(void);
/* From 0 on and less than n, by the seed. */
unsigned draw(unsigned n);
/* Connect to 127.0.0.1 and have epoll watch it; -1 when nobody listens. */
int dial(struct source *who);
/* Send all of it, however long that takes; what goes wrong the reader hears of. */
void send_all(int fd, const void *data, size_t len);

/* What a JSON text says of a state, its first mention; borrowed from the text. */
struct said {
    int epoch;    /* its number, -1 none */
    long version; /* -1 none */
    long cycle;
    char state; /* first letter of the status, z for paused; '-' none */
};
struct said said_of(struct session *s, const char *json, size_t len);

/* players.c */
struct player;
struct player *player_new(int number, struct session *s);
/* Send what is next if it is time for that; true when it was a command. Reads are not counted:
 * they are few, or needed before the next command. */
bool player_go(struct player *p, int64_t now);
/* PREPARE: whether his session runs. STOP: whether he knows what has become of all he did, and
 * nothing will happen by itself. */
bool player_done(const struct player *p);
/* Give up what takes too long. */
void player_check(struct player *p, int64_t now);
long players_answered(void); /* 2xx of commands so far */
/* Commands since the last call that somebody else's had overtaken: they changed nothing. */
long players_refunded(void);

/* watchers.c */
struct watcher;
struct watcher *watcher_new(int number, struct session *s);
/* Open the socket if it is time. */
void watcher_go(struct watcher *w, int64_t now);
bool watcher_open(const struct watcher *w);

#endif
