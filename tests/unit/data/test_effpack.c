/* test_effpack.c - what is packed comes back: bit for bit where nothing was changed, near where it was made smaller;
 * the file is the same for any number of threads and after a stop; damage is noticed, wherever it is. */
#include "data/sources/effpack.h"
#include "data/inspect/pack_write.h"
#include "data/feed/loader.h"
#include "make_pictures.h"

#include <math.h>

enum { EACH = 9 };

static Bytes text(const char *words) {
    Bytes bytes = {(uint8_t *)strdup(words), strlen(words)};
    return bytes;
}

/* Two classes of EACH pictures to train, one to evaluate, one picture that is none. */
static void place_source(const ScratchFolder *folder) {
    for (int i = 0; i < 3 * EACH; i++) {
        int height = 30 + 7 * (i % 5), width = 40 + 3 * (i % 7);
        uint8_t *pixels = pattern_picture(height, width);
        pixels[0] = (uint8_t)i;
        char name[64];
        snprintf(name, sizeof name, "source/%s/%s/%02d.%s", i < 2 * EACH ? "train" : "val", i % 2 ? "dog" : "cat", i,
                 i % 3 ? "jpg" : "png");
        place_file(folder, name,
                   i % 3 ? make_jpeg(pixels, height, width, TJPF_RGB, TJSAMP_420, 0)
                         : make_png(pixels, 3 * (size_t)height * (size_t)width, height, width, 2, 8, NULL, NULL));
        free(pixels);
    }
    place_file(folder, "source/train/cat/broken.jpg", text("no picture"));
}

typedef struct Watch {
    int skipped, stop_at;
    char why[600];
} Watch;

static void note_skipped(void *context, const char *why) {
    Watch *watch = context;
    watch->skipped++;
    snprintf(watch->why, sizeof watch->why, "%s", why);
}

static void pack_well(const ScratchFolder *folder, const char *name, int side, int quality, int workers,
                      PackResult *result, Watch *watch) {
    char source[512], path[512];
    snprintf(source, sizeof source, "%s", scratch_path(folder, "source"));
    snprintf(path, sizeof path, "%s", scratch_path(folder, name));
    effnet_error err = {0};
    *watch = (Watch){0};
    const PackOptions options = {.source = source,
                                 .path = path,
                                 .side = side,
                                 .quality = quality,
                                 .workers = workers,
                                 .skipped = note_skipped,
                                 .context = watch};
    if (pack_write(&options, result, &err) != EFFNET_OK) fail_msg("%s", err.message);
}

static Bytes read_back(const ScratchFolder *folder, const char *name) {
    FILE *stream = fopen(scratch_path(folder, name), "rb");
    assert_non_null(stream);
    Bytes bytes = {.data = malloc(1 << 22)};
    assert_non_null(bytes.data);
    bytes.size = fread(bytes.data, 1, 1 << 22, stream);
    fclose(stream);
    return bytes;
}

