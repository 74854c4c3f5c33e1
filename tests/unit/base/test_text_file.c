/* test_text_file.c - texts as Windows, spreadsheets and editors write them are read as the same lines; what is no text
 * is told by what it is. */
#include "base/text_file.h"
#include "base/file_kind.h"
#include "scratch_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static effnet_error err;

static void reads(const char *bytes, size_t length, const char *wanted) {
    char *text;
    size_t size;
    if (text_of_bytes("NAME", bytes, length, &text, &size, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_int_equal(size, strlen(wanted));
    assert_string_equal(text, wanted);
    free(text);
}
#define READS(bytes, wanted) reads(bytes, sizeof bytes - 1, wanted)

static void refuses(const char *bytes, size_t length, const char *part) {
    char *text;
    size_t size;
    assert_int_equal(text_of_bytes("NAME", bytes, length, &text, &size, &err), EFFNET_ERROR_FORMAT);
    assert_null(text);
    if (!strstr(err.message, part)) fail_msg("'%s' is not in: %s", part, err.message);
}
#define REFUSES(bytes, part) refuses(bytes, sizeof bytes - 1, part)

static void encodings(void **state) {
    (void)state;
    READS("", "");
    READS("a\nb", "a\nb");
    READS("\xEF\xBB\xBF"
          "a\r\nb\rc\n",
          "a\nb\nc\n");
    READS("\xFF\xFE"
          "a\0\r\0\n\0\xe9\0\x3d\xd8\x00\xde", /* e acute, and a face beyond 16 bits */
          "a\n\xc3\xa9\xf0\x9f\x98\x80");
    READS("\xFE\xFF\0a\x20\xac", "a\xe2\x82\xac");
    READS("a\0b\0", "ab"); /* UTF-16 without a mark */
    READS("\0a\0b", "ab");
    READS("caf\xe9\n", "caf\xe9\n"); /* Latin-1: a file's name may have any bytes */
}

static void no_texts(void **state) {
    (void)state;
    REFUSES("\xFF\xFE"
            "a",
            "truncated");
    REFUSES("\xFF\xFE\x00\xd8x\0", "damaged");
    REFUSES("\xFF\xFE\0\0", "UTF-32");
    REFUSES("abc\0d", "zero byte");
    REFUSES("version https://git-lfs.github.com/spec/v1\noid", "git lfs pull");
    REFUSES("\n <!DOCTYPE html><html>", "HTML page");
    REFUSES("PK\3\4..........model/data.pkl", "PyTorch checkpoint");
    REFUSES("PK\3\4....", "zip archive");
    REFUSES("\x80\x04\x95", "pickle");
    REFUSES("\x1f\x8b\x08", "gzip");
    REFUSES("\xff\xd8\xff\xe0", "JPEG");
    assert_null(file_kind_of("model: x\n", 9));
    assert_null(file_kind_of("", 0));
    assert_null(file_kind_of("\x80", 1));
}

static void trimming_and_normalisation(void **state) {
    (void)state;
    char text[] = " \ta b\t ", blank[] = "  ", hint[300];
    assert_string_equal(text_trim(text), "a b");
    assert_string_equal(text_trim(blank), "");
    text_normalisation_hint("caf\xc3\xa9", "cafe\xcc\x81", hint, sizeof hint);
    assert_non_null(strstr(hint, "normalisation"));
    text_normalisation_hint("cafe", "caf\xc3\xa9", hint, sizeof hint);
    assert_string_equal(hint, "");
    text_normalisation_hint("same", "same", hint, sizeof hint);
    assert_string_equal(hint, "");
    text_normalisation_hint("caf\xe9", "caf\xc3\xa9", hint, sizeof hint); /* no UTF-8 */
    assert_string_equal(hint, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodings),
        cmocka_unit_test(no_texts),
        cmocka_unit_test(trimming_and_normalisation),
    };
    return cmocka_run_group_tests_name("text_file", tests, NULL, NULL);
}
