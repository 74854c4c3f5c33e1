/* Safetensors: what the official library wrote is read, what we write is exact and always the same, and every
 * lie a file can tell about itself ends in a message that names file and tensor. */
#include "base/file.h"
#include "compare.h"
#include "format/safetensors.h"
#include "scratch_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

/* A file of header text and `data_bytes` zero bytes; claimed < 0: the header's true length. */
static const char *make_file(const char *header, long long claimed, size_t data_bytes) {
    size_t length = strlen(header), size = 8 + length + data_bytes;
    unsigned char *bytes = calloc(1, size);
    assert_non_null(bytes);
    uint64_t said = claimed < 0 ? length : (uint64_t)claimed;
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(said >> 8 * i);
    memcpy(bytes + 8, header, length);
    const char *path = scratch_path(&folder, "made.safetensors");
    scratch_write(path, bytes, size);
    free(bytes);
    return path;
}

static void expect_refused(const char *path, effnet_status status, const char *part) {
    Safetensors *file = (Safetensors *)1;
    effnet_error err = {0};
    effnet_status got = safetensors_open(path, &file, &err);
    if (got != status || !strstr(err.message, part) || !strstr(err.message, "'"))
        fail_msg("status %d (wanted %d), message \"%s\", wanted \"%s\" in it", got, status, err.message, part);
    assert_null(file);
    assert_string_not_equal(err.message, "");
    assert_int_not_equal(safetensors_open(path, &file, NULL), EFFNET_OK); /* err may be NULL */
}

