/* test_sources_agree.c - the same pictures from every kind of source give the same batches, bit for bit: those of
 * training (shuffled, cropped and flipped) and those of evaluation, with one thread and with three. */
#include "data/effpack.h"
#include "data/loader.h"
#include "make_shards.h"

enum { CLASSES = 3, EACH = 5, PICTURES = CLASSES * EACH, BATCH = 4, SIDE = 32 };

static const char *const class_names[CLASSES] = {"n01440764", "n01443537", "n02100000"};

/* Picture i is of class i / EACH: JPEG, PNG by turns, of different sizes. */
static Bytes make_picture(int i) {
    int height = 40 + 3 * i, width = 48 + 5 * (i % 4);
    uint8_t *pixels = pattern_picture(height, width);
    for (int p = 0; p < 3 * height * width; p++) pixels[p] = (uint8_t)(pixels[p] + 17 * i);
    Bytes bytes = i % 3 == 2 ? make_png(pixels, 3 * (size_t)height * (size_t)width, height, width, 2, 8, NULL, NULL)
                             : make_jpeg(pixels, height, width, TJPF_RGB, TJSAMP_420, 0);
    free(pixels);
    return bytes;
}

static void picture_path(char path[64], int i) {
    snprintf(path, 64, "%s/%s_%02d.JPEG", class_names[i / EACH], class_names[i / EACH], i);
}

/* ---- the sources ---- */

static void place_folder(const ScratchFolder *folder) {
    for (int i = 0; i < PICTURES; i++) {
        char path[64], below[80];
        picture_path(path, i);
        snprintf(below, sizeof below, "folder/%s", path);
        place_file(folder, below, make_picture(i));
    }
}

/* Two shards, which the pictures are shared among in order. */
static void place_tfrecords(const ScratchFolder *folder, bool tfds) {
    for (int shard = 0; shard < 2; shard++) {
        Growing file = {0};
        char name[80];
        for (int i = shard ? 8 : 0; i < (shard ? PICTURES : 8); i++) {
            Bytes bytes = make_picture(i);
            /* ImageNet's shards count from 1 and out of the names' order does no harm; TFDS's count from 0. */
            int64_t label = tfds ? i / EACH : 1 + (i / EACH + 1) % CLASSES;
            grow_record(&file, make_example(bytes, label, tfds ? NULL : class_names[i / EACH]));
            free(bytes.data);
        }
        snprintf(name, sizeof name, tfds ? "tfds/imagenet2012-train.tfrecord-%05d-of-00002" : "tf/train-%05d-of-00002",
                 shard);
        place_file(folder, name, (Bytes){file.data, file.size});
    }
    if (tfds)
        place_file(folder, "tfds/label.labels.txt",
                   (Bytes){(uint8_t *)strdup("n01440764\nn01443537\nn02100000\n"), 30});
}

static Growing make_webdataset(int first, int end) {
    Growing tar = {0};
    for (int i = first; i < end; i++) {
        char path[64], label[16];
        Bytes bytes = make_picture(i);
        snprintf(path, sizeof path, "%06d.%s", i, i % 3 == 2 ? "png" : "jpg");
        grow_tar_file(&tar, path, bytes.data, bytes.size);
        snprintf(path, sizeof path, "%06d.json", i);
        grow_tar_file(&tar, path, "{}", 2);
        snprintf(path, sizeof path, "%06d.cls", i);
        snprintf(label, sizeof label, "%d\n", i / EACH);
        grow_tar_file(&tar, path, label, strlen(label));
        free(bytes.data);
    }
    grow_tar_end(&tar);
    return tar;
}

static void place_webdataset(const ScratchFolder *folder) {
    for (int shard = 0; shard < 2; shard++) {
        char name[64];
        Growing tar = make_webdataset(shard ? 7 : 0, shard ? PICTURES : 7);
        Bytes bytes = {tar.data, tar.size};
        snprintf(name, sizeof name, "gzip/train-%06d.tar.gz", shard);
        mkdir(scratch_path(folder, "gzip"), 0777);
        write_gzip(scratch_path(folder, name), bytes);
        snprintf(name, sizeof name, "web/train-%06d.tar", shard);
        place_file(folder, name, bytes);
    }
    const char names[] = "n01440764\nn01443537\nn02100000";
    scratch_write(scratch_path(folder, "web/labels.txt"), names, sizeof names - 1);
    scratch_write(scratch_path(folder, "gzip/labels.txt"), names, sizeof names - 1);
}

