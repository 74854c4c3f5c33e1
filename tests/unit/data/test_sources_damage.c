/* test_sources_damage.c - what is wrong with shards: what is lost is counted and told, the rest is read, and what
 * contradicts itself is an error that names the place. */
#include "base/crc32c.h"
#include "data/sources/shard_source.h"
#include "loader_fixture.h"
#include "make_shards.h"

static void expect_error(const char *root, effnet_status status, const char *wanted) {
    Dataset *dataset;
    effnet_error err = {0};
    effnet_status got = dataset_open(root, SPLIT_TRAIN, NULL, &dataset, &err);
    if (got != status || !strstr(err.message, wanted))
        fail_msg("wanted status %d and '%s', got %d and '%s'", status, wanted, got, err.message);
    assert_null(dataset);
}

/* `pictures` are left, every one readable, and `lost` messages, the first with `message`. */
static void expect_left(const char *root, int pictures, int lost, const char *message) {
    Dataset *dataset = open_split(root, SPLIT_TRAIN);
    if (dataset_size(dataset) != pictures || dataset_lost(dataset) != lost)
        fail_msg("%lld pictures and %lld lost ('%s'); wanted %d and %d", (long long)dataset_size(dataset),
                 (long long)dataset_lost(dataset), dataset_loss(dataset, 0) ? dataset_loss(dataset, 0) : "", pictures,
                 lost);
    if (lost && !strstr(dataset_loss(dataset, 0), message))
        fail_msg("wanted '%s', got '%s'", message, dataset_loss(dataset, 0));
    for (int i = 0; i < pictures; i++) {
        Picture picture;
        effnet_error err = {0};
        if (dataset_read(dataset, i, &picture, &err) != EFFNET_OK) fail_msg("%s", err.message);
        picture_free(&picture);
    }
    dataset_free(dataset);
}

static Bytes small_jpeg(int i) {
    return make_plain_jpeg(8, 8, 20 * i, 100, 50);
}

/* ---- sums ---- */

static void sums_are_castagnolis(void **state) {
    (void)state;
    uint8_t bytes[40000];
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283u);
    assert_int_equal(crc32c_plain(0, "123456789", 9), 0xE3069283u);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * i >> 3);
    const size_t sizes[] = {0, 1, 7, 8, 12287, 12288, 12289, 24577, 39990};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint32_t wanted = slow_crc32c(bytes + i, sizes[i]);
        assert_int_equal(crc32c(0, bytes + i, sizes[i]), wanted);
        assert_int_equal(crc32c_plain(0, bytes + i, sizes[i]), wanted);
        assert_int_equal(crc32c(crc32c(0, bytes + i, sizes[i] / 3), bytes + i + sizes[i] / 3, sizes[i] - sizes[i] / 3),
                         wanted);
    }
}

/* ---- TFRecord ---- */

static Growing make_records(int count, size_t starts[], const int64_t *labels, const char *const *synsets) {
    Growing file = {0};
    for (int i = 0; i < count; i++) {
        Bytes bytes = small_jpeg(i);
        if (starts) starts[i] = file.size;
        grow_record(&file, make_example(bytes, labels ? labels[i] : i % 2, synsets ? synsets[i] : NULL));
        free(bytes.data);
    }
    return file;
}

static void damaged_records_cost_themselves(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    const char *path = scratch_path(&folder, "train-00000-of-00001");
    char kept[512];
    size_t starts[5];
    snprintf(kept, sizeof kept, "%s", path);
    Growing file = make_records(5, starts, NULL, NULL);
    scratch_write(kept, file.data, file.size);
    expect_left(folder.path, 5, 0, "");
    file.data[starts[2] + 40] ^= 1;
    scratch_write(kept, file.data, file.size);
    expect_left(folder.path, 4, 1, "#2' is damaged: the checksum of its data");
    file.data[starts[3]] ^= 1; /* its length: where the next record stands is not known */
    scratch_write(kept, file.data, file.size);
    expect_left(folder.path, 2, 2, "#2' is damaged");
    file.data[starts[3]] ^= 1;
    file.data[starts[2] + 40] ^= 1;
    for (size_t cut = starts[3] + 1; cut < starts[4]; cut += 97) {
        scratch_write(kept, file.data, cut);
        expect_left(folder.path, 3, 1, "ends in the middle of record 3");
    }
    scratch_write(kept, file.data, starts[1] - 1);
    expect_error(folder.path, EFFNET_ERROR_FORMAT, "no picture with a label: ");
    free(file.data);
    scratch_folder_remove(&folder);
}

