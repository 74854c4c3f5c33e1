/* test_loader_damage.c - a run over data that is hostile or changes under it: each bad picture is told of once by its
 * path and counted, or ends the run where the recipe says so; none takes memory or time. Runs under the address
 * sanitizer with the rest. */
#include "loader_fixture.h"
#include "make_shards.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIDE = 16, GOOD = 9, BAD = 8 };

static const char *const bad_names[BAD] = {"a/bomb.jpg", "a/bomb.png",    "a/cut.jpg",  "a/empty.jpg",
                                           "a/link.jpg", "a/removed.jpg", "a/text.jpg", "a/zeros.webp"};

static LoaderOptions options_for(const Dataset *dataset, bool training) {
    LoaderOptions options = {.dataset = dataset, .training = training, .batch = 4, .workers = 3, .seed = 3};
    Recipe recipe;
    recipe_defaults(&recipe);
    preprocess_from_recipe(&recipe, (TensorShape){SIDE, SIDE, 3}, &options.preprocess);
    return options;
}

/* Sides of 50,000 in the header of an 8 x 8 picture. */
static Bytes bomb_jpeg(void) {
    Bytes bytes = make_plain_jpeg(8, 8, 1, 2, 3);
    size_t at = 2;
    while (bytes.data[at + 1] != 0xC0) at += 2 + ((size_t)bytes.data[at + 2] << 8 | bytes.data[at + 3]);
    for (int i = 5; i <= 8; i++) bytes.data[at + (size_t)i] = (uint8_t)(i % 2 ? 50000 >> 8 : 50000 & 255);
    return bytes;
}

static Bytes bomb_png(void) {
    uint8_t pixel[3] = {1, 2, 3};
    Bytes bytes = make_png(pixel, 3, 1, 1, SPNG_COLOR_TYPE_TRUECOLOR, 8, NULL, NULL);
    const uint8_t sides[8] = {0, 0, 50000 >> 8, 50000 & 255, 0, 0, 50000 >> 8, 50000 & 255};
    memcpy(bytes.data + 16, sides, sizeof sides);
    uint32_t sum = (uint32_t)crc32(0, bytes.data + 12, 17);
    for (int i = 0; i < 4; i++) bytes.data[29 + i] = (uint8_t)(sum >> 8 * (3 - i));
    return bytes;
}

static Bytes bytes_of(const char *text, size_t size) {
    Bytes bytes = {malloc(size + 1), size};
    assert_non_null(bytes.data);
    memcpy(bytes.data, text, size);
    return bytes;
}

static ScratchFolder make_wrecks(void) {
    static const char zeros[64] = {0};
    ScratchFolder folder = scratch_folder_create();
    for (int i = 0; i < GOOD; i++) {
        char name[32];
        snprintf(name, sizeof name, "%c/%d.jpg", i % 2 ? 'a' : 'b', i);
        place_file(&folder, name, make_plain_jpeg(20, 20, 20 * i, 9, 9));
    }
    Bytes cut = make_plain_jpeg(64, 64, 7, 8, 9);
    cut.size /= 2;
    place_file(&folder, "a/bomb.jpg", bomb_jpeg());
    place_file(&folder, "a/bomb.png", bomb_png());
    place_file(&folder, "a/cut.jpg", cut);
    place_file(&folder, "a/empty.jpg", bytes_of("", 0));
    place_file(&folder, "a/text.jpg", bytes_of("this is no picture", 18));
    place_file(&folder, "a/zeros.webp", bytes_of(zeros, sizeof zeros));
    place_file(&folder, "a/removed.jpg", make_plain_jpeg(20, 20, 1, 1, 1));
    assert_int_equal(symlink("nowhere.jpg", scratch_path(&folder, "a/link.jpg")), 0);
    return folder;
}

/* Every message that the loader has, each about another of the bad files. */
static void expect_each_told_once(Loader *loader) {
    bool told[BAD] = {false};
    char text[600];
    for (int i = 0; i < BAD; i++) {
        int which = 0;
        assert_true(loader_take_warning(loader, text, sizeof text));
        while (which < BAD && !strstr(text, bad_names[which])) which++;
        if (which == BAD || told[which]) fail_msg("told again, or of a good file: %s", text);
        told[which] = true;
    }
    assert_false(loader_take_warning(loader, text, sizeof text));
}

