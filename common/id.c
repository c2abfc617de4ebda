#include "id.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

#define CREATED_DIGITS 11
#define RANDOM_CHARS 4
#define LIFE_DIGITS 9
#define LIFE_AT (CREATED_DIGITS + 1 + RANDOM_CHARS + 1)
#define EPOCH_LEN (LIFE_AT + LIFE_DIGITS)

static const char base36[] = "0123456789abcdefghijklmnopqrstuvwxyz";

static char
to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The kernel's source cannot run dry; a kernel without it cannot run this program. */
static void
random_bytes(unsigned char *out, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(out, n, 0);

        if (got < 0) {
            assert(errno == EINTR);
            continue;
        }
        out += got;
        n -= (size_t)got;
    }
}

static void
put_base36(char *out, int width, int64_t v)
{
    assert(v >= 0);
    while (width-- > 0) {
        out[width] = base36[v % 36];
        v /= 36;
    }
    assert(v == 0);
}

static bool
is_base36(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z')))
            return false;
    return true;
}

/*
 * Sixteen characters at once, because every id of every row that is read comes by: a thousand
 * in a large session.
 */
typedef unsigned char bytes16 __attribute__((vector_size(16)));

static bool
has_shape(const char *s, const char *shape)
{
    bytes16 c, want, good;
    uint64_t half[2];

    memcpy(&c, s, sizeof(c));
    memcpy(&want, shape, sizeof(want));
    good = (bytes16)((c - '0' < 10) | ((c | 0x20) - 'a' < 6)); /* hex digits */
    want = (bytes16)(want == '-');
    good = (good & ~want) | ((bytes16)(c == '-') & want);
    memcpy(half, &good, sizeof(half));
    return (half[0] & half[1]) == UINT64_MAX;
}

bool
id_is_uuid_shape(const char *s, size_t len)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    const size_t last = ID_LEN - sizeof(bytes16);

    return len == ID_LEN && has_shape(s, shape) && has_shape(s + 16, shape + 16) &&
           has_shape(s + last, shape + last);
}

bool
id_is_uuid(const char *s, size_t len)
{
    static const char nil[] = "00000000-0000-0000-0000-000000000000";
    static const char max[] = "ffffffff-ffff-ffff-ffff-ffffffffffff";

    if (!id_is_uuid_shape(s, len))
        return false;
    if (s[14] >= '1' && s[14] <= '8' && strchr("89abAB", s[19]))
        return true;
    return memcmp(s, nil, ID_LEN) == 0 || memcmp(s, max, ID_LEN) == 0;
}

void
id_lower(const char *s, char out[ID_LEN + 1])
{
    for (size_t i = 0; i < ID_LEN; i++)
        out[i] = to_lower(s[i]);
    out[ID_LEN] = '\0';
}

bool
id_equal(const char *a, const char *b)
{
    while (*a && to_lower(*a) == to_lower(*b)) {
        a++;
        b++;
    }
    return to_lower(*a) == to_lower(*b);
}

static void
print_uuid(unsigned char raw[16], unsigned version, char out[ID_LEN + 1])
{
    char *p = out;

    raw[6] = (unsigned char)((raw[6] & 0x0f) | version << 4);
    raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = base36[raw[i] >> 4];
        *p++ = base36[raw[i] & 15];
    }
    *p = '\0';
}

static int
ref_compare(const void *a, const void *b)
{
    const struct id_ref *x = a, *y = b;
    int order = strcasecmp(x->id, y->id);

    return order != 0 ? order : x->place - y->place;
}

void
id_refs_sort(struct id_ref *refs, size_t n)
{
    if (n > 0)
        qsort(refs, n, sizeof(*refs), ref_compare);
}

int32_t
id_refs_find(const struct id_ref *refs, size_t n, const char *id)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcasecmp(refs[mid].id, id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && id_equal(refs[low].id, id) ? refs[low].place : -1;
}

void
id_uuid4(char out[ID_LEN + 1])
{
    unsigned char raw[16];

    random_bytes(raw, sizeof(raw));
    print_uuid(raw, 4, out);
}

void
id_uuid8(const unsigned char bytes[16], char out[ID_LEN + 1])
{
    unsigned char raw[16];

    memcpy(raw, bytes, sizeof(raw));
    print_uuid(raw, 8, out);
}

void
id_random(char *out, size_t n)
{
    unsigned char raw[32];
    size_t done = 0;

    while (done < n) {
        random_bytes(raw, sizeof(raw));
        for (size_t i = 0; i < sizeof(raw) && done < n; i++)
            if (raw[i] < 252) /* the largest multiple of 36: no digit is more likely */
                out[done++] = base36[raw[i] % 36];
    }
    out[n] = '\0';
}

uint16_t
id_crc16(const char *s, size_t len)
{
    uint16_t crc = 0;

    /* The polynomial 0x1021 applied to eight bits at once: every key needs this. */
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)((crc >> 8 | crc << 8) ^ (unsigned char)s[i]);
        crc = (uint16_t)(crc ^ (crc & 0xff) >> 4);
        crc = (uint16_t)(crc ^ crc << 12);
        crc = (uint16_t)(crc ^ (crc & 0xff) << 5);
    }
    return crc;
}

void
epoch_make(char out[EPOCH_MAX], int64_t created_us, int64_t life_n)
{
    put_base36(out, CREATED_DIGITS, created_us);
    out[CREATED_DIGITS] = '-';
    id_random(out + CREATED_DIGITS + 1, RANDOM_CHARS);
    out[LIFE_AT - 1] = '.';
    put_base36(out + LIFE_AT, LIFE_DIGITS, life_n);
    out[EPOCH_LEN] = '\0';
}

bool
epoch_raise(char epoch[EPOCH_MAX], int64_t life_n)
{
    if (life_n <= epoch_life(epoch))
        return false;
    assert(epoch_is_valid(epoch, strlen(epoch)));
    put_base36(epoch + LIFE_AT, LIFE_DIGITS, life_n);
    return true;
}

int64_t
epoch_life(const char *epoch)
{
    int64_t v = 0;

    if (!epoch_is_valid(epoch, strlen(epoch)))
        return -1;
    for (const char *p = epoch + LIFE_AT; *p; p++)
        v = v * 36 + (*p <= '9' ? *p - '0' : *p - 'a' + 10);
    return v;
}

bool
epoch_is_valid(const char *s, size_t len)
{
    return len == EPOCH_LEN && is_base36(s, CREATED_DIGITS) && s[CREATED_DIGITS] == '-' &&
           is_base36(s + CREATED_DIGITS + 1, RANDOM_CHARS) && s[LIFE_AT - 1] == '.' &&
           is_base36(s + LIFE_AT, LIFE_DIGITS);
}