/* ImageNet's two tars, the training one in an order of its own, and class folders in a tar with a long path. */
static void place_imagenet(const ScratchFolder *folder) {
    Growing train = {0}, val = {0}, folders = {0}, labels = {0}, truth = {0};
    for (int c = CLASSES - 1; c >= 0; c--) {
        Growing inner = {0};
        char name[64];
        for (int i = EACH * c; i < EACH * (c + 1); i++) {
            Bytes bytes = make_picture(i);
            char path[64];
            picture_path(path, i);
            grow_tar_file(&inner, strchr(path, '/') + 1, bytes.data, bytes.size);
            free(bytes.data);
        }
        grow_tar_end(&inner);
        snprintf(name, sizeof name, "%s.tar", class_names[c]);
        grow_tar_file(&train, name, inner.data, inner.size);
        free(inner.data);
    }
    grow_tar_end(&train);
    for (int i = 0; i < PICTURES; i++) {
        Bytes bytes = make_picture(i);
        char path[256], line[32];
        snprintf(path, sizeof path, "ILSVRC2012_val_%08d.JPEG", i + 1);
        grow_tar_file(&val, path, bytes.data, bytes.size);
        grow(&labels, line, (size_t)snprintf(line, sizeof line, "%s\n", class_names[i / EACH]));
        grow(&truth, line, (size_t)snprintf(line, sizeof line, "%d\n", 3 - i / EACH));
        snprintf(path, sizeof path, "./train/%s/%0120d.jpg", class_names[i / EACH], i);
        grow_tar_file(&folders, path, bytes.data, bytes.size);
        snprintf(path, sizeof path, "./val/%s/%d.jpg", class_names[i / EACH], i + 10);
        grow_tar_file(&folders, path, bytes.data, bytes.size);
        free(bytes.data);
    }
    grow_tar_end(&val);
    grow_tar_end(&folders);
    mkdir(scratch_path(folder, "devkit"), 0777);
    scratch_write(scratch_path(folder, "devkit/ILSVRC2012_img_val.tar"), val.data, val.size);
    write_growing(scratch_path(folder, "devkit/ILSVRC2012_validation_ground_truth.txt"), &truth);
    scratch_write(scratch_path(folder, "devkit/ILSVRC2012_synsets.txt"), "n02100000 a\nn01443537\nn01440764\n", 32);
    place_file(folder, "imagenet/ILSVRC2012_img_train.tar", (Bytes){train.data, train.size});
    place_file(folder, "imagenet/ILSVRC2012_img_val.tar", (Bytes){val.data, val.size});
    write_growing(scratch_path(folder, "imagenet/imagenet_2012_validation_synset_labels.txt"), &labels);
    place_file(folder, "folders.tar", (Bytes){folders.data, folders.size});
}

static void place_tables(const ScratchFolder *folder) {
    Growing comma = {0}, tab = {0};
    char path[64], line[256];
    grow(&comma, line, (size_t)snprintf(line, sizeof line, "id,label,\"path\"\r\n"));
    for (int i = 0; i < PICTURES; i++) {
        picture_path(path, i);
        grow(&comma, line,
             (size_t)snprintf(line, sizeof line, "%d,%s,\"folder/%s\"\r\n", i, class_names[i / EACH], path));
        grow(&tab, line, (size_t)snprintf(line, sizeof line, "folder/%s\t%s\n", path, class_names[i / EACH]));
    }
    write_growing(scratch_path(folder, "table.csv"), &comma);
    write_growing(scratch_path(folder, "table.tsv"), &tab);
}

/* ---- comparing ---- */

