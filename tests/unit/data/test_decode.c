/* test_decode.c - JPEG and PNG of every kind to RGB, and everything that can be wrong with a file: each error is told
 * by its status and by what its message must name. */
#include "data/picture/decode.h"
#include "data/picture/exif.h"
#include "data/picture/decode_region.h"
#include "make_pictures.h"

#include <jpeglib.h>

enum { H = 24, W = 40 };

static void expect_failure(Bytes bytes, effnet_status status, const char *text) {
    Picture picture;
    effnet_error err = {0};
    effnet_status got = picture_decode(bytes.data, bytes.size, "some.file", &picture, &err);
    if (got != status || !strstr(err.message, text) || !strstr(err.message, "some.file"))
        fail_msg("wanted status %d and '%s', got %d and '%s'", status, text, got, err.message);
    assert_null(picture.pixels);
}

static Picture decode_well(Bytes bytes) {
    Picture picture;
    effnet_error err = {0};
    if (picture_decode(bytes.data, bytes.size, "some.file", &picture, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return picture;
}

static void expect_pixel(const Picture *picture, int y, int x, int red, int green, int blue, int tolerance) {
    const uint8_t *pixel = picture->pixels + 3 * (y * picture->width + x);
    if (abs(pixel[0] - red) > tolerance || abs(pixel[1] - green) > tolerance || abs(pixel[2] - blue) > tolerance)
        fail_msg("pixel (%d,%d) is %d %d %d, wanted %d %d %d +-%d", y, x, pixel[0], pixel[1], pixel[2], red, green,
                 blue, tolerance);
}

/* ---- JPEG ---- */

static void jpeg_colours_come_back(void **state) {
    (void)state;
    Bytes bytes = make_plain_jpeg(H, W, 200, 100, 30);
    Picture picture = decode_well(bytes);
    assert_int_equal(picture.height, H);
    assert_int_equal(picture.width, W);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) expect_pixel(&picture, y, x, 200, 100, 30, 3);
    picture_free(&picture);
    free(bytes.data);
}

static void grey_jpeg_becomes_rgb(void **state) {
    (void)state;
    uint8_t pixels[H * W];
    memset(pixels, 77, sizeof pixels);
    Bytes bytes = make_jpeg(pixels, H, W, TJPF_GRAY, TJSAMP_GRAY, 0);
    Picture picture = decode_well(bytes);
    expect_pixel(&picture, H - 1, W - 1, 77, 77, 77, 2);
    picture_free(&picture);
    free(bytes.data);
}

/* libjpeg-turbo writes CMYK as YCCK with Adobe's marker, and stores what it is given: Adobe's files hold 255 - ink. */
static Bytes make_ycck(int c, int m, int y, int k) {
    uint8_t pixels[4 * H * W];
    for (int i = 0; i < H * W; i++) {
        uint8_t ink[4] = {(uint8_t)c, (uint8_t)m, (uint8_t)y, (uint8_t)k};
        memcpy(pixels + 4 * i, ink, 4);
    }
    return make_jpeg(pixels, H, W, TJPF_CMYK, TJSAMP_444, 0);
}

static void adobe_inks_are_inverted(void **state) {
    (void)state;
    Bytes bytes = make_ycck(255, 128, 0, 200); /* red = 255 * 200 / 255, ... */
    Picture picture = decode_well(bytes);
    expect_pixel(&picture, 3, 5, 200, 100, 0, 4);
    picture_free(&picture);
    free(bytes.data);
}

/* Without Adobe's marker four channels are plain CMYK: the YCCK of ink 128, 128, 128, 200 is stored as 127, 128, 128,
 * 200, and so red = (255 - 127) * (255 - 200) / 255 = 27.6. */
static void plain_inks_are_not_inverted(void **state) {
    (void)state;
    Bytes bytes = make_ycck(128, 128, 128, 200);
    size_t at = 0;
    while (at + 16 < bytes.size && !(bytes.data[at] == 0xFF && bytes.data[at + 1] == 0xEE)) at++;
    assert_memory_equal(bytes.data + at + 4, "Adobe", 5);
    memmove(bytes.data + at, bytes.data + at + 16, bytes.size - at - 16);
    bytes.size -= 16;
    Picture picture = decode_well(bytes);
    expect_pixel(&picture, 3, 5, 27, 27, 27, 2);
    picture_free(&picture);
    free(bytes.data);
}

/* However little is missing: no prefix of a JPEG decodes. */
static void truncated_jpeg_is_an_error(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(H, W);
    for (int flags = 0; flags <= TJFLAG_PROGRESSIVE; flags += TJFLAG_PROGRESSIVE) {
        Bytes bytes = make_jpeg(pixels, H, W, TJPF_RGB, TJSAMP_420, flags);
        for (size_t size = 0; size < bytes.size; size++) {
            Picture picture;
            effnet_error err = {0};
            uint8_t *copy = malloc(size + 1); /* of its own size, for the address sanitizer */
            memcpy(copy, bytes.data, size);
            effnet_status status = picture_decode(copy, size, "cut.jpg", &picture, &err);
            if (status != EFFNET_ERROR_FORMAT)
                fail_msg("%zu of %zu bytes: status %d '%s'", size, bytes.size, status, err.message);
            assert_non_null(strstr(err.message, "cut.jpg"));
            free(copy);
        }
        bytes.size /= 2;
        expect_failure(bytes, EFFNET_ERROR_FORMAT, "truncated JPEG");
        free(bytes.data);
    }
    free(pixels);
}

/* Cameras leave bytes before the end marker; all pixels are there. But not where the end is missing too. */
static void extraneous_bytes_are_harmless(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(H, W);
    Bytes bytes = make_jpeg(pixels, H, W, TJPF_RGB, TJSAMP_444, 0);
    Picture want = decode_well(bytes);
    uint8_t *longer = malloc(bytes.size + 5);
    memcpy(longer, bytes.data, bytes.size - 2);
    memcpy(longer + bytes.size - 2, "\x12\x34\x56\x78\x9a\xff\xd9", 7);
    Picture got = decode_well((Bytes){longer, bytes.size + 5});
    assert_memory_equal(got.pixels, want.pixels, 3 * H * W);
    expect_failure((Bytes){longer, bytes.size + 3}, EFFNET_ERROR_FORMAT, "truncated JPEG");
    picture_free(&got);
    picture_free(&want);
    free(longer);
    free(bytes.data);
    free(pixels);
}

/* `bytes` without its segments of this marker. */
static Bytes without_segments(Bytes bytes, int marker) {
    Bytes made = {malloc(bytes.size), 2};
    memcpy(made.data, bytes.data, 2);
    size_t at = 2;
    while (at + 4 <= bytes.size && bytes.data[at] == 0xFF && bytes.data[at + 1] != 0xDA) {
        size_t length = 2 + ((size_t)bytes.data[at + 2] << 8 | bytes.data[at + 3]);
        if (bytes.data[at + 1] != marker) {
            memcpy(made.data + made.size, bytes.data + at, length);
            made.size += length;
        }
        at += length;
    }
    memcpy(made.data + made.size, bytes.data + at, bytes.size - at);
    made.size += bytes.size - at;
    return made;
}

static PictureCrop whole_box(const void *context, int height, int width) {
    (void)context;
    return (PictureCrop){.box = {0, 0, height, width}};
}

/* A JPEG without its own tables is the same error whatever was decoded before it, whole or in part; one without Huffman
 * tables, which the library replaces by the standard's, is the same picture. */
static void tables_do_not_go_from_file_to_file(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(H, W);
    Bytes bytes = make_jpeg(pixels, H, W, TJPF_RGB, TJSAMP_420, 0);
    Bytes optimised = make_jpeg(pixels, H, W, TJPF_RGB, TJSAMP_420, TJFLAG_PROGRESSIVE); /* Huffman tables of its own */
    Bytes unquantised = without_segments(bytes, 0xDB), uncoded = without_segments(bytes, 0xC4);
    assert_true(unquantised.size < bytes.size && uncoded.size < bytes.size);
    expect_failure(unquantised, EFFNET_ERROR_FORMAT, "corrupt JPEG");
    Picture want = decode_well(uncoded);
    Decoder decoder = {0};
    const RegionRequest request = {.choose = whole_box};
    const Bytes before[2] = {bytes, optimised};
    for (int i = 0; i < 4; i++) {
        effnet_error err = {0};
        Picture got;
        Region region;
        bool done;
        assert_int_equal(decoder_decode(&decoder, before[i % 2].data, before[i % 2].size, "whole", &got, &err),
                         EFFNET_OK);
        if (i >= 2) {
            assert_int_equal(
                decode_jpeg_region(&decoder, bytes.data, bytes.size, "part", &request, &region, &done, &err),
                EFFNET_OK);
            assert_true(done);
            assert_int_equal(decode_jpeg_region(&decoder, unquantised.data, unquantised.size, "no tables", &request,
                                                &region, &done, &err),
                             EFFNET_OK);
            assert_false(done);
        }
        assert_int_equal(decoder_decode(&decoder, unquantised.data, unquantised.size, "no tables", &got, &err),
                         EFFNET_ERROR_FORMAT);
        assert_int_equal(decoder_decode(&decoder, uncoded.data, uncoded.size, "no tables", &got, &err), EFFNET_OK);
        assert_memory_equal(got.pixels, want.pixels, 3 * H * W);
    }
    decoder_release(&decoder);
    picture_free(&want);
    free(unquantised.data);
    free(uncoded.data);
    free(optimised.data);
    free(bytes.data);
    free(pixels);
}

/* A progressive JPEG of 1 + 63 * channels scans: each carries one coefficient of one channel. */
static Bytes make_scans(int channels) {
    static jpeg_scan_info scans[1 + 3 * 63];
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *made = NULL;
    unsigned long size = 0;
    uint8_t *pixels = pattern_picture(H, W);
    scans[0] = (jpeg_scan_info){.comps_in_scan = channels, .component_index = {0, 1, 2}};
    for (int i = 0; i < 63 * channels; i++)
        scans[1 + i] =
            (jpeg_scan_info){.comps_in_scan = 1, .component_index = {i / 63}, .Ss = 1 + i % 63, .Se = 1 + i % 63};
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &made, &size);
    jpeg.image_width = W;
    jpeg.image_height = H;
    jpeg.input_components = channels;
    jpeg.in_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&jpeg);
    jpeg.scan_info = scans;
    jpeg.num_scans = 1 + 63 * channels;
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < H; y++) {
        JSAMPROW row = pixels + (size_t)y * (size_t)channels * W;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(pixels);
    return (Bytes){made, size};
}

