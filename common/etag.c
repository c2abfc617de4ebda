#include "etag.h"
#include "buf.h"

#define VERSION_DIGITS_MAX 18
#define BLANKS " \t"

void
etag_make(char out[ETAG_MAX], const char *epoch, int64_t version)
{
    size_t len = strnlen(epoch, EPOCH_MAX - 1);

    *out++ = '"';
    memcpy(out, epoch, len);
    out += len;
    *out++ = '-';
    out += i64_print(out, version);
    memcpy(out, "\"", 2);
}

/*
 * The tag at the beginning of *p: its quoted part and the length of that; *p goes on behind it.
 * NULL when there is none.
 */
static const char *
take_tag(const char **p, size_t *len)
{
    const char *tag = strncmp(*p, "W/", 2) == 0 ? *p + 2 : *p;
    const char *end = tag + 1;

    if (*tag != '"')
        return NULL;
    while (*end == '!' || ((unsigned char)*end > '"' && *end != 0x7f))
        end++;
    if (*end != '"')
        return NULL;
    *len = (size_t)(end + 1 - tag);
    *p = end + 1;
    return tag;
}

/* Behind blanks and commas. */
static const char *
skip_between(const char *p)
{
    return p + strspn(p, BLANKS ",");
}

bool
etag_list_is_valid(const char *list)
{
    size_t tags = 0, len;

    list += strspn(list, BLANKS);
    if (*list == '*')
        return list[1 + strspn(list + 1, BLANKS)] == '\0';
    for (list = skip_between(list); *list != '\0'; list = skip_between(list)) {
        if (take_tag(&list, &len) == NULL)
            return false;
        list += strspn(list, BLANKS);
        if (*list != ',' && *list != '\0')
            return false;
        tags++;
    }
    return tags > 0;
}

bool
etag_list_has(const char *list, const char *tag)
{
    size_t tag_len = strlen(tag), len;

    for (list = skip_between(list); *list != '\0'; list = skip_between(list)) {
        const char *one;

        if (*list == '*')
            return true;
        one = take_tag(&list, &len);
        if (one == NULL)
            return false;
        if (len == tag_len && memcmp(one, tag, len) == 0)
            return true;
    }
    return false;
}

int64_t
etag_list_version(const char *list)
{
    const char *tag, *digits;
    int64_t v = 0;
    size_t len;

    list = skip_between(list);
    tag = take_tag(&list, &len);
    if (tag == NULL)
        return 0;
    digits = tag + len - 1; /* the quote at the end */
    while (digits > tag && digits[-1] >= '0' && digits[-1] <= '9')
        digits--;
    if (digits[-1] != '-' || tag + len - 1 - digits > VERSION_DIGITS_MAX)
        return 0;
    while (*digits != '"')
        v = v * 10 + (*digits++ - '0');
    return v;
}