static void labels_that_cannot_be(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "train-00000-of-00001"));
    const int64_t wild[3] = {-1, 1, 100000};
    Growing file = make_records(3, NULL, wild, NULL);
    write_growing(path, &file);
    expect_left(folder.path, 1, 2, "#0': its label -1 is out of range");
    const int64_t high[3] = {0, 1, 2};
    file = make_records(3, NULL, high, NULL);
    write_growing(path, &file);
    scratch_write(scratch_path(&folder, "labels.txt"), "cat\ndog\n", 8);
    expect_error(folder.path, EFFNET_ERROR_FORMAT, "label 2 of '");
    scratch_write(scratch_path(&folder, "labels.txt"), "cat\ndog\ncat\n", 12);
    expect_error(folder.path, EFFNET_ERROR_FORMAT, "classes 0 and 2 are both called 'cat'");
    scratch_write(scratch_path(&folder, "labels.txt"), "0:cat\n1:dog\n2:cow\n", 18);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    assert_string_equal(dataset_class_name(dataset, 2), "cow");
    dataset_free(dataset);
    const char *const twice[3] = {"a", "b", "a"}, *const other[3] = {"a", "b", "c"};
    file = make_records(3, NULL, high, twice);
    write_growing(path, &file);
    expect_error(folder.path, EFFNET_ERROR_FORMAT, "classes 0 and 2 are both called 'a'");
    const int64_t same[3] = {0, 1, 1};
    file = make_records(3, NULL, same, other);
    write_growing(path, &file);
    expect_error(folder.path, EFFNET_ERROR_FORMAT, "class 1 is called 'c' here and 'b' before");
    scratch_folder_remove(&folder);
}

/* A loader tells what was lost at opening, as it tells of bad pictures; a run that is to stop at such, stops. */
static void losses_are_counted_by_the_loader(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    const int64_t wild[4] = {0, 1, -5, 1};
    Growing file = make_records(4, NULL, wild, NULL);
    write_growing(scratch_path(&folder, "train.tfrecord"), &file);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    LoaderOptions options = {.dataset = dataset, .training = true, .batch = 2, .workers = 1};
    Recipe recipe;
    Loader *loader;
    char text[500];
    effnet_error err = {0};
    recipe_defaults(&recipe);
    preprocess_from_recipe(&recipe, (TensorShape){16, 16, 3}, &options.preprocess);
    options.bad_images = BAD_IMAGES_SKIP;
    assert_int_equal(loader_create(&options, &loader, &err), EFFNET_OK);
    assert_int_equal(loader_skipped(loader), 1);
    assert_true(loader_take_warning(loader, text, sizeof text));
    assert_non_null(strstr(text, "label -5"));
    loader_free(loader);
    options.bad_images = BAD_IMAGES_STOP;
    assert_int_equal(loader_create(&options, &loader, &err), EFFNET_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "label -5"));
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* A shard that is written to, cut off or taken away after it was opened. */
static void changes_under_the_run_are_noticed(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "train.tfrecord"));
    Growing file = make_records(4, NULL, NULL, NULL);
    scratch_write(path, file.data, file.size);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    Picture picture;
    effnet_error err = {0};
    assert_int_equal(dataset_read(dataset, 3, &picture, &err), EFFNET_OK);
    picture_free(&picture);
    assert_int_equal(truncate(path, (off_t)file.size / 2), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(dataset_read(dataset, i, &picture, &err), EFFNET_ERROR_IO);
        assert_non_null(strstr(err.message, "changed since it was opened"));
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(dataset_read(dataset, 0, &picture, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "which was there before"));
    dataset_free(dataset);
    free(file.data);
    scratch_folder_remove(&folder);
}

/* ---- tar ---- */

/* `noise`: bytes beside each sample that cannot be compressed. */
static Growing make_samples(int count, size_t starts[], size_t noise) {
    Growing tar = {0};
    uint8_t *bulk = malloc(noise + 1);
    assert_non_null(bulk);
    for (size_t i = 0; i < noise; i++) bulk[i] = (uint8_t)((uint32_t)i * 2654435761u >> 21);
    for (int i = 0; i < count; i++) {
        char path[32], label[16];
        Bytes bytes = small_jpeg(i);
        starts[i] = tar.size;
        snprintf(path, sizeof path, "s%d.jpg", i);
        grow_tar_file(&tar, path, bytes.data, bytes.size);
        snprintf(path, sizeof path, "s%d.cls", i);
        grow_tar_file(&tar, path, label, (size_t)snprintf(label, sizeof label, "%d", i % 2));
        snprintf(path, sizeof path, "s%d.bin", i);
        if (noise) grow_tar_file(&tar, path, bulk, noise);
        free(bytes.data);
    }
    free(bulk);
    grow_tar_end(&tar);
    return tar;
}

