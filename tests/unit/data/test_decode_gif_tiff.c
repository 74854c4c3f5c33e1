/* test_decode_gif_tiff.c - still GIFs and TIFFs give the pixels that Pillow 12 reads of the same files, which lie in
 * the fuzzer's corpus; animations, several pages and damage are refused; nothing is printed. */
#include "data/picture/decode.h"
#include "data/picture/decode_formats.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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

enum {
    ROWS = 18,
    COLUMNS = 20,
    TILE = 16,
    TILES = 2,
    MOST = 16,
    MOST_BLOCKS = MOST * TILES * TILES,
    FILE_SIZE = 40000
};

/* Of 16 bits the low byte is another, which nothing may take. */
static unsigned sample(int pixel, int channel, int bits) {
    const unsigned byte = (unsigned)(7 * pixel + 31 * channel + 1) & 255;
    return bits == 8 ? byte : byte << 8 | (255 - byte);
}

typedef struct Form {
    int channels, bits;
    bool separate, tiled, colours; /* colours: the first three are red, green and blue, else the first is grey */
} Form;

/* One block of a plane, or of all samples beside each other: a strip is the whole picture. */
static size_t put_block(uint8_t *bytes, size_t at, Form form, int plane, int top, int left) {
    const int height = form.tiled ? TILE : ROWS, width = form.tiled ? TILE : COLUMNS;
    const int beside = form.separate ? 1 : form.channels;
    for (int i = 0; i < height * width * beside; i++) {
        const int y = top + i / beside / width, x = left + i / beside % width;
        const bool inside = y < ROWS && x < COLUMNS;
        const unsigned value = inside ? sample(y * COLUMNS + x, plane + i % beside, form.bits) : 0xEEEE;
        at = put(bytes, at, value, form.bits / 8);
    }
    return at;
}

/* A TIFF (TIFF 6.0) of ROWS x COLUMNS pixels, grey with extra samples, not compressed. */
static size_t make_tiff(Form form, uint8_t bytes[FILE_SIZE]) {
    enum { SHORT = 3, LONG = 4 };
    uint32_t offsets[MOST_BLOCKS], lists[4]; /* bits, extra samples, offsets, counts */
    uint32_t blocks = 0, length = 0;
    size_t at = 8;
    memset(bytes, 0, FILE_SIZE);
    for (int plane = 0; plane < (form.separate ? form.channels : 1); plane++)
        for (int tile = 0; tile < (form.tiled ? TILES * TILES : 1); tile++) {
            offsets[blocks++] = (uint32_t)at;
            at = put_block(bytes, at, form, plane, tile / TILES * TILE, tile % TILES * TILE);
            length = (uint32_t)at - offsets[blocks - 1];
        }
    for (int list = 0; list < 4; list++) {
        lists[list] = (uint32_t)at;
        for (uint32_t i = 0; i < (list < 2 ? MOST : blocks); i++)
            at = list < 2 ? put(bytes, at, list == 0 ? (uint32_t)form.bits : 0, 2)
                          : put(bytes, at, list == 2 ? offsets[i] : length, 4);
    }
    const uint32_t directory = (uint32_t)at, count = (uint32_t)form.channels, bits = (uint32_t)form.bits;
    const uint32_t where = blocks > 1 ? lists[2] : offsets[0], lengths = blocks > 1 ? lists[3] : length;
    const uint32_t extra = count - (form.colours ? 3 : 1);
    at = put(bytes, at, (form.tiled ? 12 : 11) - (extra == 0), 2);
    at = put_entry(bytes, at, 256, LONG, 1, COLUMNS);
    at = put_entry(bytes, at, 257, LONG, 1, ROWS);
    at = put_entry(bytes, at, 258, SHORT, count, count > 2 ? lists[0] : bits | bits << 16);
    at = put_entry(bytes, at, 259, SHORT, 1, 1);
    at = put_entry(bytes, at, 262, SHORT, 1, form.colours ? 2 : 1);
    if (!form.tiled) at = put_entry(bytes, at, 273, LONG, blocks, where);
    at = put_entry(bytes, at, 277, SHORT, 1, count);
    if (!form.tiled) at = put_entry(bytes, at, 278, LONG, 1, ROWS);
    if (!form.tiled) at = put_entry(bytes, at, 279, LONG, blocks, lengths);
    at = put_entry(bytes, at, 284, SHORT, 1, form.separate ? 2 : 1);
    if (form.tiled) at = put_entry(bytes, at, 322, LONG, 1, TILE);
    if (form.tiled) at = put_entry(bytes, at, 323, LONG, 1, TILE);
    if (form.tiled) at = put_entry(bytes, at, 324, LONG, blocks, where);
    if (form.tiled) at = put_entry(bytes, at, 325, LONG, blocks, lengths);
    if (extra > 0) at = put_entry(bytes, at, 338, SHORT, extra, extra > 2 ? lists[1] : 0);
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
    static uint8_t bytes[FILE_SIZE];
    Decoder decoder;
    Picture picture;
    effnet_error err = {0};
    for (int i = 0; i < 32; i++) {
        const Form form = {.channels = counts[i / 8], .bits = i & 4 ? 16 : 8, .separate = i & 2, .tiled = i & 1};
        const int channels = form.channels;
        const size_t size = make_tiff(form, bytes);
        if (decode_as(channels, bytes, size, &decoder, &picture, &err) != EFFNET_OK) fail_msg("%s", err.message);
        assert_true(picture.height == ROWS && picture.width == COLUMNS && picture_channels(&picture) == channels);
        for (int p = 0; p < ROWS * COLUMNS; p++)
            for (int c = 0; c < channels; c++)
                assert_int_equal(picture.pixels[p * channels + c], sample(p, c, form.bits) >> (form.bits - 8));
        decoder_release(&decoder);
        /* asked for others, and cut short */
        assert_int_equal(decode_as(channels == 5 ? 6 : 5, bytes, size, &decoder, &picture, &err), EFFNET_ERROR_FORMAT);
        assert_non_null(strstr(err.message, "samples a pixel, whole numbers of"));
        decoder_release(&decoder);
        put(bytes, 4, FILE_SIZE, 4);
        assert_int_not_equal(decode_as(channels, bytes, size, &decoder, &picture, &err), EFFNET_OK);
        decoder_release(&decoder);
    }
    const size_t size = make_tiff((Form){.channels = 5, .bits = 32}, bytes);
    assert_int_equal(decode_as(5, bytes, size, &decoder, &picture, &err), EFFNET_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "of 32 bits"));
    decoder_release(&decoder);
}

