/* machine.c - see machine.h. */
#include "base/machine.h"

#include "base/number_text.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4200, GROUP_BYTES = 2048 };

/* One control file of one group: its first words as text. */
static bool read_text(const char *folder, const char *name, char *text, int size) {
    char path[PATH_BYTES];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) return false;
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool read = fgets(text, size, file) != NULL;
    fclose(file);
    return read;
}

static bool read_number(const char *folder, const char *name, int64_t *out) {
    char text[64], *end;
    if (!read_text(folder, name, text, sizeof text)) return false;
    long long value = strtoll(text, &end, 10); /* "max": no number */
    *out = value;
    return end != text;
}

static void take_quota(Machine *machine, double quota) {
    if (quota > 0 && (machine->quota == 0 || quota < machine->quota)) machine->quota = quota;
}

/* A limit with what is used of it. Version 1 writes "no limit" as a number near 2^63. */
static void take_memory(Machine *machine, int64_t limit, int64_t used, int64_t cache) {
    if (limit <= 0 || limit >= INT64_MAX / 2) return;
    if (machine->memory_limit == 0 || limit < machine->memory_limit) machine->memory_limit = limit;
    int64_t left = limit - used + cache;
    if (left < 0) left = 0;
    if (left < machine->memory_free) machine->memory_free = left;
}

/* Pages of files that the kernel drops where memory is wanted: a line of memory.stat. */
static int64_t file_cache(const char *folder, const char *key) {
    char path[PATH_BYTES], line[128];
    int64_t value = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/memory.stat", folder) >= sizeof path) return 0;
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    size_t length = strlen(key);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, length) == 0 && line[length] == ' ') value = strtoll(line + length, NULL, 10);
    fclose(file);
    return value;
}

/* What one group's files say; a group has those of one version only. */
static void look_at_group(const char *folder, Machine *machine) {
    char text[64];
    int64_t quota, period, limit, used = 0;
    long long first, second;
    if (read_text(folder, "cpu.max", text, sizeof text) && sscanf(text, "%lld %lld", &first, &second) == 2 &&
        second > 0)
        take_quota(machine, (double)first / (double)second);
    if (read_number(folder, "cpu.cfs_quota_us", &quota) && read_number(folder, "cpu.cfs_period_us", &period) &&
        period > 0)
        take_quota(machine, (double)quota / (double)period);
    /* Beyond memory.high nothing is killed, but everything stands still while the kernel looks for pages to take back. */
    static const char *const limits[] = {"memory.max", "memory.high"};
    for (int i = 0; i < 2; i++)
        if (read_number(folder, limits[i], &limit)) {
            read_number(folder, "memory.current", &used);
            take_memory(machine, limit, used, file_cache(folder, "inactive_file"));
        }
    if (read_number(folder, "memory.limit_in_bytes", &limit)) {
        read_number(folder, "memory.usage_in_bytes", &used);
        take_memory(machine, limit, used, file_cache(folder, "total_inactive_file"));
    }
}

/* The group and all above it, up to where the hierarchy is mounted. Inside of a container the path may be the host's,
 * of which nothing is to be seen: then the mount's root is the container's own group. */
static void look_upwards(const char *mount, char *group, Machine *machine) {
    char folder[PATH_BYTES];
    for (;;) {
        size_t length = strlen(group);
        while (length > 0 && group[length - 1] == '/') group[--length] = 0;
        if ((size_t)snprintf(folder, sizeof folder, "%s%s", mount, group) < sizeof folder)
            look_at_group(folder, machine);
        char *slash = strrchr(group, '/');
        if (!slash) return;
        *slash = 0;
    }
}

/* Is `name` one of the words between commas? */
static bool has_controller(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *word = list; word; word = strchr(word, ','), word = word ? word + 1 : NULL)
        if (strncmp(word, name, length) == 0 && (word[length] == 0 || word[length] == ',')) return true;
    return false;
}

