/*
 * store_fixture.h - one session store on a private Redis, and sessions to try it with. The
 * program's main fills `server`; each test begins with fixture_setup.
 */
#ifndef TESTS_API_STORE_FIXTURE_H
#define TESTS_API_STORE_FIXTURE_H

#include "common/redis.h"
#include "common/session_store.h"
#include "private_redis.h"

struct fixture {
    struct private_redis server;
    struct conf conf;
    struct redis *redis;
    struct session_store *store;
    struct session s; /* what the last call left */
    struct store_result res;
    struct fail f;
};

extern struct fixture fx;

extern const char id_a[], id_b[];
extern const struct store_terms nobody; /* asks on no terms */

/* Start and stop the server; for main. */
void fixture_begin(void);
void fixture_end(void);
/* Empty the server, usual settings, a store; and the reverse. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Another connection and store by the settings that stand in fx.conf. */
void fixture_reopen(void);

/* A draft of `n` participants with `bank_ms` each; ids are derived from n and place. */
void fixture_draft(struct session *s, const char *id, size_t n, int64_t bank_ms);
const char *fixture_participant(size_t place); /* static */

/* Calls; their outcome is in fx. */
enum rc fixture_create(const char *id, size_t n, int64_t bank_ms);
enum rc fixture_command(const char *id, enum command_type type);
enum rc fixture_get(const char *id);
/* session_store_expire, which must succeed; how much it applied. */
size_t fixture_expire(const struct store_due *due, size_t n);

/* "HGET <key of id> <field>", text. */
const char *fixture_field(const char *id, const char *field);
int64_t fixture_audit_length(const char *id);

#endif