static void truncated_tars_cost_their_rest(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    size_t starts[6];
    Growing tar = make_samples(6, starts, 0);
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "train-0.tar"));
    scratch_write(path, tar.data, tar.size);
    expect_left(folder.path, 6, 0, "");
    scratch_write(path, tar.data, starts[4] + 600); /* in the middle of a picture */
    expect_left(folder.path, 4, 1, "truncated");
    scratch_write(path, tar.data, starts[4] + 300); /* in the middle of a head */
    expect_left(folder.path, 4, 1, "truncated");
    scratch_write(path, tar.data, starts[5] - 1024); /* before a label: that sample is lost, and the end is missing */
    expect_left(folder.path, 4, 2, "does not end in two blocks of zeros");
    unlink(path);
    free(tar.data);
    tar = make_samples(6, starts, 100000);
    write_gzip(scratch_path(&folder, "train-0.tar.gz"), (Bytes){tar.data, tar.size});
    expect_left(folder.path, 6, 0, "");
    FILE *stream = fopen(scratch_path(&folder, "train-0.tar.gz"), "rb");
    uint8_t *packed = malloc(tar.size);
    assert_non_null(packed);
    size_t size = fread(packed, 1, tar.size, stream);
    fclose(stream);
    scratch_write(scratch_path(&folder, "train-0.tar.gz"), packed, size * 2 / 3);
    free(packed);
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    assert_true(dataset_size(dataset) >= 1 && dataset_size(dataset) < 6);
    assert_true(dataset_lost(dataset) >= 1);
    Picture picture;
    assert_int_equal(dataset_read(dataset, dataset_size(dataset) - 1, &picture, NULL), EFFNET_OK);
    picture_free(&picture);
    dataset_free(dataset);
    free(tar.data);
    scratch_folder_remove(&folder);
}

static void samples_that_are_not_whole(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    Growing tar = {0};
    Bytes bytes = small_jpeg(1);
    grow_tar_file(&tar, "a.jpg", bytes.data, bytes.size);
    grow_tar_file(&tar, "a.cls", "1", 1);
    grow_tar_file(&tar, "b.jpg", bytes.data, bytes.size);
    grow_tar_file(&tar, "c.cls", "1", 1);
    grow_tar_file(&tar, "d.jpg", bytes.data, bytes.size);
    grow_tar_file(&tar, "d.cls", "one", 3);
    grow_tar_file(&tar, "e.jpg", bytes.data, bytes.size);
    grow_tar_file(&tar, "e.cls", "100000", 6);
    grow_tar_end(&tar);
    write_growing(scratch_path(&folder, "train.tar"), &tar);
    expect_left(folder.path, 1, 4, "the sample 'b' has a picture and no .cls");
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    assert_non_null(strstr(dataset_loss(dataset, 1), "'c' has a label and no picture"));
    assert_non_null(strstr(dataset_loss(dataset, 2), "'d' has a .cls that is not one whole number"));
    assert_non_null(strstr(dataset_loss(dataset, 3), "'e' has a label that is out of range"));
    dataset_free(dataset);
    grow_tar_file(&tar, "a.jpg", bytes.data, bytes.size);
    grow_tar_end(&tar);
    write_growing(scratch_path(&folder, "train.tar"), &tar);
    expect_error(folder.path, EFFNET_ERROR_FORMAT, "pictures without classes");
    /* The development kit's numbers with a list in another order than its own. */
    Growing list = {0};
    char line[16];
    for (int i = 0; i < 200; i++) grow(&list, line, (size_t)snprintf(line, sizeof line, "n%08d\n", i));
    write_growing(scratch_path(&folder, "ILSVRC2012_synsets.txt"), &list);
    scratch_write(scratch_path(&folder, "ILSVRC2012_validation_ground_truth.txt"), "1\n", 2);
    expect_error(folder.path, EFFNET_ERROR_FORMAT, "in the order of the names");
    free(bytes.data);
    scratch_folder_remove(&folder);
}

