/* test_decode_region.c - the part of a JPEG that a crop needs: bit for bit the whole decode's pixels for every chroma
 * subsampling and place, on made and real photographs; scaled, within a stated distance; whatever is not plain is left
 * to the careful decoder. */
#include "compare.h"
#include "data/feed/loader.h"
#include "data/picture/decode.h"
#include "data/sources/source.h"
#include "drawn_photographs.h"
#include "make_pictures.h"

#include <math.h>
#include <unistd.h>

static PictureCrop choose_given(const void *context, int height, int width) {
    const Box *box = context;
    assert_true(box->top + box->height <= height && box->left + box->width <= width);
    return (PictureCrop){.box = *box};
}

static bool decode_box(Decoder *decoder, Bytes bytes, Box box, int least, Region *out) {
    const RegionRequest request = {
        .choose = choose_given, .context = &box, .least_height = least, .least_width = least};
    bool done = false;
    assert_int_equal(decode_jpeg_region(decoder, bytes.data, bytes.size, "made", &request, out, &done, NULL),
                     EFFNET_OK);
    return done;
}

/* Every pixel of the box, from the region and from the whole. */
static void expect_same(const Region *region, const Picture *whole, Box box) {
    assert_int_equal(region->eighths, 8);
    assert_int_equal(region->height, whole->height);
    assert_int_equal(region->width, whole->width);
    assert_true(region->top <= box.top && region->left <= box.left);
    assert_true(region->top + region->picture.height >= box.top + box.height);
    assert_true(region->left + region->picture.width >= box.left + box.width);
    for (int y = 0; y < box.height; y++) {
        const uint8_t *want = whole->pixels + 3 * ((size_t)(box.top + y) * (size_t)whole->width + (size_t)box.left);
        const uint8_t *got =
            region->picture.pixels + 3 * ((size_t)(box.top + y - region->top) * (size_t)region->picture.width +
                                          (size_t)(box.left - region->left));
        if (memcmp(got, want, 3 * (size_t)box.width) != 0)
            fail_msg("row %d of box (%d, %d, %d, %d) of %d x %d differs", y, box.top, box.left, box.height, box.width,
                     whole->height, whole->width);
    }
}

static void expect_boxes(Bytes bytes, const Picture *whole, int count) {
    Decoder decoder = {0};
    for (uint32_t i = 0; i < (uint32_t)count; i++) {
        RandomKey key = random_fold_in(random_key(17), i);
        Region region;
        Box box = {.height = 1 + (int)random_below(key, 0, (uint32_t)whole->height),
                   .width = 1 + (int)random_below(key, 1, (uint32_t)whole->width)};
        box.top = (int)random_below(key, 2, (uint32_t)(whole->height - box.height + 1));
        box.left = (int)random_below(key, 3, (uint32_t)(whole->width - box.width + 1));
        assert_true(decode_box(&decoder, bytes, box, 0, &region));
        expect_same(&region, whole, box);
    }
    decoder_release(&decoder);
}

static void boxes_equal_the_whole(void **state) {
    (void)state;
    static const int samplings[] = {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411, TJSAMP_GRAY};
    static const int sizes[][2] = {{1, 1}, {7, 9}, {16, 16}, {33, 50}, {131, 97}, {200, 301}};
    for (size_t s = 0; s < 6; s++)
        for (size_t k = 0; k < 6; k++) {
            uint8_t *pixels = pattern_picture(sizes[k][0], sizes[k][1]);
            Bytes bytes = make_jpeg(pixels, sizes[k][0], sizes[k][1], TJPF_RGB, samplings[s], 0);
            Picture whole;
            assert_int_equal(picture_decode(bytes.data, bytes.size, "whole", &whole, NULL), EFFNET_OK);
            expect_boxes(bytes, &whole, 60);
            picture_free(&whole);
            free(bytes.data);
            free(pixels);
        }
}