static Dataset *open_well(const char *root, DatasetSplit split) {
    Dataset *dataset;
    effnet_error err = {0};
    if (dataset_open(root, split, NULL, &dataset, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return dataset;
}

/* The i-th readable picture of one against the other's, which lacks the broken one. `tolerance`: mean of levels. */
static void compare(const Dataset *folder, const Dataset *pack, int side, double tolerance) {
    int64_t at = 0;
    for (int64_t i = 0; i < dataset_size(folder); i++) {
        Picture wanted, got;
        effnet_error err = {0};
        if (dataset_read(folder, i, &wanted, &err) != EFFNET_OK) continue;
        if (dataset_read(pack, at, &got, &err) != EFFNET_OK) fail_msg("%s", err.message);
        assert_int_equal(dataset_label(pack, at), dataset_label(folder, i));
        int shorter = got.height < got.width ? got.height : got.width;
        if (side) {
            assert_int_equal(shorter, side);
            double sums[2] = {0, 0};
            for (int p = 0; p < 3 * wanted.height * wanted.width; p++) sums[0] += wanted.pixels[p];
            for (int p = 0; p < 3 * got.height * got.width; p++) sums[1] += got.pixels[p];
            double means[2] = {sums[0] / (3.0 * wanted.height * wanted.width),
                               sums[1] / (3.0 * got.height * got.width)};
            if (!(fabs(means[0] - means[1]) <= tolerance))
                fail_msg("picture %d: mean level %g, wanted %g", (int)i, means[1], means[0]);
        } else {
            assert_int_equal(got.height, wanted.height);
            assert_int_equal(got.width, wanted.width);
            assert_memory_equal(got.pixels, wanted.pixels, 3 * (size_t)got.height * (size_t)got.width);
        }
        picture_free(&wanted);
        picture_free(&got);
        at++;
    }
    assert_int_equal(at, dataset_size(pack));
}

static void what_is_packed_comes_back(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    place_source(&folder);
    static const struct {
        const char *name;
        int side, quality, kept;
    } packs[] = {{"kept.effpack", 0, 90, 3 * EACH},
                 {"raw.effpack", 0, 0, 0},
                 {"small.effpack", 24, 90, 0},
                 {"small_raw.effpack", 24, 0, 0}};
    for (int i = 0; i < 4; i++) {
        PackResult result;
        Watch watch;
        pack_well(&folder, packs[i].name, packs[i].side, packs[i].quality, 2, &result, &watch);
        assert_int_equal(result.pictures, 3 * EACH);
        assert_int_equal(result.skipped, 1);
        assert_int_equal(result.kept, packs[i].kept);
        assert_int_equal(watch.skipped, 1);
        assert_non_null(strstr(watch.why, "broken.jpg' is not a JPEG"));
        for (int split = 0; split < 2; split++) {
            char path[512];
            snprintf(path, sizeof path, "%s", scratch_path(&folder, "source"));
            Dataset *wanted = open_well(path, (DatasetSplit)split);
            snprintf(path, sizeof path, "%s", scratch_path(&folder, packs[i].name));
            Dataset *got = open_well(path, (DatasetSplit)split);
            assert_int_equal(dataset_size(got), split ? EACH : 2 * EACH);
            assert_string_equal(dataset_class_name(got, 1), "dog");
            compare(wanted, got, packs[i].side, 3);
            dataset_free(wanted);
            dataset_free(got);
        }
    }
    scratch_folder_remove(&folder);
}

static bool stop_early(void *context, int64_t done, int64_t all, int64_t bytes) {
    (void)done, (void)all, (void)bytes;
    ((Watch *)context)->stop_at++;
    return true;
}

static void expect_same_file(const ScratchFolder *folder, const char *name, Bytes wanted) {
    Bytes got = read_back(folder, name);
    assert_int_equal(got.size, wanted.size);
    assert_memory_equal(got.data, wanted.data, wanted.size);
    free(got.data);
}

/* Threads, a stop by the caller, and a kill at any byte: the same file in the end. */
static void the_same_file(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    place_source(&folder);
    PackResult result;
    Watch watch;
    char source[512], path[512], part[520];
    snprintf(source, sizeof source, "%s", scratch_path(&folder, "source"));
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "again.effpack"));
    snprintf(part, sizeof part, "%s.part", path);
    pack_well(&folder, "one.effpack", 24, 90, 1, &result, &watch);
    Bytes wanted = read_back(&folder, "one.effpack");
    pack_well(&folder, "three.effpack", 24, 90, 3, &result, &watch);
    expect_same_file(&folder, "three.effpack", wanted);
    assert_int_equal(result.resumed, 0);
    PackOptions options = {.source = source,
                           .path = path,
                           .side = 24,
                           .quality = 90,
                           .workers = 1,
                           .progress = stop_early,
                           .context = &watch};
    effnet_error err = {0};
    assert_int_equal(pack_write(&options, &result, &err), EFFNET_INTERRUPTED);
    assert_int_not_equal(access(path, F_OK), 0);
    options.quality = 80; /* another file than was begun */
    assert_int_equal(pack_write(&options, &result, &err), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "other options"));
    pack_well(&folder, "again.effpack", 24, 90, 2, &result, &watch);
    assert_true(result.resumed > 0 && result.resumed < 3 * EACH + 1);
    assert_int_equal(result.skipped, 1); /* found again in what was written */
    assert_int_equal(watch.skipped, 1);
    expect_same_file(&folder, "again.effpack", wanted);
    assert_int_equal(pack_write(&options, &result, &err), EFFNET_ERROR_ARGUMENT); /* never over a file that is there */
    assert_non_null(strstr(err.message, "already there"));
    /* What a kill leaves: the beginning of the file, its head incomplete. */
    unlink(path);
    options.quality = 90;
    assert_int_equal(pack_write(&options, &result, &err), EFFNET_INTERRUPTED);
    Bytes begun = read_back(&folder, "again.effpack.part");
    for (size_t cut = 128; cut < wanted.size - 4000; cut += 3001) {
        Bytes left = {.data = malloc(wanted.size), .size = cut};
        assert_non_null(left.data);
        memcpy(left.data, wanted.data, cut);
        memcpy(left.data, begun.data, 128);
        scratch_write(part, left.data, left.size);
        free(left.data);
        pack_well(&folder, "again.effpack", 24, 90, 2, &result, &watch);
        expect_same_file(&folder, "again.effpack", wanted);
        unlink(path);
    }
    free(begun.data);
    free(wanted.data);
    scratch_folder_remove(&folder);
}

