/* The clock, the histogram, and what the measured server has used. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

histogram delivery_times, ack_times;

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

uint64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* Buckets of 128 ns up to 16 us, then 64 to each power of two: 1.6 % wide. */
void note_time(histogram *h, uint64_t ns)
{
    if (ns > h->most)
        h->most = ns;
    uint64_t value = ns >> 7;
    int power = 0;
    while (value >= 128) {
        value >>= 1;
        power++;
    }
    int bucket = power ? 64 + power * 64 + (int)(value - 64) : (int)value;
    if (bucket >= 64 * 64)
        bucket = 64 * 64 - 1;
    h->buckets[bucket]++;
    h->total++;
}

double quantile_ms(const histogram *h, double q)
{
    uint64_t wanted = h->total * q, seen = 0;
    for (int i = 0; i < 64 * 64; i++) {
        seen += h->buckets[i];
        if (seen <= wanted)
            continue;
        double value = i + .5;
        if (i >= 128) {
            int power = (i - 64) / 64;
            value = ((i - 64) % 64 + 64.5) * (double)(1ull << power);
        }
        return value * 128 / 1e6;
    }
    return h->most / 1e6;
}

static void each_pid(void (*look)(const char *pid, double *sum), double *sum)
{
    char list[256], *rest;
    snprintf(list, sizeof list, "%s", opt.pids);
    for (char *pid = strtok_r(list, ",", &rest); pid; pid = strtok_r(NULL, ",", &rest))
        look(pid, sum);
}

static bool read_file(const char *path, char *into, int room)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    int n = fread(into, 1, room - 1, f);
    fclose(f);
    into[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* Clock ticks of 10 ms: for kernels without schedstat. */
static void cpu_by_ticks(const char *pid, double *sum)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    if (!read_file(path, text, sizeof text))
        return;
    unsigned long user, kernel;
    char *after_name = strrchr(text, ')');
    if (after_name && sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) == 2)
        *sum += (user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

/* Nanoseconds on a core, of every thread that lives; servers here keep theirs. */
static void cpu_by_schedstat(const char *pid, double *sum)
{
    char path[320], text[128];
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return;
    bool any = false;
    struct dirent *task;
    while ((task = readdir(tasks))) {
        unsigned long long ns;
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%s/task/%s/schedstat", pid, task->d_name);
        if (read_file(path, text, sizeof text) && sscanf(text, "%llu", &ns) == 1) {
            *sum += ns / 1e9;
            any = true;
        }
    }
    closedir(tasks);
    if (!any)
        cpu_by_ticks(pid, sum);
}

double server_cpu(void)
{
    double sum = 0;
    each_pid(cpu_by_schedstat, &sum);
    return sum;
}

static void rss_of(const char *pid, double *sum)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%s/status", pid);
    if (!read_file(path, text, sizeof text))
        return;
    long kib;
    char *line = strstr(text, "VmRSS:");
    if (line && sscanf(line, "VmRSS: %ld", &kib) == 1)
        *sum += kib / 1024.0;
}

double server_rss(void)
{
    double sum = 0;
    each_pid(rss_of, &sum);
    return sum;
}

double own_cpu(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

uint64_t server_fsyncs(void)
{
    uint64_t counts[2] = {0};
    FILE *f = opt.fsyncs_file ? fopen(opt.fsyncs_file, "r") : NULL;
    if (!f)
        return 0;
    if (fread(counts, sizeof *counts, 2, f) != 2)
        counts[0] = counts[1] = 0;
    fclose(f);
    return counts[0] + counts[1];
}
