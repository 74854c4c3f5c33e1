/* test_sources_agree.c - the same pictures from every kind of source give the same batches, bit for bit: those of
 * training (shuffled, cropped and flipped) and those of evaluation, with one thread and with three. From every kind,
 * several processes together make the batches of one. */
#include "data/sources/effpack.h"
#include "data/inspect/pack_write.h"
#include "data/sources/shard_source.h"
#include "loader_fixture.h"
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
    *out = open_split(root, split);
    assert_int_equal(dataset_size(*out), PICTURES);
    assert_int_equal(dataset_lost(*out), 0);
    assert_int_equal(dataset_num_classes(*out), CLASSES);
    for (int c = 0; c < CLASSES; c++) assert_string_equal(dataset_class_name(*out, c), class_names[c]);
}

static Loader *open_loader(const Dataset *dataset, bool training, int batch, int workers, int process, int processes) {
    LoaderOptions options = {.dataset = dataset,
                             .training = training,
                             .batch = batch,
                             .process = process,
                             .processes = processes,
                             .workers = workers,
                             .seed = 7};
    Recipe recipe;
    recipe_defaults(&recipe);
    preprocess_from_recipe(&recipe, (TensorShape){SIDE, SIDE, 3}, &options.preprocess);
    return create_loader(&options);
}

/* The next batch behind the others: each picture's floats and its label. Returns how many. */
static int grow_batch(Growing *all, Loader *loader) {
    enum { FLOATS = SIDE * SIDE * 3 };
    Batch batch = next_batch(loader);
    for (int i = 0; i < batch.size; i++) {
        grow(all, batch.images + i * FLOATS, FLOATS * sizeof(float));
        grow(all, &batch.labels[i], sizeof batch.labels[i]);
    }
    return batch.size;
}

