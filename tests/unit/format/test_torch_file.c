/* Files of torch.save: what PyTorch wrote (tests/golden/make_torch_files.py) is read to the bit in both of its forms, any
 * byte order and any strides; the right weights are taken out of a trainer's checkpoint; nothing is executed; and every
 * damaged or lying file ends in a message that names it. */
#include "base/file.h"
#include "compare.h"
#include "format/torch_file.h"
#include "scratch_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

#define GOLDEN EFFNET_SOURCE_DIR "/tests/golden/torch/"

static Safetensors *open_file(const char *path) {
    Safetensors *file;
    effnet_error err = {0};
    if (weight_file_open(path, &file, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return file;
}

static void check(const Safetensors *file, const char *name, int rank, const int *shape, const float *want) {
    float got[64];
    effnet_error err = {0};
    int index = safetensors_find(file, name);
    if (index < 0) fail_msg("%s: no tensor %s", safetensors_path(file), name);
    SafetensorsTensor tensor = safetensors_tensor(file, index);
    assert_int_equal(tensor.rank, rank);
    for (int d = 0; d < rank; d++) assert_int_equal(tensor.shape[d], shape[d]);
    assert_true(tensor.count <= 64);
    if (safetensors_read(file, index, got, tensor.count, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_true(compare_bits(name, got, want, tensor.count, NULL, 0));
    for (size_t i = 0; i < tensor.count; i++) { /* each by itself, too */
        float one;
        assert_int_equal(safetensors_read_part(file, index, i, &one, 1, &err), EFFNET_OK);
        assert_true(compare_bits(name, &one, &want[i], 1, NULL, 0));
    }
}

/* begin, begin + step, ... */
static const float *line(float begin, float step, int count) {
    static float values[64];
    for (int i = 0; i < count; i++) values[i] = begin + step * (float)i;
    return values;
}

static void check_types(const char *path) {
    Safetensors *file = open_file(path);
    float values[64];
    effnet_error err = {0};
    assert_int_equal(safetensors_count(file), 17);
    for (int i = 1; i < safetensors_count(file); i++)
        assert_true(strcmp(safetensors_tensor(file, i - 1).name, safetensors_tensor(file, i).name) < 0);
    const char *const floats[] = {"f32", "f16", "bf16", "f64"};
    for (int i = 0; i < 4; i++) check(file, floats[i], 2, (int[]){2, 3}, line(0, 0.25f, 6));
    check(file, "i64", 1, (int[]){6}, line(-2, 1, 6));
    check(file, "i32", 1, (int[]){6}, line(-2, 1, 6));
    check(file, "u8", 1, (int[]){6}, line(250, 1, 6));
    check(file, "scalar", 0, NULL, line(7, 0, 1));
    check(file, "empty", 2, (int[]){0, 3}, line(0, 0, 0));
    check(file, "row", 1, (int[]){6}, line(3, 0.25f, 6));       /* [2] of (4, 6) */
    check(file, "column", 1, (int[]){4}, line(0.25f, 1.5f, 4)); /* [:, 1] */
    check(file, "parameter", 2, (int[]){2, 2}, line(5, 0.25f, 4));
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 3; c++) values[3 * r + c] = 0.25f * (float)(4 * c + r);
    check(file, "turned", 2, (int[]){4, 3}, values);
    check(file, "channels_last", 4, (int[]){2, 3, 2, 2}, line(0, 0.25f, 24));
    for (int i = 0; i < 12; i++) values[i] = 0.25f * (float)(i / 4);
    check(file, "expanded", 2, (int[]){3, 4}, values);
    for (int i = 0; i < 6; i++) values[i] = 0.25f * (float)(6 * (1 + i / 3) + 2 + i % 3);
    check(file, "half_of", 2, (int[]){2, 3}, values);
    int flags = safetensors_find(file, "flags");
    assert_int_equal(safetensors_read(file, flags, values, 2, &err), EFFNET_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "BOOL"));
    assert_int_equal(safetensors_verify(file, &err), EFFNET_OK);
    assert_null(safetensors_metadata(file, "torch.taken"));
    safetensors_close(file);
}

static void test_types(void **state) {
    (void)state;
    check_types(GOLDEN "types.pth");
    check_types(GOLDEN "types_protocol4.pth");
    check_types(GOLDEN "types_big_endian.pth"); /* compressed, too */
    check_types(GOLDEN "types_old.pth");
}

/* ---- which weights ---- */

static void test_checkpoint(void **state) {
    (void)state;
    Safetensors *file = open_file(GOLDEN "timm.pth.tar");
    assert_int_equal(safetensors_count(file), 1);
    check(file, "module.conv_stem.weight", 2, (int[]){2, 3}, line(8, 0.25f, 6));
    assert_string_equal(safetensors_metadata(file, "torch.taken"),
                        "taken: 'state_dict_ema', the averaged weights; left: state_dict");
    assert_string_equal(safetensors_metadata(file, "config"),
                        "{\"architecture\":\"tf_efficientnet_b0\",\"pretrained_cfg\":{\"mean\":[0.5,0.5,0.5],"
                        "\"input_size\":[3,160,160],\"tag\":\"in1k\"}}");
    safetensors_close(file);
}

static void test_module(void **state) {
    (void)state;
    Safetensors *file = open_file(GOLDEN "module.pth");
    assert_int_equal(safetensors_count(file), 6);
    check(file, "conv_stem.weight", 4, (int[]){2, 1, 1, 1}, line(3, 0.25f, 2));
    check(file, "bn1.running_var", 1, (int[]){2}, line(1, 0, 2));
    check(file, "bn1.num_batches_tracked", 0, NULL, line(0, 0, 1));
    safetensors_close(file);
}

static void test_nothing_runs(void **state) {
    (void)state;
    Safetensors *file = open_file(GOLDEN "command.pth");
    check(file, "conv_stem.weight", 2, (int[]){2, 3}, line(0, 0.25f, 6));
    safetensors_close(file);
    assert_false(path_exists("ran-from-a-pickle"));
}

/* ---- files that are not what they should be ---- */

static void expect_refused(const char *path, effnet_status status, const char *part) {
    Safetensors *file = (Safetensors *)1;
    effnet_error err = {0};
    effnet_status got = torch_file_open(path, &file, &err);
    if (got != status || !strstr(err.message, part) || !strstr(err.message, "'"))
        fail_msg("status %d (wanted %d), message \"%s\", wanted \"%s\" in it", got, status, err.message, part);
    assert_null(file);
    assert_int_not_equal(torch_file_open(path, &file, NULL), EFFNET_OK); /* err may be NULL */
}

static void test_refused(void **state) {
    (void)state;
    expect_refused(GOLDEN "strange.pth", EFFNET_ERROR_FORMAT, "alpha (a dict), epoch (an int)");
    expect_refused(GOLDEN "program.pt", EFFNET_ERROR_UNSUPPORTED, "TorchScript");
    expect_refused(GOLDEN "nothing.pth", EFFNET_ERROR_IO, "nothing.pth");
    expect_refused(EFFNET_SOURCE_DIR, EFFNET_ERROR_IO, "folder");
}

/* A file of the old form: its four pickles, the checkpoint's given, and what comes after. */
static const char *make_old(const char *name, const char *pickle, size_t size, const char *after, size_t after_size) {
    static const char begin[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    char bytes[4096];
    size_t used = sizeof begin - 1;
    assert_true(used + size + after_size <= sizeof bytes);
    memcpy(bytes, begin, used);
    memcpy(bytes + used, pickle, size);
    memcpy(bytes + used + size, after, after_size);
    const char *path = scratch_path(&folder, name);
    scratch_write(path, bytes, used + size + after_size);
    return path;
}

#define OLD(pickle, after) make_old("old.pth", pickle, sizeof pickle - 1, after, sizeof after - 1)
/* {"w": a tensor of the storage "0" of ELEMENTS floats with OFFSET, SIZE and STRIDES} */
#define TENSOR(elements, offset, size, strides)                                                                        \
    "\x80\x02}X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(("                                                         \
    "X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                                                  \
    "0X\3\0\0\0cpu" elements "NtQ" offset size strides "\x89}tRs."
#define KEYS                                                                                                           \
    "\x80\x02]X\1\0\0\0"                                                                                               \
    "0a."

static void test_lies(void **state) {
    (void)state;
    static const char two[] = KEYS "\2\0\0\0\0\0\0\0"
                                   "\0\0\x80\x3f\0\0\0\x40";
    Safetensors *file = open_file(OLD(TENSOR("K\2", "K\0", "K\2\x85", "K\1\x85"), two));
    check(file, "w", 1, (int[]){2}, line(1, 1, 2));
    safetensors_close(file);
    file = open_file(OLD(TENSOR("K\2", "K\1", "K\2\x85", "K\0\x85"), two)); /* one element, twice */
    check(file, "w", 1, (int[]){2}, line(2, 0, 2));
    safetensors_close(file);

    expect_refused(OLD(TENSOR("K\2", "K\1", "K\2\x85", "K\1\x85"), two), EFFNET_ERROR_FORMAT,
                   "tensor 'w' reaches element 2 of its storage '0', which has 2");
    expect_refused(OLD(TENSOR("K\2", "K\0", "K\2\x85", "J\xff\xff\xff\xff\x85"), two), EFFNET_ERROR_FORMAT,
                   "at least 0");
    expect_refused(OLD(TENSOR("K\2", "J\xff\xff\xff\xff", "K\2\x85", "K\1\x85"), two), EFFNET_ERROR_FORMAT, "offset");
    expect_refused(OLD(TENSOR("K\2", "K\0", "K\2\x85", "K\1K\1\x86"), two), EFFNET_ERROR_FORMAT, "strides");
    expect_refused(OLD(TENSOR("K\2", "K\0", "K\2\x85", "\x8a\x08\0\0\0\0\0\0\0\x7f\x85"), two), EFFNET_ERROR_FORMAT,
                   "reaches element");
    expect_refused(
        OLD(TENSOR("K\2", "K\0", "\x8a\x08\0\0\0\0\0\0\0\x7f\x8a\x08\0\0\0\0\0\0\0\x7f\x86", "K\0K\0\x86"), two),
        EFFNET_ERROR_FORMAT, "more than 64 bits");
    expect_refused(OLD(TENSOR("\x8a\x08\0\0\0\0\0\0\0\x7f", "K\0", "K\2\x85", "K\1\x85"), two), EFFNET_ERROR_FORMAT,
                   "more bytes than a file can");
    expect_refused(OLD(TENSOR("K\3", "K\2", "K\1\x85", "K\1\x85"), two), EFFNET_ERROR_FORMAT,
                   "has 8 bytes and its tensors need 12");
    static const char huge[] = KEYS "\2\0\0\0\0\0\0\x20"
                                    "\0\0\x80\x3f\0\0\0\x40";
    expect_refused(OLD(TENSOR("K\2", "K\0", "K\2\x85", "K\1\x85"), huge), EFFNET_ERROR_FORMAT, "truncated");
    static const char short_of[] = KEYS "\2\0\0\0\0\0\0\0"
                                        "\0\0\x80\x3f";
    expect_refused(OLD(TENSOR("K\2", "K\0", "K\2\x85", "K\1\x85"), short_of), EFFNET_ERROR_FORMAT, "truncated");
    expect_refused(OLD("\x80\x02]K\1a.", KEYS), EFFNET_ERROR_FORMAT, "it holds a list");

    file = open_file(OLD(TENSOR("K\2", "K\0", "K\2\x85", "K\1\x85"), "\x80\x02].")); /* no storage at all */
    float values[2];
    effnet_error err = {0};
    assert_int_equal(safetensors_read(file, 0, values, 2, &err), EFFNET_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "no storage '0'"));
    safetensors_close(file);
}

/* Pickles that would harm a machine that believes them. */
static void test_hostile_pickles(void **state) {
    (void)state;
#define PICKLE(text, part) expect_refused(OLD("\x80\x02" text, ""), EFFNET_ERROR_FORMAT, part)
    PICKLE("", "without its last opcode");
    PICKLE(".", "takes a value where there is none");
    PICKLE("(.", "takes a value where there is none");  /* none above the mark */
    PICKLE("(0.", "takes a value where there is none"); /* the mark is taken */
    PICKLE("t.", "asks for a mark");
    PICKLE("h\1.", "it has not kept");
    PICKLE("Nr\xff\xff\xff\xff.", "memo");
    PICKLE("X\xff\xff\xff\x7f"
           "abc.",
           "longer than what is left");
    PICKLE("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
           "abc.",
           "longer than what is left");
    PICKLE("(NNNd.", "a key without a value");
    PICKLE("NNs.", "takes a value");
    PICKLE("NNNs.", "no list, set or dict");
    PICKLE("K\1NR", "without its last opcode");
    PICKLE("cos", "a name has no end");
    PICKLE("NN\x93.", "a name is no text");
    PICKLE("I1\n.", "not read");
    PICKLE("\x80\x01N.", "protocols 2 to 5");
    PICKLE("\x97.", "not read");
#undef PICKLE
    /* a dict that contains itself, under a key that is looked into */
    expect_refused(OLD("\x80\x02}q\0X\5\0\0\0modelh\0s.", "\x80\x02]."), EFFNET_ERROR_FORMAT, "has no weights");
    /* a module that is its own child */
    expect_refused(OLD("\x80\x02"
                       "cx\nY\n)\x81q\0}X\x08\0\0\0_modules}X\1\0\0\0ah\0ssb.",
                       "\x80\x02]."),
                   EFFNET_ERROR_FORMAT, "within itself");
    expect_refused(make_old("old.pth", "", 0, "", 0), EFFNET_ERROR_FORMAT, "old.pth");
}

/* The file with one byte changed, and cut off at each of its bytes: refused, or read without harm; values that are read
 * are those that were written, for a zip archive has checksums. */
static void test_damaged(void **state) {
    (void)state;
    char *bytes;
    size_t size;
    int read = 0, refused = 0;
    effnet_error err = {0};
    assert_int_equal(file_read(GOLDEN "timm.pth.tar", 1 << 20, &bytes, &size, &err), EFFNET_OK);
    const char *path = scratch_path(&folder, "damaged.pth");
    char kept[512];
    snprintf(kept, sizeof kept, "%s", path);
    for (size_t i = 0; i < 2 * size; i++) {
        Safetensors *file;
        bytes[i % size] = (char)(bytes[i % size] ^ (i < size ? 0x20 : 0));
        scratch_write(kept, bytes, i < size ? size : i - size);
        bytes[i % size] = (char)(bytes[i % size] ^ (i < size ? 0x20 : 0));
        err.message[0] = 0;
        effnet_status status = torch_file_open(kept, &file, &err);
        for (int t = 0; status == EFFNET_OK && t < safetensors_count(file); t++) {
            float values[6];
            SafetensorsTensor tensor = safetensors_tensor(file, t);
            if (tensor.count != 6) continue;
            status = safetensors_read(file, t, values, 6, &err);
            if (status == EFFNET_OK && strcmp(tensor.name, "module.conv_stem.weight") == 0 && tensor.shape[0] == 2)
                assert_true(compare_bits(tensor.name, values, line(8, 0.25f, 6), 6, NULL, 0));
        }
        safetensors_close(file);
        if (status == EFFNET_OK)
            read++;
        else {
            refused++;
            assert_non_null(strstr(err.message, "'"));
        }
    }
    free(bytes);
    assert_true(refused > (int)size); /* all that were cut off, and more */
    assert_true(read > 0);            /* a byte of padding does not matter */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),           cmocka_unit_test(test_checkpoint), cmocka_unit_test(test_module),
        cmocka_unit_test(test_nothing_runs),    cmocka_unit_test(test_refused),    cmocka_unit_test(test_lies),
        cmocka_unit_test(test_hostile_pickles), cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
