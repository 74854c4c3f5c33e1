/* test_loader.c - batches ahead of the engine: the same for any number of workers and after a resume, every picture
 * once an epoch, the last partial evaluation batch counted, bad pictures skipped or fatal, stopping at any moment.
 * Runs under the thread sanitizer too. */
#include "loader_fixture.h"

#include <malloc.h>
#include <unistd.h>

enum { PICTURES = 53, SIDE = 6, FLOATS = 3 * SIDE * SIDE };

/* 20 files in 2 classes, level 10 * number; those in `bad` are cut short. */
static ScratchFolder make_files(const int *bad, int count) {
    ScratchFolder folder = scratch_folder_create();
    for (int i = 0; i < 20; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%02d.jpg", i < 12 ? "a" : "b", i);
        Bytes bytes = make_plain_jpeg(8, 8, 10 * i, 10 * i, 10 * i);
        for (int k = 0; k < count; k++)
            if (bad[k] == i) bytes.size /= 2;
        place_file(&folder, name, bytes);
    }
    return folder;
}

static LoaderOptions options_for(const Dataset *dataset, bool training) {
    return (LoaderOptions){.dataset = dataset,
                           .training = training,
                           .batch = 8,
                           .workers = 2,
                           .seed = 42,
                           .preprocess = {.transform = {.input = {SIDE, SIDE, 3},
                                                        .val_crop = VAL_CROP_NONE,
                                                        .pad_to = SIDE,
                                                        .crop_pct = 1,
                                                        .std = {1, 1, 1}},
                                          .train_crop = TRAIN_CROP_PAD,
                                          .crop_padding = 2,
                                          .scale = {.08, 1},
                                          .ratio = {.75, 1.5},
                                          .hflip = .5}};
}

/* A sum of all bits of the next batches, which depends on their order. */
static uint64_t sum_of(Loader *loader, int batches) {
    uint64_t sum = 14695981039346656037u;
    for (int i = 0; i < batches; i++) {
        Batch batch = next_batch(loader);
        const uint8_t *parts[2] = {(const uint8_t *)batch.images, (const uint8_t *)batch.labels};
        size_t sizes[2] = {(size_t)batch.size * FLOATS * 4, (size_t)batch.size * 4};
        for (int p = 0; p < 2; p++)
            for (size_t k = 0; k < sizes[p]; k++) sum = (sum ^ parts[p][k]) * 1099511628211u;
    }
    return sum;
}

