/* Control groups of both versions as files of a made-up machine: the process's own group, those above it, a container's
 * view, none at all. */
#include "base/machine.h"

#include "base/file.h"
#include "scratch_folder.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

#define MIB (INT64_C(1) << 20)

static ScratchFolder folder;

static void put(const char *name, const char *text) {
    char path[600], parent[600];
    snprintf(path, sizeof path, "%s/%s", folder.path, name);
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = 0;
    effnet_error err;
    if (folder_create(parent, &err) != EFFNET_OK) fail_msg("%s", err.message);
    scratch_write(path, text, strlen(text));
}

static Machine look(void) {
    Machine machine;
    machine_look(folder.path, &machine);
    return machine;
}

static int set_up(void **state) {
    (void)state;
    folder = scratch_folder_create();
    put("proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\nMemAvailable:    4194304 kB\n");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    scratch_folder_remove(&folder);
    return 0;
}

static void test_no_groups(void **state) {
    (void)state;
    Machine machine = look();
    assert_int_equal(machine.processors, machine.allowed);
    assert_true(machine.quota == 0 && machine.memory_limit == 0);
    assert_int_equal(machine.memory, 8192 * MIB);
    assert_int_equal(machine.memory_free, 4096 * MIB);
}

static void test_version_2(void **state) {
    (void)state;
    put("proc/self/cgroup", "0::/kube/pod\n");
    put("sys/fs/cgroup/kube/pod/cpu.max", "50000 100000\n");
    put("sys/fs/cgroup/kube/pod/memory.max", "2147483648\n");
    put("sys/fs/cgroup/kube/pod/memory.current", "1073741824\n");
    put("sys/fs/cgroup/kube/pod/memory.stat", "anon 5\ninactive_file 268435456\n");
    Machine machine = look();
    assert_true(machine.quota == 0.5);
    assert_int_equal(machine.processors, 1);
    assert_int_equal(machine.memory, 2048 * MIB);
    assert_int_equal(machine.memory_free, (1024 + 256) * MIB);
    /* the group above is the tighter one */
    put("sys/fs/cgroup/kube/memory.max", "1073741824\n");
    put("sys/fs/cgroup/kube/memory.current", "1000000\n");
    put("sys/fs/cgroup/kube/cpu.max", "20000 100000\n");
    machine = look();
    assert_true(machine.quota == 0.2);
    assert_int_equal(machine.memory, 1024 * MIB);
    /* no limits */
    put("sys/fs/cgroup/kube/pod/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/kube/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/kube/pod/memory.max", "max\n");
    put("sys/fs/cgroup/kube/memory.max", "max\n");
    machine = look();
    assert_true(machine.quota == 0 && machine.memory_limit == 0);
    assert_int_equal(machine.processors, machine.allowed);
    /* inside of a container: its group is the mount's root, whatever /proc says */
    put("sys/fs/cgroup/cpu.max", "30000 100000\n");
    put("sys/fs/cgroup/memory.max", "536870912\n");
    put("proc/self/cgroup", "0::/host/path/unseen\n");
    machine = look();
    assert_true(machine.quota == 0.3);
    assert_int_equal(machine.memory, 512 * MIB);
    char text[200];
    machine_describe(&machine, text, sizeof text);
    if (!strstr(text, "processors: 1 of ") || !strstr(text, "(cgroup quota 0.3), memory: 0.5 GiB (limit 0.5 GiB"))
        fail_msg("%s", text);
}

static void test_version_1(void **state) {
    (void)state;
    put("proc/self/cgroup", "12:cpuset:/\n4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n1:name=systemd:/x\n");
    put("sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "70000\n");
    put("sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "3221225472\n");
    put("sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "1073741824\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    Machine machine = look();
    assert_true(machine.quota == 0.7);
    assert_int_equal(machine.processors, 1);
    assert_int_equal(machine.memory, 3072 * MIB);
    assert_int_equal(machine.memory_free, 2048 * MIB);
    put("sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
    machine = look();
    assert_true(machine.quota == 0 && machine.memory_limit == 0);
}

/* What the container's root shows where the group itself is out of sight; the soft limit; folders by all controllers. */
static void test_groups_elsewhere(void **state) {
    (void)state;
    put("proc/self/cgroup", "0::/../../other/pod\n");
    put("sys/fs/cgroup/cpu.max", "60000 100000\n");
    put("sys/fs/cgroup/memory.max", "max\n");
    put("sys/fs/cgroup/memory.high", "1073741824\n");
    put("sys/fs/cgroup/memory.current", "536870912\n");
    Machine machine = look();
    assert_true(machine.quota == 0.6);
    assert_int_equal(machine.memory, 1024 * MIB);
    assert_int_equal(machine.memory_free, 512 * MIB);
    put("proc/self/cgroup", "0::/..hidden\n"); /* a name like any other */
    put("sys/fs/cgroup/..hidden/cpu.max", "40000 100000\n");
    machine = look();
    assert_true(machine.quota == 0.4);
    put("proc/self/cgroup", "4:cpu,cpuacct:/job\n");
    put("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "90000\n");
    put("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
    machine = look();
    assert_true(machine.quota == 0.9);
}

/* Numbers that are none, files without an end, lines without a colon: as if nothing stood there. */
static void test_nonsense(void **state) {
    (void)state;
    put("proc/self/cgroup", "\n0\n0:\n::\n0::no-slash\n7:cpu\n0::/a\n");
    put("sys/fs/cgroup/a/cpu.max", "");
    put("sys/fs/cgroup/a/memory.max", "-5\n");
    put("sys/fs/cgroup/a/memory.high", "99999999999999999999999999\n");
    put("sys/fs/cgroup/cpu.max", "100000 0\n");
    put("sys/fs/cgroup/memory.max", "0\n");
    put("proc/self/limits", "Max address space\nMax data size unlimited unlimited bytes\n");
    put("proc/self/statm", "x\n");
    Machine machine = look();
    assert_true(machine.quota == 0 && machine.memory_limit == 0);
    assert_int_equal(machine.memory_free, 4096 * MIB);
}

static void test_process_limits(void **state) {
    (void)state;
    char pages[64];
    snprintf(pages, sizeof pages, "%lld 1 1 1 0 %lld 0\n", (long long)(512 * MIB / sysconf(_SC_PAGESIZE)),
             (long long)(256 * MIB / sysconf(_SC_PAGESIZE)));
    put("proc/self/statm", pages);
    put("proc/self/limits", "Limit                     Soft Limit           Hard Limit           Units     \n"
                            "Max data size             unlimited            unlimited            bytes     \n"
                            "Max address space         2147483648           unlimited            bytes     \n");
    Machine machine = look();
    assert_int_equal(machine.memory, 2048 * MIB);
    assert_int_equal(machine.memory_free, 1536 * MIB);
    put("proc/self/limits", "Max data size             1073741824            unlimited            bytes     \n");
    machine = look();
    assert_int_equal(machine.memory_free, 768 * MIB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_version_2, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_version_1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_groups_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_process_limits, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
