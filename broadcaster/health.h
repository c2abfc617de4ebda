/*
 * health.h - /health and /ready of this process, on its own listener (spec platform, "Health").
 */
#ifndef BROADCASTER_HEALTH_H
#define BROADCASTER_HEALTH_H

#include <stddef.h>

struct app;

/* Write the JSON answer to GET `path` and return its status; other paths are 404. */
unsigned health_answer(struct app *app, const char *path, char *out, size_t size);

#endif