static void scans_have_a_limit(void **state) {
    (void)state;
    Bytes few = make_scans(1), many = make_scans(3);
    Picture picture = decode_well(few); /* 64 */
    assert_int_equal(picture.width, W);
    expect_failure(many, EFFNET_ERROR_FORMAT, "more than 100 scans"); /* 190 */
    picture_free(&picture);
    free(few.data);
    free(many.data);
}

/* Thousands of files with a few wrong bytes: an error or a picture of the right size, never a crash. */
static void corrupt_bytes_never_crash(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(H, W);
    Bytes kinds[3] = {make_jpeg(pixels, H, W, TJPF_RGB, TJSAMP_420, 0),
                      make_jpeg(pixels, H, W, TJPF_RGB, TJSAMP_422, TJFLAG_PROGRESSIVE),
                      make_png(pixels, 3 * H * W, H, W, SPNG_COLOR_TYPE_TRUECOLOR, 8, NULL, NULL)};
    uint32_t random = 1;
    int errors = 0;
    Decoder decoder = {0};
    for (int i = 0; i < 1500; i++) {
        Bytes kind = kinds[i % 3];
        uint8_t *copy = malloc(kind.size);
        memcpy(copy, kind.data, kind.size);
        for (int k = 0; k < 3; k++) {
            random = random * 1664525u + 1013904223u;
            copy[(random >> 8) % kind.size] = (uint8_t)(random >> 3);
        }
        Picture picture;
        effnet_error err = {0};
        if (decoder_decode(&decoder, copy, kind.size, "bad", &picture, &err) != EFFNET_OK) {
            errors++;
            assert_true(strlen(err.message) > 5);
        }
        free(copy);
    }
    assert_true(errors > 300);
    decoder_release(&decoder);
    for (int k = 0; k < 3; k++) free(kinds[k].data);
    free(pixels);
}

