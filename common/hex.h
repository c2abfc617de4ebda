/* hex.h - hexadecimal digits, and the percent-encoding made of them (RFC 3986, 2.1). */
#ifndef COMMON_HEX_H
#define COMMON_HEX_H

/* The value of a digit, 0..15; -1 for any other character, NUL too. */
static inline int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next byte of [*s, end), which is not empty, 0..255, *s behind it; -1: a % and not two
 * digits. */
static inline int
percent_next(const char **s, const char *end)
{
    const char *at = *s;
    int high, low;

    if (*at != '%') {
        *s = at + 1;
        return (unsigned char)*at;
    }
    if (end - at < 3)
        return -1;
    high = hex_value(at[1]);
    low = hex_value(at[2]);
    *s = at + 3;
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

#endif
