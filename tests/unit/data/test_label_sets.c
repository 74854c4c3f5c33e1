/* Tables whose pictures have any number of labels: CSV with '|' or ';', rows of JSON, names and numbers, pictures without a
 * label, a share kept for evaluation, and what a loader makes of them, mixed too. Tables of one label each stay what they
 * were. */
#include "compare.h"
#include "data/feed/loader.h"
#include "data/sources/dataset.h"
#include "scratch_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

/* A grey picture of 4x4 as a BMP of 24 bits. */
static void make_picture(const char *name, int level) {
    unsigned char bytes[54 + 48] = {'B', 'M', 102, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40,
                                    0,   0,   0,   4, 0, 0, 0, 4, 0, 0, 0,  1, 0, 24};
    memset(bytes + 54, level, 48);
    scratch_write(scratch_path(&folder, name), bytes, sizeof bytes);
}

static Dataset *open_table(const char *name, const char *text) {
    const char *path = scratch_path(&folder, name);
    char kept[512];
    Dataset *dataset;
    effnet_error err = {0};
    snprintf(kept, sizeof kept, "%s", path);
    scratch_write(kept, text, strlen(text));
    if (dataset_open_with(kept, SPLIT_TRAIN, NULL, "100%", &dataset, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return dataset;
}

/* "101" of picture `index`. */
static void expect_row(const Dataset *dataset, int64_t index, const char *wanted) {
    float row[8];
    char found[9] = "";
    const int classes = dataset_num_classes(dataset);
    assert_int_equal(classes, (int)strlen(wanted));
    dataset_targets(dataset, index, row, classes);
    for (int c = 0; c < classes; c++) found[c] = row[c] > 0 ? '1' : '0';
    if (strcmp(found, wanted) != 0) fail_msg("picture %d: %s, wanted %s", (int)index, found, wanted);
}

static void expect_pets(const Dataset *dataset) {
    assert_true(dataset_has_sets(dataset));
    assert_int_equal(dataset_size(dataset), 4);
    assert_string_equal(dataset_class_name(dataset, 0), "bird");
    assert_string_equal(dataset_class_name(dataset, 2), "dog");
    expect_row(dataset, 0, "011");
    expect_row(dataset, 1, "000");
    expect_row(dataset, 2, "101");
    expect_row(dataset, 3, "010");
    assert_int_equal(dataset_label(dataset, 2), 2); /* the first that was written */
    int64_t counts[3] = {0};
    dataset_count(dataset, counts, 3);
    assert_int_equal(counts[0] + 10 * counts[1] + 100 * counts[2], 221);
}

static void test_tables(void **state) {
    (void)state;
    Dataset *dataset = open_table("pets.csv", "file,labels\na.bmp,dog | cat\nb.bmp,\nc.bmp,dog;bird;dog\nd.bmp,cat\n");
    expect_pets(dataset);
    const char *const names[] = {"cat", "bird", "dog", "fish"};
    effnet_error err = {0};
    assert_int_equal(dataset_use_classes(dataset, names, 4, &err), EFFNET_OK); /* a model's order */
    expect_row(dataset, 2, "0110");
    dataset_free(dataset);
    dataset = open_table("pets.jsonl", "{\"file_name\": \"a.bmp\", \"labels\": [\"dog\", \"cat\"]}\n\n"
                                       "{\"file_name\": \"b.bmp\", \"labels\": []}\n"
                                       "{\"file_name\": \"c.bmp\", \"labels\": [\"dog\", \"bird\"]}\n"
                                       "{\"labels\": [\"dog\"]}\nnot json\n"
                                       "{\"file_name\": \"d.bmp\", \"labels\": \"cat\", \"more\": 1}");
    expect_pets(dataset);
    assert_int_equal(dataset_lost(dataset), 2);
    assert_non_null(strstr(dataset_loss(dataset, 0), "line 5 is no row"));
    dataset_free(dataset);
    dataset = open_table("numbers.jsonl",
                         "{\"image\": \"a.bmp\", \"tags\": [1, 5]}\n{\"image\": \"b.bmp\", \"tags\": [0]}\n");
    expect_row(dataset, 0, "010001"); /* as many classes as the greatest label says, though no first one is */
    expect_row(dataset, 1, "100000");
    dataset_free(dataset);
}

static void test_one_label_each(void **state) {
    (void)state;
    Dataset *dataset = open_table("one.csv", "file,labels\na.bmp,dog\nb.bmp,\nc.bmp,cat\n");
    assert_false(dataset_has_sets(dataset));
    assert_int_equal(dataset_size(dataset), 2); /* the one without a label is left out, and told */
    assert_int_equal(dataset_lost(dataset), 1);
    expect_row(dataset, 0, "01");
    effnet_error err = {0};
    assert_int_equal(dataset_need_single(dataset, "x", &err), EFFNET_OK);
    dataset_free(dataset);
    dataset = open_table("bars.csv", "file,label\na.bmp,dog|cat\nb.bmp,cat\n"); /* "label" is one, whatever is in it */
    assert_false(dataset_has_sets(dataset));
    assert_string_equal(dataset_class_name(dataset, 1), "dog|cat");
    dataset_free(dataset);
    dataset = open_table("rows.jsonl", "{\"file_name\": \"a.bmp\", \"label\": \"dog\"}\n{\"file_name\": \"b.bmp\", "
                                       "\"label\": \"cat\"}\n");
    assert_false(dataset_has_sets(dataset));
    expect_row(dataset, 1, "10");
    dataset_free(dataset);
}

static void expect_refused(const char *name, const char *text, const char *part) {
    Dataset *dataset;
    effnet_error err = {0};
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path(&folder, name));
    scratch_write(path, text, strlen(text));
    assert_int_not_equal(dataset_open(path, SPLIT_TRAIN, NULL, &dataset, &err), EFFNET_OK);
    if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);
}

