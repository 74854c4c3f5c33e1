/* test_dataset_folder.c - folders of class folders: what is found, in which order, under which split, and every way
 * in which a folder can be wrong. */
#include "data/sources/dataset.h"
#include "make_pictures.h"

static Bytes jpeg(void) {
    return make_plain_jpeg(8, 8, 200, 100, 50);
}

static Bytes text(const char *words) {
    Bytes bytes = {(uint8_t *)strdup(words), strlen(words)};
    return bytes;
}

static Dataset *open_well(const char *root, DatasetSplit split, const char *name) {
    Dataset *dataset;
    effnet_error err = {0};
    if (dataset_open(root, split, name, &dataset, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return dataset;
}

static void expect_error(const char *root, DatasetSplit split, const char *name, effnet_status status,
                         const char *wanted) {
    Dataset *dataset;
    effnet_error err = {0};
    effnet_status got = dataset_open(root, split, name, &dataset, &err);
    if (got != status || !strstr(err.message, wanted))
        fail_msg("wanted status %d and '%s', got %d and '%s'", status, wanted, got, err.message);
    assert_null(dataset);
}

static const char *file_of(const Dataset *dataset, int64_t index) {
    static char path[1024];
    dataset_describe(dataset, index, path, sizeof path);
    return path;
}

/* Bytewise order ("B" before "a"), pictures by content and by name, other files passed over, folders in folders. */
static void classes_and_pictures_in_order(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    uint8_t pixel[3] = {9, 9, 9};
    place_file(&folder, "train/bees/2.jpg", jpeg());
    place_file(&folder, "train/bees/10.JPEG", jpeg());
    place_file(&folder, "train/bees/no_ending", make_png(pixel, 3, 1, 1, 2, 8, NULL, NULL));
    place_file(&folder, "train/bees/notes.txt", text("not a picture"));
    place_file(&folder, "train/bees/._2.jpg", text("what macOS leaves"));
    place_file(&folder, "train/bees/imageNotFound.gif", make_png(pixel, 3, 1, 1, 2, 8, NULL, NULL));
    place_file(&folder, "train/Ants/2019/may/x.png", make_png(pixel, 3, 1, 1, 2, 8, NULL, NULL));
    place_file(&folder, "train/Ants/a.jpg", jpeg());
    place_file(&folder, "train/.hidden/a.jpg", jpeg());
    place_file(&folder, "train/readme.md", text("about"));
    place_file(&folder, "val/Ants/v.jpg", jpeg());
    Dataset *dataset = open_well(folder.path, SPLIT_TRAIN, NULL);
    assert_int_equal(dataset_num_classes(dataset), 2);
    assert_string_equal(dataset_class_name(dataset, 0), "Ants");
    assert_string_equal(dataset_class_name(dataset, 1), "bees");
    assert_string_equal(dataset_class_name(dataset, 2), "");
    const char *wanted[] = {"train/Ants/a.jpg", "train/Ants/2019/may/x.png",    "train/bees/10.JPEG",
                            "train/bees/2.jpg", "train/bees/imageNotFound.gif", "train/bees/no_ending"};
    assert_int_equal(dataset_size(dataset), 6);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(file_of(dataset, i), scratch_path(&folder, wanted[i]));
        assert_int_equal(dataset_label(dataset, i), i >= 2);
        Picture picture;
        assert_int_equal(dataset_read(dataset, i, &picture, NULL), EFFNET_OK);
        assert_true(picture.pixels[0] == 9 || abs(picture.pixels[0] - 200) < 4);
        picture_free(&picture);
    }
    Picture picture;
    assert_int_equal(dataset_read(dataset, 6, &picture, NULL), EFFNET_ERROR_ARGUMENT);
    assert_int_equal(dataset_read(dataset, -1, &picture, NULL), EFFNET_ERROR_ARGUMENT);
    dataset_free(dataset);
    dataset_free(NULL);
    scratch_folder_remove(&folder);
}

/* Validation classes have the training folder's numbers, also where some have no validation pictures. */
static void validation_is_numbered_by_training(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    place_file(&folder, "train/a/1.jpg", jpeg());
    place_file(&folder, "train/b/1.jpg", jpeg());
    place_file(&folder, "train/c/1.jpg", jpeg());
    place_file(&folder, "test/c/1.jpg", jpeg());
    place_file(&folder, "holdout/b/1.jpg", jpeg());
    Dataset *dataset = open_well(folder.path, SPLIT_VALIDATION, "");
    assert_int_equal(dataset_num_classes(dataset), 3);
    assert_int_equal(dataset_size(dataset), 1);
    assert_int_equal(dataset_label(dataset, 0), 2);
    dataset_free(dataset);
    dataset = open_well(folder.path, SPLIT_VALIDATION, "holdout");
    assert_int_equal(dataset_label(dataset, 0), 1);
    dataset_free(dataset);
    place_file(&folder, "val/stranger/1.jpg", jpeg()); /* 'val' goes before 'test' */
    expect_error(folder.path, SPLIT_VALIDATION, NULL, EFFNET_ERROR_FORMAT, "'stranger'");
    scratch_folder_remove(&folder);
}

/* Which of the pictures called 00.jpg to 39.jpg of two classes are evaluated on; each stands in one of the splits. */
static void evaluated(const char *root, const char *share, char out[81]) {
    char name[2][600], seen[81];
    memset(out, '-', 80);
    memset(seen, '-', 80);
    out[80] = 0;
    for (int split = 0; split < 2; split++) {
        Dataset *dataset;
        effnet_error err = {0};
        if (dataset_open_with(root, (DatasetSplit)split, NULL, share, &dataset, &err) != EFFNET_OK)
            fail_msg("%s", err.message);
        assert_int_equal(dataset_num_classes(dataset), 2);
        for (int64_t i = 0; i < dataset_size(dataset); i++) {
            dataset_describe(dataset, i, name[0], sizeof name[0]);
            int place = 40 * dataset_label(dataset, i) + atoi(strrchr(name[0], '/') + 1);
            assert_int_equal(seen[place], '-'); /* in one split, once */
            seen[place] = out[place] = split ? 'E' : 'T';
        }
        dataset_free(dataset);
    }
}

/* Pictures without splits are parted by what is in them: none is in both, each class has its share, and none changes
 * its side when others are added, or all are renamed. */
static void a_folder_without_splits_is_parted(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    char path[64], few[81], many[81], half[81];
    for (int stage = 0; stage < 2; stage++) {
        for (int i = stage * 20; i < stage * 20 + 20; i++)
            for (int c = 0; c < 2; c++) {
                snprintf(path, sizeof path, "n0%d/%02d.jpg", c + 1, i);
                place_file(&folder, path, make_plain_jpeg(8, 8, 6 * i, 100 * c, 255 - 6 * i));
            }
        evaluated(folder.path, NULL, stage ? many : few);
    }
    print_message("%s\n%s\n", few, many);
    int evaluation[2] = {0};
    for (int i = 0; i < 80; i++) {
        if (few[i] != '-') assert_int_equal(few[i], many[i]);
        evaluation[i / 40] += many[i] == 'E';
    }
    for (int c = 0; c < 2; c++) assert_in_range(evaluation[c], 2, 16); /* 8, by the formula's luck */
    evaluated(folder.path, "50%", half);
    for (int i = 0; i < 80; i++)
        if (many[i] == 'E') assert_int_equal(half[i], 'E'); /* a larger share holds the smaller */
    assert_true(memcmp(half, many, 80) != 0);
    Dataset *dataset;
    effnet_error err = {0};
    assert_int_equal(dataset_open_with(folder.path, SPLIT_VALIDATION, NULL, "100%", &dataset, &err), EFFNET_OK);
    assert_int_equal(dataset_size(dataset), 80);
    dataset_free(dataset);
    dataset = open_well(folder.path, SPLIT_EVALUATION, NULL); /* for eval: what is given */
    assert_int_equal(dataset_size(dataset), 80);
    dataset_free(dataset);
    assert_int_equal(dataset_open_with(folder.path, SPLIT_TRAIN, NULL, "120%", &dataset, &err), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "a share such as 20%"));
    scratch_folder_remove(&folder);
}

