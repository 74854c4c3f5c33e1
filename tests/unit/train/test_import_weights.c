/* test_import_weights.c - what an import says of files that are not what they should be, and the naming that no program
 * of today makes any more: TensorFlow's checkpoints. That names and layouts are those of the programs themselves is
 * tests/golden/test_import.c's. */
#include "train/import_weights.h"
#include "base/random.h"
#include "compare.h"
#include "scratch_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A file of efficientnet_b0's (or another's) tensors, every value a function of name and index, to be damaged. */
typedef struct Draft {
    SafetensorsEntry *entries;
    char (*names)[WEIGHT_NAME_SIZE + 40];
    int (*shapes)[4];
    int count;
    Network network;
} Draft;

static const Parameter *weight_at(const Network *network, int i, bool *is_statistic, int *index) {
    *is_statistic = i >= network->num_parameters;
    *index = *is_statistic ? i - network->num_parameters : i;
    return *is_statistic ? &network->statistics[*index] : &network->parameters[*index];
}

static Draft draft_make(const char *model, NamingStyle style, const char *prefix, const char *suffix) {
    Draft draft = {0};
    ModelConfig config;
    assert_int_equal(model_config_by_name(model, &config, NULL), EFFNET_OK);
    config.num_classes = 5;
    assert_int_equal(network_build(&config, &draft.network, NULL), EFFNET_OK);
    draft.count = draft.network.num_parameters + draft.network.num_statistics;
    draft.entries = calloc((size_t)draft.count + 1, sizeof *draft.entries);
    draft.names = calloc((size_t)draft.count + 1, sizeof *draft.names);
    draft.shapes = calloc((size_t)draft.count + 1, sizeof *draft.shapes);
    assert_true(draft.entries && draft.names && draft.shapes);
    WeightNaming naming = {.style = style, .suffix = "", .separator = style >= NAMES_FLAX ? '/' : '.'};
    snprintf(naming.prefix, sizeof naming.prefix, "%s", prefix);
    for (int i = 0; i < draft.count; i++) {
        bool is_statistic;
        int index;
        int64_t shape[4];
        const Parameter *parameter = weight_at(&draft.network, i, &is_statistic, &index);
        char name[WEIGHT_NAME_SIZE];
        naming_name(&naming, &draft.network, is_statistic, index, name);
        snprintf(draft.names[i], sizeof draft.names[i], "%s%s", name, suffix);
        naming_shape(style, parameter, shape);
        for (int d = 0; d < parameter->rank; d++) draft.shapes[i][d] = (int)shape[d];
        float *values = calloc(parameter->count, sizeof *values);
        assert_non_null(values);
        for (size_t k = 0; k < parameter->count; k++) values[k] = (float)i + (float)(k % 1000) * 0x1p-10f;
        draft.entries[i] =
            (SafetensorsEntry){draft.names[i], parameter->rank, draft.shapes[i], values, parameter->count};
    }
    return draft;
}

static void draft_free(Draft *draft) {
    for (int i = 0; i < draft->count; i++) free((void *)draft->entries[i].values);
    free(draft->entries);
    free(draft->names);
    free(draft->shapes);
    network_free(&draft->network);
}

static SafetensorsEntry *entry(Draft *draft, const char *name) {
    for (int i = 0; i < draft->count; i++)
        if (strcmp(draft->names[i], name) == 0) return &draft->entries[i];
    fail_msg("no tensor %s in the draft", name);
    return NULL;
}

static void write_draft(const Draft *draft, const char *path, int count) {
    effnet_error err = {0};
    if (safetensors_write(path, draft->entries, count, NULL, &err) != EFFNET_OK) fail_msg("%s", err.message);
}

/* effnet_model_import fails and its message has all of `parts` (ended by NULL). */
static void refuses(const char *path, const effnet_import_options *options, const char *const *parts) {
    effnet_model *model;
    effnet_error err = {0};
    assert_true(effnet_model_import(path, options, &model, NULL, &err) != EFFNET_OK);
    assert_null(model);
    print_message("%s\n", err.message);
    for (; *parts; parts++)
        if (!strstr(err.message, *parts)) fail_msg("'%s' is not in: %s", *parts, err.message);
}
#define REFUSES(path, options, ...) refuses(path, options, (const char *const[]){__VA_ARGS__, NULL})

static const effnet_import_options b0 = {.struct_size = sizeof b0, .model = "efficientnet_b0", .threads = 1};

