/* test_dtype_errors.c - effnet_dtype_errors: nothing in fp32; in bf16 and int8 every block, the pooled features and the
 * logits, in order, the last as effnet_run's logits have it; the program refuses what loses more than a point. And
 * effnet_calibrate, whose bytes are held to the same table: the range that a tensor gets, the values it then has, the file
 * and that file read back. */
#include "api/handles.h"
#include "unit/data/make_pictures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIDE = 64, CLASSES = 4, PICTURES = 11, MOST_LAYERS = 40 };

static ScratchFolder folder;
static effnet_error error;
static char data[300];

static void must(effnet_status status) {
    if (status != EFFNET_OK) fail_msg("%s", error.message);
}

static effnet_model *make_of(const char *dtype, int channels) {
    effnet_model *model;
    const effnet_model_options options = {.struct_size = sizeof options,
                                          .num_classes = CLASSES,
                                          .in_chans = channels,
                                          .resolution = SIDE,
                                          .threads = 2,
                                          .seed = 3,
                                          .dtype = dtype,
                                          .depth_coefficient = 0.5};
    must(effnet_model_create("efficientnet_lite0", &options, &model, &error));
    return model;
}

static effnet_model *make(const char *dtype) {
    return make_of(dtype, 3);
}

static void picture_path(int i, char out[400]) {
    snprintf(out, 400, "%s/class-%d/%02d.jpg", data, i % CLASSES, i);
}

static void write_pictures(void) {
    char relative[60];
    snprintf(data, sizeof data, "%s", scratch_path(&folder, "data"));
    for (int i = 0; i < PICTURES; i++) {
        snprintf(relative, sizeof relative, "data/class-%d/%02d.jpg", i % CLASSES, i);
        place_file(&folder, relative, make_pattern_jpeg(70 + 5 * i, 120 - 4 * i));
    }
}

typedef struct Told {
    int count;
    char names[MOST_LAYERS][40];
    double relative[MOST_LAYERS], largest[MOST_LAYERS];
} Told;

static void take(void *context, const effnet_layer_error *layer) {
    Told *told = context;
    assert_true(told->count < MOST_LAYERS);
    snprintf(told->names[told->count], sizeof told->names[0], "%s", layer->layer);
    told->relative[told->count] = layer->relative;
    told->largest[told->count++] = layer->largest;
}

static void logits_of(effnet_model *model, float *out) {
    for (int i = 0; i < PICTURES; i++) {
        char path[400];
        picture_path(i, path);
        const effnet_picture picture = {.path = path};
        const effnet_outputs outputs = {.struct_size = sizeof outputs, .logits = out + (size_t)i * CLASSES};
        must(effnet_run(model, &picture, 1, &outputs, &error));
    }
}

static void layers(void **state) {
    (void)state;
    static const struct {
        const char *dtype;
        double least, most; /* of each layer's relative error */
    } cases[] = {{"fp32", 0, 0}, {"bf16", 1e-4, 0.03}, {"int8", 1e-4, 0.2}};
    float plain[PICTURES * CLASSES], chosen[PICTURES * CLASSES];
    double of_gap[3];
    for (int i = 0; i < 3; i++) {
        effnet_model *model = make(cases[i].dtype);
        Told told = {0};
        const effnet_dtype_options options = {.struct_size = sizeof options, .layer = take, .context = &told};
        must(effnet_dtype_errors(model, data, &options, &error));
        const int blocks = model->network.num_blocks;
        assert_int_equal(told.count, blocks + 2);
        for (int k = 0; k < blocks; k++) assert_string_equal(told.names[k], model->network.blocks[k].name);
        assert_string_equal(told.names[blocks], "gap");
        assert_string_equal(told.names[blocks + 1], "logits");
        for (int k = 0; k < told.count; k++) {
            if (!(told.relative[k] >= cases[i].least && told.relative[k] <= cases[i].most))
                fail_msg("%s, %s: an error of %g", cases[i].dtype, told.names[k], told.relative[k]);
            assert_true(told.largest[k] >= told.relative[k]);
        }
        of_gap[i] = told.relative[blocks];
        logits_of(model, i ? chosen : plain);
        double square = 0, difference = 0;
        for (int k = 0; i && k < PICTURES * CLASSES; k++) {
            square += (double)plain[k] * (double)plain[k];
            difference += pow((double)chosen[k] - (double)plain[k], 2);
        }
        const double wanted = i ? sqrt(difference / square) : 0;
        if (!(fabs(told.relative[blocks + 1] - wanted) <= 1e-6))
            fail_msg("%s: the logits' error is %.8g, not %.8g", cases[i].dtype, told.relative[blocks + 1], wanted);
        effnet_model_free(model);
    }
    assert_true(of_gap[2] > of_gap[1]);
}