static void what_is_not_plain_is_left(void **state) {
    (void)state;
    uint8_t *pixels = pattern_picture(60, 70);
    Bytes good = make_jpeg(pixels, 60, 70, TJPF_RGB, TJSAMP_420, 0);
    Bytes progressive = make_jpeg(pixels, 60, 70, TJPF_RGB, TJSAMP_420, TJFLAG_PROGRESSIVE);
    Bytes cut = {good.data, good.size - 40}, nothing = {good.data, 0};
    Decoder decoder = {0};
    Region region;
    Box box = {10, 10, 30, 30};
    assert_false(decode_box(&decoder, progressive, box, 0, &region));
    assert_false(decode_box(&decoder, cut, box, 0, &region));
    assert_false(decode_box(&decoder, nothing, box, 0, &region));
    assert_true(decode_box(&decoder, good, box, 0, &region));
    for (size_t at = 2; at + 2 < good.size; at++) { /* damage anywhere: no crash, and the decoder lives on */
        uint8_t kept = good.data[at];
        good.data[at] ^= 0x5A;
        RegionRequest request = {.choose = choose_given, .context = &box};
        bool done;
        Picture whole = {0};
        /* a damaged size may make the box leave the picture: only what the whole decoder takes at 60 x 70 is asked */
        if (picture_decode(good.data, good.size, "damaged", &whole, NULL) == EFFNET_OK && whole.height == 60 &&
            whole.width == 70) {
            assert_int_equal(
                decode_jpeg_region(&decoder, good.data, good.size, "damaged", &request, &region, &done, NULL),
                EFFNET_OK);
            if (done) expect_same(&region, &whole, box);
        }
        picture_free(&whole);
        good.data[at] = kept;
    }
    assert_true(decode_box(&decoder, good, box, 0, &region));
    decoder_release(&decoder);
    free(good.data);
    free(progressive.data);
    free(pixels);
}

/* A smooth picture decoded at each scale and resized is near the one decoded whole. */
static void scaled_is_near(void **state) {
    (void)state;
    enum { HEIGHT = 700, WIDTH = 900, SIDE = 40 };
    uint8_t *pixels = malloc(3 * HEIGHT * WIDTH);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                pixels[3 * (y * WIDTH + x) + c] = (uint8_t)(128 + 60 * sin(x / 23.0 + c) + 60 * cos(y / 17.0));
    Bytes bytes = make_jpeg(pixels, HEIGHT, WIDTH, TJPF_RGB, TJSAMP_420, 0);
    Decoder decoder = {0};
    Picture whole;
    assert_int_equal(picture_decode(bytes.data, bytes.size, "whole", &whole, NULL), EFFNET_OK);
    PreprocessOptions options = {
        .transform = {.input = {SIDE, SIDE, 3}, .interpolation = INTERPOLATION_BICUBIC, .std = {1, 1, 1}},
        .scale = {.02, 1},
        .ratio = {.75, 1.33},
        .train_crop = TRAIN_CROP_RANDOM_RESIZED};
    static float got[3 * SIDE * SIDE], want[3 * SIDE * SIDE];
    int seen[9] = {0};
    PreprocessBuffers buffers = {0};
    for (uint32_t i = 0; i < 60; i++) {
        RandomKey key = random_fold_in(random_key(2), i);
        Region region;
        Box box = preprocess_crop(&options, HEIGHT, WIDTH, &key).box;
        assert_true(decode_box(&decoder, bytes, box, 2 * SIDE, &region));
        seen[region.eighths]++;
        assert_int_equal(preprocess_region(&options, &region, &key, &buffers, got, NULL), EFFNET_OK);
        assert_int_equal(preprocess_picture(&options, &whole, &key, &buffers, want, NULL), EFFNET_OK);
        for (int k = 0; k < 3 * SIDE * SIDE; k++) {
            double distance = 255 * fabs((double)got[k] - (double)want[k]);
            if (!(distance <= 6)) fail_msg("%d eighths: %.1f levels apart at %d", region.eighths, distance, k);
        }
    }
    assert_true(seen[8] > 0 && seen[4] > 0 && seen[2] > 0 && seen[1] > 0);
    preprocess_release(&buffers);
    decoder_release(&decoder);
    picture_free(&whole);
    free(bytes.data);
    free(pixels);
}