static void any_workers_same_batches(void **state) {
    (void)state;
    ScratchFolder folder = make_idx_folder(PICTURES, 5, 6, true);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    LoaderOptions options = options_for(dataset, true);
    uint64_t want = 0;
    const int workers[] = {1, 2, 5, 16}, ahead[] = {4, 1, 2, 40};
    for (int i = 0; i < 4; i++) {
        options.workers = workers[i];
        options.ahead = ahead[i];
        Loader *loader = create_loader(&options);
        assert_int_equal(loader_steps_per_epoch(loader), 6);
        uint64_t sum = sum_of(loader, 20);
        if (i == 0) want = sum;
        assert_true(sum == want);
        loader_free(loader);
    }
    options.seed = 43;
    Loader *loader = create_loader(&options);
    assert_true(sum_of(loader, 20) != want);
    loader_free(loader);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* The same with every kind of augmentation, mixed batches and repeats; a batch is not its neighbour's. */
static void any_workers_same_augmented_batches(void **state) {
    (void)state;
    ScratchFolder folder = make_idx_folder(PICTURES, 5, 6, true);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    static const char *const policies[] = {"v0", "randaug-n2-m9", "rand-m9-mstd0.5-inc1", "trivial"};
    for (int p = 0; p < 4; p++) {
        LoaderOptions options = options_for(dataset, true);
        Recipe recipe;
        recipe_defaults(&recipe);
        snprintf(recipe.aa, sizeof recipe.aa, "%s", policies[p]);
        recipe.reprob = recipe.grayscale_prob = .5;
        recipe.color_jitter = .4;
        recipe.remode = p % 3;
        assert_int_equal(preprocess_augment_from_recipe(&recipe, &options.preprocess, NULL), EFFNET_OK);
        options.mix =
            (MixOptions){.mixup = .4, .cutmix = 1, .probability = .8, .switch_probability = .5, .mode = p % 2};
        options.repeats = 1 + p;
        uint64_t want = 0, resumed = 0;
        static const int workers[] = {1, 2, 7};
        for (int i = 0; i < 3; i++) {
            options.workers = workers[i];
            options.first_step = 0;
            Loader *loader = create_loader(&options);
            uint64_t before = sum_of(loader, 9), after = sum_of(loader, 6);
            assert_true(before != after);
            if (i == 0) {
                want = before;
                resumed = after;
            }
            assert_true(before == want && after == resumed);
            loader_free(loader);
            options.first_step = 9;
            loader = create_loader(&options);
            assert_true(sum_of(loader, 6) == resumed);
            loader_free(loader);
        }
    }
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* A picture stands `repeats` times in a row, each time differently. */
static void repeats_stand_in_a_row(void **state) {
    (void)state;
    ScratchFolder folder = make_idx_folder(PICTURES, 5, 6, true);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    LoaderOptions options = options_for(dataset, true);
    options.repeats = 4;
    Loader *loader = create_loader(&options);
    int different = 0;
    for (int b = 0; b < 6; b++) {
        Batch batch = next_batch(loader);
        assert_int_equal(batch.size, 8);
        for (int i = 0; i < 8; i++) {
            assert_int_equal(batch.labels[i], batch.labels[i / 4 * 4]);
            different +=
                memcmp(batch.images + i * FLOATS, batch.images + i / 4 * 4 * FLOATS, FLOATS * sizeof(float)) != 0;
        }
    }
    assert_true(different > 24); /* of 36; a crop may come twice */
    loader_free(loader);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

static void resume_continues(void **state) {
    (void)state;
    ScratchFolder folder = make_idx_folder(PICTURES, 5, 6, true);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    LoaderOptions options = options_for(dataset, true);
    for (int first = 0; first < 15; first += 7) { /* within an epoch, over its end */
        options.first_step = 0;
        Loader *whole = create_loader(&options);
        for (int i = 0; i < first; i++) next_batch(whole);
        options.first_step = first;
        options.workers = 3;
        Loader *resumed = create_loader(&options);
        assert_true(sum_of(whole, 9) == sum_of(resumed, 9));
        loader_free(whole);
        loader_free(resumed);
    }
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* Which picture a place holds, from its centre level: 4 * i + 0..3. */
static int picture_of(const float *image) {
    return (int)(255 * image[3 * (SIDE * 2 + 2)] + .5f) / 4;
}

static void every_picture_once_an_epoch(void **state) {
    (void)state;
    ScratchFolder folder = make_idx_folder(PICTURES, 5, 6, true);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    LoaderOptions options = options_for(dataset, true);
    options.preprocess.crop_padding = 0;
    options.preprocess.hflip = 0;
    Loader *loader = create_loader(&options);
    int first_order[48], differing = 0;
    for (int epoch = 0; epoch < 3; epoch++) {
        int seen[PICTURES] = {0};
        for (int step = 0; step < 6; step++) {
            Batch batch = next_batch(loader);
            assert_int_equal(batch.size, 8);
            for (int i = 0; i < 8; i++) {
                int picture = picture_of(batch.images + i * FLOATS);
                assert_in_range(picture, 0, PICTURES - 1);
                assert_int_equal(batch.labels[i], picture % 7);
                assert_int_equal(seen[picture]++, 0);
                if (epoch == 0)
                    first_order[8 * step + i] = picture;
                else
                    differing += first_order[8 * step + i] != picture;
            }
        }
    }
    assert_true(differing > 80); /* of 96: another order each epoch */
    loader_free(loader);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* 53 pictures in batches of 8: six whole ones and five, in order; then the end; then again from the beginning. */
static void evaluation_counts_the_last_batch(void **state) {
    (void)state;
    ScratchFolder folder = make_idx_folder(PICTURES, 5, 6, true);
    Dataset *dataset = open_split(folder.path, SPLIT_VALIDATION);
    LoaderOptions options = options_for(dataset, false);
    for (options.workers = 1; options.workers < 5; options.workers += 3) {
        Loader *loader = create_loader(&options);
        assert_int_equal(loader_steps_per_epoch(loader), 7);
        for (int pass = 0; pass < 3; pass++) {
            int total = 0;
            for (Batch batch = next_batch(loader); batch.size; batch = next_batch(loader)) {
                assert_int_equal(batch.size, total < 48 ? 8 : 5);
                for (int i = 0; i < batch.size; i++, total++) {
                    assert_int_equal(batch.labels[i], total % 7);
                    assert_int_equal(picture_of(batch.images + i * FLOATS), total);
                }
            }
            assert_int_equal(total, PICTURES);
        }
        assert_int_equal(loader_skipped(loader), 0);
        loader_free(loader);
    }
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

static int level_of(const float *image) {
    return (int)(255 * image[0] + 5) / 10;
}

/* Pictures 3, 4, 12 and 19 of 20 are cut short. */
static void bad_pictures_are_skipped(void **state) {
    (void)state;
    const int bad[] = {3, 4, 12, 19};
    ScratchFolder folder = make_files(bad, 4);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    LoaderOptions options = options_for(dataset, false);
    char message[600];
    for (int cache = 0; cache < 2; cache++) {
        /* Evaluation: left out, the rest in order, batches closed up. */
        options.training = false;
        options.cache = cache;
        Loader *loader = create_loader(&options);
        for (int pass = 0; pass < 2; pass++) {
            const int want[] = {0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18}, sizes[] = {6, 7, 3};
            int total = 0, batches = 0;
            for (Batch batch = next_batch(loader); batch.size; batch = next_batch(loader)) {
                assert_int_equal(batch.size, sizes[batches++]);
                for (int i = 0; i < batch.size; i++, total++) {
                    assert_int_equal(level_of(batch.images + i * FLOATS), want[total]);
                    assert_int_equal(batch.labels[i], want[total] >= 12);
                }
            }
            assert_int_equal(total, 16);
            assert_int_equal(loader_skipped(loader), 4); /* once each, also in the second pass */
        }
        for (int i = 0; i < 4; i++) {
            assert_true(loader_take_warning(loader, message, sizeof message));
            assert_non_null(strstr(message, "truncated JPEG"));
        }
        assert_false(loader_take_warning(loader, message, sizeof message));
        loader_free(loader);
        /* Training: the next picture stands in, with its own label; the same for any number of workers. */
        options.training = true;
        options.preprocess.crop_padding = 0;
        options.batch = 20;
        uint64_t sums[2];
        for (int i = 0; i < 2; i++) {
            options.workers = 1 + 2 * i;
            loader = create_loader(&options);
            sums[i] = sum_of(loader, 3);
            int seen[21] = {0};
            Batch batch = next_batch(loader);
            assert_int_equal(batch.size, 20);
            for (int k = 0; k < 20; k++) {
                int level = level_of(batch.images + k * FLOATS);
                seen[level]++;
                assert_int_equal(batch.labels[k], level >= 12);
            }
            for (int k = 0; k < 20; k++)
                assert_int_equal(seen[k], k == 3 || k == 4 || k == 12 || k == 19 ? 0
                                          : k == 5                               ? 3
                                          : k == 13 || k == 0                    ? 2
                                                                                 : 1);
            assert_int_equal(loader_skipped(loader), 4);
            loader_free(loader);
        }
        assert_true(sums[0] == sums[1]);
        options.batch = 8;
    }
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* A whole evaluation batch of bad pictures is passed over, not taken for the end. */
static void a_batch_of_bad_pictures(void **state) {
    (void)state;
    const int bad[] = {4, 5, 6, 7, 16, 17, 18, 19};
    ScratchFolder folder = make_files(bad, 8);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    LoaderOptions options = options_for(dataset, false);
    options.batch = 4;
    Loader *loader = create_loader(&options);
    int total = 0;
    for (Batch batch = next_batch(loader); batch.size; batch = next_batch(loader)) total += batch.size;
    assert_int_equal(total, 12);
    total = 0;
    for (Batch batch = next_batch(loader); batch.size; batch = next_batch(loader)) total += batch.size;
    assert_int_equal(total, 12);
    loader_free(loader);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

static void bad_pictures_stop_where_asked(void **state) {
    (void)state;
    const int bad[] = {9, 11, 15};
    ScratchFolder folder = make_files(bad, 3);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    LoaderOptions options = options_for(dataset, false);
    options.bad_images = BAD_IMAGES_STOP;
    for (options.workers = 1; options.workers < 4; options.workers++) {
        Loader *loader = create_loader(&options);
        Batch batch = next_batch(loader);
        assert_int_equal(batch.size, 8); /* the first batch is good */
        for (int i = 0; i < 2; i++) {    /* the second names its first bad one, at every call */
            effnet_error err = {0};
            assert_int_equal(loader_next(loader, &batch, &err), EFFNET_ERROR_FORMAT);
            assert_non_null(strstr(err.message, "a/09.jpg"));
            assert_int_equal(batch.size, 0);
        }
        loader_free(loader);
    }
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* The disk goes away: training ends with an error instead of looking for ever. */
static void nothing_readable_is_an_error(void **state) {
    (void)state;
    ScratchFolder folder = make_files(NULL, 0);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    scratch_folder_remove(&folder);
    LoaderOptions options = options_for(dataset, true);
    Loader *loader = create_loader(&options);
    Batch batch;
    effnet_error err = {0};
    assert_int_equal(loader_next(loader, &batch, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "is the data still there? The last one: "));
    assert_non_null(strstr(err.message, "No such file")); /* its reason */
    loader_free(loader);
    options.training = false; /* evaluation ends, having skipped everything */
    loader = create_loader(&options);
    assert_int_equal(next_batch(loader).size, 0);
    assert_int_equal(loader_skipped(loader), 20);
    loader_free(loader);
    dataset_free(dataset);
}

/* With a cache the files are read once: later passes do not miss them. */
static void cache_keeps_pictures(void **state) {
    (void)state;
    ScratchFolder folder = make_files(NULL, 0);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    LoaderOptions options = options_for(dataset, true);
    options.batch = 20;
    options.workers = 3;
    Loader *plain = create_loader(&options);
    uint64_t want = sum_of(plain, 8);
    loader_free(plain);
    options.cache = true;
    Loader *loader = create_loader(&options);
    /* The first epoch puts every picture in memory; parts of the four in the ring behind it may have missed some. */
    for (int i = 0; i < 6; i++) next_batch(loader);
    scratch_folder_remove(&folder);
    for (int i = 0; i < 7; i++) assert_int_equal(next_batch(loader).size, 20);
    assert_int_equal(loader_skipped(loader), 0);
    loader_free(loader);
    dataset_free(dataset);
    folder = make_files(NULL, 0);
    dataset = open_split(folder.path, SPLIT_TRAIN);
    options.dataset = dataset;
    loader = create_loader(&options);
    assert_true(sum_of(loader, 8) == want); /* and the batches are the same */
    loader_free(loader);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* For a device: bytes where every picture has whole levels to its end, the same pictures; else floats as ever. */
static void bytes_are_the_same_pictures(void **state) {
    (void)state;
    ScratchFolder folder = make_idx_folder(PICTURES, 5, 6, true);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    LoaderOptions options = options_for(dataset, true);
    for (int c = 0; c < 3; c++) options.preprocess.transform.mean[c] = .4 + .1 * c;
    options.preprocess.whole = true;
    Loader *floats = create_loader(&options);
    options.bytes = true;
    Loader *bytes = create_loader(&options);
    double scale[MOST_CHANNELS], bias[MOST_CHANNELS];
    evaluation_transform_levels(&options.preprocess.transform, scale, bias);
    for (int step = 0; step < 9; step++) {
        const Batch one = next_batch(floats), other = next_batch(bytes);
        assert_true(one.images && !one.pixels && other.pixels && !other.images);
        assert_int_equal(one.size, other.size);
        assert_memory_equal(one.labels, other.labels, (size_t)one.size * sizeof *one.labels);
        for (int i = 0; i < one.size * FLOATS; i++) {
            const float product = (float)other.pixels[i] * (float)scale[i % 3];
            assert_true(product + (float)bias[i % 3] == one.images[i]);
        }
    }
    loader_free(floats);
    loader_free(bytes);
    LoaderOptions others[5];
    for (int i = 0; i < 5; i++) others[i] = options;
    others[0].preprocess.whole = false;
    others[1].preprocess.erase = (EraseOptions){.probability = .1, .most = 1};
    others[2].mix = (MixOptions){.mixup = .2, .probability = 1};
    others[3].training = false;
    others[4].plain = true;
    for (int i = 0; i < 5; i++) {
        Loader *loader = create_loader(&others[i]);
        const Batch batch = next_batch(loader);
        if (batch.pixels || !batch.images) fail_msg("loader %d gives bytes", i);
        loader_free(loader);
    }
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* An epoch more takes no memory more: not of the decoder, not of any buffer. One worker, which has met the largest
 * picture after an epoch; a picture that leaked would show as 12 kB each time. (A sanitizer's malloc counts nothing.)
 */
static void memory_is_constant(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    for (int i = 0; i < 16; i++) {
        char name[32];
        snprintf(name, sizeof name, "a/%d.jpg", i);
        place_file(&folder, name, make_plain_jpeg(32 + 4 * i, 100 - 4 * i, 10 * i, 0, 0));
    }
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    for (int training = 0; training < 2; training++) {
        LoaderOptions options = options_for(dataset, training);
        options.workers = 1;
        Loader *loader = create_loader(&options);
        for (int i = 0; i < 8; i++) next_batch(loader);
        size_t before = mallinfo2().uordblks;
        for (int i = 0; i < 100; i++) next_batch(loader);
        size_t after = mallinfo2().uordblks; /* the worker may be at a picture here, and not have been there */
        if (!(after < before + (1 << 18))) fail_msg("%zu bytes before 50 epochs, %zu after", before, after);
        loader_free(loader);
    }
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* Freed at once, after a batch, while workers wait and while they work. */
static void free_at_any_time(void **state) {
    (void)state;
    ScratchFolder folder = make_files(NULL, 0);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    for (int i = 0; i < 60; i++) {
        LoaderOptions options = options_for(dataset, i & 1);
        const int side = i % 3 ? SIDE : 200;
        options.preprocess.transform.input = (TensorShape){side, side, 3};
        options.workers = 1 + i % 4;
        options.ahead = 1 + i % 5;
        Loader *loader = create_loader(&options);
        for (int k = 0; k < i % 5; k++) next_batch(loader);
        if (i % 7 == 0) usleep(2000);
        loader_free(loader);
    }
    loader_free(NULL);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* The caller's batch is not touched while others are made. */
static void a_batch_stays_until_the_next_call(void **state) {
    (void)state;
    ScratchFolder folder = make_idx_folder(PICTURES, 5, 6, true);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    LoaderOptions options = options_for(dataset, true);
    options.ahead = 1;
    Loader *loader = create_loader(&options);
    for (int i = 0; i < 10; i++) {
        float copy[8 * FLOATS];
        Batch batch = next_batch(loader);
        memcpy(copy, batch.images, sizeof copy);
        usleep(3000);
        assert_memory_equal(copy, batch.images, sizeof copy);
    }
    loader_free(loader);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

static void wrong_options_are_named(void **state) {
    (void)state;
    ScratchFolder folder = make_idx_folder(PICTURES, 5, 6, true);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    const struct {
        int batch, workers, ahead, first_step, resolution;
        const char *wanted;
    } wrong[] = {{0, 1, 1, 0, 6, "batch is 0"},       {8, -1, 1, 0, 6, "workers is -1"},
                 {8, 1, 5000, 0, 6, "ahead is 5000"}, {8, 1, 1, -5, 6, "first_step"},
                 {8, 1, 1, 0, 0, "resolution is 0"},  {54, 1, 1, 0, 6, "fewer than one batch of 54"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        LoaderOptions options = options_for(dataset, true);
        options.batch = wrong[i].batch;
        options.workers = wrong[i].workers;
        options.ahead = wrong[i].ahead;
        options.first_step = wrong[i].first_step;
        options.preprocess.transform.input = (TensorShape){wrong[i].resolution, wrong[i].resolution, 3};
        Loader *loader;
        effnet_error err = {0};
        assert_int_equal(loader_create(&options, &loader, &err), EFFNET_ERROR_ARGUMENT);
        if (!strstr(err.message, wrong[i].wanted)) fail_msg("wanted '%s', got '%s'", wrong[i].wanted, err.message);
        assert_null(loader);
    }
    LoaderOptions options = options_for(dataset, true);
    options.batch = 53; /* one batch an epoch, several epochs at once in the ring */
    Loader *loader = create_loader(&options);
    for (int i = 0; i < 9; i++) assert_int_equal(next_batch(loader).size, 53);
    loader_free(loader);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_workers_same_batches),
        cmocka_unit_test(any_workers_same_augmented_batches),
        cmocka_unit_test(repeats_stand_in_a_row),
        cmocka_unit_test(resume_continues),
        cmocka_unit_test(every_picture_once_an_epoch),
        cmocka_unit_test(evaluation_counts_the_last_batch),
        cmocka_unit_test(bad_pictures_are_skipped),
        cmocka_unit_test(a_batch_of_bad_pictures),
        cmocka_unit_test(bad_pictures_stop_where_asked),
        cmocka_unit_test(nothing_readable_is_an_error),
        cmocka_unit_test(cache_keeps_pictures),
        cmocka_unit_test(bytes_are_the_same_pictures),
        cmocka_unit_test(memory_is_constant),
        cmocka_unit_test(free_at_any_time),
        cmocka_unit_test(a_batch_stays_until_the_next_call),
        cmocka_unit_test(wrong_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
