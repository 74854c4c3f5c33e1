/* test_balanced_order.c - an epoch with as many places for each class, and what pictures of each class count in the
 * loss, on a set whose classes are of very unequal size. */
#include "data/feed/batch_order.h"
#include "loader_fixture.h"
#include "train/class_weights.h"

#include <math.h>

enum { PICTURES = 103, BATCH = 10, CLASSES = 3 };

/* Grey pixels of 1 x 1: 80 of class 0, 20 of class 1, 3 of class 2. */
static int label_of(int picture) {
    return picture % 34 == 33 ? 2 : picture % 5 == 0 ? 1 : 0;
}

static Dataset *make_dataset(ScratchFolder *folder) {
    *folder = scratch_folder_create();
    const uint32_t shape[3] = {PICTURES, 1, 1};
    Bytes images = make_idx(3, shape, PICTURES, 0, 1), labels = make_idx(1, shape, PICTURES, 0, 1);
    for (int i = 0; i < PICTURES; i++) labels.data[8 + i] = (uint8_t)label_of(i);
    write_bytes(scratch_path(folder, "train-images-idx3-ubyte"), images);
    write_bytes(scratch_path(folder, "train-labels-idx1-ubyte"), labels);
    free(images.data);
    free(labels.data);
    return open_split(folder->path, SPLIT_TRAIN);
}

static void every_class_alike(void **state) {
    (void)state;
    ScratchFolder folder;
    Dataset *dataset = make_dataset(&folder);
    const BatchShape shape = {.training = true, .balanced = true, .wrap = true, .batch = BATCH};
    BatchOrder order, again;
    effnet_error err = {0};
    assert_int_equal(batch_order_create(&order, dataset, &shape, 5, &err), EFFNET_OK);
    assert_int_equal(batch_order_create(&again, dataset, &shape, 5, &err), EFFNET_OK);
    static int seen[PICTURES];
    bool differs = false;
    for (int pass = 0; pass < 10; pass++) {
        int of_class[CLASSES] = {0}, in_pass[PICTURES] = {0};
        for (int at = 0; at < PICTURES; at++) {
            uint32_t indices[BATCH], same[BATCH], repetition, other;
            int64_t place = (int64_t)pass * PICTURES + at, step = place / BATCH;
            batch_order_fill(&order, step, indices);
            batch_order_fill(&again, step + 11, same); /* another way there */
            batch_order_fill(&again, step, same);
            assert_memory_equal(indices, same, sizeof indices);
            uint32_t picture = indices[place % BATCH];
            assert_true(picture < PICTURES);
            of_class[label_of((int)picture)]++;
            in_pass[picture]++;
            seen[picture]++;
            assert_int_equal(batch_order_pass(&order, step, (int)(place % BATCH), &repetition), pass);
            if (at > 0) {
                batch_order_pass(&order, (place - 1) / BATCH, (int)((place - 1) % BATCH), &other);
                assert_int_not_equal(repetition, other); /* so that a picture's places are augmented differently */
            }
        }
        assert_int_equal(of_class[0], 35); /* 103 = 35 + 34 + 34 */
        assert_int_equal(of_class[1], 34);
        assert_int_equal(of_class[2], 34);
        for (int i = 0; i < PICTURES; i++) differs = differs || (label_of(i) == 0 && in_pass[i] != in_pass[1]);
        for (int i = 0; i < PICTURES; i++) /* within a class none is more than one ahead, after any pass */
            for (int j = 0; j < i; j++)
                if (label_of(i) == label_of(j) && abs(seen[i] - seen[j]) > 1)
                    fail_msg("after pass %d: picture %d stood in %d places and %d of the same class in %d", pass, i,
                             seen[i], j, seen[j]);
    }
    assert_true(differs);
    for (int i = 0; i < PICTURES; i++) assert_true(seen[i] > 0);
    batch_order_release(&order);
    batch_order_release(&again);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

static void weights_of_classes(void **state) {
    (void)state;
    ScratchFolder folder;
    Dataset *dataset = make_dataset(&folder);
    Recipe recipe;
    effnet_error err = {0};
    ClassWeights weights;
    recipe_defaults(&recipe);
    assert_int_equal(class_weights_create(&recipe, dataset, CLASSES, &weights, &err), EFFNET_OK);
    int32_t labels[4] = {0, 2, 1, 2}, others[4] = {0, 0, 2, 1};
    float shares[4] = {1, 0.25f, 0.5f, 0};
    Batch batch = {.size = 4, .labels = labels};
    assert_null(class_weights_of(&weights, &batch));
    class_weights_free(&weights);
    int counts[CLASSES] = {0};
    for (int i = 0; i < PICTURES; i++) counts[label_of(i)]++;
    assert_int_equal(recipe_set(&recipe, "class_weights", "auto", &err), EFFNET_OK);
    assert_int_equal(class_weights_create(&recipe, dataset, CLASSES, &weights, &err), EFFNET_OK);
    double sum = 0;
    for (int c = 0; c < CLASSES; c++) {
        double want = PICTURES / (3.0 * counts[c]);
        if (!(fabs(weights.of_class[c] - want) <= 1e-6 * want))
            fail_msg("class %d counts %g, want %g", c, (double)weights.of_class[c], want);
        sum += counts[c] * (double)weights.of_class[c];
    }
    assert_true(fabs(sum / PICTURES - 1) < 1e-6);
    class_weights_free(&weights);
    assert_int_equal(recipe_set(&recipe, "class_weights", "1, 2,0.5", &err), EFFNET_OK);
    assert_int_equal(class_weights_create(&recipe, dataset, CLASSES, &weights, &err), EFFNET_OK);
    const float plain[4] = {1, 0.5f, 2, 0.5f}, mixed[4] = {1, 0.875f, 1.25f, 2};
    assert_memory_equal(class_weights_of(&weights, &batch), plain, sizeof plain);
    batch.others = others, batch.shares = shares;
    assert_memory_equal(class_weights_of(&weights, &batch), mixed, sizeof mixed);
    class_weights_free(&weights);
    static const char *const wrong[][2] = {{"1,2", "has 2 numbers, and there are 3 classes"},
                                           {"1,2,3,4", "has 4 numbers"},
                                           {"1,two,3", "holds 'two'"},
                                           {"1,-2,3", "holds '-2'"},
                                           {"1,,3", "holds ''"},
                                           {"0,0,0", "are all 0"},
                                           {"Auto", "holds 'Auto'"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(recipe_set(&recipe, "class_weights", wrong[i][0], &err), EFFNET_OK);
        assert_int_equal(class_weights_create(&recipe, dataset, CLASSES, &weights, &err), EFFNET_ERROR_ARGUMENT);
        if (!strstr(err.message, wrong[i][1])) fail_msg("class_weights: %s: %s", wrong[i][0], err.message);
        class_weights_free(&weights);
    }
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_class_alike), cmocka_unit_test(weights_of_classes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
