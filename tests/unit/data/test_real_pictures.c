/* test_real_pictures.c - real photographs from ../shared/data, unpacked into a temporary folder: hymenoptera (245
 * photographs, and one GIF that is passed over), 500 from ImageNet, and CIFAR-10 (60,000 files of 32x32). Exits 77
 * where the archives are not there. */
#include "data/feed/loader.h"
#include "make_pictures.h"

#include <math.h>

static ScratchFolder folder;

/* The archive in a folder of its own, whose path it returns. */
static const char *unpack(const char *archive, const char *name) {
    static char root[300];
    char command[1400];
    snprintf(root, sizeof root, "%s/%s", folder.path, name);
    assert_int_equal(mkdir(root, 0777), 0);
    snprintf(command, sizeof command, "tar -C '%s' -xf '%s/%s'", root, EFFNET_SHARED_DATA, archive);
    assert_int_equal(system(command), 0);
    return root;
}

static Dataset *open_well(const char *root, DatasetSplit split) {
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
    preprocess_from_recipe(&recipe, resolution, resolution, &options.preprocess);
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
    const char *root = unpack("hymenoptera.tar", "hymenoptera");
    Dataset *train = open_well(root, SPLIT_TRAIN), *val = open_well(root, SPLIT_VALIDATION);
    assert_int_equal(dataset_size(train), 245); /* 124 ants, imageNotFound.gif among them, 121 bees */
    assert_int_equal(dataset_size(val), 153);
    assert_string_equal(dataset_class_name(val, 0), "ants");
    assert_string_equal(dataset_class_name(val, 1), "bees");
    run_through(train, true, TRAIN_CROP_RANDOM_RESIZED, 224, 240, 0);
    run_through(val, false, 0, 224, 153, 0);
    dataset_free(train);
    dataset_free(val);
}

static void imagenet_sample(void **state) {
    (void)state;
    const char *root = unpack("imagenet-sample-dev.tar", "imagenet");
    Dataset *dataset = open_well(root, SPLIT_VALIDATION);
    assert_int_equal(dataset_size(dataset), 500);
    assert_int_equal(dataset_num_classes(dataset), 500);
    run_through(dataset, false, 0, 64, 500, 0);
    dataset_free(dataset);
}

static void cifar10(void **state) {
    (void)state;
    const char *root = unpack("cifar10.tar.zst", "cifar");
    Dataset *train = open_well(root, SPLIT_TRAIN), *test = open_well(root, SPLIT_VALIDATION);
    assert_int_equal(dataset_size(train), 50000);
    assert_int_equal(dataset_size(test), 10000);
    assert_int_equal(dataset_num_classes(train), 10);
    assert_string_equal(dataset_class_name(test, 9), "truck");
    int counts[10] = {0};
    for (int64_t i = 0; i < 10000; i++) counts[dataset_label(test, i)]++;
    for (int i = 0; i < 10; i++) assert_int_equal(counts[i], 1000);
    run_through(train, true, TRAIN_CROP_PAD, 32, 0, 300);
    run_through(test, false, 0, 32, 0, 100);
    dataset_free(train);
    dataset_free(test);
}

int main(void) {
    const char *archives[] = {"hymenoptera.tar", "imagenet-sample-dev.tar", "cifar10.tar.zst"};
    for (int i = 0; i < 3; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", EFFNET_SHARED_DATA, archives[i]);
        if (access(path, R_OK) == 0) continue;
        printf("skipped: no %s, real pictures to be had from the shared folder beside the project\n", path);
        return 77;
    }
    if (system("command -v zstd > /dev/null") != 0) {
        printf("skipped: no zstd to unpack cifar10.tar.zst with\n");
        return 77;
    }
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
