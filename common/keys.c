#include "keys.h"
#include "rc.h"

#include <assert.h>
#include <openssl/sha.h>

#define WHO_PLAIN_MAX \
    48 /* longer callers are hashed: an address fits, a foreign text may not */

static void
append(struct key *k, const char *s, size_t len)
{
    assert(k->len + len < sizeof(k->s));
    memcpy(k->s + k->len, s, len);
    k->len += len;
    k->s[k->len] = '\0';
}

/* The texts behind each other; by hand, because every request builds several. */
#define JOIN(...) join((const char *const[]){ __VA_ARGS__, NULL })
static struct key
join(const char *const *text)
{
    struct key k;

    for (k.len = 0; *text != NULL; text++)
        append(&k, *text, strlen(*text));
    return k;
}

/* "<prefix>{sNN}:<kind>" */
static struct key
partition_key(const char *prefix, int partition, const char *kind)
{
    char tag[] = "{s00}:";
    struct key k;

    assert(partition >= 0 && partition < KEYS_PARTITIONS);
    tag[2] = (char)('0' + partition / 10);
    tag[3] = (char)('0' + partition % 10);
    k.len = 0;
    append(&k, prefix, strlen(prefix));
    append(&k, tag, sizeof(tag) - 1);
    append(&k, kind, strlen(kind));
    return k;
}

/* `kind` ends in a colon. */
static struct key
session_key(const char *prefix, const char *kind, const char *id)
{
    struct key k;
    char lower[ID_LEN + 1];

    id_lower(id, lower);
    k = partition_key(prefix, id_crc16(lower, ID_LEN) % KEYS_PARTITIONS, kind);
    append(&k, lower, ID_LEN);
    return k;
}

/* Whether `who` can stand in a key as it is: short, and unable to end the hash tag. */
static bool
who_is_plain(const char *who)
{
    static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ.:/_-@";
    size_t len = strspn(who, allowed);

    return who[len] == '\0' && len > 0 && len <= WHO_PLAIN_MAX;
}

int
keys_partition(const char *id)
{
    char lower[ID_LEN + 1];

    id_lower(id, lower);
    return id_crc16(lower, ID_LEN) % KEYS_PARTITIONS;
}

struct key
keys_session(const char *prefix, const char *id)
{
    return session_key(prefix, "session:", id);
}

struct key
keys_channel(const char *prefix, const char *id)
{
    return session_key(prefix, "ch:", id);
}

struct key
keys_switch_limit(const char *prefix, const char *id)
{
    return session_key(prefix, "lim:", id);
}

struct key
keys_idem(const char *prefix, const char *id)
{
    return session_key(prefix, "idem:", id);
}

struct key
keys_wakeups(const char *prefix, int partition)
{
    return partition_key(prefix, partition, "wakeups");
}

struct key
keys_wake(const char *prefix, int partition)
{
    return partition_key(prefix, partition, "wake");
}

struct key
keys_audit(const char *prefix, int partition)
{
    return partition_key(prefix, partition, "audit");
}

struct key
keys_audit_dead(const char *prefix, int partition)
{
    return partition_key(prefix, partition, "audit:dead");
}

struct key
keys_life(const char *prefix, int partition)
{
    return partition_key(prefix, partition, "life");
}

struct key
keys_lease(const char *prefix, int partition)
{
    return partition_key(prefix, partition, "lease");
}

/* The first `n` bytes of the SHA-256 of a text; of 16 already nobody finds two with the same.
 */