/* Asked for in any order, a compressed tar gives the right pictures. */
static void read_back_and_forth(int64_t hold_limit) {
    ScratchFolder folder = scratch_folder_create();
    size_t starts[9];
    Growing tar = make_samples(9, starts, 0);
    for (int shard = 0; shard < 6; shard++) {
        char name[32];
        snprintf(name, sizeof name, "train-%d.tgz", shard);
        if (shard == 2) /* a plain one among them */
            scratch_write(scratch_path(&folder, name), tar.data, tar.size);
        else
            write_gzip(scratch_path(&folder, name), (Bytes){tar.data, tar.size});
    }
    Dataset *dataset;
    NameList paths = {0};
    static const char *const splits[] = {"train", NULL}, *const none[] = {NULL};
    bool absent, whole;
    const SplitWanted wanted = {.names = splits, .known = {splits, none}, .absent = &absent, .whole = &whole};
    for (int shard = 0; shard < 6; shard++) {
        char name[32];
        snprintf(name, sizeof name, "train-%d.tgz", shard);
        assert_int_equal(name_list_add(&paths, scratch_path(&folder, name), NULL), EFFNET_OK);
    }
    assert_int_equal(source_tar_open(&paths, &wanted, hold_limit, &dataset, NULL), EFFNET_OK);
    name_list_free(&paths);
    assert_int_equal(dataset_size(dataset), 54);
    for (int i = 0; i < 200; i++) {
        int index = i * 31 % 54;
        Picture picture;
        effnet_error err = {0};
        if (dataset_read(dataset, index, &picture, &err) != EFFNET_OK) fail_msg("%s", err.message);
        if (abs(picture.pixels[0] - 20 * (index % 9)) > 3)
            fail_msg("picture %d is red %d, wanted %d", index, picture.pixels[0], 20 * (index % 9));
        picture_free(&picture);
    }
    uint32_t order[54], again[54];
    bool seen[54] = {false}, moved = false;
    dataset_order(dataset, (RandomKey){1, 2}, order);
    dataset_order(dataset, (RandomKey){1, 2}, again);
    assert_memory_equal(order, again, sizeof order);
    for (int i = 0; i < 54; i++) {
        assert_true(order[i] < 54 && !seen[order[i]]);
        seen[order[i]] = true;
        moved = moved || order[i] != (uint32_t)i;
    }
    assert_true(moved);
    dataset_free(dataset);
    free(tar.data);
    scratch_folder_remove(&folder);
}

static void streams_go_back(void **state) {
    (void)state;
    read_back_and_forth(0);
    read_back_and_forth(TAR_HOLD_LIMIT);
}

/* ---- CIFAR ---- */