static void unusual_subsampling_is_read(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(H, W);
    for (int subsampling = 0; subsampling < TJ_NUMSAMP; subsampling++) {
        Bytes bytes = make_jpeg(pixels, H, W, TJPF_RGB, subsampling, 0);
        Picture picture = decode_well(bytes);
        assert_int_equal(picture.width, W);
        picture_free(&picture);
        free(bytes.data);
    }
    free(pixels);
}

/* A header of 50,000 x 50,000 is refused before anything is allocated. */
static void huge_jpeg_is_refused(void **state) {
    (void)state;
    Bytes bytes = make_plain_jpeg(H, W, 1, 2, 3);
    size_t at = 2;
    while (bytes.data[at + 1] != 0xC0) at += 2 + ((size_t)bytes.data[at + 2] << 8 | bytes.data[at + 3]);
    bytes.data[at + 5] = bytes.data[at + 7] = 50000 >> 8;
    bytes.data[at + 6] = bytes.data[at + 8] = 50000 & 255;
    expect_failure(bytes, EFFNET_ERROR_FORMAT, "50000 pixels wide and 50000 high");
    bytes.data[at + 5] = bytes.data[at + 7] = 20000 >> 8; /* sides allowed, pixels not */
    bytes.data[at + 6] = bytes.data[at + 8] = 20000 & 255;
    expect_failure(bytes, EFFNET_ERROR_FORMAT, "20000 pixels wide and 20000 high");
    free(bytes.data);
}