static void check_read(const Safetensors *file, const char *name, const float *want, size_t count) {
    float got[16];
    effnet_error err = {0};
    int index = safetensors_find(file, name);
    assert_true(index >= 0);
    if (safetensors_read(file, index, got, count, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_true(compare_bits(name, got, want, count, NULL, 0));
}

static void test_official_file(void **state) {
    (void)state;
    Safetensors *file;
    effnet_error err = {0};
    const char *path = EFFNET_SOURCE_DIR "/tests/golden/safetensors_types.safetensors";
    if (safetensors_open(path, &file, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_int_equal(safetensors_count(file), 11);
    assert_string_equal(safetensors_metadata(file, "format"), "pt");
    assert_string_equal(safetensors_metadata(file, "note"), "\303\244\303\266\303\274 \"quoted\"");
    assert_null(safetensors_metadata(file, "nothing"));
    check_read(file, "f32", (float[]){0, -1, 1.5f, 3}, 4);
    check_read(file, "f16", (float[]){0, -1, 1.5f, 3, 0x1p-14f, 0x1p-24f, 65504, INFINITY}, 8);
    check_read(file, "bf16", (float[]){0, -1, 1.5f, 3}, 4);
    check_read(file, "f64", (float[]){0, -1, 1.5f, 3, INFINITY}, 5);
    check_read(file, "i64", (float[]){-3, 0x1p40f}, 2);
    check_read(file, "i32", (float[]){-3, 2147483648.0f}, 2);
    check_read(file, "u8", (float[]){0, 255}, 2);
    check_read(file, "scalar", (float[]){2.5f}, 1);
    check_read(file, "empty", (float[]){0}, 0);
    SafetensorsTensor bf16 = safetensors_tensor(file, safetensors_find(file, "bf16"));
    assert_int_equal(bf16.rank, 2);
    assert_int_equal(bf16.shape[1], 2);
    assert_int_equal(safetensors_tensor(file, safetensors_find(file, "scalar")).rank, 0);
    assert_int_equal(safetensors_find(file, "f3"), -1);

    float value[2];
    assert_int_equal(safetensors_read(file, safetensors_find(file, "bool"), value, 2, &err), EFFNET_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "'bool' is of type BOOL"));
    assert_int_equal(safetensors_read(file, safetensors_find(file, "u8"), value, 1, &err), EFFNET_ERROR_ARGUMENT);
    safetensors_close(file);
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Bit patterns survive, NaN payloads and denormals too; the order of the entries leaves no trace in the file.
 */
static void test_round_trip(void **state) {
    (void)state;
    float odd[6] = {float_of(0x7FC12345), float_of(0xFF800000), float_of(0x80000000), float_of(1), 1e38f, -0.1f};
    static float large[40000];
    for (int i = 0; i < 40000; i++) large[i] = (float)i * 0.37f - 5000;
    SafetensorsEntry entries[3] = {{"blocks.1.0.conv_pw.weight", 4, (int[]){200, 200, 1, 1}, large, 40000},
                                   {"bn1.bias", 2, (int[]){2, 3}, odd, 6},
                                   {"\303\251 \"\\", 0, NULL, odd, 1}};
    SafetensorsEntry reversed[3] = {entries[2], entries[1], entries[0]};
    const char *metadata[] = {"format", "pt", "labels", "[\"a\",\"b\\n\"]", NULL};
    effnet_error err = {0};
    const char *first = scratch_path(&folder, "first"), *second = scratch_path(&folder, "second");
    assert_int_equal(safetensors_write(first, entries, 3, metadata, &err), EFFNET_OK);
    assert_int_equal(safetensors_write(second, reversed, 3, metadata, &err), EFFNET_OK);
    char *bytes[2];
    size_t sizes[2];
    assert_int_equal(file_read(first, 1 << 20, &bytes[0], &sizes[0], &err), EFFNET_OK);
    assert_int_equal(file_read(second, 1 << 20, &bytes[1], &sizes[1], &err), EFFNET_OK);
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], sizes[0]);
    assert_int_equal((unsigned char)bytes[0][0] % 8, 0);  /* the data begins at a multiple of eight */
    assert_memory_equal(bytes[0] + sizes[0] - 4, odd, 4); /* and is little-endian: so are the machines we test on */
    free(bytes[0]);
    free(bytes[1]);

    Safetensors *file;
    assert_int_equal(safetensors_open(first, &file, &err), EFFNET_OK);
    assert_int_equal(safetensors_count(file), 3);
    assert_string_equal(safetensors_metadata(file, "labels"), "[\"a\",\"b\\n\"]");
    check_read(file, "bn1.bias", odd, 6);
    check_read(file, "\303\251 \"\\", odd, 1);
    static float back[40000];
    assert_int_equal(safetensors_read(file, safetensors_find(file, entries[0].name), back, 40000, &err), EFFNET_OK);
    assert_true(compare_bits("large", back, large, 40000, NULL, 0));
    safetensors_close(file);

    assert_int_equal(safetensors_write(first, NULL, 0, NULL, &err), EFFNET_OK); /* empty is allowed */
    assert_int_equal(safetensors_open(first, &file, &err), EFFNET_OK);
    assert_int_equal(safetensors_count(file), 0);
    safetensors_close(file);
}

static void test_write_refuses(void **state) {
    (void)state;
    float value[2] = {1, 2};
    effnet_error err = {0};
    const char *path = scratch_path(&folder, "refused");
    SafetensorsEntry twice[2] = {{"a", 1, (int[]){2}, value, 2}, {"a", 1, (int[]){2}, value, 2}};
    assert_int_equal(safetensors_write(path, twice, 2, NULL, &err), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "two tensors are called 'a'"));
    SafetensorsEntry wrong = {"a", 1, (int[]){3}, value, 2};
    assert_int_equal(safetensors_write(path, &wrong, 1, NULL, &err), EFFNET_ERROR_ARGUMENT);
    SafetensorsEntry reserved = {"__metadata__", 1, (int[]){2}, value, 2};
    assert_int_equal(safetensors_write(path, &reserved, 1, NULL, &err), EFFNET_ERROR_ARGUMENT);
    SafetensorsEntry latin = {"\344", 1, (int[]){2}, value, 2};
    assert_int_not_equal(safetensors_write(path, &latin, 1, NULL, &err), EFFNET_OK);
    assert_false(path_exists(path));
    assert_int_equal(safetensors_write("/nonexistent/x", twice, 1, NULL, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "/nonexistent/x"));
}

#define A(type, shape, from, to)                                                                                       \
    "\"a\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"
#define B(from, to) "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[" #from "," #to "]}"

static void test_lies(void **state) {
    (void)state;
    const effnet_status wrong = EFFNET_ERROR_FORMAT;
    /* the header's length */
    expect_refused(make_file("{}", 0, 0), wrong, "does not begin with '{'");
    expect_refused(make_file("{}", 3, 0), wrong, "says that its header has 3 bytes");
    expect_refused(make_file("{}", 0x7FFFFFFFFFFFFFFF, 0), wrong, "truncated");
    expect_refused(make_file("{}", (long long)1 << 40, 0), wrong, "truncated");
    expect_refused(make_file("{}", SAFETENSORS_MAX_HEADER + 1, SAFETENSORS_MAX_HEADER + 8), wrong, "at most");
    expect_refused(make_file("", -1, 0), wrong, "only 8 bytes");
    /* the JSON */
    expect_refused(make_file("[]", -1, 0), wrong, "does not begin with '{'");
    expect_refused(make_file("{\"a\":", -1, 0), wrong, "not valid JSON");
    expect_refused(make_file("{}{}", -1, 0), wrong, "not valid JSON");
    expect_refused(make_file("{\"a\\u0000b\":{}}", -1, 0), wrong, "not valid JSON");
    expect_refused(make_file("{\"\377\":{}}", -1, 0), wrong, "not valid JSON");
    expect_refused(make_file("{" B(0, 4) "," B(0, 4) "}", -1, 4), wrong, "duplicate");
    expect_refused(make_file("{\"__metadata__\":[]}", -1, 0), wrong, "__metadata__ is not");
    expect_refused(make_file("{\"__metadata__\":{\"k\":1}}", -1, 0), wrong, "'k' in __metadata__");
    /* one entry */
    expect_refused(make_file("{\"a\":3}", -1, 0), wrong, "'a' is not an object");
    expect_refused(make_file("{\"a\":{}}", -1, 0), wrong, "no \"dtype\"");
    expect_refused(make_file("{" A("F33", "[1]", 0, 4) "}", -1, 4), wrong, "of type 'F33'");
    expect_refused(make_file("{" A("F32", "4", 0, 4) "}", -1, 4), wrong, "no \"shape\"");
    expect_refused(make_file("{" A("F32", "[-1]", 0, 4) "}", -1, 4), wrong, "dimension 0");
    expect_refused(make_file("{" A("F32", "[1.0]", 0, 4) "}", -1, 4), wrong, "dimension 0");
    expect_refused(make_file("{" A("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", -1, 4), wrong, "9 dimensions");
    expect_refused(make_file("{" A("F32", "[4294967296,4294967296]", 0, 4) "}", -1, 4), wrong, "64 bits");
    expect_refused(make_file("{" A("F32", "[4611686018427387905]", 0, 4) "}", -1, 4), wrong, "elements of type F32");
    expect_refused(make_file("{" A("F32", "[99999999999999999999]", 0, 4) "}", -1, 4), wrong, "JSON");
    expect_refused(make_file("{" A("F32", "[2]", 0, 4) "}", -1, 4), wrong, "2 elements of type F32");
    expect_refused(make_file("{" A("F32", "[1]", 4, 0) "}", -1, 4), wrong, "data_offsets");
    expect_refused(make_file("{" A("F32", "[1]", -4, 0) "}", -1, 4), wrong, "data_offsets");
    expect_refused(make_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", -1, 4), wrong,
                   "data_offsets");
    expect_refused(make_file("{" A("F32", "[2]", 0, 8) "}", -1, 4), wrong, "the file has only 4: it is truncated");
    /* all entries together */
    expect_refused(make_file("{" A("F32", "[1]", 0, 4) "," B(8, 12) "}", -1, 12), wrong, "'b' begins at byte 8");
    expect_refused(make_file("{" A("F32", "[2]", 0, 8) "," B(4, 8) "}", -1, 8), wrong, "'b' begins at byte 4");
    expect_refused(make_file("{" A("F32", "[1]", 0, 4) "}", -1, 8), wrong, "the file goes on to 8");
    expect_refused(make_file("{" B(4, 8) "}", -1, 8), wrong, "'b' begins at byte 4");
    /* not files */
    expect_refused(folder.path, EFFNET_ERROR_IO, "a folder");
    expect_refused(scratch_path(&folder, "missing"), EFFNET_ERROR_IO, "No such file");
    expect_refused("/dev/zero", EFFNET_ERROR_IO, "a character device");
}

static void test_allowed_oddities(void **state) {
    (void)state;
    /* out of order in the header, unknown fields, padding, an empty tensor between two others */
    const char *header = "{" B(4, 8) ",\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]},"
                                     "\"a\":{\"dtype\":\"F32\",\"extra\":null,\"shape\":[1],"
                                     "\"data_offsets\":[0,4]},\"__metadata__\":{}}      ";
    Safetensors *file;
    effnet_error err = {0};
    if (safetensors_open(make_file(header, -1, 8), &file, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_int_equal(safetensors_count(file), 3);
    assert_string_equal(safetensors_tensor(file, 0).name, "a");
    safetensors_close(file);
}

/* Every prefix of a good file, and a file cut while it is open, is refused. */
static void test_truncated(void **state) {
    (void)state;
    float values[5] = {1, 2, 3, 4, 5};
    SafetensorsEntry entries[2] = {{"x", 1, (int[]){3}, values, 3}, {"y", 1, (int[]){2}, values, 2}};
    effnet_error err = {0};
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "whole"));
    assert_int_equal(safetensors_write(path, entries, 2, NULL, &err), EFFNET_OK);
    char *bytes;
    size_t size;
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size, &err), EFFNET_OK);
    for (size_t kept = 0; kept < size; kept++) {
        const char *cut = scratch_path(&folder, "cut");
        scratch_write(cut, bytes, kept);
        expect_refused(cut, EFFNET_ERROR_FORMAT, cut);
    }
    free(bytes);

    Safetensors *file;
    assert_int_equal(safetensors_open(path, &file, &err), EFFNET_OK);
    assert_int_equal(truncate(path, (off_t)size - 1), 0);
    assert_int_equal(safetensors_read(file, safetensors_find(file, "y"), values, 2, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "became shorter"));
    safetensors_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_official_file),    cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_write_refuses),    cmocka_unit_test(test_lies),
        cmocka_unit_test(test_allowed_oddities), cmocka_unit_test(test_truncated),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
