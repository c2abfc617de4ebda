/*
 * master.h - keeps FCGI_WORKERS worker processes on one socket.
 *
 * Workers are this program again (exec with --worker, socket on fd 0), so that after a
 * replacement of the file a HUP brings the new one in. One that leaves is replaced at once; one
 * that fails soon after its start is replaced with growing delay. One whose request takes
 * longer than FCGI_REQUEST_LIMIT_MS is killed.
 *
 *   HUP          replace the workers one by one, each after its successor accepts requests
 *   TERM, INT    stop: no new connections, requests in hand and in the backlog are answered
 *   again        stop now
 *
 * Workers die with the master (PR_SET_PDEATHSIG).
 */
#ifndef FCGI_MASTER_H
#define FCGI_MASTER_H

struct conf;

/* Run until stopped; returns the exit status. A listening socket on fd 0 is used, else one is
 * made as FCGI_LISTEN says. */
int master_run(const struct conf *conf);

#endif