/* Folds: every picture is evaluated on in one of them, each class in equal parts, copies of a picture in the same. */
static void folds_part_every_class_equally(void **state) {
    (void)state;
    enum { FOLDS = 3, PICTURES = 10 };
    ScratchFolder folder = scratch_folder_create();
    char path[64], text[32], sides[81];
    int counts[80] = {0};
    for (int i = 0; i < PICTURES; i++)
        for (int c = 0; c < 2; c++) {
            snprintf(path, sizeof path, "n0%d/%02d.jpg", c + 1, i);
            /* the second class is two pictures and copies of the first of them */
            const int level = c == 0 ? 20 * i : i == 0 ? 7 : 200;
            place_file(&folder, path, make_plain_jpeg(8, 8, level, 100 * c, 255 - level));
        }
    place_file(&folder, "n03/00.jpg", make_plain_jpeg(8, 8, 1, 2, 3)); /* a class of one: always trained on */
    for (int fold = 1; fold <= FOLDS; fold++) {
        Dataset *dataset;
        effnet_error err = {0};
        int of_class[3] = {0};
        snprintf(text, sizeof text, "fold %d/%d", fold, FOLDS);
        memset(sides, '-', sizeof sides);
        for (int split = 0; split < 2; split++) {
            if (dataset_open_with(folder.path, (DatasetSplit)split, NULL, text, &dataset, &err) != EFFNET_OK)
                fail_msg("%s", err.message);
            for (int64_t i = 0; i < dataset_size(dataset); i++) {
                char name[600];
                dataset_describe(dataset, i, name, sizeof name);
                const int label = dataset_label(dataset, i);
                const int place = PICTURES * label + atoi(strrchr(name, '/') + 1);
                assert_int_equal(sides[place], '-');
                sides[place] = split ? 'E' : 'T';
                counts[place] += split;
                of_class[label] += split;
            }
            dataset_free(dataset);
        }
        print_message("%s: %.21s\n", text, sides);
        assert_in_range(of_class[0], PICTURES / FOLDS, PICTURES / FOLDS + 1);
        for (int i = 2; i < PICTURES; i++) assert_int_equal(sides[PICTURES + i], sides[PICTURES + 1]);
        assert_int_equal(sides[2 * PICTURES], 'T');
    }
    for (int i = 0; i < 2 * PICTURES; i++) assert_int_equal(counts[i], 1);
    static const char *const wrong[] = {"fold 0/3", "fold 4/3", "fold 1/1", "fold 1/", "fold one", "fold 2/5x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Dataset *dataset;
        effnet_error err = {0};
        assert_int_equal(dataset_open_with(folder.path, SPLIT_TRAIN, NULL, wrong[i], &dataset, &err),
                         EFFNET_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, "or fold 2/5"));
    }
    scratch_folder_remove(&folder);
}