/* Tiles that are not compressed, some of 768 bytes: red, green and blue, or grey, whose further samples have no colour. */
static void tiles_as_colours(void **state) {
    (void)state;
    static uint8_t bytes[FILE_SIZE];
    static const int counts[] = {2, 3, 4};
    for (int i = 0; i < 12; i++) {
        const Form form = {.channels = counts[i / 4], .bits = i & 2 ? 16 : 8, .tiled = true, .colours = i & 1};
        if (form.colours && (form.channels < 3 || form.bits == 16)) continue; /* libtiff rounds colours of 16 bits */
        const size_t size = make_tiff(form, bytes);
        Decoder decoder;
        Picture picture;
        effnet_error err = {0};
        if (decode_as(0, bytes, size, &decoder, &picture, &err) != EFFNET_OK) fail_msg("%s", err.message);
        for (int k = 0; k < 3 * ROWS * COLUMNS; k++)
            assert_int_equal(picture.pixels[k], sample(k / 3, form.colours ? k % 3 : 0, form.bits) >> (form.bits - 8));
        decoder_release(&decoder);
    }
}

/* A tile of 2^31 pixels around a picture of 360: refused before memory for it is asked for. */
static void a_promised_tile_takes_no_memory(void **state) {
    (void)state;
    static uint8_t bytes[FILE_SIZE];
    const size_t size = make_tiff((Form){.channels = 5, .bits = 8, .tiled = true}, bytes);
    for (size_t at = 0; at + 12 <= size; at++) /* the entry of the tiles' width */
        if (bytes[at] == (322 & 255) && bytes[at + 1] == 322 >> 8 && bytes[at + 2] == 4 && bytes[at + 4] == 1 &&
            bytes[at + 8] == TILE)
            put(bytes, at + 8, 1u << 27, 4);
    for (int channels = 0; channels <= 5; channels += 5) {
        Decoder decoder;
        Picture picture;
        effnet_error err = {0};
        assert_int_equal(decode_as(channels, bytes, size, &decoder, &picture, &err), EFFNET_ERROR_FORMAT);
        assert_non_null(strstr(err.message, "tiles that are too large"));
        decoder_release(&decoder);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pixels_of_pillow),      cmocka_unit_test(damage_is_told),
        cmocka_unit_test(a_promise_takes_no_memory), cmocka_unit_test(samples_as_they_are),
        cmocka_unit_test(tiles_as_colours),          cmocka_unit_test(a_promised_tile_takes_no_memory)};
    return cmocka_run_group_tests_name("decode_gif_tiff", tests, NULL, NULL);
}