static void test_refused(void **state) {
    (void)state;
    expect_refused("empty.csv", "file,labels\na.bmp,|\nb.bmp,\n", "no label on any of its 2 pictures");
    expect_refused("log.jsonl", "{\"event\": \"epoch\", \"top1\": 3}\n", "log.jsonl");
    char text[8000] = "file,labels\na.bmp,";
    for (int i = 0; i < 1001; i++) snprintf(text + strlen(text), sizeof text - strlen(text), "%d|", i);
    expect_refused("many.csv", text, "more than 1000 labels");
}

/* Rows as the loader gives them: mixed by the same shares as the pictures. */
static void test_loader_mixes_rows(void **state) {
    (void)state;
    Dataset *dataset = open_table("mixed.csv", "file,labels\na.bmp,x|y\nb.bmp,y\nc.bmp,\nd.bmp,x|z\n");
    Recipe recipe;
    Loader *loader;
    LoaderOptions options;
    Batch batch;
    effnet_error err = {0};
    recipe_defaults(&recipe);
    recipe.batch_size = 4;
    recipe.mixup = 1;
    recipe.resolution = (PictureSize){8, 8};
    assert_int_equal(loader_options_from_recipe(&recipe, (TensorShape){8, 8, 3}, dataset, true, &options, &err),
                     EFFNET_OK);
    if (loader_create(&options, &loader, &err) != EFFNET_OK) fail_msg("%s", err.message);
    bool mixed = false;
    for (int step = 0; step < 8; step++) {
        if (loader_next(loader, &batch, &err) != EFFNET_OK) fail_msg("%s", err.message);
        assert_non_null(batch.targets);
        assert_non_null(batch.shares);
        double sums[3] = {0};
        for (int n = 0; n < 4; n++)
            for (int c = 0; c < 3; c++) {
                const float value = batch.targets[3 * n + c];
                assert_true(value >= 0 && value <= 1);
                mixed |= value > 0 && value < 1;
                sums[c] += (double)value;
            }
        /* pairs have one share between them: what leaves one row is in the other */
        if (fabsf(batch.shares[0] - batch.shares[3]) < 1e-7f && fabsf(batch.shares[1] - batch.shares[2]) < 1e-7f)
            assert_true(fabs(sums[0] - 2) < 1e-5 && fabs(sums[1] - 2) < 1e-5 && fabs(sums[2] - 1) < 1e-5);
    }
    assert_true(mixed);
    loader_free(loader);
    dataset_free(dataset);
}

static int make_pictures(void **state) {
    set_up(state);
    make_picture("a.bmp", 10);
    make_picture("b.bmp", 80);
    make_picture("c.bmp", 150);
    make_picture("d.bmp", 220);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables), cmocka_unit_test(test_one_label_each),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_loader_mixes_rows)};
    return cmocka_run_group_tests(tests, make_pictures, tear_down);
}
