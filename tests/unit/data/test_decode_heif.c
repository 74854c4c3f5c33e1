/* test_decode_heif.c - HEIC: the pixels of a file that libheif wrote come back; cut and changed bytes are errors that name the
 * file, and a picture too large is refused before it is decoded; without the library it is refused by name. */
#include "data/picture/decode.h"
#include "data/picture/decode_formats.h"
#include "small_heic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEIGHT = 48, WIDTH = 64 };

/* Slopes that differ along both sides, so that turning and swapping are seen. */
static int level(int y, int x, int channel) {
    return channel == 0 ? 3 * x + 20 : channel == 1 ? 4 * y + 10 : 200 - 2 * x - y;
}

/* A copy of its own size, so that a sanitizer sees its end. */
static effnet_status decode_copy(Decoder *decoder, size_t size, size_t changed, Picture *out, effnet_error *err) {
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, small_heic, size);
    if (changed < size) copy[changed] ^= 0x55;
    effnet_status status = decoder_decode(decoder, copy, size, "a.heic", out, err);
    free(copy);
    return status;
}

/* Is libheif here, at build time and now? Where it is not, that is what the message says. */
static bool is_here(void) {
    Decoder decoder = {0};
    Picture picture;
    effnet_error err = {0};
    effnet_status status = decode_copy(&decoder, sizeof small_heic, SIZE_MAX, &picture, &err);
    decoder_release(&decoder);
    if (status == EFFNET_OK) return true;
    if (status != EFFNET_ERROR_UNSUPPORTED || !strstr(err.message, "'a.heic'") || !strstr(err.message, "libheif"))
        fail_msg("%s", err.message);
    return false;
}

static void pixels_come_back(void **state) {
    (void)state;
    Decoder decoder = {0};
    Picture picture;
    effnet_error err = {0};
    assert_int_equal(picture_kind(small_heic, sizeof small_heic), PICTURE_HEIF);
    if (!is_here()) skip();
    if (decode_copy(&decoder, sizeof small_heic, SIZE_MAX, &picture, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_int_equal(picture.height, HEIGHT);
    assert_int_equal(picture.width, WIDTH);
    int worst = 0;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++) {
                const int apart = abs(picture.pixels[3 * (y * WIDTH + x) + c] - level(y, x, c));
                if (apart > worst) worst = apart;
            }
    print_message("most apart: %d levels\n", worst);
    assert_true(worst <= 8); /* lossy, and its colours are halved along both sides */
    decoder_release(&decoder);
}

static void damage_is_told(void **state) {
    (void)state;
    if (!is_here()) skip();
    Decoder decoder = {0};
    Picture picture;
    effnet_error err = {0};
    for (size_t size = 12; size < sizeof small_heic; size += 29)
        if (decode_copy(&decoder, size, SIZE_MAX, &picture, &err) != EFFNET_OK)
            assert_non_null(strstr(err.message, "'a.heic'"));
    for (size_t changed = 12; changed < sizeof small_heic; changed += 7)
        if (decode_copy(&decoder, sizeof small_heic, changed, &picture, &err) != EFFNET_OK)
            assert_non_null(strstr(err.message, "'a.heic'"));
    assert_int_not_equal(decode_copy(&decoder, sizeof small_heic / 2, SIZE_MAX, &picture, &err), EFFNET_OK);
    decoder.most_pixels = HEIGHT * WIDTH - 1;
    assert_int_equal(decode_copy(&decoder, sizeof small_heic, SIZE_MAX, &picture, &err), EFFNET_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "'a.heic' says it is 64 pixels wide and 48 high"));
    decoder_release(&decoder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_come_back),
        cmocka_unit_test(damage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