static void
hash_hex(const char *s, int n, char hex[2 * SHA256_DIGEST_LENGTH + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[SHA256_DIGEST_LENGTH];
    size_t len = 0;

    SHA256((const unsigned char *)s, strlen(s), hash);
    for (int i = 0; i < n; i++) {
        hex[len++] = digits[hash[i] >> 4];
        hex[len++] = digits[hash[i] & 15];
    }
    hex[len] = '\0';
}

/* "<prefix>{<family>:<kind>:<who>}" */
static struct key
who_key(const char *prefix, const char *family, const char *kind, const char *who)
{
    char hex[2 * SHA256_DIGEST_LENGTH + 1];

    if (who_is_plain(who))
        return JOIN(prefix, "{", family, ":", kind, ":", who, "}");
    hash_hex(who, 16, hex);
    return JOIN(prefix, "{", family, ":", kind, ":#", hex, "}");
}

struct key
keys_limit(const char *prefix, const char *kind, const char *who, bool is_user)
{
    return who_key(prefix, is_user ? "lim:user" : "lim", kind, who);
}

struct key
keys_revoked(const char *prefix, const char *kind, const char *value)
{
    return who_key(prefix, "rev", kind, value);
}

struct key
keys_revoked_channel(const char *prefix)
{
    return JOIN(prefix, "revoked");
}

/* One slot for all: the script has to see the processes, too. */
struct key
keys_seats(const char *prefix, const char *who)
{
    char hex[2 * SHA256_DIGEST_LENGTH + 1];

    hash_hex(who, 16, hex);
    return JOIN(prefix, "{ws}:open:", hex);
}

struct key
keys_seat_owners(const char *prefix)
{
    return JOIN(prefix, "{ws}:alive");
}

struct key
keys_owned(const char *prefix, const char *sub)
{
    char hex[2 * SHA256_DIGEST_LENGTH + 1];

    hash_hex(sub, SHA256_DIGEST_LENGTH, hex);
    return JOIN(prefix, "{own:", hex, "}");
}

struct key
keys_recovery(const char *prefix)
{
    return JOIN(prefix, "recovery");
}

struct key
keys_timekeeper(const char *prefix)
{
    return JOIN(prefix, "timekeeper");
}

bool
keys_channel_id(const char *channel, size_t len, char id[ID_LEN + 1])
{
    const char *tag, *tail;

    if (len < ID_LEN + 9) /* {sNN}:ch: */
        return false;
    tail = channel + len - ID_LEN;
    tag = tail - 9;
    if (!id_is_uuid_shape(tail, ID_LEN) || memcmp(tag, "{s", 2) != 0 ||
        memcmp(tag + 4, "}:ch:", 5) != 0)
        return false;
    if ((tag[2] - '0') * 10 + tag[3] - '0' != keys_partition(tail))
        return false;
    id_lower(tail, id);
    return true;
}

/* The prefix as a pattern that means just itself. */
static struct key
pattern(const char *prefix, const char *rest)
{
    char plain[2 * KEY_MAX];
    size_t n = 0;

    for (const char *p = prefix; *p != '\0' && n + 2 < sizeof(plain); p++) {
        if (strchr("*?[]^\\-", *p) != NULL)
            plain[n++] = '\\';
        plain[n++] = *p;
    }
    plain[n] = '\0';
    return JOIN(plain, rest);
}

struct key
keys_every_channel(const char *prefix)
{
    return pattern(prefix, "{s*}:ch:*");
}

struct key
keys_every_key(const char *prefix)
{
    return pattern(prefix, "*");
}

int
keys_partition_of(const char *prefix, const char *key, size_t len)
{
    size_t skip = strlen(prefix);
    int n;

    if (len < skip + 6 || memcmp(key, prefix, skip) != 0) /* {sNN}: */
        return -1;
    key += skip;
    if (memcmp(key, "{s", 2) != 0 || key[2] < '0' || key[2] > '9' || key[3] < '0' ||
        key[3] > '9' || memcmp(key + 4, "}:", 2) != 0)
        return -1;
    n = (key[2] - '0') * 10 + key[3] - '0';
    return n < KEYS_PARTITIONS ? n : -1;
}

bool
keys_is_passing(const char *prefix, const char *key, size_t len)
{
    int partition = keys_partition_of(prefix, key, len);
    struct key k = partition < 0 ? keys_timekeeper(prefix) : keys_lease(prefix, partition);

    return k.len == len && memcmp(k.s, key, len) == 0;
}