/* Lines of /proc/self/cgroup: "0::/group" of version 2, "4:cpu,cpuacct:/group" of version 1. */
static void look_at_groups(const char *root, Machine *machine) {
    char path[PATH_BYTES], line[GROUP_BYTES], mount[PATH_BYTES];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        controllers++;
        *group++ = 0;
        if (strncmp(group, "/..", 3) == 0 && (group[3] == '/' || group[3] == 0))
            *group = 0; /* outside of what this process's namespace shows: the mount's root is all there is to see */
        static const char *const v1[] = {"cpu", "memory"};
        if (!*controllers) {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
            char copy[GROUP_BYTES];
            snprintf(copy, sizeof copy, "%s", group);
            look_upwards(mount, copy, machine);
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/unified", root);
            look_upwards(mount, group, machine);
            continue;
        }
        for (int i = 0; i < 2; i++) {
            if (!has_controller(controllers, v1[i])) continue;
            char copy[GROUP_BYTES];
            snprintf(copy, sizeof copy, "%s", group);
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/%s", root, v1[i]);
            look_upwards(mount, copy, machine);
            if (strcmp(controllers, v1[i]) == 0) continue;
            snprintf(copy, sizeof copy, "%s", group); /* "cpu,cpuacct", where no link "cpu" stands beside it */
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/%s", root, controllers);
            look_upwards(mount, copy, machine);
        }
    }
    fclose(file);
}

static void look_at_memory(const char *root, Machine *machine) {
    char path[PATH_BYTES], line[128];
    long long value;
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    FILE *file = fopen(path, "re");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemTotal: %lld kB", &value) == 1) machine->memory = value * 1024;
        if (sscanf(line, "MemAvailable: %lld kB", &value) == 1) machine->memory_free = value * 1024;
    }
    fclose(file);
}

/* Limits of this process (ulimit -v, ulimit -d, which batch systems set for the memory that was asked for), with what
 * it has of them: /proc/self/limits and the pages of /proc/self/statm, "size resident shared text lib data dt". */
static void look_at_limits(const char *root, Machine *machine) {
    char path[PATH_BYTES], line[256], folder[PATH_BYTES];
    long long size = 0, data = 0, limit;
    snprintf(folder, sizeof folder, "%s/proc/self", root);
    if (!read_text(folder, "statm", line, sizeof line) || sscanf(line, "%lld %*d %*d %*d %*d %lld", &size, &data) != 2)
        size = data = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/limits", folder) >= sizeof path) return;
    FILE *file = fopen(path, "re");
    if (!file) return;
    const int64_t page = sysconf(_SC_PAGESIZE);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "Max address space %lld", &limit) == 1) take_memory(machine, limit, size * page, 0);
        if (sscanf(line, "Max data size %lld", &limit) == 1) take_memory(machine, limit, data * page, 0);
    }
    fclose(file);
}

/* The kernel refuses a set that is smaller than its own, which on the largest machines has more than 1,024 places. */
static int allowed_processors(void) {
    for (int places = CPU_SETSIZE; places <= CPU_SETSIZE << 8; places *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)places);
        const size_t size = CPU_ALLOC_SIZE((size_t)places);
        if (!set) return 1;
        const int failed = sched_getaffinity(0, size, set) == 0 ? 0 : errno;
        const int count = failed ? 0 : CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (!failed) return count > 0 ? count : 1;
        if (failed != EINVAL) return 1;
    }
    return 1;
}

void machine_look(const char *root, Machine *out) {
    *out = (Machine){.allowed = allowed_processors()};
    look_at_memory(root, out);
    if (out->memory == 0) out->memory_free = INT64_MAX; /* nothing is known: the groups may say more */
    look_at_groups(root, out);
    look_at_limits(root, out);
    if (out->memory_limit && (out->memory == 0 || out->memory_limit < out->memory)) out->memory = out->memory_limit;
    if (out->memory == 0) out->memory_free = 0;
    out->processors = out->allowed;
    /* A quota of 1.5 keeps two threads busy three quarters of the time; one would leave a third unused. */
    int quota = out->quota > 0 && out->quota < INT_MAX / 2 ? (int)(out->quota + 0.999) : 0;
    if (quota > 0 && quota < out->processors) out->processors = quota;
}

void machine_here(Machine *out) {
    machine_look("", out);
}

void machine_describe(const Machine *machine, char *buffer, size_t size) {
    const double gib = 1 << 30;
    char quota[60] = "", limit[60] = "";
    if (machine->quota > 0) number_print(quota, sizeof quota, " (cgroup quota %.3g)", machine->quota);
    if (machine->memory_limit)
        number_print(limit, sizeof limit, "limit %.3g GiB, ", (double)machine->memory_limit / gib);
    number_print(buffer, size, "processors: %d of %d%s, memory: %.3g GiB (%s%.3g GiB free)", machine->processors,
                 machine->allowed, quota, (double)machine->memory / gib, limit, (double)machine->memory_free / gib);
}
