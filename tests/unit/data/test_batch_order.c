/* test_batch_order.c - which picture stands where, for one of several processes: together they make the batches of one
 * process with so much larger batches, every picture once a pass, whatever the remainder. */
#include "data/feed/batch_order.h"
#include "loader_fixture.h"

/* `pictures` grey pixels of 1 x 1: only their number matters. */
static Dataset *make_dataset(ScratchFolder *folder, int pictures) {
    *folder = scratch_folder_create();
    const uint32_t shape[3] = {(uint32_t)pictures, 1, 1};
    Bytes images = make_idx(3, shape, (size_t)pictures, 0, 1), labels = make_idx(1, shape, (size_t)pictures, 1, 7);
    write_bytes(scratch_path(folder, "train-images-idx3-ubyte"), images);
    write_bytes(scratch_path(folder, "train-labels-idx1-ubyte"), labels);
    free(images.data);
    free(labels.data);
    return open_split(folder->path, SPLIT_TRAIN);
}

static BatchOrder create_well(const Dataset *dataset, BatchShape shape) {
    BatchOrder order;
    effnet_error err = {0};
    if (batch_order_create(&order, dataset, &shape, 5, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return order;
}

enum { MOST_PLACES = 512 };

/* Step after step, every process's part behind the other's: the whole's batch. `steps` of training, or of a pass. */
static void compare_with_one(const Dataset *dataset, BatchShape shape, int64_t steps) {
    BatchShape one = shape;
    one.batch *= shape.processes;
    one.processes = 0;
    BatchOrder whole = create_well(dataset, one), part;
    for (int p = 0; p < shape.processes; p++) {
        shape.process = p;
        part = create_well(dataset, shape);
        if (shape.training) assert_int_equal(part.steps, whole.steps);
        for (int64_t step = 0; step < steps; step++) {
            uint32_t wanted[MOST_PLACES], got[MOST_PLACES];
            int of_all = batch_order_size(&whole, step), first = p * shape.batch;
            int mine = of_all - first < 0 ? 0 : of_all - first < shape.batch ? of_all - first : shape.batch;
            if (!shape.training && step >= part.steps) {
                assert_int_equal(mine, 0); /* the last step of the others */
                continue;
            }
            assert_int_equal(batch_order_size(&part, step), mine);
            batch_order_fill(&whole, step, wanted);
            batch_order_fill(&part, step, got);
            assert_memory_equal(got, wanted + first, (size_t)mine * sizeof *got);
            for (int i = 0; i < mine; i++) {
                uint32_t repetition, wanted_repetition;
                assert_int_equal(batch_order_pass(&part, step, i, &repetition),
                                 batch_order_pass(&whole, step, first + i, &wanted_repetition));
                assert_int_equal(repetition, wanted_repetition);
            }
        }
        batch_order_release(&part);
    }
    batch_order_release(&whole);
}

static void processes_make_parts_of_one_batch(void **state) {
    (void)state;
    ScratchFolder folder;
    for (int pictures = 96; pictures <= 103; pictures += 7) {
        Dataset *dataset = make_dataset(&folder, pictures);
        for (int processes = 1; processes <= 5; processes++)
            for (int batch = 1; batch <= 19; batch += 6)
                for (int repeats = 1; repeats <= 3; repeats += 2) {
                    BatchShape shape = {.batch = batch, .processes = processes, .repeats = repeats, .training = true};
                    compare_with_one(dataset, shape, 40);
                    shape.wrap = true;
                    compare_with_one(dataset, shape, 40);
                    shape.training = false;
                    int64_t places = (int64_t)batch * processes;
                    compare_with_one(dataset, shape, (pictures + places - 1) / places);
                    shape.drop_remainder = true;
                    compare_with_one(dataset, shape, pictures / places);
                }
        dataset_free(dataset);
        scratch_folder_remove(&folder);
    }
}

/* 103 pictures over 4 processes of 7 places: an epoch of training sees 84 of them once, an evaluation all. */
static void every_picture_once(void **state) {
    (void)state;
    enum { PICTURES = 103, PROCESSES = 4, BATCH = 7 };
    ScratchFolder folder;
    Dataset *dataset = make_dataset(&folder, PICTURES);
    int left_out[PICTURES] = {0};
    for (int pass = 0; pass < 8; pass++) {
        int seen[2][PICTURES] = {{0}};
        for (int training = 0; training < 2; training++)
            for (int p = 0; p < PROCESSES; p++) {
                const BatchShape shape = {.training = training, .batch = BATCH, .process = p, .processes = PROCESSES};
                BatchOrder order = create_well(dataset, shape);
                uint32_t indices[BATCH];
                for (int64_t step = 0; step < order.steps; step++) {
                    batch_order_fill(&order, pass * order.steps + step, indices);
                    for (int i = 0; i < batch_order_size(&order, step); i++) seen[training][indices[i]]++;
                }
                batch_order_release(&order);
            }
        int sum = 0;
        for (int i = 0; i < PICTURES; i++) {
            assert_int_equal(seen[0][i], 1);
            assert_in_range(seen[1][i], 0, 1);
            sum += seen[1][i];
            left_out[i] += !seen[1][i];
        }
        assert_int_equal(sum, 84);
    }
    for (int i = 0; i < PICTURES; i++) assert_true(left_out[i] < 8); /* others in each epoch */
    dataset_free(dataset);
    scratch_folder_remove(&folder);
}

static void wrong_shapes_are_named(void **state) {
    (void)state;
    const struct {
        BatchShape shape;
        int64_t pictures;
        const char *wanted;
    } wrong[] = {
        {{.batch = 0}, 9, "batch is 0"},
        {{.batch = 1, .process = 2, .processes = 2}, 9, "process is 2; 2 processes count from 0 to 1"},
        {{.batch = 1, .process = 1}, 9, "process is 1"},
        {{.batch = 1, .processes = -1}, 9, "processes is -1"},
        {{.batch = 4, .processes = 3, .training = true}, 11, "fewer than one batch of 12"},
        {{.batch = 4, .processes = 3, .drop_remainder = true}, 11, "fills no batch of 12"},
        {{.batch = 4}, 0, "has 0 pictures"},
        {{.batch = 4}, (int64_t)1 << 33, "8589934592 pictures"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        effnet_error err = {0};
        assert_int_equal(batch_shape_check(&wrong[i].shape, wrong[i].pictures, &err), EFFNET_ERROR_ARGUMENT);
        if (!strstr(err.message, wrong[i].wanted)) fail_msg("wanted '%s', got '%s'", wrong[i].wanted, err.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_make_parts_of_one_batch),
        cmocka_unit_test(every_picture_once),
        cmocka_unit_test(wrong_shapes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