static void damaged_files_are_named(void **state) {
    (void)state;
    const char *path = scratch_path(&folder, "torchvision.safetensors");
    const char *reduce = "features.3.1.block.2.fc1.weight";
    Draft draft = draft_make("efficientnet_b0", NAMES_TORCHVISION, "", "");
    SafetensorsEntry *found = entry(&draft, reduce);

    /* another name: missing here, and too much there; the missing one is told of */
    snprintf((char *)found->name, 20, "something.else");
    write_draft(&draft, path, draft.count);
    REFUSES(path, &b0, path, reduce, "torchvision", "blocks.2.1.se.conv_reduce.weight");
    snprintf((char *)found->name, WEIGHT_NAME_SIZE, "%s", reduce);

    /* one tensor more */
    snprintf(draft.names[draft.count], sizeof draft.names[0], "features.9.0.weight");
    draft.entries[draft.count] = *entry(&draft, "features.0.1.bias");
    draft.entries[draft.count].name = draft.names[draft.count];
    write_draft(&draft, path, draft.count + 1);
    REFUSES(path, &b0, path, "features.9.0.weight", "none of efficientnet_b0's");
    snprintf(draft.names[draft.count], sizeof draft.names[0], "features.0.1.num_batches_tracked"); /* which is known */
    write_draft(&draft, path, draft.count + 1);
    effnet_model *model;
    effnet_error err = {0};
    if (effnet_model_import(path, &b0, &model, NULL, &err) != EFFNET_OK) fail_msg("%s", err.message);
    effnet_model_free(model);

    /* another shape of the same size */
    int64_t swap = found->shape[0];
    ((int *)found->shape)[0] = found->shape[1];
    ((int *)found->shape)[1] = (int)swap;
    write_draft(&draft, path, draft.count);
    REFUSES(path, &b0, reduce, "[240,10,1,1]", "[10,240,1,1]");
    swap = found->shape[0];
    ((int *)found->shape)[0] = found->shape[1];
    ((int *)found->shape)[1] = (int)swap;

    /* not a number */
    ((float *)found->values)[77] = NAN;
    write_draft(&draft, path, draft.count);
    REFUSES(path, &b0, reduce, "element 77", "nan");
    ((float *)found->values)[77] = 0;

    /* another model */
    write_draft(&draft, path, draft.count);
    const effnet_import_options b2 = {.struct_size = sizeof b2, .model = "efficientnet_b2", .threads = 1};
    REFUSES(path, &b2, "efficientnet_b2", "its shapes are those of efficientnet_b0");
    const effnet_import_options b99 = {.struct_size = sizeof b99, .model = "efficientnet_b99"};
    REFUSES(path, &b99, "efficientnet_b99");
    draft_free(&draft);
}

/* Lightning's checkpoints: the network under "model.", beside it what the program around it keeps. */
static void what_stands_beside_is_left_out(void **state) {
    (void)state;
    const char *path = scratch_path(&folder, "lightning.safetensors");
    Draft draft = draft_make("efficientnet_b0", NAMES_TORCHVISION, "model.", "");
    draft.entries[draft.count] = draft.entries[0];
    draft.entries[draft.count].name = draft.names[draft.count];
    snprintf(draft.names[draft.count], sizeof draft.names[0], "criterion.weight");
    write_draft(&draft, path, draft.count + 1);
    effnet_model *model;
    effnet_error err = {0};
    if (effnet_model_import(path, &b0, &model, NULL, &err) != EFFNET_OK) fail_msg("%s", err.message);
    effnet_model_free(model);
    snprintf(draft.names[draft.count], sizeof draft.names[0], "model.extra.weight"); /* the network's own */
    write_draft(&draft, path, draft.count + 1);
    REFUSES(path, &b0, "model.extra.weight", "none of efficientnet_b0's");
    draft_free(&draft);
}

static void strangers_are_refused(void **state) {
    (void)state;
    const char *path = scratch_path(&folder, "stranger.safetensors");
    const float values[6] = {0};
    SafetensorsEntry one = {"resnet.conv1.weight", 2, (int[]){2, 3}, values, 6};
    effnet_error err = {0};
    assert_int_equal(safetensors_write(path, &one, 1, NULL, &err), EFFNET_OK);
    REFUSES(path, &b0, path, "stem convolution", "resnet.conv1.weight");
    one.name = "conv_stem.weight"; /* timm's, and nothing else */
    assert_int_equal(safetensors_write(path, &one, 1, NULL, &err), EFFNET_OK);
    REFUSES(path, &b0, "classifier.weight");
    REFUSES(path, NULL, "timm", "no model known here");
    one.name = "classifier.weight";
    assert_int_equal(safetensors_write(path, &one, 1, NULL, &err), EFFNET_OK);
    REFUSES(path, &b0, "stem convolution");
    assert_int_equal(safetensors_write(path, &one, 0, NULL, &err), EFFNET_OK);
    REFUSES(path, &b0, "first tensor is none");
    REFUSES(scratch_path(&folder, "nowhere"), &b0, "nowhere");
}

