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

static void
lower16(const char *s, char *out)
{
    bytes16 c;

    memcpy(&c, s, sizeof(c));
    c |= (bytes16)(c - 'A' < 26) & 0x20;
    memcpy(out, &c, sizeof(c));
}

void
id_lower(const char *s, char out[ID_LEN + 1])
{
    lower16(s, out);
    lower16(s + 16, out + 16);
    lower16(s + ID_LEN - 16, out + ID_LEN - 16);
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

/* The polynomial 0x1021, eight bits at once: every key needs this. */
/* clang-format off */
static const uint16_t crc16_of[256] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
    0xc18c, 0xd1ad, 0xe1ce, 0xf1ef, 0x1231, 0x0210, 0x3273, 0x2252, 0x52b5, 0x4294, 0x72f7, 0x62d6,
    0x9339, 0x8318, 0xb37b, 0xa35a, 0xd3bd, 0xc39c, 0xf3ff, 0xe3de, 0x2462, 0x3443, 0x0420, 0x1401,
    0x64e6, 0x74c7, 0x44a4, 0x5485, 0xa56a, 0xb54b, 0x8528, 0x9509, 0xe5ee, 0xf5cf, 0xc5ac, 0xd58d,
    0x3653, 0x2672, 0x1611, 0x0630, 0x76d7, 0x66f6, 0x5695, 0x46b4, 0xb75b, 0xa77a, 0x9719, 0x8738,
    0xf7df, 0xe7fe, 0xd79d, 0xc7bc, 0x48c4, 0x58e5, 0x6886, 0x78a7, 0x0840, 0x1861, 0x2802, 0x3823,
    0xc9cc, 0xd9ed, 0xe98e, 0xf9af, 0x8948, 0x9969, 0xa90a, 0xb92b, 0x5af5, 0x4ad4, 0x7ab7, 0x6a96,
    0x1a71, 0x0a50, 0x3a33, 0x2a12, 0xdbfd, 0xcbdc, 0xfbbf, 0xeb9e, 0x9b79, 0x8b58, 0xbb3b, 0xab1a,
    0x6ca6, 0x7c87, 0x4ce4, 0x5cc5, 0x2c22, 0x3c03, 0x0c60, 0x1c41, 0xedae, 0xfd8f, 0xcdec, 0xddcd,
    0xad2a, 0xbd0b, 0x8d68, 0x9d49, 0x7e97, 0x6eb6, 0x5ed5, 0x4ef4, 0x3e13, 0x2e32, 0x1e51, 0x0e70,
    0xff9f, 0xefbe, 0xdfdd, 0xcffc, 0xbf1b, 0xaf3a, 0x9f59, 0x8f78, 0x9188, 0x81a9, 0xb1ca, 0xa1eb,
    0xd10c, 0xc12d, 0xf14e, 0xe16f, 0x1080, 0x00a1, 0x30c2, 0x20e3, 0x5004, 0x4025, 0x7046, 0x6067,
    0x83b9, 0x9398, 0xa3fb, 0xb3da, 0xc33d, 0xd31c, 0xe37f, 0xf35e, 0x02b1, 0x1290, 0x22f3, 0x32d2,
    0x4235, 0x5214, 0x6277, 0x7256, 0xb5ea, 0xa5cb, 0x95a8, 0x8589, 0xf56e, 0xe54f, 0xd52c, 0xc50d,
    0x34e2, 0x24c3, 0x14a0, 0x0481, 0x7466, 0x6447, 0x5424, 0x4405, 0xa7db, 0xb7fa, 0x8799, 0x97b8,
    0xe75f, 0xf77e, 0xc71d, 0xd73c, 0x26d3, 0x36f2, 0x0691, 0x16b0, 0x6657, 0x7676, 0x4615, 0x5634,
    0xd94c, 0xc96d, 0xf90e, 0xe92f, 0x99c8, 0x89e9, 0xb98a, 0xa9ab, 0x5844, 0x4865, 0x7806, 0x6827,
    0x18c0, 0x08e1, 0x3882, 0x28a3, 0xcb7d, 0xdb5c, 0xeb3f, 0xfb1e, 0x8bf9, 0x9bd8, 0xabbb, 0xbb9a,
    0x4a75, 0x5a54, 0x6a37, 0x7a16, 0x0af1, 0x1ad0, 0x2ab3, 0x3a92, 0xfd2e, 0xed0f, 0xdd6c, 0xcd4d,
    0xbdaa, 0xad8b, 0x9de8, 0x8dc9, 0x7c26, 0x6c07, 0x5c64, 0x4c45, 0x3ca2, 0x2c83, 0x1ce0, 0x0cc1,
    0xef1f, 0xff3e, 0xcf5d, 0xdf7c, 0xaf9b, 0xbfba, 0x8fd9, 0x9ff8, 0x6e17, 0x7e36, 0x4e55, 0x5e74,
    0x2e93, 0x3eb2, 0x0ed1, 0x1ef0,
};
/* clang-format on */

uint16_t
id_crc16(const char *s, size_t len)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < len; i++)
        crc = (uint16_t)(crc << 8 ^ crc16_of[(crc >> 8 ^ (unsigned char)s[i]) & 0xff]);
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
