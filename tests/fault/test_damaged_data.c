/* Data sets of every format in which one bit is flipped somewhere, or the end cut off, read again from beginning to
 * end. Silent: another label or other pixels than before, or fewer pictures, without an error, a loss or a remark that
 * says so. Lost: a picture of another file that can't be had any more. Formats with checksums (PNG, gzip, TFRecord,
 * effpack) must come out at 0 and 0; what the others let pass is counted, and bounded only by what they are. */
#include "data/inspect/pack_write.h"
#include "data/sources/dataset.h"
#include "fault/fault_count.h"
#include "unit/data/make_shards.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/random.h"

enum { SIDE = 20, PICTURES = 4 };

static ScratchFolder folder;
static effnet_error err;

/* What a data set comes to: of each picture its label and the sum of its pixels. */
typedef struct Contents {
    int64_t pictures;
    int labels[2 * PICTURES];
    uint32_t sums[2 * PICTURES];
    bool readable[2 * PICTURES];
    uint32_t names; /* sum of the classes' names */
    bool noticed;   /* an error or a loss */
    bool opened;
} Contents;

static Contents look(const char *root) {
    Contents contents = {0};
    Dataset *dataset;
    if (dataset_open_with(root, SPLIT_TRAIN, NULL, "100%", &dataset, &err) != EFFNET_OK) {
        assert_int_not_equal(err.message[0], 0);
        contents.noticed = true;
        return contents;
    }
    contents.opened = true;
    contents.pictures = dataset_size(dataset);
    contents.noticed = dataset_lost(dataset) > 0 || dataset_strays(dataset, NULL) > 0;
    for (int c = 0; c < dataset_num_classes(dataset); c++) {
        const char *name = dataset_class_name(dataset, c);
        contents.names = crc32c(contents.names, name, strlen(name) + 1);
    }
    for (int64_t i = 0; i < contents.pictures && i < 2 * PICTURES; i++) {
        Picture picture;
        contents.labels[i] = dataset_label(dataset, i);
        contents.readable[i] = dataset_read(dataset, i, &picture, &err) == EFFNET_OK;
        if (!contents.readable[i]) {
            contents.noticed = true;
            continue;
        }
        contents.sums[i] =
            crc32c((uint32_t)picture.width, picture.pixels, 3 * (size_t)picture.height * (size_t)picture.width);
        picture_free(&picture);
    }
    dataset_free(dataset);
    return contents;
}

static bool same(const Contents *a, const Contents *b) {
    return a->pictures == b->pictures && a->names == b->names && memcmp(a->labels, b->labels, sizeof a->labels) == 0 &&
           memcmp(a->sums, b->sums, sizeof a->sums) == 0;
}

/* `touched`: so many pictures, the first, stand in the damaged file or depend on it. */
static void judge(FaultCount *count, const Contents *whole, const Contents *now, int touched) {
    count->tried++;
    if (!now->noticed && !same(whole, now)) count->silent++;
    for (int64_t i = touched; i < whole->pictures; i++) {
        int64_t place = i - (whole->pictures - now->pictures); /* what is gone is gone before it */
        if (place < 0 || !now->readable[place] || now->sums[place] != whole->sums[i]) {
            count->lost++;
            return;
        }
    }
}

/* Flips and cuts in FILE of the data set ROOT, which is put right again. */
static FaultCount damage(const char *what, const char *root, const char *file, int pictures, int touched) {
    FaultCount count = {.what = what};
    char *bytes, *copy;
    size_t size;
    assert_int_equal(file_read(file, 1 << 24, &bytes, &size, &err), EFFNET_OK);
    const Contents whole = look(root);
    if (!whole.opened || whole.noticed || whole.pictures != pictures)
        fail_msg("%s: %lld pictures, %s", what, (long long)whole.pictures, err.message);
    copy = malloc(size);
    assert_non_null(copy);
    const RandomKey key = random_key(size);
    const int flips = 150 * fault_times();
    for (int i = 0; i < flips; i++) {
        memcpy(copy, bytes, size);
        copy[random_bits(key, (uint64_t)i) % size] ^= (char)(1 << i % 8);
        scratch_write(file, copy, size);
        const Contents now = look(root);
        judge(&count, &whole, &now, touched);
    }
    for (int i = 0; i < 10; i++) { /* ends cut off, from nothing left to one byte */
        scratch_write(file, bytes, i == 9 ? size - 1 : size * (size_t)i / 9);
        const Contents now = look(root);
        judge(&count, &whole, &now, touched);
    }
    scratch_write(file, bytes, size);
    free(copy);
    free(bytes);
    return count;
}