/* Two epochs of training, or one evaluation. */
static Growing run_loader(const Dataset *dataset, bool training, int workers) {
    Growing all = {0};
    Loader *loader = open_loader(dataset, training, BATCH, workers, 0, 0);
    int steps = training ? 2 * (PICTURES / BATCH) : (PICTURES + BATCH - 1) / BATCH;
    for (int step = 0; step < steps; step++) grow_batch(&all, loader);
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

/* ---- several processes ---- */

enum { PROCESSES = 3, SHARE = 2 };

/* Three processes with batches of two, each with a data set of its own: one process's batches of six. 15 pictures leave
 * three for the last batch of an evaluation: two for the first process, one for the second, none for the third. */
static void expect_shares(Dataset *const datasets[PROCESSES], const char *what) {
    for (int training = 0; training < 2; training++) {
        Growing wanted = {0}, got = {0};
        Loader *loaders[PROCESSES], *one = open_loader(datasets[0], training, PROCESSES * SHARE, 2, 0, 0);
        int pictures = (int)dataset_size(datasets[0]), seen = 0;
        for (int p = 0; p < PROCESSES; p++) loaders[p] = open_loader(datasets[p], training, SHARE, 2, p, PROCESSES);
        for (int step = 0; step < (training ? 5 : (pictures + 5) / 6); step++) {
            grow_batch(&wanted, one);
            for (int p = 0; p < PROCESSES; p++) seen += grow_batch(&got, loaders[p]);
        }
        assert_int_equal(seen, training ? 30 : pictures);
        for (int p = 0; !training && p < PROCESSES; p++) { /* another pass, also where the share was smaller */
            if (pictures % 6 > p * SHARE) assert_int_equal(grow_batch(&got, loaders[p]), 0);
            assert_int_equal(grow_batch(&got, loaders[p]), SHARE);
        }
        if (!training) {
            assert_int_equal(grow_batch(&wanted, one), 0);
            assert_int_equal(grow_batch(&wanted, one), PROCESSES * SHARE);
        }
        expect_same(wanted, got, what);
        free(wanted.data);
        loader_free(one);
        for (int p = 0; p < PROCESSES; p++) loader_free(loaders[p]);
    }
}

static void expect_shares_of(const char *root, DatasetSplit split) {
    Dataset *datasets[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) datasets[p] = open_split(root, split);
    expect_shares(datasets, root);
    for (int p = 0; p < PROCESSES; p++) dataset_free(datasets[p]);
}

/* Compressed tars that find no room in memory. */
static void expect_shares_of_streams(const ScratchFolder *folder) {
    static const char *const splits[] = {"train", NULL}, *const none[] = {NULL};
    bool absent, whole;
    const SplitWanted wanted = {.names = splits, .known = {splits, none}, .absent = &absent, .whole = &whole};
    Dataset *datasets[PROCESSES];
    NameList paths = {0};
    effnet_error err = {0};
    name_list_add(&paths, scratch_path(folder, "gzip/train-000000.tar.gz"), NULL);
    name_list_add(&paths, scratch_path(folder, "gzip/train-000001.tar.gz"), NULL);
    for (int p = 0; p < PROCESSES; p++)
        if (source_tar_open(&paths, &wanted, 0, &datasets[p], &err) != EFFNET_OK) fail_msg("%s", err.message);
    expect_shares(datasets, "compressed tars, streamed");
    for (int p = 0; p < PROCESSES; p++) dataset_free(datasets[p]);
    name_list_free(&paths);
}

/* Sources whose pictures have a size of their own. */
static void place_small_kinds(const ScratchFolder *folder) {
    const uint32_t shape[3] = {PICTURES, 28, 28};
    Bytes images = make_idx(3, shape, PICTURES * 28 * 28, 0, 1), labels = make_idx(1, shape, PICTURES, 1, 7);
    for (int i = 0; i < PICTURES * 28 * 28; i++) images.data[16 + i] = (uint8_t)(i / (28 * 28) * 16 + i % 13);
    place_file(folder, "idx/train-images-idx3-ubyte", images);
    place_file(folder, "idx/train-labels-idx1-ubyte", labels);
    Growing cifar = {0};
    for (int i = 0; i < PICTURES; i++) {
        uint8_t row[3073] = {(uint8_t)(i % 10)};
        for (int k = 1; k < 3073; k++) row[k] = (uint8_t)(i * 16 + k % 11);
        grow(&cifar, row, sizeof row);
    }
    place_file(folder, "cifar/data_batch_1.bin", (Bytes){cifar.data, cifar.size});
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
    snprintf(source, sizeof source, "%s", scratch_path(&folder, "folders.tar"));
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
        {"folder", SPLIT_TRAIN},         {"tf", SPLIT_TRAIN},
        {"tfds", SPLIT_TRAIN},           {"web", SPLIT_TRAIN},
        {"gzip", SPLIT_TRAIN},           {"imagenet", SPLIT_TRAIN},
        {"imagenet", SPLIT_VALIDATION},  {"devkit", SPLIT_EVALUATION},
        {"folders.tar", SPLIT_TRAIN},    {"folders.tar", SPLIT_VALIDATION},
        {"table.csv", SPLIT_EVALUATION}, {"table.tsv", SPLIT_EVALUATION},
        {"@web.list", SPLIT_TRAIN},      {"tf/train-*", SPLIT_TRAIN},
        {"all.effpack", SPLIT_TRAIN},    {"raw.effpack", SPLIT_VALIDATION},
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
            if (workers == 1) expect_shares_of(root, sources[i].split);
        }
    place_small_kinds(&folder);
    expect_shares_of(scratch_path(&folder, "idx"), SPLIT_TRAIN);
    expect_shares_of(scratch_path(&folder, "cifar"), SPLIT_TRAIN);
    expect_shares_of(scratch_path(&folder, "folder"), SPLIT_TRAIN);
    expect_shares_of_streams(&folder);
    free(trained.data);
    free(evaluated.data);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_same_batches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
