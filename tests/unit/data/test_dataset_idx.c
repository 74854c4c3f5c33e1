/* test_dataset_idx.c - IDX files, plain and gzip: pictures, labels, names; and headers that lie, files cut short or
 * continued, and files that do not belong together. */
#include "data/sources/dataset.h"
#include "make_pictures.h"

enum { COUNT = 7, H = 3, W = 4 };

static const uint32_t image_shape[3] = {COUNT, H, W}, label_shape[1] = {COUNT};

static Bytes images(void) {
    return make_idx(3, image_shape, COUNT * H * W, 5, 251);
}

static Bytes labels(void) {
    return make_idx(1, label_shape, COUNT, 1, 3); /* 0 1 2 0 1 2 0 */
}

static void write_pair(const ScratchFolder *folder, const char *prefix, bool gzip) {
    Bytes made[2] = {images(), labels()};
    const char *ends[2] = {"-images-idx3-ubyte", "-labels-idx1-ubyte"};
    for (int i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s%s", prefix, ends[i], gzip ? ".gz" : "");
        if (gzip)
            write_gzip(scratch_path(folder, name), made[i]);
        else
            write_bytes(scratch_path(folder, name), made[i]);
        free(made[i].data);
    }
}

static Dataset *open_well(const ScratchFolder *folder, DatasetSplit split, const char *name) {
    Dataset *dataset;
    effnet_error err = {0};
    if (dataset_open(folder->path, split, name, &dataset, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return dataset;
}

static void expect_error(const ScratchFolder *folder, effnet_status status, const char *wanted) {
    Dataset *dataset;
    effnet_error err = {0};
    effnet_status got = dataset_open(folder->path, SPLIT_TRAIN, NULL, &dataset, &err);
    if (got != status || !strstr(err.message, wanted))
        fail_msg("wanted status %d and '%s', got %d and '%s'", status, wanted, got, err.message);
}

static void pictures_and_labels_come_back(void **state) {
    (void)state;
    for (int gzip = 0; gzip < 2; gzip++) {
        ScratchFolder folder = scratch_folder_create();
        write_pair(&folder, "train", gzip);
        write_pair(&folder, "t10k", gzip);
        write_pair(&folder, "extra", gzip);
        const char *names[3] = {NULL, "", "extra"};
        for (int i = 0; i < 3; i++) {
            Dataset *dataset = open_well(&folder, (DatasetSplit)(i > 0), names[i]);
            assert_int_equal(dataset_size(dataset), COUNT);
            assert_int_equal(dataset_num_classes(dataset), 3);
            assert_string_equal(dataset_class_name(dataset, 2), "2");
            for (int n = 0; n < COUNT; n++) {
                Picture picture;
                assert_int_equal(dataset_label(dataset, n), n % 3);
                assert_int_equal(dataset_read(dataset, n, &picture, NULL), EFFNET_OK);
                assert_true(picture.height == H && picture.width == W);
                for (int k = 0; k < 3 * H * W; k++) assert_int_equal(picture.pixels[k], (n * H * W + k / 3) * 5 % 251);
                picture_free(&picture);
            }
            char name[512];
            dataset_describe(dataset, 3, name, sizeof name);
            assert_non_null(strstr(name, gzip ? "-ubyte.gz#3" : "-ubyte#3"));
            dataset_free(dataset);
        }
        scratch_folder_remove(&folder);
    }
}

static void names_of_classes(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    write_pair(&folder, "train", false);
    scratch_write(scratch_path(&folder, "labels.txt"), "red\r\ngreen\nblue sky\nunused\n\n", 28);
    Dataset *dataset = open_well(&folder, SPLIT_TRAIN, NULL);
    assert_int_equal(dataset_num_classes(dataset), 4);
    assert_string_equal(dataset_class_name(dataset, 0), "red");
    assert_string_equal(dataset_class_name(dataset, 2), "blue sky");
    const char *const reversed[] = {"unused", "blue sky", "green", "red"};
    assert_int_equal(dataset_use_classes(dataset, reversed, 4, NULL), EFFNET_OK);
    assert_int_equal(dataset_label(dataset, 0), 3);
    dataset_free(dataset);
    scratch_write(scratch_path(&folder, "labels.txt"), "red\ngreen", 9);
    expect_error(&folder, EFFNET_ERROR_FORMAT, "names 2 classes");
    scratch_folder_remove(&folder);
    /* Fashion-MNIST by the folder's name. */
    folder = scratch_folder_create();
    assert_int_equal(mkdir(scratch_path(&folder, "Fashion-MNIST"), 0777), 0);
    ScratchFolder inner;
    snprintf(inner.path, sizeof inner.path, "%s", scratch_path(&folder, "Fashion-MNIST"));
    write_pair(&inner, "train", true);
    dataset = open_well(&inner, SPLIT_TRAIN, NULL);
    assert_int_equal(dataset_num_classes(dataset), 10);
    assert_string_equal(dataset_class_name(dataset, 0), "T-shirt/top");
    assert_string_equal(dataset_class_name(dataset, 9), "Ankle boot");
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* Without names, numbers stay; a model with fewer classes does not fit. */
static void classes_by_number(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    write_pair(&folder, "train", false);
    Dataset *dataset = open_well(&folder, SPLIT_TRAIN, NULL);
    const char *const names[] = {"a", "b", "c", "d"};
    assert_int_equal(dataset_use_classes(dataset, names, 4, NULL), EFFNET_OK);
    assert_int_equal(dataset_label(dataset, 2), 2);
    assert_string_equal(dataset_class_name(dataset, 2), "c");
    assert_int_equal(dataset_use_classes(dataset, names, 2, NULL), EFFNET_ERROR_ARGUMENT);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* One file replaced by `bytes`, plain and as gzip. */
static void expect_bad(const char *file, Bytes bytes, const char *wanted_plain, const char *wanted_gzip) {
    for (int gzip = 0; gzip < 2; gzip++) {
        ScratchFolder folder = scratch_folder_create();
        char name[64];
        write_pair(&folder, "train", gzip);
        snprintf(name, sizeof name, "%s%s", file, gzip ? ".gz" : "");
        if (gzip)
            write_gzip(scratch_path(&folder, name), bytes);
        else
            write_bytes(scratch_path(&folder, name), bytes);
        expect_error(&folder, EFFNET_ERROR_FORMAT, gzip ? wanted_gzip : wanted_plain);
        expect_error(&folder, EFFNET_ERROR_FORMAT, name);
        scratch_folder_remove(&folder);
    }
    free(bytes.data);
}

static void lying_headers(void **state) {
    (void)state;
    const char *image_file = "train-images-idx3-ubyte", *label_file = "train-labels-idx1-ubyte";
    const uint32_t huge[3] = {0xFFFFFFFFu, 0xFFFFFFFFu, 0xFFFFFFFFu}, large[3] = {60000, 28, 28}, more[3] = {8, H, W},
                   fewer[3] = {6, H, W}, none[3] = {0, H, W}, flat[3] = {COUNT, 0, W}, five[1] = {5}, nine[1] = {9};
    expect_bad(image_file, make_idx(3, huge, 84, 1, 7), "header is wrong", "header is wrong");
    expect_bad(image_file, make_idx(3, large, 84, 1, 7), "promises 47040000 bytes", "promises 47040000 bytes");
    expect_bad(image_file, make_idx(3, more, 84, 1, 7), "promises 96 bytes", "ends 12 bytes early");
    expect_bad(image_file, make_idx(3, fewer, 84, 1, 7), "longer than", "longer than");
    expect_bad(image_file, make_idx(3, none, 84, 1, 7), "holds nothing", "holds nothing");
    expect_bad(image_file, make_idx(3, flat, 84, 1, 7), "holds nothing", "holds nothing");
    expect_bad(image_file, make_idx(1, label_shape, COUNT, 1, 3), "begins with 00000801, wanted 00000803",
               "begins with 00000801, wanted 00000803");
    expect_bad(label_file, make_idx(3, image_shape, 84, 1, 3), "wanted 00000801", "wanted 00000801");
    expect_bad(label_file, make_idx(1, five, 5, 1, 3), "7 pictures and", "7 pictures and");
    expect_bad(label_file, make_idx(1, nine, 7, 1, 3), "promises 9 bytes", "ends 2 bytes early");
    Bytes short_header = make_idx(3, image_shape, 0, 1, 1);
    short_header.size = 11;
    expect_bad(image_file, short_header, "truncated", "truncated");
    Bytes empty = {calloc(1, 1), 0};
    expect_bad(image_file, empty, "truncated", "truncated");
}

/* A side beyond the limit, with all its bytes there. */
static void too_wide(void **state) {
    (void)state;
    const uint32_t wide[3] = {1, 1, 40000};
    ScratchFolder folder = scratch_folder_create();
    write_pair(&folder, "train", false);
    Bytes bytes = make_idx(3, wide, 40000, 1, 7);
    write_bytes(scratch_path(&folder, "train-images-idx3-ubyte"), bytes);
    expect_error(&folder, EFFNET_ERROR_FORMAT, "40000 wide");
    free(bytes.data);
    scratch_folder_remove(&folder);
}

/* Every prefix of a gzip file, and every byte of it changed: an error, or the same pictures. */
static void broken_gzip(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    write_pair(&folder, "train", true);
    const char *path = scratch_path(&folder, "train-images-idx3-ubyte.gz");
    char name[512];
    snprintf(name, sizeof name, "%s", path);
    FILE *stream = fopen(name, "rb");
    uint8_t whole[1024], copy[1024];
    size_t size = fread(whole, 1, sizeof whole, stream);
    fclose(stream);
    for (size_t cut = 0; cut < size; cut++) {
        scratch_write(name, whole, cut);
        Dataset *dataset;
        effnet_error err = {0};
        effnet_status status = dataset_open(folder.path, SPLIT_TRAIN, NULL, &dataset, &err);
        if (status != EFFNET_ERROR_FORMAT) fail_msg("%zu of %zu bytes: %d '%s'", cut, size, status, err.message);
    }
    int errors = 0;
    for (size_t i = 0; i < size; i++) {
        memcpy(copy, whole, size);
        copy[i] ^= 0x41;
        scratch_write(name, copy, size);
        Dataset *dataset;
        if (dataset_open(folder.path, SPLIT_TRAIN, NULL, &dataset, NULL) != EFFNET_OK)
            errors++;
        else
            dataset_free(dataset);
    }
    assert_true(errors > (int)size - 20); /* time, flags and system in the gzip header may be anything */
    scratch_folder_remove(&folder);
}

static void missing_partner(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    write_pair(&folder, "train", false);
    remove(scratch_path(&folder, "train-labels-idx1-ubyte"));
    expect_error(&folder, EFFNET_ERROR_IO, "has no labels beside it");
    scratch_folder_remove(&folder);
}

/* The real thing where Debian's package is installed. */
static void fashion_mnist(void **state) {
    (void)state;
    ScratchFolder here = {"/usr/share/datasets/fashion-mnist"};
    if (access(here.path, R_OK) != 0) {
        print_message("skipped: %s is not here (Debian package dataset-fashion-mnist)\n", here.path);
        skip();
    }
    ScratchFolder elsewhere = scratch_folder_create(); /* by content, under another name */
    const char *files[2] = {"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};
    for (int i = 0; i < 2; i++)
        assert_int_equal(symlink(scratch_path(&here, files[i]), scratch_path(&elsewhere, files[i])), 0);
    for (int i = 0; i < 2; i++) {
        Dataset *dataset = open_well(i ? &elsewhere : &here, SPLIT_VALIDATION, NULL);
        assert_int_equal(dataset_size(dataset), 10000);
        assert_string_equal(dataset_class_name(dataset, 7), "Sneaker");
        int counts[10] = {0};
        for (int n = 0; n < 10000; n++) counts[dataset_label(dataset, n)]++;
        for (int n = 0; n < 10; n++) assert_int_equal(counts[n], 1000);
        assert_int_equal(dataset_label(dataset, 0), 9);
        dataset_free(dataset);
    }
    scratch_folder_remove(&elsewhere);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_and_labels_come_back),
        cmocka_unit_test(names_of_classes),
        cmocka_unit_test(classes_by_number),
        cmocka_unit_test(lying_headers),
        cmocka_unit_test(too_wide),
        cmocka_unit_test(broken_gzip),
        cmocka_unit_test(missing_partner),
        cmocka_unit_test(fashion_mnist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
