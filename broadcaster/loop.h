/*
 * loop.h - one process: everything wired to one libuv loop, until SIGTERM or SIGINT has been
 * answered by an orderly drain.
 */
#ifndef BROADCASTER_LOOP_H
#define BROADCASTER_LOOP_H

struct conf;

/* Run to the end; returns the exit status. A second SIGTERM or SIGINT ends the process at once.
 */
int loop_run(const struct conf *conf);

#endif