static void calibrated(void **state) {
    (void)state;
    float plain[PICTURES * CLASSES], bytes[PICTURES * CLASSES], value = 0;
    char path[300];
    effnet_model *model = make(NULL);
    logits_of(model, plain);
    must(effnet_calibrate(model, data, NULL, &error));
    Told told = {0};
    const effnet_dtype_options options = {.struct_size = sizeof options, .layer = take, .context = &told};
    must(effnet_dtype_errors(model, data, &options, &error));
    for (int k = 0; k < told.count; k++)
        if (!(told.relative[k] > 1e-4 && told.relative[k] < 0.15))
            fail_msg("%s: an error of %g", told.names[k], told.relative[k]);
    logits_of(model, bytes);
    assert_memory_not_equal(plain, bytes, sizeof plain);

    snprintf(path, sizeof path, "%s", scratch_path(&folder, "calibrated.onnx"));
    const effnet_onnx_options write = {.struct_size = sizeof write, .int8 = true, .preprocessing = true};
    effnet_verification verified = {.struct_size = sizeof verified};
    must(effnet_model_save_onnx(model, path, &write, &error));
    must(effnet_verify(path, &verified, &error));
    assert_true(verified.has_golden && verified.worst <= 1e-3 * verified.largest);
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "as-it-was.safetensors"));
    must(effnet_model_save(model, path, &error)); /* the weights as they were */
    effnet_model *again;
    must(effnet_model_open(path, NULL, &again, &error));
    logits_of(again, bytes);
    effnet_model_free(again);
    for (int i = 0; i < PICTURES * CLASSES; i++) assert_float_equal(bytes[i], plain[i], 1e-4F);

    assert_int_equal(effnet_calibrate(model, data, NULL, &error), EFFNET_ERROR_ARGUMENT);
    assert_int_equal(effnet_weights_write(model, "conv_stem.weight", &value, 1, &error), EFFNET_ERROR_ARGUMENT);
    effnet_model_free(model);
}

/* A model of four channels is shown its pictures as they are stored, PNG with alpha here. */
static void four_channels(void **state) {
    (void)state;
    enum { HEIGHT = 70, WIDTH = 90, COLOR_ALPHA = 6 };
    char path[400], relative[60];
    uint8_t *pixels = malloc(4 * HEIGHT * WIDTH);
    assert_non_null(pixels);
    for (int i = 0; i < CLASSES; i++) {
        for (int k = 0; k < HEIGHT * WIDTH; k++)
            for (int c = 0; c < 4; c++) pixels[4 * k + c] = pattern_level(k / WIDTH, k % WIDTH + 10 * i, c);
        snprintf(relative, sizeof relative, "alpha/class-%d/0.png", i);
        place_file(&folder, relative, make_png(pixels, 4 * HEIGHT * WIDTH, HEIGHT, WIDTH, COLOR_ALPHA, 8, NULL, NULL));
    }
    free(pixels);
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "alpha"));
    Told told = {0};
    const effnet_dtype_options options = {.struct_size = sizeof options, .layer = take, .context = &told};
    effnet_model *model = make_of("bf16", 4);
    must(effnet_dtype_errors(model, path, &options, &error));
    assert_int_equal(told.count, model->network.num_blocks + 2);
    assert_true(told.relative[told.count - 1] > 0);
    effnet_model_free(model);
    model = make_of(NULL, 4);
    must(effnet_calibrate(model, path, NULL, &error));
    effnet_model_free(model);
}

