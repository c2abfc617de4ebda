/*
 * figures.c - latencies in a histogram, and what the processes of the server use.
 */
#include "wsload.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

/* Logarithmic, 64 steps per power of two: at most 1.6 % off, whatever the range. */
static uint64_t histogram[64 * 64];
static int64_t longest;
uint64_t deliveries, bytes_in;

void
latency_add(int64_t ns, size_t bytes)
{
    uint64_t v = ns < 0 ? 0 : (uint64_t)ns;
    if (ns > longest)
        longest = ns;
    int shift = v < 64 ? 0 : 57 - __builtin_clzll(v); /* v >> shift is 64..127 */
    histogram[(v >> shift) + (uint64_t)shift * 64]++;
    deliveries++;
    bytes_in += bytes;
}

double
latency_ms(double quantile)
{
    uint64_t want = (uint64_t)((double)deliveries * quantile), seen = 0;
    for (unsigned k = 0; k < sizeof histogram / sizeof *histogram; k++) {
        seen += histogram[k];
        if (seen > want)
            return (double)(k < 128 ? k : (k % 64 + 64ULL) << (k / 64 - 1)) / 1e6;
    }
    return (double)longest / 1e6;
}

/* The first number of schedstat is the time on a processor in ns; /proc/PID/stat counts in
 * ticks of 10 ms, which is more than many a run uses. */
static double
cpu_of(int pid)
{
    char name[320];
    unsigned long long ns, sum = 0;
    snprintf(name, sizeof name, "/proc/%d/task", pid);
    DIR *tasks = opendir(name);
    if (!tasks)
        return 0;
    for (struct dirent *d; (d = readdir(tasks)) != NULL;) {
        snprintf(name, sizeof name, "/proc/%d/task/%.20s/schedstat", pid, d->d_name);
        FILE *f = d->d_name[0] == '.' ? NULL : fopen(name, "r");
        if (f && fscanf(f, "%llu", &ns) == 1)
            sum += ns;
        if (f)
            fclose(f);
    }
    closedir(tasks);
    return (double)sum / 1e9;
}

static double
rss_of(int pid)
{
    char name[64];
    long pages = 0;
    snprintf(name, sizeof name, "/proc/%d/statm", pid);
    FILE *f = fopen(name, "r");
    if (f && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void
servers_look(struct servers *s)
{
    for (int k = 0; k < opt.pids; k++) {
        s->cpu[k] = cpu_of(opt.pid[k]);
        s->rss[k] = rss_of(opt.pid[k]);
    }
}
