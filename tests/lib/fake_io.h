/*
 * fake_io.h - a request made of strings, and the answer in a buffer (fcgi/io.h).
 */
#ifndef TESTS_LIB_FAKE_IO_H
#define TESTS_LIB_FAKE_IO_H

#include "common/buf.h"
#include "fcgi/io.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_VARS_MAX 24

struct fake_io {
    struct io super;
    struct {
        const char *name, *value;
    } vars[FAKE_VARS_MAX];
    int n;
    char length[24];
    const char *body; /* NULL: none */
    size_t body_len, body_at;
    struct buf out;
    bool is_cut; /* the peer broke off in the body */
    int finished;
};

static inline const char *
fake_param(struct io *io, const char *name)
{
    const struct fake_io *fake = (struct fake_io *)io;

    for (int i = fake->n - 1; i >= 0; i--) {
        if (strcmp(fake->vars[i].name, name) == 0)
            return fake->vars[i].value;
    }
    return NULL;
}

static inline size_t
fake_read(struct io *io, char *buf, size_t n)
{
    struct fake_io *fake = (struct fake_io *)io;
    size_t left = fake->body_len - fake->body_at;

    if (n > left)
        n = left;
    if (n > 0)
        memcpy(buf, fake->body + fake->body_at, n);
    fake->body_at += n;
    return n;
}

static inline bool
fake_write(struct io *io, const char *buf, size_t n)
{
    buf_add(&((struct fake_io *)io)->out, buf, n);
    return true;
}

/* For super.at_end, where a body of unsaid length is to be read. */
static inline bool
fake_at_end(struct io *io)
{
    return !((struct fake_io *)io)->is_cut;
}

static inline void
fake_finish(struct io *io)
{
    ((struct fake_io *)io)->finished++;
}

static inline void
fake_set(struct fake_io *fake, const char *name, const char *value)
{
    if (fake->n == FAKE_VARS_MAX)
        abort();
    fake->vars[fake->n].name = name;
    fake->vars[fake->n++].value = value;
}

/* A request from 192.0.2.1; a body comes with its length and as JSON. */
static inline void
fake_init(struct fake_io *fake, const char *method, const char *uri, const char *body)
{
    memset(fake, 0, sizeof(*fake));
    fake->super = (struct io){
        .param = fake_param, .read = fake_read, .write = fake_write, .finish = fake_finish
    };
    buf_init(&fake->out, 16 * 1024 * 1024);
    fake_set(fake, "REQUEST_METHOD", method);
    fake_set(fake, "REQUEST_URI", uri);
    fake_set(fake, "REMOTE_ADDR", "192.0.2.1");
    fake->body = body;
    fake->body_len = body != NULL ? strlen(body) : 0;
    if (body == NULL)
        return;
    snprintf(fake->length, sizeof(fake->length), "%zu", fake->body_len);
    fake_set(fake, "CONTENT_LENGTH", fake->length);
    fake_set(fake, "CONTENT_TYPE", "application/json");
}

static inline void
fake_fini(struct fake_io *fake)
{
    buf_fini(&fake->out);
}

#endif
