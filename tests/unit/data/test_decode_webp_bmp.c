/* test_decode_webp_bmp.c - WebP and BMP of every kind to RGB, EXIF orientation in JPEG, PNG and WebP, and what can be
 * wrong with such files. */
#include "data/picture/decode.h"
#include "data/picture/exif.h"
#include "make_pictures.h"

#include <webp/encode.h>

enum { H = 5, W = 7 };

static void expect_failure(Bytes bytes, effnet_status status, const char *text) {
    Picture picture;
    effnet_error err = {0};
    effnet_status got = picture_decode(bytes.data, bytes.size, "some.file", &picture, &err);
    if (got != status || !strstr(err.message, text) || !strstr(err.message, "some.file"))
        fail_msg("wanted status %d and '%s', got %d and '%s'", status, text, got, err.message);
    assert_null(picture.pixels);
}

static void expect_pixels(Bytes bytes, int height, int width, const uint8_t *wanted, int tolerance) {
    Picture picture;
    effnet_error err = {0};
    if (picture_decode(bytes.data, bytes.size, "some.file", &picture, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_int_equal(picture.height, height);
    assert_int_equal(picture.width, width);
    for (int i = 0; i < 3 * height * width; i++)
        if (abs(picture.pixels[i] - wanted[i]) > tolerance)
            fail_msg("byte %d is %d, wanted %d", i, picture.pixels[i], wanted[i]);
    picture_free(&picture);
}

/* ---- WebP ---- */

static Bytes make_webp(const uint8_t *pixels, int height, int width, bool lossless) {
    uint8_t *buffer = NULL;
    Bytes made = {.size = lossless ? WebPEncodeLosslessRGB(pixels, width, height, 3 * width, &buffer)
                                   : WebPEncodeRGB(pixels, width, height, 3 * width, 95, &buffer)};
    assert_true(made.size > 0);
    made.data = malloc(made.size);
    assert_non_null(made.data);
    memcpy(made.data, buffer, made.size);
    WebPFree(buffer);
    return made;
}

static void webp_comes_back(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(40, 56);
    Bytes bytes = make_webp(pixels, 40, 56, true);
    expect_pixels(bytes, 40, 56, pixels, 0);
    for (size_t cut = 0; cut < bytes.size; cut += 1 + cut / 8) {
        Picture picture;
        effnet_error err = {0};
        assert_int_not_equal(picture_decode(bytes.data, cut, "some.file", &picture, &err), EFFNET_OK);
    }
    expect_failure((Bytes){bytes.data, bytes.size / 2}, EFFNET_ERROR_FORMAT, "truncated WebP");
    bytes.data[15] = 'Q'; /* the chunk of the pixels is none that is known */
    expect_failure(bytes, EFFNET_ERROR_FORMAT, "WebP");
    free(bytes.data);
    for (int i = 0; i < 3 * 40 * 56; i++) pixels[i] = (uint8_t)(i % 3 * 80 + 20);
    bytes = make_webp(pixels, 40, 56, false);
    expect_pixels(bytes, 40, 56, pixels, 4);
    free(bytes.data);
    free(pixels);
}

/* ---- BMP ---- */

static void put_little_endian(uint8_t *bytes, uint32_t number, int count) {
    for (int i = 0; i < count; i++) bytes[i] = (uint8_t)(number >> 8 * i);
}

/* A BMP with `palette_bytes` of palette or masks after its header, and rows as given. */
static Bytes make_bmp(int header, int height, int width, int bits, int compression, const void *palette,
                      size_t palette_bytes, const void *rows, size_t row_bytes) {
    size_t begin = 14 + (size_t)header + palette_bytes;
    Bytes made = {.data = calloc(1, begin + row_bytes), .size = begin + row_bytes};
    assert_non_null(made.data);
    memcpy(made.data, "BM", 2);
    put_little_endian(made.data + 2, (uint32_t)made.size, 4);
    put_little_endian(made.data + 10, (uint32_t)begin, 4);
    put_little_endian(made.data + 14, (uint32_t)header, 4);
    int number = header == 12 ? 2 : 4; /* bytes of a side */
    put_little_endian(made.data + 18, (uint32_t)width, number);
    put_little_endian(made.data + 18 + number, (uint32_t)height, number);
    put_little_endian(made.data + 18 + 2 * number, 1, 2);
    put_little_endian(made.data + 20 + 2 * number, (uint32_t)bits, 2);
    if (header > 12) put_little_endian(made.data + 30, (uint32_t)compression, 4);
    if (palette_bytes) memcpy(made.data + 14 + header, palette, palette_bytes);
    if (row_bytes) memcpy(made.data + begin, rows, row_bytes);
    return made;
}

static void expect_bmp(Bytes bytes, int height, int width, const uint8_t *wanted) {
    expect_pixels(bytes, height, width, wanted, 0);
    expect_failure((Bytes){bytes.data, bytes.size - 1}, EFFNET_ERROR_FORMAT, "truncated BMP");
    expect_failure((Bytes){bytes.data, 20}, EFFNET_ERROR_FORMAT, "BMP");
    free(bytes.data);
}

static void bmp_of_every_kind(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(H, W);
    enum { STRIDE = 24 }; /* 7 * 3 bytes, padded to 4 */
    uint8_t rows[H * STRIDE] = {0}, wide[H * W * 4], sixteen[H * 16] = {0}, wanted[3 * H * W];
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            const uint8_t *pixel = pixels + 3 * (y * W + x);
            uint8_t *row = rows + (H - 1 - y) * STRIDE + 3 * x, *four = wide + 4 * (y * W + x);
            row[0] = pixel[2], row[1] = pixel[1], row[2] = pixel[0];
            four[0] = pixel[0], four[1] = pixel[1], four[2] = pixel[2], four[3] = 77;
            uint32_t five[3];
            for (int c = 0; c < 3; c++) {
                five[c] = pixel[c] >> 3;
                wanted[3 * (y * W + x) + c] = (uint8_t)((five[c] * 255 + 15) / 31);
            }
            put_little_endian(sixteen + (H - 1 - y) * 16 + 2 * x, five[0] << 10 | five[1] << 5 | five[2], 2);
        }
    expect_bmp(make_bmp(40, H, W, 24, 0, NULL, 0, rows, sizeof rows), H, W, pixels);
    expect_bmp(make_bmp(12, H, W, 24, 0, NULL, 0, rows, sizeof rows), H, W, pixels);
    expect_bmp(make_bmp(40, H, W, 16, 0, NULL, 0, sixteen, sizeof sixteen), H, W, wanted);
    const uint8_t masks[12] = {0xFF, 0, 0, 0, 0, 0xFF, 0, 0, 0, 0, 0xFF, 0}; /* red in the lowest byte, top-down */
    expect_bmp(make_bmp(40, -H, W, 32, 3, masks, sizeof masks, wide, sizeof wide), H, W, pixels);
    /* Palettes: entry i is (blue, green, red) = (i, 2 i, 3 i). */
    uint8_t palette[16 * 4] = {0}, indices[2 * 4] = {0x01, 0x23, 0xF0, 0, 0xFE, 0xDC, 0x10, 0}, colors[2 * 5 * 3];
    const int numbers[10] = {15, 14, 13, 12, 1, 0, 1, 2, 3, 15}; /* the second row stands first */
    for (int i = 0; i < 16; i++)
        for (int c = 0; c < 3; c++) palette[4 * i + c] = (uint8_t)((c + 1) * i);
    for (int i = 0; i < 10; i++)
        for (int c = 0; c < 3; c++) colors[3 * i + c] = (uint8_t)((3 - c) * numbers[i]);
    expect_bmp(make_bmp(40, 2, 5, 4, 0, palette, sizeof palette, indices, sizeof indices), 2, 5, colors);
    Bytes bytes = make_bmp(40, 2, 5, 4, 0, palette, sizeof palette, indices, sizeof indices);
    put_little_endian(bytes.data + 46, 8, 4); /* eight colours used, and fifteen named */
    put_little_endian(bytes.data + 10, 14 + 40 + 64, 4);
    expect_failure(bytes, EFFNET_ERROR_FORMAT, "corrupt BMP");
    put_little_endian(bytes.data + 30, 2, 4); /* run lengths */
    expect_failure(bytes, EFFNET_ERROR_UNSUPPORTED, "compression 2");
    free(bytes.data);
    const uint8_t one[4] = {0xA0}, black_white[8] = {0, 0, 0, 0, 255, 255, 255, 0},
                  ones[9] = {255, 255, 255, 0, 0, 0, 255, 255, 255};
    expect_bmp(make_bmp(40, 1, 3, 1, 0, black_white, 8, one, 4), 1, 3, ones);
    free(pixels);
}

/* A header that asks for 50,000 x 50,000 pixels costs nothing but a message. */
static void bombs_are_refused(void **state) {
    (void)state;
    Bytes bytes = make_bmp(40, 50000, 50000, 24, 0, NULL, 0, "", 0);
    expect_failure(bytes, EFFNET_ERROR_FORMAT, "50000 pixels wide and 50000 high");
    put_little_endian(bytes.data + 22, 0x80000000u, 4); /* the negative number that has no positive one */
    expect_failure(bytes, EFFNET_ERROR_FORMAT, "allowed are");
    free(bytes.data);
}

/* ---- EXIF ---- */

/* "Exif", one directory with one entry, in either byte order. */
static size_t make_exif(uint8_t out[32], int orientation, bool big) {
    static const uint8_t little[26] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 1};
    static const uint8_t large[26] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 1};
    memcpy(out, "Exif\0\0", 6);
    memcpy(out + 6, big ? large : little, 26);
    out[6 + (big ? 19 : 18)] = (uint8_t)orientation;
    return 32;
}