/* ---- PNG ---- */

static void png_of_every_kind(void **state) {
    (void)state;
    struct spng_plte palette = {.n_entries = 3, .entries = {{10, 20, 30, 255}, {200, 100, 50, 255}, {1, 2, 3, 255}}};
    struct spng_trns clear = {.n_type3_entries = 3, .type3_alpha = {0, 0, 255}};
    struct {
        const char *name;
        int type, depth, width;
        uint8_t row[16];
        size_t size;
        int first[3], second[3];
    } kinds[] = {
        {"RGB 8", 2, 8, 2, {1, 2, 3, 250, 251, 252}, 6, {1, 2, 3}, {250, 251, 252}},
        {"RGB 16: the high bytes",
         2,
         16,
         2,
         {9, 255, 8, 0, 7, 128, 0xAB, 1, 0xCD, 2, 0xEF, 3},
         12,
         {9, 8, 7},
         {0xAB, 0xCD, 0xEF}},
        {"RGBA 8: alpha ignored", 6, 8, 2, {1, 2, 3, 0, 250, 251, 252, 128}, 8, {1, 2, 3}, {250, 251, 252}},
        {"RGBA 16", 6, 16, 2, {9, 0, 8, 0, 7, 0, 0, 0, 60, 9, 50, 9, 40, 9, 9, 9}, 16, {9, 8, 7}, {60, 50, 40}},
        {"grey 1", 0, 1, 2, {0x40}, 1, {0, 0, 0}, {255, 255, 255}},
        {"grey 2", 0, 2, 2, {0x60}, 1, {85, 85, 85}, {170, 170, 170}},
        {"grey 4", 0, 4, 2, {0x3F}, 1, {51, 51, 51}, {255, 255, 255}},
        {"grey 8", 0, 8, 2, {7, 99}, 2, {7, 7, 7}, {99, 99, 99}},
        {"grey 16", 0, 16, 2, {7, 200, 99, 0}, 4, {7, 7, 7}, {99, 99, 99}},
        {"grey and alpha 8", 4, 8, 2, {7, 0, 99, 255}, 4, {7, 7, 7}, {99, 99, 99}},
        {"grey and alpha 16", 4, 16, 2, {7, 0, 1, 1, 99, 5, 1, 1}, 8, {7, 7, 7}, {99, 99, 99}},
        {"palette 2", 3, 2, 2, {0x10}, 1, {10, 20, 30}, {200, 100, 50}},
        {"palette 4", 3, 4, 2, {0x12}, 1, {200, 100, 50}, {1, 2, 3}},
        {"palette 8, transparent", 3, 8, 2, {1, 0}, 2, {200, 100, 50}, {10, 20, 30}},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        bool indexed = kinds[i].type == SPNG_COLOR_TYPE_INDEXED;
        Bytes bytes = make_png(kinds[i].row, kinds[i].size, 1, 2, kinds[i].type, kinds[i].depth,
                               indexed ? &palette : NULL, indexed && kinds[i].depth == 8 ? &clear : NULL);
        Picture picture = decode_well(bytes);
        print_message("%s\n", kinds[i].name);
        assert_int_equal(picture.width, 2);
        expect_pixel(&picture, 0, 0, kinds[i].first[0], kinds[i].first[1], kinds[i].first[2], 0);
        expect_pixel(&picture, 0, 1, kinds[i].second[0], kinds[i].second[1], kinds[i].second[2], 0);
        picture_free(&picture);
        free(bytes.data);
    }
}

