/* test_base64.c - bytes as text: the examples of RFC 4648, section 10, every byte there and back, and what is no base64. */
#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void examples(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *text = base64_encode(pairs[i][0], strlen(pairs[i][0]));
        assert_non_null(text);
        assert_string_equal(text, pairs[i][1]);
        size_t size;
        uint8_t *bytes = base64_decode(text, &size);
        assert_non_null(bytes);
        assert_int_equal(size, strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], size);
        free(bytes);
        free(text);
    }
}

static void every_byte(void **state) {
    (void)state;
    uint8_t bytes[257];
    for (int i = 0; i < 257; i++) bytes[i] = (uint8_t)(i * 37);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        size_t back;
        char *text = base64_encode(bytes, size);
        uint8_t *same = base64_decode(text, &back);
        assert_non_null(same);
        assert_int_equal(back, size);
        assert_memory_equal(same, bytes, size);
        free(text);
        free(same);
    }
}

static void no_base64(void **state) {
    (void)state;
    static const char *const texts[] = {"Z", "Zg", "Zg=", "Zm9v!mE=", "====", "Z===", "Zg==Zg==", "Zm9v\nmE="};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t size;
        if (base64_decode(texts[i], &size)) fail_msg("'%s' was decoded", texts[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(examples), cmocka_unit_test(every_byte),
                                       cmocka_unit_test(no_base64)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