/* A class of one picture is trained on; where none is left to evaluate on, that is said. */
static void too_few_to_part(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    place_file(&folder, "n01/1.jpg", jpeg());
    place_file(&folder, "n02/1.jpg", jpeg());
    Dataset *dataset = open_well(folder.path, SPLIT_TRAIN, NULL);
    assert_int_equal(dataset_size(dataset), 2);
    assert_int_equal(dataset_num_classes(dataset), 2);
    dataset_free(dataset);
    expect_error(folder.path, SPLIT_VALIDATION, NULL, EFFNET_ERROR_ARGUMENT, "none to evaluate on");
    scratch_folder_remove(&folder);
}

static void wrong_folders_are_named(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    expect_error(NULL, SPLIT_TRAIN, NULL, EFFNET_ERROR_ARGUMENT, "--data");
    expect_error("", SPLIT_TRAIN, NULL, EFFNET_ERROR_ARGUMENT, "--data");
    expect_error(scratch_path(&folder, "nowhere"), SPLIT_TRAIN, NULL, EFFNET_ERROR_IO, "nowhere': No such file");
    expect_error(folder.path, SPLIT_TRAIN, NULL, EFFNET_ERROR_IO, "no class folders");
    place_file(&folder, "file", text("x"));
    expect_error(scratch_path(&folder, "file"), SPLIT_TRAIN, NULL, EFFNET_ERROR_IO, "is a file");
    place_file(&folder, "train/cats/1.jpg", jpeg());
    place_file(&folder, "train/dogs/read.me", text("no picture"));
    expect_error(folder.path, SPLIT_TRAIN, NULL, EFFNET_ERROR_IO,
                 "train/dogs' holds no JPEG, PNG, WebP, BMP, GIF, TIFF or HEIC picture (1 other");
    expect_error(folder.path, SPLIT_VALIDATION, NULL, EFFNET_ERROR_IO, "no validation pictures");
    expect_error(folder.path, SPLIT_VALIDATION, "mine", EFFNET_ERROR_IO, "'mine'");
    scratch_folder_remove(&folder);
    folder = scratch_folder_create();
    place_file(&folder, "val/cats/1.jpg", jpeg());
    expect_error(folder.path, SPLIT_TRAIN, NULL, EFFNET_ERROR_IO, "no training pictures");
    scratch_folder_remove(&folder);
}

