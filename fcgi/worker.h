/*
 * worker.h - one process that answers requests, one after the other.
 *
 * What a switch costs here: two round trips to Redis (load with limits and TIME; commit), no
 * other one ever. System calls beside those of the two: epoll_pwait, accept, poll, read, write,
 * close for the FastCGI connection, a look for signals, one write for the access line.
 * Memory: the arena and all buffers are kept between requests; what is allocated anew is
 * libfcgi's streams and parameters, the body's json-c objects, hiredis's replies, and the
 * session's participants.
 *
 * Signals: TERM and USR1 (what multiwatch sends) say "leave". They are blocked but while the
 * worker waits for a connection, so they never cut a request: with libfcgi a signal
 * during the body would end the body early. Below a master the worker then leaves after the
 * request in hand, since its siblings go on; when the service ends, or without a master, it
 * first serves what waits in the backlog, for at most DRAIN_SECONDS, because closing
 * the socket would reset those connections.
 */
#ifndef FCGI_WORKER_H
#define FCGI_WORKER_H

struct conf;
struct slot_page;

/* Serve the listening socket on fd 0 until told to leave or FCGI_MAX_REQUESTS (+-10 %) are
 * done. `page` (NULL: no master) and `index` name the slot. Returns the exit status. */
int worker_run(const struct conf *conf, struct slot_page *page, int index);

/* Answer the one request of this process's environment: plain CGI. */
int worker_run_cgi(const struct conf *conf);

#endif
