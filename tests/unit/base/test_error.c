/* Errors as values: status and one clean line, cut rather than overrun, and NULL where nobody asks. */
#include "base/error.h"

#include <string.h>

static effnet_status raise(effnet_error *err, effnet_status status, const char *text) {
    return fail(err, status, "%s", text); /* before cmocka.h, which has a macro fail() */
}

static effnet_status pass_on(effnet_error *err, effnet_status status) {
    TRY(raise(err, status, "inner"));
    return EFFNET_OK;
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_message(void **state) {
    (void)state;
    effnet_error err = {0};
    assert_int_equal(raise(&err, EFFNET_ERROR_IO, "plain"), EFFNET_ERROR_IO);
    assert_int_equal(err.status, EFFNET_ERROR_IO);
    assert_string_equal(err.message, "plain");
    assert_int_equal(raise(NULL, EFFNET_ERROR_MEMORY, "plain"), EFFNET_ERROR_MEMORY);
    /* names come from files and folders: no control character reaches the terminal; UTF-8 does */
    raise(&err, EFFNET_ERROR_IO, "a\nb\rc\033[31m\177\td \303\244");
    assert_string_equal(err.message, "a b c [31m  d \303\244");
}

static void test_within(void **state) {
    (void)state;
    effnet_error err = {0};
    raise(&err, EFFNET_ERROR_FORMAT, "inner");
    assert_int_equal(fail_within(&err, EFFNET_ERROR_IO, "outer %d", 3), EFFNET_ERROR_IO);
    assert_int_equal(err.status, EFFNET_ERROR_IO);
    assert_string_equal(err.message, "outer 3: inner");
    assert_int_equal(fail_within(NULL, EFFNET_ERROR_IO, "outer"), EFFNET_ERROR_IO);
}

static void test_long(void **state) {
    (void)state;
    effnet_error err;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    raise(&err, EFFNET_ERROR_IO, text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    fail_within(&err, EFFNET_ERROR_IO, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void test_try(void **state) {
    (void)state;
    effnet_error err = {0};
    assert_int_equal(pass_on(&err, EFFNET_ERROR_NUMERIC), EFFNET_ERROR_NUMERIC);
    assert_string_equal(err.message, "inner");
    assert_int_equal(pass_on(&err, EFFNET_OK), EFFNET_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_within),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