/* A link that leads back into its own folder ends in an error, not in an endless walk. */
static void loops_of_links_end(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    place_file(&folder, "cats/1.jpg", jpeg());
    assert_int_equal(symlink(".", scratch_path(&folder, "cats/again")), 0);
    expect_error(folder.path, SPLIT_TRAIN, NULL, EFFNET_ERROR_IO, "leads back");
    scratch_folder_remove(&folder);
}

/* Opening succeeds; the picture that is not there is an error of its own, with its path. */
static void unreadable_files_are_named(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    place_file(&folder, "cats/1.jpg", jpeg());
    place_file(&folder, "cats/3.jpg", jpeg());
    assert_int_equal(symlink("nowhere", scratch_path(&folder, "cats/2.jpg")), 0);
    assert_int_equal(chmod(scratch_path(&folder, "cats/3.jpg"), 0), 0);
    Dataset *dataset = open_well(folder.path, SPLIT_TRAIN, NULL);
    assert_int_equal(dataset_size(dataset), 3);
    Picture picture;
    effnet_error err = {0};
    assert_int_equal(dataset_read(dataset, 1, &picture, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "cats/2.jpg"));
    if (geteuid() != 0) { /* root reads everything */
        assert_int_equal(dataset_read(dataset, 2, &picture, &err), EFFNET_ERROR_IO);
        assert_non_null(strstr(err.message, "cats/3.jpg': Permission denied"));
    }
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* Labels follow a model's names, in the model's order, again and again. */
static void classes_of_a_model(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    place_file(&folder, "ants/1.jpg", jpeg());
    place_file(&folder, "bees/1.jpg", jpeg());
    Dataset *dataset = open_well(folder.path, SPLIT_TRAIN, NULL);
    const char *const names[] = {"wasps", "bees", "flies", "ants"}, *const others[] = {"ants", "bees"},
                      *const few[] = {"ants"};
    effnet_error err = {0};
    assert_int_equal(dataset_use_classes(dataset, names, 4, &err), EFFNET_OK);
    assert_int_equal(dataset_num_classes(dataset), 4);
    assert_string_equal(dataset_class_name(dataset, 0), "wasps");
    assert_int_equal(dataset_label(dataset, 0), 3);
    assert_int_equal(dataset_label(dataset, 1), 1);
    assert_int_equal(dataset_use_classes(dataset, few, 1, &err), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "'bees'"));
    assert_int_equal(dataset_label(dataset, 0), 3); /* as before */
    assert_int_equal(dataset_use_classes(dataset, others, 2, &err), EFFNET_OK);
    assert_int_equal(dataset_label(dataset, 0), 0);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_and_pictures_in_order),
        cmocka_unit_test(validation_is_numbered_by_training),
        cmocka_unit_test(a_folder_without_splits_is_parted),
        cmocka_unit_test(folds_part_every_class_equally),
        cmocka_unit_test(too_few_to_part),
        cmocka_unit_test(wrong_folders_are_named),
        cmocka_unit_test(loops_of_links_end),
        cmocka_unit_test(unreadable_files_are_named),
        cmocka_unit_test(classes_of_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
