/*
 * echo - the ceiling of every FastCGI program: reads the request, answers a constant, does
 * nothing else. Started like our workers, by a web server's socket on fd 0: `echo SOCKET
 * WORKERS`.
 */
#include <fcgiapp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void
work(int listening)
{
    FCGX_Request r;
    FCGX_InitRequest(&r, listening, 0);
    while (FCGX_Accept_r(&r) == 0) {
        char body[65536];
        while (FCGX_GetStr(body, sizeof body, r.in) > 0) {
        }
        FCGX_FPrintF(
            r.out,
            "Content-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"data\":{}}\n");
        FCGX_Finish_r(&r);
    }
}

int
main(int argc, char **argv)
{
    if (argc != 3 || FCGX_Init() != 0)
        return 2;
    int listening = FCGX_OpenSocket(argv[1], 1024);
    if (listening < 0 || chmod(argv[1], 0666) != 0)
        return 1;
    for (int k = atoi(argv[2]); k > 0; k--) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            work(listening);
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {
    }
    return 0;
}
