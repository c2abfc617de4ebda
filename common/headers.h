/*
 * headers.h - what every HTTP answer says about itself to browsers, whoever gives it. nginx
 * says the same for pages and for its own errors (etc/nginx/synckairos-headers.conf).
 */
#ifndef COMMON_HEADERS_H
#define COMMON_HEADERS_H

/* Is what it says to be; is shown in no foreign frame; tells no other site where it was linked.
 */
#define HEADERS_ALWAYS                    \
    "X-Content-Type-Options: nosniff\r\n" \
    "X-Frame-Options: SAMEORIGIN\r\n"     \
    "Referrer-Policy: same-origin\r\n"
/* Data, which loads nothing and runs nothing when a browser shows it. */
#define HEADERS_DATA "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"

#endif
