/* Files: read whole within a limit, written whole or not at all, even by a writer that is killed. */
#include "base/file.h"
#include "scratch_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

static effnet_error err;

static void check_content(const char *path, const char *want) {
    char *text;
    size_t size;
    if (file_read(path, 1 << 20, &text, &size, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_int_equal(size, strlen(want));
    assert_string_equal(text, want);
    free(text);
}

static void test_read(void **state) {
    (void)state;
    const char *path = scratch_path(&folder, "read");
    char *text;
    size_t size;
    scratch_write(path, "0123456789", 10);
    check_content(path, "0123456789");
    assert_int_equal(file_read(path, 10, &text, &size, &err), EFFNET_OK); /* exactly the limit */
    assert_int_equal(size, 10);
    assert_int_equal(text[10], 0);
    free(text);
    assert_int_equal(file_read(path, 9, &text, &size, &err), EFFNET_ERROR_FORMAT);
    assert_null(text);
    assert_non_null(strstr(err.message, "longer than the 9 bytes"));
    assert_int_equal(file_read(path, 0, &text, &size, &err), EFFNET_ERROR_FORMAT);
    scratch_write(path, "", 0);
    assert_int_equal(file_read(path, 0, &text, &size, &err), EFFNET_OK);
    assert_int_equal(size, 0);
    assert_int_equal(text[0], 0);
    free(text);
    /* a file that says it has 0 bytes and has more, read in growing steps */
    assert_int_equal(file_read("/proc/self/status", 1 << 20, &text, &size, &err), EFFNET_OK);
    assert_true(size > 100 && strlen(text) == size);
    free(text);
    assert_int_equal(file_read("/proc/self/status", 50, &text, &size, &err), EFFNET_ERROR_FORMAT);
    assert_int_equal(file_read(folder.path, 100, &text, &size, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "a folder"));
    assert_int_equal(file_read(scratch_path(&folder, "none"), 100, &text, &size, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "No such file"));
}

static void test_atomic(void **state) {
    (void)state;
    char path[300], temporary[320];
    snprintf(path, sizeof path, "%s/atomic", folder.path);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    AtomicFile file;
    scratch_write(temporary, "left by a killed writer", 23);
    assert_int_equal(atomic_file_open(&file, path, &err), EFFNET_OK);
    fputs("one", file.stream);
    assert_false(path_exists(path)); /* not before the commit */
    assert_int_equal(atomic_file_commit(&file, &err), EFFNET_OK);
    atomic_file_abort(&file); /* harmless after a commit */
    check_content(path, "one");
    assert_false(path_exists(temporary));

    assert_int_equal(atomic_file_open(&file, path, &err), EFFNET_OK);
    fputs("two", file.stream);
    atomic_file_abort(&file);
    check_content(path, "one");
    assert_false(path_exists(temporary));
    memset(&file, 0, sizeof file);
    atomic_file_abort(&file);

    assert_int_equal(atomic_file_open(&file, scratch_path(&folder, "no/such/folder"), &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "No such file"));
    char *longest = malloc(5001);
    memset(longest, 'x', 5000);
    longest[5000] = 0;
    assert_int_equal(atomic_file_open(&file, longest, &err), EFFNET_ERROR_ARGUMENT);
    assert_int_equal(folder_create(longest, &err), EFFNET_ERROR_ARGUMENT);
    free(longest);
    /* a folder comes to stand where the file should: rename fails, nothing of ours is left */
    snprintf(path, sizeof path, "%s/taken", folder.path);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    assert_int_equal(atomic_file_open(&file, path, &err), EFFNET_OK);
    assert_int_equal(folder_create(path, &err), EFFNET_OK);
    assert_int_equal(atomic_file_commit(&file, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "cannot rename"));
    assert_false(path_exists(temporary));
    assert_true(path_is_folder(path));
    /* one that is there, a pipe or a device is no place for a file: told at once */
    assert_int_equal(atomic_file_open(&file, path, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "a folder"));
    assert_int_equal(atomic_file_open(&file, "/dev/null", &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "a character device"));
}

/* A child writes "aaaa...", "bbbb...", ... over one file and is killed: what stands is one of them, whole. */
static void test_killed_writer(void **state) {
    (void)state;
    enum { SIZE = 200000, KILLS = 60 };
    char path[300];
    snprintf(path, sizeof path, "%s/killed", folder.path);
    char *text = malloc(SIZE + 1);
    assert_non_null(text);
    memset(text, 'a', SIZE);
    text[SIZE] = 0;
    scratch_write(path, text, SIZE);
    for (int i = 0; i < KILLS; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            for (int round = 0;; round++) {
                AtomicFile file;
                memset(text, 'a' + (i + round) % 26, SIZE);
                if (atomic_file_open(&file, path, NULL) != EFFNET_OK || fwrite(text, 1, SIZE, file.stream) != SIZE ||
                    atomic_file_commit(&file, NULL) != EFFNET_OK)
                    _exit(1);
            }
        usleep((useconds_t)(300 + 137 * i % 3000));
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        char *found;
        size_t size;
        assert_int_equal(file_read(path, SIZE, &found, &size, &err), EFFNET_OK);
        assert_int_equal(size, SIZE);
        for (size_t k = 1; k < size; k++)
            if (found[k] != found[0]) fail_msg("byte %zu is '%c', byte 0 '%c'", k, found[k], found[0]);
        free(found);
    }
    free(text);
}

static void test_folders(void **state) {
    (void)state;
    char path[400];
    snprintf(path, sizeof path, "%s/a/b//c/", folder.path);
    assert_int_equal(folder_create(path, &err), EFFNET_OK);
    assert_int_equal(folder_create(path, &err), EFFNET_OK); /* again */
    assert_true(path_is_folder(path));
    assert_int_equal(folder_sync(path, &err), EFFNET_OK);
    assert_int_equal(folder_create("", &err), EFFNET_ERROR_ARGUMENT);
    assert_int_equal(folder_create("/", &err), EFFNET_OK);
    snprintf(path, sizeof path, "%s/plain", folder.path);
    scratch_write(path, "x", 1);
    assert_true(path_exists(path) && !path_is_folder(path));
    assert_int_equal(folder_create(path, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "not a folder"));
    assert_int_equal(folder_sync(path, &err), EFFNET_ERROR_IO);
    strcat(path, "/below");
    assert_int_equal(folder_create(path, &err), EFFNET_ERROR_IO);
    assert_false(path_exists(path));
}

static void test_join(void **state) {
    (void)state;
    char out[8];
    assert_int_equal(path_join(out, sizeof out, "ab", "cd", &err), EFFNET_OK);
    assert_string_equal(out, "ab/cd");
    assert_int_equal(path_join(out, sizeof out, "ab/", "cd", &err), EFFNET_OK);
    assert_string_equal(out, "ab/cd");
    assert_int_equal(path_join(out, sizeof out, "/", "cd", &err), EFFNET_OK);
    assert_string_equal(out, "/cd");
    assert_int_equal(path_join(out, sizeof out, "abc", "def", &err), EFFNET_OK); /* 7 and the terminator */
    assert_int_equal(path_join(out, sizeof out, "abcd", "def", &err), EFFNET_ERROR_ARGUMENT);
}

static void refused(const char *path, const char *kind) {
    char *text;
    size_t size;
    alarm(20); /* a pipe that is waited for, a device that is read to the end of memory */
    assert_int_equal(file_read(path, 1 << 30, &text, &size, &err), EFFNET_ERROR_IO);
    alarm(0);
    assert_null(text);
    print_message("%s\n", err.message);
    if (!strstr(err.message, kind)) fail_msg("'%s' is not in: %s", kind, err.message);
}

/* What is no file is refused by its kind, at once. */
static void test_special_files(void **state) {
    (void)state;
    const char *pipe = scratch_path(&folder, "pipe.jpg"), *place = scratch_path(&folder, "socket.jpg");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    refused(pipe, "a named pipe");
    refused("/dev/zero", "a character device");
    refused(folder.path, "a folder");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", place);
    if (descriptor >= 0 && strlen(place) < sizeof address.sun_path &&
        bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0)
        refused(place, "a socket");
    close(descriptor);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),          cmocka_unit_test(test_special_files), cmocka_unit_test(test_atomic),
        cmocka_unit_test(test_killed_writer), cmocka_unit_test(test_folders),       cmocka_unit_test(test_join),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