/* Of values that are known: a ReLU6's range ends at 6, another's holds 0, and what is rounded is a multiple of the step. */
static void ranges(void **state) {
    (void)state;
    effnet_model *model = make(NULL);
    must(effnet_calibrate(model, data, NULL, &error));
    const Network *network = &model->network;
    int relu6 = 0, others = 0;
    for (int i = 0; i < network->num_ops; i++) {
        const ByteRange range = model->bytes->ranges[i + 1];
        if (network->ops[i].kind != OP_BATCH_NORM) continue;
        assert_true(range.scale > 0 && range.zero >= 0 && range.zero <= 255);
        if (network->ops[i].activation == ACTIVATION_RELU6) {
            assert_int_equal(range.zero, 0);
            assert_true(range.scale <= 6.0F / 255 * 1.0001F);
            relu6++;
        } else {
            others += range.zero > 0;
        }
    }
    assert_true(relu6 > 0 && others > 0);
    ByteRange made[1] = {byte_range(-1, 3)};
    StaticBytes bytes = {.ranges = made};
    const float step = 4.0F / 255;
    float values[] = {-9, -1, 0, 0.3F, 3, 9, NAN};
    static_bytes_look(&bytes, 0, values, 7);
    assert_int_equal(made[0].zero, 64);
    assert_float_equal(values[0], -64 * step, 1e-6);
    assert_float_equal(values[1], -64 * step, 1e-6);
    assert_true(values[2] == 0);
    assert_float_equal(values[3], 19 * step, 1e-6);
    assert_float_equal(values[5], 191 * step, 1e-6);
    assert_true(isnan(values[6]));
    made[0].scale = 0;
    values[0] = 0.123F;
    static_bytes_look(&bytes, 0, values, 1);
    assert_true(values[0] == 0.123F);
    assert_true(byte_range(0, 0).scale > 0 && byte_range(2, 5).zero == 0);
    effnet_model_free(model);
}

static int compare_floats(const void *a, const void *b) {
    const float left = *(const float *)a, right = *(const float *)b;
    return left < right ? -1 : left > right;
}

/* The program's exit status; -1: it is not there. */
static int run_eval(const char *weights, const char *set, const char *option, char *output, size_t size) {
    char program[400] = "", command[2000];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 20);
    char *slash = length > 0 ? strrchr(program, '/') : NULL;
    if (!slash) return -1;
    snprintf(slash, 20, "/../effnet");
    if (access(program, X_OK) != 0) return -1;
    snprintf(command, sizeof command, "'%s' eval '%s' --data '%s' --dtype int8 --against-fp32 %s 2>&1", program,
             weights, set, option);
    FILE *stream = popen(command, "r");
    assert_non_null(stream);
    output[fread(output, 1, size - 1, stream)] = 0;
    const int status = pclose(stream);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

/* A classifier of two classes whose border runs between what fp32 and what int8 make of one picture; labels are those that
 * fp32 gives. So fp32 has all right, int8 has not, and `effnet eval --against-fp32` refuses it unless told. */
