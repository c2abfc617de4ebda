/*
 * reader.h - the link for questions: states for the hub, TIME for the server clock. Answers
 * come in order; batches under way are few, so that a mass of reads (after an outage) leaves
 * room for everything else.
 */
#ifndef BROADCASTER_READER_H
#define BROADCASTER_READER_H

#include "link.h"
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct conf;
struct hub;
struct reader; /* opaque */
struct server_clock;
struct watch;

struct reader *reader_new(uv_loop_t *loop, const struct conf *conf, struct server_clock *clock);
/* As link_close. */
void reader_close(struct reader *r);
bool reader_is_up(const struct reader *r);

/* Load the states of n <= HUB_LOAD_MAX watches and tell the hub. False: not now. */
bool reader_load(struct reader *r, struct hub *hub, struct watch **ws, size_t n);
/* As link_send. */
bool reader_ask(struct reader *r, struct redis_batch *b, link_done *done, void *ctx);

#endif