static void png_pixels_come_back(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(H, W);
    Bytes bytes = make_png(pixels, 3 * H * W, H, W, SPNG_COLOR_TYPE_TRUECOLOR, 8, NULL, NULL);
    Picture picture = decode_well(bytes);
    assert_memory_equal(picture.pixels, pixels, 3 * H * W);
    picture_free(&picture);
    /* No prefix without all of the pixel data (IDAT ends 12 bytes of IEND and 4 of its sum before the end). */
    for (size_t size = 0; size < bytes.size - 16; size++) {
        effnet_error err = {0};
        if (picture_decode(bytes.data, size, "cut.png", &picture, &err) != EFFNET_ERROR_FORMAT)
            fail_msg("%zu of %zu bytes decoded", size, bytes.size);
    }
    Bytes half = {bytes.data, bytes.size / 2};
    expect_failure(half, EFFNET_ERROR_FORMAT, "truncated PNG");
    bytes.data[bytes.size / 2] ^= 0x55;
    expect_failure(bytes, EFFNET_ERROR_FORMAT, "corrupt PNG");
    free(bytes.data);
    free(pixels);
}

static void huge_png_is_refused(void **state) {
    (void)state;
    uint8_t pixels[3] = {1, 2, 3};
    Bytes bytes = make_png(pixels, 3, 1, 1, SPNG_COLOR_TYPE_TRUECOLOR, 8, NULL, NULL);
    uint8_t *header = bytes.data + 12; /* "IHDR", width, height, 5 bytes, then the sum */
    put_big_endian(header + 4, 50000);
    put_big_endian(header + 8, 50000);
    put_big_endian(header + 17, (uint32_t)crc32(0, header, 17));
    expect_failure(bytes, EFFNET_ERROR_FORMAT, "50000 pixels wide and 50000 high");
    put_big_endian(header + 4, 10000); /* allowed, but not in 70 bytes */
    put_big_endian(header + 8, 10000);
    put_big_endian(header + 17, (uint32_t)crc32(0, header, 17));
    expect_failure(bytes, EFFNET_ERROR_FORMAT, "cannot be in its");
    free(bytes.data);
}

/* ---- files ---- */

static void what_is_no_picture(void **state) {
    (void)state;
    expect_failure((Bytes){(uint8_t *)"", 0}, EFFNET_ERROR_FORMAT, "is empty");
    expect_failure((Bytes){(uint8_t *)"%PDF-1.4", 8}, EFFNET_ERROR_FORMAT,
                   "not a JPEG, PNG, WebP, BMP, GIF, TIFF or HEIC picture but a PDF");
    expect_failure((Bytes){(uint8_t *)"\xff", 1}, EFFNET_ERROR_FORMAT, "not a JPEG, PNG, WebP, BMP, GIF, TIFF or HEIC");
    expect_failure((Bytes){(uint8_t *)"\xff\xd8\xff", 3}, EFFNET_ERROR_FORMAT, "some.file");
}

static void files_by_content(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    Picture picture;
    effnet_error err = {0};
    uint8_t pixels[3] = {7, 8, 9};
    place_file(&folder, "really_a_png.JPEG", make_png(pixels, 3, 1, 1, SPNG_COLOR_TYPE_TRUECOLOR, 8, NULL, NULL));
    assert_int_equal(picture_read(scratch_path(&folder, "really_a_png.JPEG"), &picture, &err), EFFNET_OK);
    expect_pixel(&picture, 0, 0, 7, 8, 9, 0);
    picture_free(&picture);
    picture_free(NULL);
    assert_int_equal(picture_read(scratch_path(&folder, "missing.jpg"), &picture, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "missing.jpg"));
    assert_non_null(strstr(err.message, "No such file"));
    assert_int_equal(picture_read(folder.path, &picture, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "is a folder"));
    scratch_folder_remove(&folder);
}