/* Called while a pack is written: packs the same again, which must be refused and leave the first alone. */
static void pack_again(void *context, const char *why) {
    (void)why;
    PackOptions options = *(const PackOptions *)context;
    options.skipped = NULL;
    PackResult result;
    effnet_error err = {0};
    assert_int_equal(pack_write(&options, &result, &err), EFFNET_ERROR_IO);
    if (!strstr(err.message, "another process is packing into")) fail_msg("%s", err.message);
}

static void two_at_once(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    place_source(&folder);
    PackResult result;
    Watch watch;
    char source[512], path[512];
    snprintf(source, sizeof source, "%s", scratch_path(&folder, "source"));
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "two.effpack"));
    pack_well(&folder, "one.effpack", 24, 90, 1, &result, &watch);
    Bytes wanted = read_back(&folder, "one.effpack");
    PackOptions options = {
        .source = source, .path = path, .side = 24, .quality = 90, .workers = 1, .skipped = pack_again};
    options.context = &options;
    effnet_error err = {0};
    if (pack_write(&options, &result, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_int_equal(result.skipped, 1); /* pack_again was called */
    expect_same_file(&folder, "two.effpack", wanted);
    free(wanted.data);
    scratch_folder_remove(&folder);
}

/* Any byte changed, any length cut: an error at opening or at reading, never a wrong picture. */
static void damage_is_noticed(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    place_source(&folder);
    PackResult result;
    Watch watch;
    pack_well(&folder, "x.effpack", 0, 90, 1, &result, &watch);
    Bytes whole = read_back(&folder, "x.effpack");
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "x.effpack"));
    Dataset *dataset = open_well(path, SPLIT_TRAIN);
    Picture pictures[2 * EACH];
    for (int i = 0; i < 2 * EACH; i++) assert_int_equal(dataset_read(dataset, i, &pictures[i], NULL), EFFNET_OK);
    dataset_free(dataset);
    int refused = 0, unread = 0;
    for (size_t at = 0; at < whole.size; at += at < 128 ? 1 : 509) {
        effnet_error err = {0};
        whole.data[at] ^= 0x10;
        scratch_write(path, whole.data, whole.size);
        whole.data[at] ^= 0x10;
        if (dataset_open(path, SPLIT_TRAIN, NULL, &dataset, &err) != EFFNET_OK) {
            refused++;
            assert_true(err.message[0]);
            continue;
        }
        for (int i = 0; i < 2 * EACH; i++) {
            Picture picture;
            if (dataset_read(dataset, i, &picture, &err) != EFFNET_OK) {
                assert_non_null(strstr(err.message, "damaged"));
                unread++;
                continue;
            }
            assert_memory_equal(picture.pixels, pictures[i].pixels, 3 * (size_t)picture.height * (size_t)picture.width);
            picture_free(&picture);
        }
        dataset_free(dataset);
    }
    assert_true(refused >= 128 && unread > 10);
    for (size_t cut = 0; cut < whole.size; cut += 1013) {
        scratch_write(path, whole.data, cut);
        assert_int_not_equal(dataset_open(path, SPLIT_TRAIN, NULL, &dataset, NULL), EFFNET_OK);
    }
    for (int i = 0; i < 2 * EACH; i++) picture_free(&pictures[i]);
    /* Changed under the run. */
    scratch_write(path, whole.data, whole.size);
    dataset = open_well(path, SPLIT_TRAIN);
    assert_int_equal(truncate(path, 1000), 0);
    Picture picture;
    effnet_error err = {0};
    assert_int_equal(dataset_read(dataset, 5, &picture, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "was changed"));
    dataset_free(dataset);
    free(whole.data);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_packed_comes_back), cmocka_unit_test(the_same_file),
                                       cmocka_unit_test(two_at_once), cmocka_unit_test(damage_is_noticed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
