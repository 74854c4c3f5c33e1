/* Errors as values: status and one clean line, cut rather than overrun, and NULL where nobody asks. */
#include "base/error.h"

#include <stdio.h>
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

/* A long path must not push the reason out; the whole always fits. */
static void test_long(void **state) {
    (void)state;
    effnet_error err;
    static char text[9000];
    char path[4000], twice[4000];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = 0;
    memcpy(path, "/begin", 6);
    memcpy(path + sizeof path - 5, ".png", 4);
    snprintf(text, sizeof text, "cannot open '%s': No such file; put it there", path);
    raise(&err, EFFNET_ERROR_IO, text);
    assert_true(strlen(err.message) < sizeof err.message);
    assert_non_null(strstr(err.message, "cannot open '/begin"));
    assert_non_null(strstr(err.message, "..."));
    assert_non_null(strstr(err.message, ".png': No such file; put it there"));
    fail_within(&err, EFFNET_ERROR_IO, "%s", path);
    assert_non_null(strstr(err.message, ".png': No such file; put it there"));
    fail_further(&err, EFFNET_ERROR_IO, "; the last is '%s'", path);
    assert_non_null(strstr(err.message, ".png': No such file; put it there; the last is '/begin"));
    assert_true(strlen(err.message) < sizeof err.message);
    snprintf(twice, sizeof twice, "%.1800s", path);
    snprintf(text, sizeof text, "'%s' and '%s' are one file", path, twice);
    raise(&err, EFFNET_ERROR_IO, text);
    assert_non_null(strstr(err.message, "' and '/begin"));
    assert_non_null(strstr(err.message, "' are one file"));
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = i % 9 ? (i % 9 % 2 ? '\303' : '\244') : ' '; /* short words */
    text[sizeof text - 1] = 0;
    raise(&err, EFFNET_ERROR_IO, text);
    assert_true(strlen(err.message) < sizeof err.message && strlen(err.message) > sizeof err.message - 8);
    for (size_t i = 0; i + 2 < sizeof text; i++) text[i] = i % 2 ? '\244' : '\303'; /* one word of two bytes a letter */
    text[sizeof text - 2] = 0;
    raise(&err, EFFNET_ERROR_IO, text);
    const char *dots = strstr(err.message, "...");
    assert_non_null(dots);
    assert_true((dots - err.message) % 2 == 0 && (strlen(dots) - 3) % 2 == 0); /* no letter is cut in two */
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