static void cifar_in_binary(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    Growing batch = {0};
    for (int i = 0; i < 12; i++) { /* record 11 has a label that there is not */
        uint8_t record[3073];
        record[0] = (uint8_t)(i < 11 ? i % 10 : 10);
        for (int p = 0; p < 3072; p++) record[1 + p] = (uint8_t)(p / 1024 * 50 + i + p % 7);
        grow(&batch, record, sizeof record);
    }
    scratch_write(scratch_path(&folder, "data_batch_1.bin"), batch.data, batch.size);
    scratch_write(scratch_path(&folder, "data_batch_2.bin"), batch.data, 3073 + 100);
    scratch_write(scratch_path(&folder, "test_batch.bin"), batch.data, 2 * 3073);
    const char names[] = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    scratch_write(scratch_path(&folder, "batches.meta.txt"), names, sizeof names - 1);
    expect_left(folder.path, 12, 2, "#11': its label 10 is out of range");
    Dataset *dataset = open_split(folder.path, SPLIT_TRAIN);
    assert_string_equal(dataset_class_name(dataset, 9), "truck");
    assert_int_equal(dataset_label(dataset, 3), 3);
    Picture picture;
    assert_int_equal(dataset_read(dataset, 3, &picture, NULL), EFFNET_OK);
    assert_int_equal(picture.height * picture.width, 1024);
    for (int p = 0; p < 1024; p++)
        for (int c = 0; c < 3; c++)
            assert_int_equal(picture.pixels[3 * p + c], (uint8_t)(c * 50 + 3 + (c * 1024 + p) % 7));
    picture_free(&picture);
    dataset_free(dataset);
    assert_int_equal(dataset_open(folder.path, SPLIT_VALIDATION, NULL, &dataset, NULL), EFFNET_OK);
    assert_int_equal(dataset_size(dataset), 2);
    dataset_free(dataset);
    free(batch.data);
    scratch_folder_remove(&folder);
    /* CIFAR-100: the second label counts. */
    folder = scratch_folder_create();
    uint8_t record[3074] = {19, 99};
    scratch_write(scratch_path(&folder, "train.bin"), record, sizeof record);
    dataset = open_split(folder.path, SPLIT_TRAIN);
    assert_int_equal(dataset_num_classes(dataset), 100);
    assert_int_equal(dataset_label(dataset, 0), 99);
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

/* ---- tables ---- */

static void tables_that_are_wrong(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    Bytes bytes = small_jpeg(3);
    scratch_write(scratch_path(&folder, "a, \"b\".jpg"), bytes.data, bytes.size);
    free(bytes.data);
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "train.csv"));
    const char good[] = "\"a, \"\"b\"\".jpg\",7\n\n\"a, \"\"b\"\".jpg\",2\n";
    scratch_write(path, good, sizeof good - 1);
    expect_left(path, 2, 0, "");
    Dataset *dataset = open_split(path, SPLIT_TRAIN);
    assert_int_equal(dataset_num_classes(dataset), 8);
    assert_int_equal(dataset_label(dataset, 0), 7);
    dataset_free(dataset);
    const char open_quote[] = "x.jpg,1\n\"y.jpg,2\n";
    scratch_write(path, open_quote, sizeof open_quote - 1);
    expect_error(path, EFFNET_ERROR_FORMAT, "the quote of line 2 does not end");
    const char short_row[] = "nothere.jpg,1\nalone\n";
    scratch_write(path, short_row, sizeof short_row - 1);
    dataset = open_split(path, SPLIT_TRAIN);
    assert_int_equal(dataset_lost(dataset), 1);
    assert_non_null(strstr(dataset_loss(dataset, 0), "line 2 has 1 fields"));
    Picture picture;
    effnet_error err = {0};
    assert_int_equal(dataset_read(dataset, 0, &picture, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "nothere.jpg'"));
    dataset_free(dataset);
    const char short_heading[] = "number\n\"a, \"\"b\"\".jpg\",7\n"; /* no cell above the labels */
    scratch_write(path, short_heading, sizeof short_heading - 1);
    expect_error(path, EFFNET_ERROR_FORMAT, "seems to be a heading");
    scratch_write(path, "a\0b", 3);
    expect_error(path, EFFNET_ERROR_FORMAT, "zero byte");
    scratch_write(path, "", 0);
    expect_error(path, EFFNET_ERROR_FORMAT, "no picture");
    scratch_folder_remove(&folder);
}

/* ---- which files ---- */

static void files_are_told_by_split(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    Growing train = make_records(3, NULL, NULL, NULL), val = make_records(2, NULL, NULL, NULL);
    write_growing(scratch_path(&folder, "set-validation.tfrecord-00000-of-00001"), &val);
    expect_left(folder.path, 2, 0, ""); /* one file alone is every split */
    scratch_write(scratch_path(&folder, "set-train.tfrecord-00000-of-00001"), train.data, train.size);
    scratch_write(scratch_path(&folder, "notes.txt"), "x", 1);
    expect_left(folder.path, 3, 0, "");
    Dataset *dataset;
    effnet_error err = {0};
    assert_int_equal(dataset_open(folder.path, SPLIT_VALIDATION, NULL, &dataset, &err), EFFNET_OK);
    assert_int_equal(dataset_size(dataset), 2);
    dataset_free(dataset);
    assert_int_equal(dataset_open(folder.path, SPLIT_VALIDATION, "mine", &dataset, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "'mine'"));
    expect_error(scratch_path(&folder, "nothing-*"), EFFNET_ERROR_IO, "nor any that it matches");
    expect_error(scratch_path(&folder, "notes.txt"), EFFNET_ERROR_IO, "no kind that is read");
    free(train.data);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_castagnolis),
        cmocka_unit_test(damaged_records_cost_themselves),
        cmocka_unit_test(labels_that_cannot_be),
        cmocka_unit_test(losses_are_counted_by_the_loader),
        cmocka_unit_test(changes_under_the_run_are_noticed),
        cmocka_unit_test(truncated_tars_cost_their_rest),
        cmocka_unit_test(samples_that_are_not_whole),
        cmocka_unit_test(streams_go_back),
        cmocka_unit_test(cifar_in_binary),
        cmocka_unit_test(tables_that_are_wrong),
        cmocka_unit_test(files_are_told_by_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