static Bytes with_exif(Bytes jpeg, const uint8_t *exif, size_t size) {
    Bytes made = {.data = malloc(jpeg.size + size + 4), .size = jpeg.size + size + 4};
    assert_non_null(made.data);
    memcpy(made.data, jpeg.data, 2);
    made.data[2] = 0xFF, made.data[3] = 0xE1, made.data[4] = 0, made.data[5] = (uint8_t)(size + 2);
    memcpy(made.data + 6, exif, size);
    memcpy(made.data + 6 + size, jpeg.data + 2, jpeg.size - 2);
    return made;
}

/* Where the upright picture's pixel (y, x) stands in the stored one: the specification's table of row 0 and column 0,
 * written out once more in another way than the code has it. */
static void stored_place(int orientation, int y, int x, int height, int width, int *from_y, int *from_x) {
    const int places[9][2] = {{0, 0},
                              {y, x},
                              {y, width - 1 - x},
                              {height - 1 - y, width - 1 - x},
                              {height - 1 - y, x},
                              {x, y},
                              {height - 1 - x, y},
                              {height - 1 - x, width - 1 - y},
                              {x, width - 1 - y}};
    *from_y = places[orientation][0];
    *from_x = places[orientation][1];
}

static void orientations_turn(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(16, 24);
    Bytes plain = make_jpeg(pixels, 16, 24, TJPF_RGB, TJSAMP_444, 0);
    Picture stored;
    assert_int_equal(picture_decode(plain.data, plain.size, "plain", &stored, NULL), EFFNET_OK);

    for (int orientation = 1; orientation <= 8; orientation++) {
        uint8_t exif[32];
        Bytes bytes = with_exif(plain, exif, make_exif(exif, orientation, orientation % 2));
        Decoder decoder = {0};
        Picture picture;
        for (int upright = 0; upright < 2; upright++) {
            decoder.upright = upright;
            assert_int_equal(decoder_decode(&decoder, bytes.data, bytes.size, "x", &picture, NULL), EFFNET_OK);
            bool swapped = upright && orientation >= 5;
            assert_int_equal(picture.height, swapped ? 24 : 16);
            assert_int_equal(picture.width, swapped ? 16 : 24);
            assert_int_equal(decoder.orientation, upright ? 1 : orientation);
            for (int y = 0; y < picture.height; y++)
                for (int x = 0; x < picture.width; x++) {
                    int from_y, from_x;
                    stored_place(upright ? orientation : 1, y, x, 16, 24, &from_y, &from_x);
                    if (memcmp(picture.pixels + 3 * (y * picture.width + x), stored.pixels + 3 * (from_y * 24 + from_x),
                               3) != 0)
                        fail_msg("orientation %d, pixel (%d, %d) is not (%d, %d) of the file", orientation, y, x,
                                 from_y, from_x);
                }
        }
        decoder_release(&decoder);
        free(bytes.data);
    }
    picture_free(&stored);
    free(plain.data);
    free(pixels);
}

