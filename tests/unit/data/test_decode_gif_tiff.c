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

/* ---- samples as they are stored ---- */

static size_t put(uint8_t *bytes, size_t at, uint32_t value, int size) {
    for (int i = 0; i < size; i++) bytes[at + (size_t)i] = (uint8_t)(value >> 8 * i);
    return at + (size_t)size;
}

static size_t put_entry(uint8_t *bytes, size_t at, uint32_t tag, uint32_t type, uint32_t count, uint32_t value) {
    at = put(bytes, at, tag, 2);
    at = put(bytes, at, type, 2);
    at = put(bytes, at, count, 4);
    return put(bytes, at, value, 4);
}

enum { ROWS = 5, COLUMNS = 4, MOST = 16, FILE_SIZE = 2000 };

static uint8_t sample(int pixel, int channel) {
    return (uint8_t)(7 * pixel + 31 * channel + 1);
}

/* A TIFF (TIFF 6.0) of ROWS x COLUMNS pixels, grey with extra samples, not compressed: the samples of a pixel beside each
 * other in one strip, or, planar, a strip for each. */
static size_t make_tiff(int channels, bool planar, int bits, uint8_t bytes[FILE_SIZE]) {
    enum { SHORT = 3, LONG = 4, PIXELS = ROWS * COLUMNS };
    const uint32_t strips = planar ? (uint32_t)channels : 1, strip = (uint32_t)(planar ? PIXELS : PIXELS * channels);
    uint32_t lists[4]; /* bits, offsets, counts, extra samples */
    size_t at = 8;
    memset(bytes, 0, FILE_SIZE);
    for (int c = 0; c < channels; c++)
        for (int p = 0; p < PIXELS; p++) bytes[8 + (planar ? c * PIXELS + p : p * channels + c)] = sample(p, c);
    at += (size_t)(PIXELS * channels);
    for (int list = 0; list < 4; list++) {
        lists[list] = (uint32_t)at;
        for (int i = 0; i < MOST; i++) {
            const uint32_t value = list == 0   ? (uint32_t)bits
                                   : list == 1 ? 8 + (uint32_t)i * strip
                                   : list == 2 ? strip
                                               : 0;
            at = put(bytes, at, value, list == 1 || list == 2 ? 4 : 2);
        }
    }
    const uint32_t directory = (uint32_t)at, count = (uint32_t)channels;
    at = put(bytes, at, 11, 2);
    at = put_entry(bytes, at, 256, LONG, 1, COLUMNS);
    at = put_entry(bytes, at, 257, LONG, 1, ROWS);
    at = put_entry(bytes, at, 258, SHORT, count, count > 2 ? lists[0] : (uint32_t)bits | (uint32_t)bits << 16);
    at = put_entry(bytes, at, 259, SHORT, 1, 1);
    at = put_entry(bytes, at, 262, SHORT, 1, 1);
    at = put_entry(bytes, at, 273, LONG, strips, strips > 1 ? lists[1] : 8);
    at = put_entry(bytes, at, 277, SHORT, 1, count);
    at = put_entry(bytes, at, 278, LONG, 1, ROWS);
    at = put_entry(bytes, at, 279, LONG, strips, strips > 1 ? lists[2] : strip);
    at = put_entry(bytes, at, 284, SHORT, 1, planar ? 2 : 1);
    at = put_entry(bytes, at, 338, SHORT, count - 1, count > 3 ? lists[3] : 0);
    at = put(bytes, at, 0, 4);
    memcpy(bytes, "II*", 4);
    put(bytes, 4, directory, 4);
    assert_true(at <= FILE_SIZE);
    return at;
}

static effnet_status decode_as(int channels, const uint8_t *bytes, size_t size, Decoder *decoder, Picture *out,
                               effnet_error *err) {
    *decoder = (Decoder){.channels = channels};
    return decoder_decode(decoder, bytes, size, "some.tif", out, err);
}

static void samples_as_they_are(void **state) {
    (void)state;
    static const int counts[] = {2, 4, 5, 16};
    uint8_t bytes[FILE_SIZE];
    Decoder decoder;
    Picture picture;
    effnet_error err = {0};
    for (int i = 0; i < 8; i++) {
        const int channels = counts[i / 2];
        const size_t size = make_tiff(channels, i % 2 == 1, 8, bytes);
        if (decode_as(channels, bytes, size, &decoder, &picture, &err) != EFFNET_OK) fail_msg("%s", err.message);
        assert_true(picture.height == ROWS && picture.width == COLUMNS && picture_channels(&picture) == channels);
        for (int p = 0; p < ROWS * COLUMNS; p++)
            for (int c = 0; c < channels; c++) assert_int_equal(picture.pixels[p * channels + c], sample(p, c));
        decoder_release(&decoder);
        /* asked for others, and cut short */
        assert_int_equal(decode_as(channels == 5 ? 6 : 5, bytes, size, &decoder, &picture, &err), EFFNET_ERROR_FORMAT);
        assert_non_null(strstr(err.message, "samples a pixel of 8 bits; in_chans is"));
        decoder_release(&decoder);
        put(bytes, 4, 3000, 4);
        assert_int_not_equal(decode_as(channels, bytes, size, &decoder, &picture, &err), EFFNET_OK);
        decoder_release(&decoder);
    }
    const size_t size = make_tiff(5, false, 16, bytes);
    assert_int_equal(decode_as(5, bytes, size, &decoder, &picture, &err), EFFNET_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "of 16 bits"));
    decoder_release(&decoder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_pixels_of_pillow), cmocka_unit_test(damage_is_told),
                                       cmocka_unit_test(a_promise_takes_no_memory),
                                       cmocka_unit_test(samples_as_they_are)};
    return cmocka_run_group_tests_name("decode_gif_tiff", tests, NULL, NULL);
}
