/*
 * vet.h - whether the head of a request is one that libwebsockets should see. What it cannot
 * read it drops without a word, and a web server in front would tell the client that the
 * service is down. Pure.
 */
#ifndef BROADCASTER_VET_H
#define BROADCASTER_VET_H

#include <stdbool.h>
#include <stddef.h>

/* What the library has room for, rounded down. */
#define VET_ARGS_MAX 32
#define VET_LINES_MAX 100
#define VET_PROTOCOL_MAX 126

/* VET_SLOW: it does not come (foyer.h). */
enum vet { VET_SOUND, VET_BAD, VET_LARGE, VET_SLOW };

/*
 * Judge the head s[0..len). VET_LARGE: it does not end, or has too many lines. VET_BAD: control
 * characters, %00 or too many parameters in its address; or it wants an upgrade and does not
 * ask for it as RFC 6455 (4.2.1) says, with one key of 16 bytes and without a body. Who may do
 * what is not judged (admission.h).
 */
enum vet vet_head(const char *s, size_t len);

/* Length of the line at `s`, its end included; *bare without that. */
size_t vet_line(const char *s, const char *end, size_t *bare);
/* Whether the line is the header `name` ("Name:"). */
bool vet_is_header(const char *line, size_t len, const char *name);

#endif
