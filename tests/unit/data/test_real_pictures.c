/* test_real_pictures.c - real photographs from ../shared/data, unpacked into a temporary folder: hymenoptera (244
 * photographs and a GIF), 500 from ImageNet, and CIFAR-10 (60,000 files of 32x32). Where an archive is not there, fewer
 * pictures of the same names and places are drawn (drawn_photographs.h). */
#include "data/feed/loader.h"
#include "drawn_photographs.h"
#include "make_pictures.h"

#include <math.h>

static ScratchFolder folder;
static char root[300];

/* The archive in a folder of its own, `root`; false where it is missing, or what unpacks it. */
static bool unpack(const char *archive, const char *name) {
    char command[1400];
    snprintf(root, sizeof root, "%s/%s", folder.path, name);
    assert_int_equal(mkdir(root, 0777), 0);
    snprintf(command, sizeof command, "%s/%s", EFFNET_SHARED_DATA, archive);
    const bool unpacks = !strstr(archive, ".zst") || system("command -v zstd > /dev/null") == 0;
    if (access(command, R_OK) != 0 || !unpacks) {
        print_message("%s cannot be had: pictures are drawn\n", command);
        return false;
    }
    snprintf(command, sizeof command, "tar -C '%s' -xf '%s/%s'", root, EFFNET_SHARED_DATA, archive);
    assert_int_equal(system(command), 0);
    return true;
}

static Dataset *open_well(DatasetSplit split) {
    Dataset *dataset;
    effnet_error err = {0};
    bool training = split == SPLIT_TRAIN; /* all of a folder without splits for either */
    if (dataset_open_with(root, training ? split : SPLIT_EVALUATION, NULL, training ? "100%" : NULL, &dataset, &err) !=
        EFFNET_OK)
        fail_msg("%s", err.message);
    return dataset;
}

/* One pass of a loader; every value finite; mean and deviation of the normalised pixels as photographs have them. */
static void run_through(const Dataset *dataset, bool training, int crop, int resolution, int64_t wanted, int batches) {
    LoaderOptions options = {.dataset = dataset, .training = training, .batch = 16, .seed = 1};
    Recipe recipe;
    recipe_defaults(&recipe);
    recipe.train_crop = crop;
    preprocess_from_recipe(&recipe, (TensorShape){resolution, resolution, 3}, &options.preprocess);
    Loader *loader;
    effnet_error err = {0};
    if (loader_create(&options, &loader, &err) != EFFNET_OK) fail_msg("%s", err.message);
    int64_t images = 0;
    double sum = 0, squares = 0;
    size_t floats = 3 * (size_t)resolution * (size_t)resolution;
    for (int64_t step = 0; step < (batches ? batches : loader_steps_per_epoch(loader)); step++) {
        Batch batch;
        if (loader_next(loader, &batch, &err) != EFFNET_OK) fail_msg("%s", err.message);
        for (size_t i = 0; i < (size_t)batch.size * floats; i++) {
            sum += (double)batch.images[i];
            squares += (double)batch.images[i] * (double)batch.images[i];
        }
        images += batch.size;
    }
    double count = (double)images * (double)floats, mean = sum / count, deviation = sqrt(squares / count - mean * mean);
    print_message("%lld pictures, mean %.3f, deviation %.3f, %lld skipped\n", (long long)images, mean, deviation,
                  (long long)loader_skipped(loader));
    assert_int_equal(loader_skipped(loader), 0);
    if (wanted) assert_int_equal(images, wanted);
    assert_true(fabs(mean) < .35 && deviation > .8 && deviation < 1.3); /* by ImageNet's mean and deviation */
    loader_free(loader);
}

static void hymenoptera(void **state) {
    (void)state;
    const bool real = unpack("hymenoptera.tar", "hymenoptera");
    if (!real) assert_true(drawn_two_classes(root, 20, 9));
    Dataset *train = open_well(SPLIT_TRAIN), *val = open_well(SPLIT_VALIDATION);
    assert_int_equal(dataset_size(train), real ? 245 : 40); /* 124 ants, imageNotFound.gif among them, 121 bees */
    assert_int_equal(dataset_size(val), real ? 153 : 18);
    assert_string_equal(dataset_class_name(val, 0), "ants");
    assert_string_equal(dataset_class_name(val, 1), "bees");
    run_through(train, true, TRAIN_CROP_RANDOM_RESIZED, 224, real ? 240 : 32, 0); /* whole batches */
    run_through(val, false, 0, 224, real ? 153 : 18, 0);
    dataset_free(train);
    dataset_free(val);
}

static void imagenet_sample(void **state) {
    (void)state;
    const bool real = unpack("imagenet-sample-dev.tar", "imagenet");
    const int count = real ? 500 : 30;
    for (uint32_t i = 0; i < 30 && !real; i++) {
        char name[60];
        snprintf(name, sizeof name, "n%08u/drawn.JPEG", i);
        assert_true(drawn_write(root, name, i, (int)(i % 2), 375, 500, i % 10 == 0));
    }
    Dataset *dataset = open_well(SPLIT_VALIDATION);
    assert_int_equal(dataset_size(dataset), count);
    assert_int_equal(dataset_num_classes(dataset), count);
    run_through(dataset, false, 0, 64, count, 0);
    dataset_free(dataset);
}

/* train/CLASS/NNNN.jpg and test/CLASS/NNNN.jpg, so many of a class, each at its place in a row of its class. */
static void draw_cifar(int train, int test) {
    static const char *const classes[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                          "dog",      "frog",       "horse", "ship", "truck"};
    for (uint32_t i = 0; i < 10 * (uint32_t)(train + test); i++) {
        char name[60];
        const bool training = i < 10 * (uint32_t)train;
        snprintf(name, sizeof name, "%s/%s/%04u.jpg", training ? "train" : "test", classes[i % 10], i / 10);
        assert_true(drawn_write(root, name, i, (int)(i % 2), 32, 32, false));
    }
}

static void cifar10(void **state) {
    (void)state;
    const bool real = unpack("cifar10.tar.zst", "cifar");
    const int of_training = real ? 5000 : 40, of_test = real ? 1000 : 20; /* a class */
    if (!real) draw_cifar(of_training, of_test);
    Dataset *train = open_well(SPLIT_TRAIN), *test = open_well(SPLIT_VALIDATION);
    assert_int_equal(dataset_size(train), 10 * of_training);
    assert_int_equal(dataset_size(test), 10 * of_test);
    assert_int_equal(dataset_num_classes(train), 10);
    assert_string_equal(dataset_class_name(test, 9), "truck");
    int counts[10] = {0};
    for (int64_t i = 0; i < dataset_size(test); i++) counts[dataset_label(test, i)]++;
    for (int i = 0; i < 10; i++) assert_int_equal(counts[i], of_test);
    run_through(train, true, TRAIN_CROP_PAD, 32, 0, real ? 300 : 25);
    run_through(test, false, 0, 32, 0, real ? 100 : 12);
    dataset_free(train);
    dataset_free(test);
}

int main(void) {
    folder = scratch_folder_create();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hymenoptera),
        cmocka_unit_test(imagenet_sample),
        cmocka_unit_test(cifar10),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_folder_remove(&folder);
    return failed;
}
