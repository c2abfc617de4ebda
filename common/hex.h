/* hex.h - hexadecimal digits. */
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

#endif
