/* test_decode_gif_tiff.c - still GIFs and TIFFs give the pixels that Pillow 12 reads of the same files, which lie in
 * the fuzzer's corpus; animations, several pages and damage are refused; nothing is printed. */
#include "data/picture/decode.h"
#include "data/picture/decode_formats.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <cmocka.h>

#define CORPUS EFFNET_SOURCE_DIR "/tests/fuzz/corpus/picture/"

static void the_pixels_of_pillow(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t sum; /* CRC-32 of Image.open(name).convert("RGB").tobytes() */
    } files[] = {
        {"still.gif", 0x22868b6cu}, {"rows.gif", 0x14178181u}, {"rgb.tif", 0x3b739c97u},     {"lzw.tif", 0x3b739c97u},
        {"grey.tif", 0x3adfae7bu},  {"bit.tif", 0x1f90549au},  {"palette.tif", 0x32b44b3eu},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[600];
        Picture picture;
        effnet_error err = {0};
        snprintf(path, sizeof path, "%s%s", CORPUS, files[i].name);
        if (picture_read(path, &picture, &err) != EFFNET_OK) fail_msg("%s", err.message);
        assert_int_equal(picture.height, 11);
        assert_int_equal(picture.width, 13);
        uint32_t sum = (uint32_t)crc32_z(0, picture.pixels, 11 * 13 * 3);
        if (sum != files[i].sum) fail_msg("%s: the pixels' sum is %08x, wanted %08x", files[i].name, sum, files[i].sum);
        picture_free(&picture);
    }
}

static void refused(const char *bytes, size_t size, const char *part) {
    Picture picture;
    effnet_error err = {0};
    assert_true(picture_decode((const uint8_t *)bytes, size, "some.file", &picture, &err) != EFFNET_OK);
    print_message("%s\n", err.message);
    if (!strstr(err.message, part)) fail_msg("'%s' is not in: %s", part, err.message);
}

static void damage_is_told(void **state) {
    (void)state;
    static const struct {
        const char *name, *part;
    } files[] = {{"still.gif", "corrupt GIF"}, {"rgb.tif", "TIFF"}, {"lzw.tif", "TIFF"}, {"grey.tif", "TIFF"}};
    char *bytes;
    size_t size;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s%s", CORPUS, files[i].name);
        assert_int_equal(file_read(path, 1 << 20, &bytes, &size, NULL), EFFNET_OK);
        refused(bytes, size / 3, files[i].part); /* its end is missing */
        free(bytes);
    }
    assert_int_equal(file_read(CORPUS "animated.gif", 1 << 20, &bytes, &size, NULL), EFFNET_OK);
    refused(bytes, size, "animated GIF");
    free(bytes);
    refused("GIF89a", 6, "corrupt GIF");
    refused("GIF89a\xff\xff\xff\xff\0\0\0", 13, "some.file"); /* 65,535 x 65,535 pixels */
    refused("II*\0\x08\0\0\0\0\0\0\0\0\0", 14, "TIFF");
}

/* A few bytes that promise 14,080 x 14,080 pixels take no memory for them. */
static void a_promise_takes_no_memory(void **state) {
    (void)state;
    static const char files[][38] = {
        "GIF89a\0\x37\0\x37\0\0\0;",
        "GIF89a\0\x37\0\x37\0\0\0,\0\0\0\0\0\x37\0\x37\x80\0\0\0\xff\xff\xff\x08\x02\x01\x01\0;",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        Decoder decoder = {0};
        Picture picture;
        effnet_error err = {0};
        assert_int_equal(decode_gif(&decoder, (const uint8_t *)files[i], sizeof files[i], "some.gif", &picture, &err),
                         EFFNET_ERROR_FORMAT);
        assert_int_equal(decoder.pixel_capacity, 0);
        decoder_release(&decoder);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_pixels_of_pillow), cmocka_unit_test(damage_is_told),
                                       cmocka_unit_test(a_promise_takes_no_memory)};
    return cmocka_run_group_tests_name("decode_gif_tiff", tests, NULL, NULL);
}