static void orientation_of_png_and_webp(void **state) {
    (void)state;
    uint8_t exif[32], *pixels = pattern_picture(4, 6);
    make_exif(exif, 6, false);
    /* PNG: a chunk eXIf before the pixels. */
    Bytes png = make_png(pixels, 3 * 4 * 6, 4, 6, 2, 8, NULL, NULL);
    uint8_t chunk[12 + 26] = {0, 0, 0, 26, 'e', 'X', 'I', 'f'};
    memcpy(chunk + 8, exif + 6, 26);
    put_big_endian(chunk + 34, (uint32_t)crc32(0, chunk + 4, 30));
    Bytes file = {.data = malloc(png.size + sizeof chunk), .size = png.size + sizeof chunk};
    assert_non_null(file.data);
    memcpy(file.data, png.data, 33);
    memcpy(file.data + 33, chunk, sizeof chunk);
    memcpy(file.data + 33 + sizeof chunk, png.data + 33, png.size - 33);
    Decoder decoder = {.upright = true};
    Picture picture;
    effnet_error err = {0};
    if (decoder_decode(&decoder, file.data, file.size, "x", &picture, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_int_equal(picture.height, 6);
    assert_memory_equal(picture.pixels, pixels + 3 * 18, 3); /* 6: the lower left corner comes to the upper left */
    free(file.data);
    free(png.data);
    /* WebP: an extended header, the pixels, a chunk EXIF. */
    Bytes webp = make_webp(pixels, 4, 6, true);
    size_t body = webp.size - 12;
    file = (Bytes){.data = calloc(1, 12 + 18 + body + 8 + 26), .size = 12 + 18 + body + 8 + 26};
    assert_non_null(file.data);
    memcpy(file.data, "RIFF....WEBPVP8X", 16);
    put_little_endian(file.data + 4, (uint32_t)file.size - 8, 4);
    put_little_endian(file.data + 16, 10, 4);
    file.data[20] = 8; /* it has EXIF */
    put_little_endian(file.data + 24, 6 - 1, 3);
    put_little_endian(file.data + 27, 4 - 1, 3);
    memcpy(file.data + 30, webp.data + 12, body);
    memcpy(file.data + 30 + body, "EXIF", 4);
    put_little_endian(file.data + 34 + body, 26, 4);
    memcpy(file.data + 38 + body, exif + 6, 26);
    if (decoder_decode(&decoder, file.data, file.size, "x", &picture, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_int_equal(picture.height, 6);
    assert_memory_equal(picture.pixels, pixels + 3 * 18, 3);
    decoder_release(&decoder);
    free(file.data);
    free(webp.data);
    free(pixels);
}

/* Remarks that lie leave the picture as it is. */
static void damaged_exif_is_no_orientation(void **state) {
    (void)state;
    uint8_t exif[32];
    make_exif(exif, 6, false);
    assert_int_equal(exif_orientation(exif + 6, 26), 6);
    for (size_t size = 0; size < 22; size++) {
        uint8_t *exact = malloc(size + 1); /* for a sanitizer to see the byte after it */
        assert_non_null(exact);
        memcpy(exact, exif + 6, size);
        assert_int_equal(exif_orientation(exact, size), 0);
        free(exact);
    }
    exif[6 + 18] = 9;
    assert_int_equal(exif_orientation(exif + 6, 26), 0);
    exif[6 + 18] = 6;
    memset(exif + 6 + 4, 0xFF, 4); /* the directory stands far away */
    assert_int_equal(exif_orientation(exif + 6, 26), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(webp_comes_back),
        cmocka_unit_test(bmp_of_every_kind),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(orientations_turn),
        cmocka_unit_test(orientation_of_png_and_webp),
        cmocka_unit_test(damaged_exif_is_no_orientation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