/* ---- data sets ---- */

static Bytes of_file(const char *path) {
    Bytes bytes = {0};
    char *block;
    if (file_read(path, 1 << 24, &block, &bytes.size, &err) != EFFNET_OK) fail_msg("%s", err.message);
    bytes.data = (uint8_t *)block;
    return bytes;
}

static Bytes jpeg_of(int i) {
    uint8_t *pixels = pattern_picture(SIDE + i, SIDE);
    Bytes made = make_jpeg(pixels, SIDE + i, SIDE, TJPF_RGB, TJSAMP_420, 0);
    free(pixels);
    return made;
}

static Bytes png_of(int i) {
    uint8_t *pixels = pattern_picture(SIDE + i, SIDE);
    Bytes made =
        make_png(pixels, 3 * (size_t)(SIDE + i) * SIDE, SIDE + i, SIDE, SPNG_COLOR_TYPE_TRUECOLOR, 8, NULL, NULL);
    free(pixels);
    return made;
}

/* Eight files in two classes; the first of them is damaged. `file` NULL: made by `make`. */
static FaultCount damage_picture(const char *what, const char *name, const char *ending, const char *file,
                                 Bytes (*make)(int i)) {
    char root[300], relative[100], path[600], source[600];
    for (int i = 0; i < 2 * PICTURES; i++) {
        snprintf(relative, sizeof relative, "%s/train/%s/%d.%s", name, i < PICTURES ? "a" : "b", i, ending);
        if (file) snprintf(source, sizeof source, EFFNET_SOURCE_DIR "/tests/fuzz/corpus/picture/%s", file);
        place_file(&folder, relative, file ? of_file(source) : make(i));
    }
    snprintf(root, sizeof root, "%s/%s", folder.path, name);
    snprintf(path, sizeof path, "%s/train/a/0.%s", root, ending);
    return damage(what, root, path, 2 * PICTURES, 1);
}

static void root_and_file(const char *name, const char *file, char root[300], char path[600]) {
    snprintf(root, 300, "%s/%s", folder.path, name);
    mkdir(root, 0777);
    snprintf(path, 600, "%s/%s", root, file);
}

/* Two WebDataset shards of four samples each, in PNG, which notices damage of its own where the tar does not. */
static FaultCount damage_tar(const char *what, const char *name, bool gzip) {
    char root[300], path[600], file[40], member[40];
    for (int shard = 1; shard >= 0; shard--) {
        Growing tar = {0};
        for (int i = 0; i < PICTURES; i++) {
            Bytes picture = png_of(i + PICTURES * shard);
            snprintf(member, sizeof member, "%d.png", i);
            grow_tar_file(&tar, member, picture.data, picture.size);
            snprintf(member, sizeof member, "%d.cls", i);
            grow_tar_file(&tar, member, i % 2 ? "1" : "0", 1);
            free(picture.data);
        }
        grow_tar_end(&tar);
        snprintf(file, sizeof file, "train-%d.tar%s", shard, gzip ? ".gz" : "");
        root_and_file(name, file, root, path);
        if (gzip) {
            write_gzip(path, (Bytes){tar.data, tar.size});
            free(tar.data);
        } else {
            write_growing(path, &tar);
        }
    }
    return damage(what, root, path, 2 * PICTURES, PICTURES);
}

static FaultCount damage_tfrecord(const char *what, const char *labels) {
    char root[300], path[600], file[40];
    for (int shard = 1; shard >= 0; shard--) {
        Growing records = {0};
        for (int i = 0; i < PICTURES; i++) {
            Bytes picture = jpeg_of(i + PICTURES * shard);
            grow_record(&records, make_example(picture, i % 2, NULL));
            free(picture.data);
        }
        snprintf(file, sizeof file, "train-%05d-of-00002", shard);
        root_and_file(labels ? "named" : "tfrecord", file, root, path);
        write_growing(path, &records);
    }
    if (labels) {
        root_and_file("named", "labels.txt", root, path);
        scratch_write(path, labels, strlen(labels));
    }
    return damage(what, root, path, 2 * PICTURES, labels ? 2 * PICTURES : PICTURES);
}