static void settings_and_class_names(void **state) {
    (void)state;
    const char *path = scratch_path(&folder, "timm.safetensors"), *names = scratch_path(&folder, "names.txt");
    Draft draft = draft_make("efficientnet_lite0", NAMES_TIMM, "module.", "");
    write_draft(&draft, path, draft.count);
    const char *settings[] = {"resolution=96", NULL};
    effnet_import_options options = {.struct_size = sizeof options,
                                     .model = "tf_efficientnet_lite0",
                                     .class_names = names,
                                     .settings = settings,
                                     .threads = 1};
    scratch_write(names,
                  "\xEF\xBB\xBF"
                  "a\nb\nc c \r\nd\ne\n",
                  17); /* as Windows and an editor leave it */
    effnet_model *model;
    effnet_error err = {0};
    const char *naming = NULL;
    if (effnet_model_import(path, &options, &model, &naming, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_string_equal(naming, "timm");
    assert_string_equal(effnet_model_name(model), "efficientnet_lite0");
    assert_string_equal(effnet_model_label(model, 0), "a");
    assert_string_equal(effnet_model_label(model, 2), "c c");
    assert_int_equal(effnet_model_resolution(model), 96);
    effnet_model_free(model);

    scratch_write(names, "a\nb\n", 4);
    REFUSES(path, &options, names, "2 lines", "5 classes");
    scratch_write(names, "a\nb\nc\nd\ne\nf\n", 12);
    REFUSES(path, &options, names, "6 lines");
    scratch_write(names, "a\n\nc\nd\ne\n", 9);
    REFUSES(path, &options, names, "line 2 is empty");
    options.class_names = scratch_path(&folder, "missing.txt");
    REFUSES(path, &options, "missing.txt");
    options.class_names = NULL;
    settings[0] = "resolution";
    REFUSES(path, &options, "'resolution' is not KEY=VALUE");
    settings[0] = "paddin=same";
    REFUSES(path, &options, "paddin", "padding");
    draft_free(&draft);
}

/* A model of grey pictures: its stem becomes three thirds where RGB is asked for; else the model
 * has the channels that its stem has. */
static void a_grey_stem_is_spread(void **state) {
    (void)state;
    const char *path = scratch_path(&folder, "grey.safetensors");
    Draft draft = draft_make("efficientnet_lite0", NAMES_TIMM, "", "");
    SafetensorsEntry *stem = entry(&draft, "conv_stem.weight");
    const Parameter *parameter = &draft.network.parameters[0];
    assert_string_equal(parameter->name, "conv_stem.weight");
    draft.shapes[0][1] = 1;
    stem->count /= 3;
    write_draft(&draft, path, draft.count);
    WeightImport import;
    effnet_error err = {0};
    float *weights = calloc(draft.network.parameter_floats, sizeof *weights),
          *statistics = calloc(draft.network.statistic_floats, sizeof *statistics);
    assert_true(weights && statistics);
    if (weight_import_open(path, &import, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_string_equal(weight_import_guess(&import), "efficientnet_lite0");
    if (weight_import_read(&import, &draft.network, weights, statistics, false, NULL, &err) != EFFNET_OK)
        fail_msg("%s", err.message);
    weight_import_close(&import);
    for (int o = 0; o < parameter->shape[0]; o++)
        for (int c = 0; c < 3; c++)
            for (int tap = 0; tap < 9; tap++) {
                const float wanted = stem->values[o * 9 + tap] * (float)(1 / 3.0),
                            got = weights[parameter->offset + (size_t)((o * 3 + c) * 9 + tap)];
                if (!(got == wanted))
                    fail_msg("output %d, channel %d, tap %d: %g, wanted %g", o, c, tap, (double)got, (double)wanted);
            }
    const effnet_import_options lite0 = {.struct_size = sizeof lite0, .model = "efficientnet_lite0", .threads = 1};
    draft.shapes[0][1] = 2;
    stem->count *= 2;
    write_draft(&draft, path, draft.count);
    const char *in_chans[] = {"in_chans=3", NULL}, *naming;
    effnet_import_options colours = lite0;
    colours.settings = in_chans;
    for (int asked = 0; asked < 2; asked++) {
        effnet_model *model;
        int shape[3];
        if (effnet_model_import(path, asked ? &colours : &lite0, &model, &naming, &err) != EFFNET_OK)
            fail_msg("%s", err.message);
        effnet_model_input(model, shape);
        assert_int_equal(shape[2], asked ? 3 : 2);
        assert_int_equal(strstr(effnet_model_notes(model), "of 2 input channels, is converted to 3") != NULL, asked);
        effnet_model_free(model);
    }
    draft.shapes[0][2] = 1; /* another shape than channels' */
    stem->count /= 3;
    write_draft(&draft, path, draft.count);
    REFUSES(path, &lite0, "conv_stem.weight is [32,2,1,3]", "needs [32,3,3,3]");
    free(weights);
    free(statistics);
    draft_free(&draft);
}

/* TensorFlow's names: the averages are taken where there are any, the raw weights and optimizer slots passed over. */
static void tensorflow_averages(void **state) {
    (void)state;
    const char *path = scratch_path(&folder, "tensorflow.safetensors");
    const char *average = "/ExponentialMovingAverage";
    Draft raw = draft_make("efficientnet_b0", NAMES_TENSORFLOW, "efficientnet-b0/", "");
    Draft both = draft_make("efficientnet_b0", NAMES_TENSORFLOW, "efficientnet-b0/", average);
    assert_string_equal(raw.names[0], "efficientnet-b0/stem/conv2d/kernel");
    entry(&raw, "efficientnet-b0/blocks_0/tpu_batch_normalization_1/moving_variance");
    entry(&raw, "efficientnet-b0/blocks_15/depthwise_conv2d/depthwise_kernel");
    entry(&raw, "efficientnet-b0/blocks_3/se/conv2d_1/bias");
    entry(&raw, "efficientnet-b0/head/dense/kernel");
    int total = raw.count + both.count;
    SafetensorsEntry *entries = calloc((size_t)total + 1, sizeof *entries);
    assert_non_null(entries);
    memcpy(entries, raw.entries, (size_t)raw.count * sizeof *entries);
    memcpy(entries + raw.count, both.entries, (size_t)both.count * sizeof *entries);
    for (int i = 0; i < raw.count; i++) /* the averages are told by their values */
        for (size_t k = 0; k < both.entries[i].count; k++) ((float *)both.entries[i].values)[k] += 0.5f;
    const float step = 350;
    entries[total] = (SafetensorsEntry){"global_step", 0, NULL, &step, 1};
    effnet_error err = {0};
    if (safetensors_write(path, entries, total + 1, NULL, &err) != EFFNET_OK) fail_msg("%s", err.message);
    effnet_model *model;
    const char *naming = NULL;
    if (effnet_model_import(path, &b0, &model, &naming, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_string_equal(naming, "TensorFlow");
    float bias[5];
    assert_int_equal(effnet_weights_read(model, "classifier.bias", bias, 5, &err), EFFNET_OK);
    const float *wanted = both.entries[both.network.num_parameters - 1].values;
    assert_memory_equal(bias, wanted, sizeof bias);
    /* depthwise (H, W, C, 1) -> (C, 1, H, W) */
    float kernel[32 * 9];
    assert_int_equal(effnet_weights_read(model, "blocks.0.0.conv_dw.weight", kernel, 32 * 9, &err), EFFNET_OK);
    const float *theirs =
        entry(&both, "efficientnet-b0/blocks_0/depthwise_conv2d/depthwise_kernel/ExponentialMovingAverage")->values;
    for (int c = 0; c < 32; c++)
        for (int pixel = 0; pixel < 9; pixel++) assert_true(kernel[c * 9 + pixel] == theirs[pixel * 32 + c]);
    effnet_model_free(model);
    free(entries);
    draft_free(&raw);
    draft_free(&both);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files_are_named), cmocka_unit_test(what_stands_beside_is_left_out),
        cmocka_unit_test(strangers_are_refused),   cmocka_unit_test(settings_and_class_names),
        cmocka_unit_test(a_grey_stem_is_spread),   cmocka_unit_test(tensorflow_averages),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