static void refused_by_the_program(void **state) {
    (void)state;
    float plain[PICTURES * CLASSES], bytes[PICTURES * CLASSES], order[PICTURES];
    effnet_model *model = make("int8"), *exact = make("fp32");
    logits_of(exact, plain);
    logits_of(model, bytes);
    for (int i = 0; i < PICTURES; i++) order[i] = plain[i * CLASSES + 1] - plain[i * CLASSES];
    qsort(order, PICTURES, sizeof *order, compare_floats);
    int middle = 0;
    while (plain[middle * CLASSES + 1] - plain[middle * CLASSES] != order[PICTURES / 2]) middle++;
    const float one = order[PICTURES / 2], other = bytes[middle * CLASSES + 1] - bytes[middle * CLASSES];
    assert_true(fabsf(one - other) > 1e-5F * fabsf(one));
    const Parameter *bias = network_find(&exact->network, "classifier.bias", &(bool){false});
    assert_non_null(bias);
    float *values = exact->parameters + bias->offset;
    values[0] += (one + other) / 2;
    for (int c = 2; c < CLASSES; c++) values[c] -= 1e6F;
    char weights[300], set[300], from[400], to[500], output[8000];
    snprintf(weights, sizeof weights, "%s", scratch_path(&folder, "border.safetensors"));
    snprintf(set, sizeof set, "%s", scratch_path(&folder, "labelled"));
    must(effnet_model_save(exact, weights, &error));
    mkdir(set, 0700);
    for (int i = 0; i < PICTURES; i++) {
        const int label = plain[i * CLASSES + 1] - plain[i * CLASSES] > (one + other) / 2;
        snprintf(to, sizeof to, "%s/%d", set, label);
        mkdir(to, 0700);
        snprintf(to, sizeof to, "%s/%d/%02d.jpg", set, label, i);
        picture_path(i, from);
        assert_int_equal(link(from, to), 0);
    }
    effnet_model_free(exact);
    effnet_model_free(model);
    const int status = run_eval(weights, set, "", output, sizeof output);
    if (status < 0) skip();
    if (status != 1 || !strstr(output, "int8 loses ") || !strstr(output, "more than 1; --allow-loss takes it") ||
        !strstr(output, "fp32    top-1 100.00 %") || !strstr(output, "\nblocks.1.0 "))
        fail_msg("status %d: %s", status, output);
    assert_int_equal(run_eval(weights, set, "--allow-loss", output, sizeof output), 0);
}

static void refusals(void **state) {
    (void)state;
    effnet_model *model = make("bf16");
    effnet_dtype_options options = {.struct_size = sizeof options};
    assert_int_equal(effnet_dtype_errors(model, data, &options, &error), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "`layer` is NULL"));
    options.layer = take;
    options.pictures = -1;
    assert_int_equal(effnet_dtype_errors(model, data, &options, &error), EFFNET_ERROR_ARGUMENT);
    effnet_model_free(model);

    const effnet_calibrate_options wide = {.struct_size = sizeof wide, .percentile = 101};
    const effnet_model_options small = {.struct_size = sizeof small, .resolution = SIDE, .num_classes = CLASSES};
    model = make("int8");
    assert_int_equal(effnet_calibrate(model, data, NULL, &error), EFFNET_ERROR_ARGUMENT);
    effnet_model_free(model);
    model = make(NULL);
    assert_int_equal(effnet_calibrate(model, data, &wide, &error), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "percentile is 101"));
    assert_int_equal(effnet_calibrate(model, "/nowhere", NULL, &error), EFFNET_ERROR_IO);
    model->parameters[0] = NAN;
    assert_int_equal(effnet_calibrate(model, data, NULL, &error), EFFNET_ERROR_NUMERIC);
    effnet_model_free(model);
    must(effnet_model_create("efficientnet_b0", &small, &model, &error));
    assert_int_equal(effnet_calibrate(model, data, NULL, &error), EFFNET_ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "efficientnet_lite0 to lite4"));
    effnet_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers),
        cmocka_unit_test(calibrated),
        cmocka_unit_test(four_channels),
        cmocka_unit_test(ranges),
        cmocka_unit_test(refused_by_the_program),
        cmocka_unit_test(refusals),
    };
    folder = scratch_folder_create();
    write_pictures();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_folder_remove(&folder);
    return failed;
}