static void wrecks_are_skipped_or_fatal(void **state) {
    (void)state;
    ScratchFolder folder = make_wrecks();
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    assert_int_equal(dataset_size(dataset), GOOD + BAD);
    assert_int_equal(unlink(scratch_path(&folder, "a/removed.jpg")), 0);
    for (int training = 0; training < 2; training++) {
        LoaderOptions options = options_for(dataset, training);
        Loader *loader = create_loader(&options);
        int pictures = 0;
        for (int calls = 0, ends = 0; training ? calls < 12 : ends < 2; calls++) { /* three epochs, two evaluations */
            int size = next_batch(loader).size;
            pictures += size;
            ends += size == 0;
        }
        assert_int_equal(pictures, training ? 48 : 2 * GOOD);
        assert_int_equal(loader_skipped(loader), BAD);
        expect_each_told_once(loader);
        loader_free(loader);
        options.bad_images = BAD_IMAGES_STOP;
        loader = create_loader(&options);
        effnet_error err = {0};
        effnet_status status = EFFNET_OK;
        Batch batch;
        for (int step = 0; step < 5 && status == EFFNET_OK; step++) status = loader_next(loader, &batch, &err);
        assert_int_not_equal(status, EFFNET_OK);
        int which = 0;
        while (which < BAD && !strstr(err.message, bad_names[which])) which++;
        if (which == BAD) fail_msg("names none of the bad files: %s", err.message);
        loader_free(loader);
    }
    dataset_free(dataset);
    scratch_folder_remove(&folder);
    struct rusage usage; /* 50,000 x 50,000 x 3 bytes are 7.5 GB */
    getrusage(RUSAGE_SELF, &usage);
    assert_true(usage.ru_maxrss < 2 << 20);
}

/* ---- shards that change while a loader reads them ---- */

static void write_records(const char *path, int count) {
    Growing file = {0};
    for (int i = 0; i < count; i++) {
        Bytes bytes = make_plain_jpeg(20, 20, 5 * i, 100, 50);
        grow_record(&file, make_example(bytes, i % 3, NULL));
        free(bytes.data);
    }
    write_growing(path, &file);
}

static void write_samples(const char *path, int count) {
    Growing tar = {0};
    for (int i = 0; i < count; i++) {
        char name[32], label[16];
        Bytes bytes = make_plain_jpeg(20, 20, 5 * i, 100, 50);
        snprintf(name, sizeof name, "s%d.jpg", i);
        grow_tar_file(&tar, name, bytes.data, bytes.size);
        snprintf(name, sizeof name, "s%d.cls", i);
        grow_tar_file(&tar, name, label, (size_t)snprintf(label, sizeof label, "%d", i % 3));
        free(bytes.data);
    }
    grow_tar_end(&tar);
    write_growing(path, &tar);
}

/* One of two shards is cut off after the first batch: its pictures are skipped, the other's go on. */
static void a_shard_that_changes(const char *first, const char *second, void (*write)(const char *path, int count)) {
    enum { EACH = 20 };
    ScratchFolder folder = scratch_folder_create();
    char path[2][512], text[600];
    snprintf(path[0], sizeof path[0], "%s", scratch_path(&folder, first));
    snprintf(path[1], sizeof path[1], "%s", scratch_path(&folder, second));
    write(path[0], EACH);
    write(path[1], EACH);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    assert_int_equal(dataset_size(dataset), 2 * EACH);
    LoaderOptions options = options_for(dataset, true);
    options.workers = 2;
    options.ahead = 1;
    Loader *loader = create_loader(&options);
    assert_int_equal(next_batch(loader).size, 4);
    assert_int_equal(truncate(path[1], 3000), 0);
    for (int step = 0; step < 40; step++) assert_int_equal(next_batch(loader).size, 4);
    assert_int_equal(loader_skipped(loader), EACH);
    for (int i = 0; i < EACH; i++) {
        assert_true(loader_take_warning(loader, text, sizeof text));
        if (!strstr(text, second) || !strstr(text, "changed since it was opened")) fail_msg("%s", text);
    }
    loader_free(loader);
    options.bad_images = BAD_IMAGES_STOP;
    options.training = false; /* in order: the second shard comes last */
    loader = create_loader(&options);
    effnet_error err = {0};
    Batch batch = {0};
    int pictures = 0;
    while (loader_next(loader, &batch, &err) == EFFNET_OK && batch.size) pictures += batch.size;
    assert_int_equal(pictures, EACH);
    if (!strstr(err.message, "changed since it was opened")) fail_msg("%s", err.message);
    loader_free(loader);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

static void shards_that_change(void **state) {
    (void)state;
    a_shard_that_changes("train-00000-of-00002", "train-00001-of-00002", write_records);
    a_shard_that_changes("train-0.tar", "train-1.tar", write_samples);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(wrecks_are_skipped_or_fatal),
                                       cmocka_unit_test(shards_that_change)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
