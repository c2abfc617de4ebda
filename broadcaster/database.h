/*
 * database.h - whether PostgreSQL answers: asked every 2 s off the loop, told
 * to all processes of the host through status.h. Nothing here needs the answer.
 */
#ifndef BROADCASTER_DATABASE_H
#define BROADCASTER_DATABASE_H

#include <uv.h>

struct conf;
struct database; /* opaque */
struct status;

/* `conf` and `status` must live until the loop has closed the handles. */
struct database *database_watch(uv_loop_t *loop, const struct conf *conf,
                                struct status *status);
void database_close(struct database *d);

#endif
