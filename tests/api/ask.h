/*
 * ask.h - requests to a service in this process, on a private Redis: parse, route, gate,
 * handler, store, rendered answer. A program's main calls ask_begin and ask_end, each test
 * begins with ask_setup.
 */
#ifndef TESTS_API_ASK_H
#define TESTS_API_ASK_H

#include "common/token.h"
#include "fcgi/service.h"
#include "private_redis.h"
#include "tests/lib/fake_io.h"

#define ID "0e6c81f0-58b2-4f6f-9d39-6f4f4a6d2f01"
#define P1 "11111111-1111-4111-8111-111111111111"
#define P2 "22222222-2222-4222-8222-222222222222"
#define ONE "/v1/sessions/" ID
/* Two participants with a minute each. */
#define BODY                                                                                 \
    "{\"session_id\":\"" ID "\",\"sync_mode\":\"per_participant\",\"total_time_ms\":120000," \
    "\"increment_ms\":2000,\"metadata\":{\"a\":[1.50,\"x/y\"]},\"participants\":["           \
    "{\"participant_id\":\"" P1 "\",\"participant_index\":0,\"total_time_ms\":60000},"       \
    "{\"participant_id\":\"" P2 "\",\"participant_index\":1,\"total_time_ms\":60000}]}"
/* Reads of redis_reads itself: the INFO, and the end of the connection before. */
#define OWN_READS 2

extern struct private_redis server;
extern struct conf conf;
extern struct service service;
/* The answer to the newest request. */
extern struct buf answer;
extern int status;

void ask_begin(void);
void ask_end(void);
int ask_setup(void **state);
int ask_teardown(void **state);

/* Send a request and take the answer; returns its status. `body` NULL: none. */
int send_fake(struct fake_io *fake);
int ask(const char *method, const char *path, const char *body);
int ask_with(const char *method, const char *path, const char *body, const char *name,
             const char *value);

/* "Bearer ..." with these claims; an hour long when they say nothing else. Static. */
const char *ask_token(const struct token_claims *claims);
/* The same request with a token of `sub`; NULL: without one. */
int ask_as(const char *sub, enum role role, const char *method, const char *path,
           const char *body);

bool has(const char *part);
/* Fail the test unless the answer has this status and this text in it. */
void expect(int want, const char *part);
/* The value of one answer header; "" when it is missing. Static. */
const char *header(const char *name);

/* How often Redis has read from a socket: what is sent together is read together. */
int64_t redis_reads(void);

#endif