/* One decoder, many pictures: nothing of an earlier one shows, and an error, of the header (libjpeg-turbo's handle is
 * spoilt then) or of the data, leaves it usable. */
static void decoder_is_reusable(void **state) {
    (void)state;
    Decoder decoder = {0};
    Bytes large = make_plain_jpeg(100, 90, 10, 200, 30), small = make_plain_jpeg(9, 5, 250, 0, 100);
    Picture picture;
    for (size_t cut = 1; cut < large.size; cut += 50) {
        effnet_error err;
        assert_int_equal(decoder_decode(&decoder, large.data, large.size, "a", &picture, &err), EFFNET_OK);
        expect_pixel(&picture, 99, 89, 10, 200, 30, 3);
        assert_int_equal(decoder_decode(&decoder, large.data, cut, "b", &picture, &err), EFFNET_ERROR_FORMAT);
        if (decoder_decode(&decoder, small.data, small.size, "c", &picture, &err) != EFFNET_OK)
            fail_msg("%s", err.message);
        assert_int_equal(picture.height, 9);
        expect_pixel(&picture, 8, 4, 250, 0, 100, 3);
    }
    decoder_release(&decoder);
    free(large.data);
    free(small.data);
}

/* Grey with alpha and RGBA keep their alpha where that many channels are asked for; others are told. */
static void alpha_where_it_is_asked_for(void **state) {
    (void)state;
    enum { ROWS = 3, COLUMNS = 5 };
    uint8_t stored[4 * ROWS * COLUMNS];
    for (int i = 0; i < 4 * ROWS * COLUMNS; i++) stored[i] = (uint8_t)(13 * i + 5);
    for (int channels = 2; channels <= 4; channels += 2) {
        Bytes png =
            make_png(stored, (size_t)(channels * ROWS * COLUMNS), ROWS, COLUMNS, channels == 4 ? 6 : 4, 8, NULL, NULL);
        for (int asked = 2; asked <= 6; asked++) {
            if (asked == 3) continue;
            Decoder decoder = {.channels = asked};
            Picture picture;
            effnet_error err = {0};
            effnet_status status = decoder_decode(&decoder, png.data, png.size, "some.png", &picture, &err);
            if (asked == channels) {
                if (status != EFFNET_OK) fail_msg("%s", err.message);
                assert_true(picture.height == ROWS && picture.width == COLUMNS &&
                            picture_channels(&picture) == channels);
                assert_memory_equal(picture.pixels, stored, (size_t)(channels * ROWS * COLUMNS));
            } else {
                assert_int_equal(status, EFFNET_ERROR_FORMAT);
                if (!strstr(err.message, "is read as 3 channels and in_chans is")) fail_msg("%s", err.message);
            }
            decoder_release(&decoder);
        }
        free(png.data);
    }
    Picture tall = {.height = 2, .width = 1, .channels = 2, .pixels = (uint8_t[]){1, 2, 3, 4}};
    uint8_t turned[4];
    picture_turn(&tall, 6, turned); /* by 90 degrees to the right */
    assert_memory_equal(turned, ((uint8_t[]){3, 4, 1, 2}), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alpha_where_it_is_asked_for),
        cmocka_unit_test(jpeg_colours_come_back),
        cmocka_unit_test(grey_jpeg_becomes_rgb),
        cmocka_unit_test(adobe_inks_are_inverted),
        cmocka_unit_test(plain_inks_are_not_inverted),
        cmocka_unit_test(tables_do_not_go_from_file_to_file),
        cmocka_unit_test(scans_have_a_limit),
        cmocka_unit_test(truncated_jpeg_is_an_error),
        cmocka_unit_test(extraneous_bytes_are_harmless),
        cmocka_unit_test(corrupt_bytes_never_crash),
        cmocka_unit_test(unusual_subsampling_is_read),
        cmocka_unit_test(huge_jpeg_is_refused),
        cmocka_unit_test(png_of_every_kind),
        cmocka_unit_test(png_pixels_come_back),
        cmocka_unit_test(huge_png_is_refused),
        cmocka_unit_test(what_is_no_picture),
        cmocka_unit_test(files_by_content),
        cmocka_unit_test(decoder_is_reusable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