static void open_source(const char *root, DatasetSplit split, Dataset **out) {
    effnet_error err = {0};
    if (dataset_open(root, split, NULL, out, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_int_equal(dataset_size(*out), PICTURES);
    assert_int_equal(dataset_lost(*out), 0);
    assert_int_equal(dataset_num_classes(*out), CLASSES);
    for (int c = 0; c < CLASSES; c++) assert_string_equal(dataset_class_name(*out, c), class_names[c]);
}

/* Two epochs of training, or one evaluation: every float and every label, one behind the other. */
static Growing run_loader(const Dataset *dataset, bool training, int workers) {
    Growing all = {0};
    LoaderOptions options = {.dataset = dataset, .training = training, .batch = BATCH, .workers = workers, .seed = 7};
    Loader *loader;
    Recipe recipe;
    effnet_error err = {0};
    recipe_defaults(&recipe);
    preprocess_from_recipe(&recipe, SIDE, &options.preprocess);
    if (loader_create(&options, &loader, &err) != EFFNET_OK) fail_msg("%s", err.message);
    for (int step = 0; step < (training ? 2 * (PICTURES / BATCH) : (PICTURES + BATCH - 1) / BATCH); step++) {
        Batch batch;
        if (loader_next(loader, &batch, &err) != EFFNET_OK) fail_msg("%s", err.message);
        grow(&all, batch.images, (size_t)batch.size * SIDE * SIDE * 3 * sizeof(float));
        grow(&all, batch.labels, (size_t)batch.size * sizeof *batch.labels);
    }
    assert_int_equal(loader_skipped(loader), 0);
    loader_free(loader);
    return all;
}

static void expect_same(Growing wanted, Growing got, const char *what) {
    assert_int_equal(got.size, wanted.size);
    for (size_t i = 0; i < wanted.size; i++)
        if (wanted.data[i] != got.data[i]) fail_msg("%s: byte %zu of %zu of the batches differs", what, i, wanted.size);
    free(got.data);
}

static void the_same_batches(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    place_folder(&folder);
    place_tfrecords(&folder, false);
    place_tfrecords(&folder, true);
    place_webdataset(&folder);
    place_imagenet(&folder);
    place_tables(&folder);
    scratch_write(scratch_path(&folder, "web.list"), "web/train-000000.tar\nweb/train-000001.tar\n", 42);
    scratch_write(scratch_path(&folder, "labels.txt"), "n01440764\nn01443537\nn02100000\n", 30);
    Dataset *dataset;
    open_source(scratch_path(&folder, "folder"), SPLIT_TRAIN, &dataset);
    Growing trained = run_loader(dataset, true, 1), evaluated = run_loader(dataset, false, 1);
    assert_true(trained.size > 0 && evaluated.size > trained.size / 3);
    dataset_free(dataset);
    char source[512], pack[512];
    PackResult packed;
    effnet_error err = {0};
    snprintf(source, sizeof source, "%s", scratch_path(&folder, "folder"));
    snprintf(pack, sizeof pack, "%s", scratch_path(&folder, "all.effpack"));
    const PackOptions options = {.source = source, .path = pack, .quality = 90};
    if (pack_write(&options, &packed, &err) != EFFNET_OK) fail_msg("%s", err.message);
    snprintf(pack, sizeof pack, "%s", scratch_path(&folder, "raw.effpack"));
    const PackOptions raw = {.source = source, .path = pack};
    if (pack_write(&raw, &packed, &err) != EFFNET_OK) fail_msg("%s", err.message);
    static const struct {
        const char *root;
        DatasetSplit split;
    } sources[] = {
        {"folder", SPLIT_TRAIN},        {"tf", SPLIT_TRAIN},
        {"tfds", SPLIT_TRAIN},          {"web", SPLIT_TRAIN},
        {"gzip", SPLIT_TRAIN},          {"imagenet", SPLIT_TRAIN},
        {"imagenet", SPLIT_VALIDATION}, {"devkit", SPLIT_VALIDATION},
        {"folders.tar", SPLIT_TRAIN},   {"folders.tar", SPLIT_VALIDATION},
        {"table.csv", SPLIT_TRAIN},     {"table.tsv", SPLIT_TRAIN},
        {"@web.list", SPLIT_TRAIN},     {"tf/train-*", SPLIT_TRAIN},
        {"all.effpack", SPLIT_TRAIN},   {"raw.effpack", SPLIT_VALIDATION},
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        for (int workers = 1; workers <= 3; workers += 2) {
            char root[600];
            bool list = sources[i].root[0] == '@';
            snprintf(root, sizeof root, "%s%s", list ? "@" : "", scratch_path(&folder, sources[i].root + list));
            open_source(root, sources[i].split, &dataset);
            expect_same(evaluated, run_loader(dataset, false, workers), sources[i].root);
            expect_same(trained, run_loader(dataset, true, workers), sources[i].root);
            dataset_free(dataset);
        }
    free(trained.data);
    free(evaluated.data);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_same_batches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