/* Photographs, a hundred real ones or twenty that are drawn: every crop from its region equals the crop from the whole;
 * scaled, the distance is told. */
static void photographs(void **state) {
    (void)state;
    char command[3000];
    ScratchFolder folder = scratch_folder_create();
    const bool real = access(EFFNET_SHARED_DATA "/imagenet-sample-dev.tar", R_OK) == 0;
    snprintf(command, sizeof command, "mkdir '%s/train' && tar -C '%s/train' -xf '%s/imagenet-sample-dev.tar'",
             folder.path, folder.path, EFFNET_SHARED_DATA);
    if (real) assert_int_equal(system(command), 0);
    for (uint32_t i = 0; i < 20 && !real; i++) {
        char name[60];
        snprintf(name, sizeof name, "train/%u/drawn.jpg", i);
        assert_true(drawn_write(folder.path, name, i, (int)(i % 2), 375, 500, i % 10 == 0));
    }
    Dataset *dataset;
    assert_int_equal(dataset_open(folder.path, SPLIT_TRAIN, NULL, &dataset, NULL), EFFNET_OK);
    enum { SIDE = 64, FLOATS = 3 * SIDE * SIDE };
    PreprocessOptions options = {
        .transform = {.input = {SIDE, SIDE, 3}, .interpolation = INTERPOLATION_BICUBIC, .std = {1, 1, 1}},
        .scale = {.08, 1},
        .ratio = {.75, 1.33},
        .train_crop = TRAIN_CROP_RANDOM_RESIZED};
    float *got = malloc(FLOATS * sizeof *got), *want = malloc(FLOATS * sizeof *want);
    PreprocessBuffers buffers = {0};
    Decoder decoder = {0};
    int pictures = 0, scaled = 0, regions = 0;
    double worst = 0, sum = 0, beyond = 0;
    for (int64_t i = 0; i < dataset_size(dataset); i += real ? 5 : 1, pictures++) {
        RandomKey key = random_fold_in(random_key(4), (uint32_t)i);
        Picture whole;
        assert_int_equal(dataset_read(dataset, i, &whole, NULL), EFFNET_OK);
        assert_int_equal(preprocess_picture(&options, &whole, &key, &buffers, want, NULL), EFFNET_OK);
        Box box = preprocess_crop(&options, whole.height, whole.width, &key).box;
        for (int least = 0; least <= 2 * SIDE; least += 2 * SIDE) {
            const RegionRequest request = {
                .choose = choose_given, .context = &box, .least_height = least, .least_width = least};
            Region region;
            assert_int_equal(dataset_read_region(dataset, i, &decoder, &request, &region, NULL), EFFNET_OK);
            assert_int_equal(preprocess_region(&options, &region, &key, &buffers, got, NULL), EFFNET_OK);
            regions += least == 0 && region.picture.height < region.height;
            if (least == 0) assert_memory_equal(got, want, FLOATS * sizeof *got);
            if (region.eighths == 8) continue;
            scaled++;
            for (int k = 0; k < FLOATS; k++) {
                double distance = 255 * fabs((double)got[k] - (double)want[k]);
                worst = fmax(worst, distance);
                sum += distance;
                beyond += distance > 8;
            }
        }
        picture_free(&whole);
    }
    double levels = (double)scaled * FLOATS;
    printf(
        "%d of %d photographs in part; %d scaled: mean distance %.3f levels, largest %.1f, beyond 8 levels %.3f %%\n",
        regions, pictures, scaled, sum / levels, worst, 100 * beyond / levels);
    assert_true(regions > pictures / 2 && scaled > pictures / 5);
    assert_true(sum / levels < .6 && beyond / levels < .002 && worst < 30);
    preprocess_release(&buffers);
    decoder_release(&decoder);
    free(got);
    free(want);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_equal_the_whole),
        cmocka_unit_test(what_is_not_plain_is_left),
        cmocka_unit_test(scaled_is_near),
        cmocka_unit_test(photographs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