static FaultCount damage_cifar(const char *what) {
    char root[300], path[600], file[40];
    for (int batch = 2; batch >= 1; batch--) {
        Growing records = {0};
        for (int i = 0; i < PICTURES; i++) {
            uint8_t label = (uint8_t)i, *pixels = pattern_picture(32 + i, 32);
            grow(&records, &label, 1);
            grow(&records, pixels + 96 * i, 3072);
            free(pixels);
        }
        snprintf(file, sizeof file, "data_batch_%d.bin", batch);
        root_and_file("cifar", file, root, path);
        write_growing(path, &records);
    }
    return damage(what, root, path, 2 * PICTURES, PICTURES);
}

static FaultCount damage_idx(const char *what, bool labels) {
    char root[300], path[2][600];
    const uint32_t dimensions[3] = {PICTURES, 9, 7};
    root_and_file("idx", "train-images-idx3-ubyte.gz", root, path[0]);
    root_and_file("idx", "train-labels-idx1-ubyte.gz", root, path[1]);
    Bytes made[2] = {make_idx(3, dimensions, PICTURES * 63, 37, 251), make_idx(1, dimensions, PICTURES, 1, 10)};
    for (int i = 0; i < 2; i++) {
        write_gzip(path[i], made[i]);
        free(made[i].data);
    }
    return damage(what, root, path[labels], PICTURES, PICTURES);
}

static FaultCount damage_table(const char *what) {
    char root[300], path[600], relative[40];
    static const char rows[] = "file,label\n0.png,cat\n1.png,dog\n2.png,cat\n3.png,dog\n";
    for (int i = 0; i < PICTURES; i++) {
        snprintf(relative, sizeof relative, "table/%d.png", i);
        place_file(&folder, relative, png_of(i));
    }
    root_and_file("table", "train.csv", root, path);
    scratch_write(path, rows, strlen(rows));
    return damage(what, root, path, PICTURES, PICTURES);
}

static FaultCount damage_effpack(const char *what) {
    char path[600], relative[60], source[300];
    PackResult result;
    for (int i = 0; i < PICTURES; i++) {
        snprintf(relative, sizeof relative, "packed/train/%s/%d.png", i < 2 ? "a" : "b", i);
        place_file(&folder, relative, png_of(i));
        snprintf(relative, sizeof relative, "packed/val/%s/%d.png", i < 2 ? "a" : "b", i);
        place_file(&folder, relative, png_of(i));
    }
    snprintf(source, sizeof source, "%s/packed", folder.path);
    snprintf(path, sizeof path, "%s/data.effpack", folder.path);
    const PackOptions options = {.source = source, .path = path, .quality = 90, .workers = 1};
    if (pack_write(&options, &result, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return damage(what, path, path, PICTURES, PICTURES);
}

static bool report(FaultCount count) {
    return fault_report(&count);
}

/* Every damage of these is noticed. */
static void test_formats_with_sums(void **unused) {
    (void)unused;
    bool good = report(damage_picture("PNG in a folder", "png", "png", NULL, png_of));
    good = report(damage_tar("tar.gz (WebDataset)", "targz", true)) && good;
    good = report(damage_tfrecord("TFRecord", NULL)) && good;
    good = report(damage_idx("IDX images, gzip", false)) && good;
    good = report(damage_idx("IDX labels, gzip", true)) && good;
    good = report(damage_effpack("effpack")) && good;
    assert_true(good);
}

/* These have no sums, or not over everything: nothing may be lost beside, no crash; what passes is told in the table. */
static void test_formats_without(void **unused) {
    (void)unused;
    const FaultCount counts[] = {
        damage_picture("JPEG in a folder", "jpeg", "jpg", NULL, jpeg_of),
        damage_picture("WebP in a folder", "webp", "webp", "lossy.webp", NULL),
        damage_picture("GIF in a folder", "gif", "gif", "still.gif", NULL),
        damage_picture("TIFF in a folder", "tiff", "tif", "lzw.tif", NULL),
        damage_tar("tar (WebDataset of PNG)", "tar", false),
        damage_cifar("CIFAR-10, binary"),
        damage_table("CSV"),
        damage_tfrecord("labels.txt", "cat\ndog\n"),
    };
    bool good = true;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        fault_report(&counts[i]);
        good = good && counts[i].tried > 0 && counts[i].lost == 0;
    }
    assert_true(good);
}

static int set_up(void **state) {
    (void)state;
    folder = scratch_folder_create();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    scratch_folder_remove(&folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formats_with_sums),
                                       cmocka_unit_test(test_formats_without)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
