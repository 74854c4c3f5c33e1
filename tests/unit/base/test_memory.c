/* Blocks: zeroed, aligned, and refused by a message where the size overflows or no machine has so much. */
#include "base/memory.h"
#include "huge_allocations.h"

#include <string.h>
#include <sys/resource.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

static void test_allocate(void **state) {
    (void)state;
    static const size_t counts[] = {0, 1, 63, 64, 65, 1000, (2 << 20) + 1, 9 << 20};
    effnet_error err = {0};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        for (size_t size = 1; size <= 4; size += 3) {
            void *block;
            assert_int_equal(memory_allocate(counts[i], size, "a test", &block, &err), EFFNET_OK);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % MEMORY_ALIGNMENT, 0);
            const unsigned char *bytes = block;
            for (size_t k = 0; k < counts[i] * size; k++)
                if (bytes[k] != 0) fail_msg("byte %zu of %zu is %d", k, counts[i] * size, bytes[k]);
            memset(block, 0xFF, counts[i] * size);
            memory_free(block);
        }
    memory_free(NULL);
}

/* Pages that nobody has written take no memory: the large block is far larger than what is touched of it. */
static void test_untouched(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their own allocator gives the block */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    skip();
#endif
#endif
    enum { MB = 1 << 20 };
    effnet_error err = {0};
    struct rusage before, after;
    void *block;
    getrusage(RUSAGE_SELF, &before);
    assert_int_equal(memory_allocate(200, MB, "a test", &block, &err), EFFNET_OK);
    char *bytes = block;
    bytes[0] = bytes[100 * MB] = bytes[200 * MB - 1] = 1;
    getrusage(RUSAGE_SELF, &after);
    memory_free(block);
    if (!(after.ru_maxrss - before.ru_maxrss < 50 * 1024))
        fail_msg("%ld kB for three bytes", after.ru_maxrss - before.ru_maxrss);
}

static void test_refused(void **state) {
    (void)state;
    effnet_error err = {0};
    void *block = &err;
    assert_int_equal(memory_allocate(SIZE_MAX / 2, 4, "the arena", &block, &err), EFFNET_ERROR_MEMORY);
    assert_null(block);
    assert_non_null(strstr(err.message, "the arena overflows"));
    assert_int_equal(memory_allocate(SIZE_MAX - 100, 1, "the arena", &block, &err), EFFNET_ERROR_MEMORY);
    assert_int_equal(memory_allocate((size_t)1 << 60, 1, "the arena", &block, &err), EFFNET_ERROR_MEMORY);
    assert_null(block);
    assert_non_null(strstr(err.message, "no memory for the arena"));
    assert_int_equal(memory_allocate((size_t)1 << 60, 1, "the arena", &block, NULL), EFFNET_ERROR_MEMORY);
}

static void test_sizes(void **state) {
    (void)state;
    size_t result;
    assert_true(size_multiply(SIZE_MAX / 3, 3, &result));
    assert_int_equal(result, SIZE_MAX / 3 * 3);
    assert_false(size_multiply(SIZE_MAX / 3 + 1, 3, &result));
    assert_true(size_multiply(0, SIZE_MAX, &result));
    assert_int_equal(result, 0);
    assert_true(size_add(SIZE_MAX - 1, 1, &result));
    assert_false(size_add(SIZE_MAX, 1, &result));
    assert_int_equal(round_up(0, 64), 0);
    assert_int_equal(round_up(1, 64), 64);
    assert_int_equal(round_up(64, 64), 64);
    assert_int_equal(round_up(65, 48), 96);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocate),
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
