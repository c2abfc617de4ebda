#include "keyfile_inside.h"

#include "common/arena.h"
#include "common/conf.h"
#include "common/keys.h"
#include "common/redis.h"

#include <endian.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <string.h>

#define BATCH_BYTES (8u << 20)
#define TTL_MAX 24

struct file {
    FILE *in;
    uint64_t left; /* bytes */
};

struct record {
    char key[KEY_MAX], ttl[TTL_MAX];
    char *value; /* as long as the longest so far */
    size_t len;
};

static struct file
file_of(FILE *in)
{
    off_t size = fseeko(in, 0, SEEK_END) == 0 ? ftello(in) : 0;

    rewind(in);
    return (struct file){ in, size > 0 ? (uint64_t)size : 0 };
}

static bool
take_bytes(struct file *file, void *out, uint64_t n)
{
    if (n > file->left || fread(out, 1, n, file->in) != n)
        return false;
    file->left -= n;
    return true;
}

/* False when it is damaged. Nothing is longer than what is left of the file. */
static bool
take_record(struct file *file, const char *prefix, struct record *r)
{
    uint64_t head[3], key_len;
    size_t used = strlen(prefix);

    if (!take_bytes(file, head, sizeof(head)))
        return false;
    key_len = le64toh(head[0]);
    r->len = le64toh(head[2]);
    if (key_len >= KEY_MAX - used || r->len > file->left)
        return false;
    snprintf(r->ttl, sizeof(r->ttl), "%" PRIu64, le64toh(head[1]));
    memcpy(r->key, prefix, used);
    r->key[used + key_len] = '\0';
    r->value = xrealloc(r->value, r->len + 1);
    return take_bytes(file, r->key + used, key_len) && take_bytes(file, r->value, r->len);
}

enum rc
keyfile_flush(struct redis *r, struct redis_batch *b, size_t *n, struct fail *f)
{
    enum rc rc = redis_run(r, b, f);

    for (int i = 0; i < redis_batch_count(b) && rc == RC_OK; i++)
        rc = redis_batch_check(b, i, f);
    if (rc == RC_OK)
        *n += (size_t)redis_batch_count(b);
    redis_batch_clear(b);
    return rc;
}

/* What lives were restored are over, even if this is the very Redis that they name: changes
 * after the backup were made under them, and no version may be used twice. */
static enum rc
end_lives(const struct conf *conf, struct redis *r, struct fail *f)
{
    struct redis_batch *b = redis_batch_new(), *end = redis_batch_new();
    size_t n = 0;
    enum rc rc;

    for (int i = 0; i < KEYS_PARTITIONS; i++)
        redis_batch_add(b, "EXISTS %s", keys_life(conf->key_prefix, i).s);
    rc = redis_run(r, b, f);
    for (int i = 0; i < KEYS_PARTITIONS && rc == RC_OK; i++)
        if (redis_batch_reply(b, i)->integer == 1)
            redis_batch_add(end, "HSET %s run_id restored", keys_life(conf->key_prefix, i).s);
    if (rc == RC_OK)
        rc = keyfile_flush(r, end, &n, f);
    redis_batch_free(end);
    redis_batch_free(b);
    return rc;
}

static void
add(struct redis_batch *b, const struct record *r)
{
    const char *argv[] = { "RESTORE", r->key, r->ttl, r->value, "REPLACE" };
    const size_t lens[] = { 7, strlen(r->key), strlen(r->ttl), r->len, 7 };

    redis_batch_addv(b, 5, argv, lens);
}

static enum rc
put_records(const struct conf *conf, struct redis *r, struct file *file, size_t *n,
            struct fail *f)
{
    struct redis_batch *b = redis_batch_new();
    struct record record = { .value = NULL };
    size_t bytes = 0;
    enum rc rc = RC_OK;

    while (rc == RC_OK && file->left > 0) {
        if (!take_record(file, conf->key_prefix, &record)) {
            rc = fail_log(f, RC_INTERNAL, "the file of keys is damaged");
            break;
        }
        add(b, &record);
        bytes += record.len;
        if (bytes > BATCH_BYTES || redis_batch_count(b) == KEYFILE_BATCH || file->left == 0) {
            rc = keyfile_flush(r, b, n, f);
            bytes = 0;
        }
    }
    free(record.value);
    redis_batch_free(b);
    return rc;
}

enum rc
keyfile_read(const struct conf *conf, struct redis *r, FILE *in, size_t *n, struct fail *f)
{
    struct file file = file_of(in);
    char magic[sizeof(KEYFILE_MAGIC) - 1];
    enum rc rc;

    *n = 0;
    if (!take_bytes(&file, magic, sizeof(magic)) ||
        memcmp(magic, KEYFILE_MAGIC, sizeof(magic)) != 0)
        return fail_log(f, RC_INTERNAL, "this is no file of keys");
    rc = put_records(conf, r, &file, n, f);
    return rc == RC_OK ? end_lives(conf, r, f) : rc;
}
