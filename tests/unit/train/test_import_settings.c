/* test_import_settings.c - another program's weights get that program's settings: those of the name asked for, of the
 * file's name, of config.json beside it; and where nothing tells them, timm's names are refused. Our own file keeps its
 * card. The values are timm 1.0.31's and torchvision 0.29.2's. */
#include "api/handles.h"
#include "format/weight_names.h"
#include "compare.h"
#include "scratch_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <cmocka.h>

/* A file of the model's tensors in the style's names, all zero. */
static void write_weights(const char *path, const char *name, NamingStyle style, int classes) {
    ModelConfig config;
    Network network;
    assert_int_equal(model_config_by_name(name, &config, NULL), EFFNET_OK);
    config.num_classes = classes;
    assert_int_equal(network_build(&config, &network, NULL), EFFNET_OK);
    int count = network.num_parameters + network.num_statistics;
    SafetensorsEntry *entries = calloc((size_t)count, sizeof *entries);
    char(*names)[WEIGHT_NAME_SIZE] = calloc((size_t)count, sizeof *names);
    size_t most = 0;
    for (int i = 0; i < network.num_parameters; i++)
        if (network.parameters[i].count > most) most = network.parameters[i].count;
    float *zeros = calloc(most, sizeof *zeros);
    assert_true(entries && names && zeros);
    const WeightNaming naming = {.style = style, .suffix = "", .separator = '.'};
    for (int i = 0; i < count; i++) {
        bool statistic = i >= network.num_parameters;
        int index = statistic ? i - network.num_parameters : i;
        const Parameter *parameter = statistic ? &network.statistics[index] : &network.parameters[index];
        naming_name(&naming, &network, statistic, index, names[i]);
        entries[i] = (SafetensorsEntry){names[i], parameter->rank, parameter->shape, zeros, parameter->count};
    }
    effnet_error err = {0};
    if (safetensors_write(path, entries, count, NULL, &err) != EFFNET_OK) fail_msg("%s", err.message);
    free(entries);
    free(names);
    free(zeros);
    network_free(&network);
}

typedef struct Wanted {
    const char *model; /* asked for */
    int resolution;
    double crop_pct, mean, eps;
    int padding, interpolation;
} Wanted;

static void check_card(const char *path, const effnet_import_options *options, const Wanted *wanted) {
    effnet_model *model;
    effnet_error err = {0};
    if (effnet_model_import(path, options, &model, NULL, &err) != EFFNET_OK) fail_msg("%s", err.message);
    const ModelCard *card = &model->card;
    print_message("%s: %s\n", options->model ? options->model : path, effnet_model_notes(model));
    assert_int_equal(card->transform.input.height, wanted->resolution);
    assert_true(fabs(card->transform.crop_pct - wanted->crop_pct) < 1e-4);
    assert_true(fabs(card->transform.mean[0] - wanted->mean) < 1e-6);
    assert_true(fabs(card->config.bn_eps - wanted->eps) < 1e-9);
    assert_int_equal(card->config.padding, wanted->padding);
    assert_int_equal(card->transform.interpolation, wanted->interpolation);
    /* timm and torchvision resize first and crop then */
    assert_int_equal(card->transform.val_crop, VAL_CROP_RESIZE_SHORTER);
    effnet_model_free(model);
}

static void check_names(const char *path, const Wanted *rows, int count) {
    for (int i = 0; i < count; i++) {
        const effnet_import_options options = {.struct_size = sizeof options, .model = rows[i].model, .threads = 1};
        check_card(path, &options, &rows[i]);
    }
}

enum { SAME = MODEL_PADDING_SAME, SYMMETRIC = MODEL_PADDING_SYMMETRIC };
enum { LINEAR = INTERPOLATION_BILINEAR, CUBIC = INTERPOLATION_BICUBIC };

static void names_of_timm(void **state) {
    (void)state;
    const char *path = scratch_path(&folder, "a.safetensors");
    static const Wanted b0[] = {{"efficientnet_b0", 224, 0.875, 0.485, 1e-5, SYMMETRIC, CUBIC},
                                {"efficientnet_b0.ra4_e3600_r224_in1k", 224, 0.9, 0.5, 1e-5, SYMMETRIC, CUBIC},
                                {"tf_efficientnet_b0", 224, 0.875, 0.485, 1e-3, SAME, CUBIC},
                                {"tf_efficientnet_b0.ap_in1k", 224, 0.875, 0.5, 1e-3, SAME, CUBIC}};
    static const Wanted b1[] = {{"efficientnet_b1.ft_in1k", 224, 0.875, 0.485, 1e-5, SYMMETRIC, CUBIC},
                                {"tf_efficientnet_b1", 240, 0.882, 0.485, 1e-3, SAME, CUBIC}};
    static const Wanted b4[] = {{"efficientnet_b4", 320, 0.875, 0.485, 1e-5, SYMMETRIC, CUBIC},
                                {"tf_efficientnet_b4", 380, 0.922, 0.485, 1e-3, SAME, CUBIC}};
    static const Wanted lite[] = {{"efficientnet_lite0", 224, 0.875, 0.485, 1e-5, SYMMETRIC, CUBIC},
                                  {"tf_efficientnet_lite0", 224, 0.875, 0.5, 1e-3, SAME, CUBIC}};
    write_weights(path, "efficientnet_b0", NAMES_TIMM, 3);
    check_names(path, b0, 4);
    write_weights(path, "efficientnet_b1", NAMES_TIMM, 3);
    check_names(path, b1, 2);
    write_weights(path, "efficientnet_b4", NAMES_TIMM, 3);
    check_names(path, b4, 2);
    write_weights(path, "efficientnet_lite0", NAMES_TIMM, 3);
    check_names(path, lite, 2);
}

static void refuses(const char *path, const char *asked, const char *part) {
    const effnet_import_options options = {.struct_size = sizeof options, .model = asked, .threads = 1};
    effnet_model *model;
    effnet_error err = {0};
    assert_true(effnet_model_import(path, &options, &model, NULL, &err) != EFFNET_OK);
    print_message("%s\n", err.message);
    if (!strstr(err.message, part)) fail_msg("'%s' is not in: %s", part, err.message);
}

/* timm's names alone do not tell which of its two ways to run a model is meant. */
static void unknown_is_refused(void **state) {
    (void)state;
    const char *path = scratch_path(&folder, "unknown.safetensors");
    write_weights(path, "efficientnet_b0", NAMES_TIMM, 3);
    refuses(path, NULL, "tf_efficientnet_b0");
    refuses(path, "efficientnet_b0.no_such", "ra_in1k");
    const char *settings[] = {"padding=same", "bn_eps=0.001", "mean=0.5,0.5,0.5", "std=0.5,0.5,0.5", NULL};
    effnet_import_options options = {.struct_size = sizeof options, .settings = settings, .threads = 1};
    const Wanted described = {NULL, 224, 0.875, 0.5, 1e-3, SAME, CUBIC};
    check_card(path, &options, &described);
    /* a download's name tells */
    path = scratch_path(&folder, "tf_efficientnet_b0_ap-f262efe1.safetensors");
    write_weights(path, "efficientnet_b0", NAMES_TIMM, 3);
    options.settings = NULL;
    check_card(path, &options, &described);
}

/* torchvision's B1 has two sets of weights, B0 to B4 its own batch norm; resize_size is int(side / crop_pct). */
static void names_of_torchvision(void **state) {
    (void)state;
    const char *path = scratch_path(&folder, "tv.safetensors");
    write_weights(path, "efficientnet_b1", NAMES_TORCHVISION, 3);
    static const Wanted rows[] = {{"efficientnet_b1", 240, 0.9411, 0.485, 1e-5, SYMMETRIC, LINEAR},
                                  {"efficientnet_b1.IMAGENET1K_V1", 240, 0.9375, 0.485, 1e-5, SYMMETRIC, CUBIC},
                                  {NULL, 240, 0.9411, 0.485, 1e-5, SYMMETRIC, LINEAR}};
    check_names(path, rows, 3);
    assert_int_equal((int)(240 / rows[0].crop_pct), 255);
}

static void config_json_is_obeyed(void **state) {
    (void)state;
    char name[300];
    snprintf(name, sizeof name, "%s/hub", folder.path);
    assert_int_equal(mkdir(name, 0777), 0);
    const char *path = scratch_path(&folder, "hub/model.safetensors"),
               *config = scratch_path(&folder, "hub/config.json");
    write_weights(path, "efficientnet_b0", NAMES_TIMM, 3);
    const char *text = "{\"architecture\": \"tf_efficientnet_b0\", \"num_classes\": 3, \"label_names\": [\"x\", \"y\", "
                       "\"z\"], \"pretrained_cfg\": {\"tag\": \"mine\", \"input_size\": [3, 160, 160], \"crop_pct\": "
                       "0.95, \"interpolation\": \"bilinear\", \"mean\": [0.4, 0.4, 0.4], \"std\": [0.2, 0.2, 0.2]}}";
    scratch_write(config, text, strlen(text));
    const Wanted wanted = {NULL, 160, 0.95, 0.4, 1e-3, SAME, LINEAR};
    effnet_import_options options = {.struct_size = sizeof options, .threads = 1};
    check_card(path, &options, &wanted);
    options.model = "efficientnet_b0"; /* says less, not otherwise */
    check_card(path, &options, &wanted);
    effnet_model *model;
    effnet_error err = {0};
    if (effnet_model_import(path, &options, &model, NULL, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_string_equal(effnet_model_label(model, 2), "z");
    effnet_model_free(model);

    refuses(path, "tf_efficientnet_b1", "config.json");
    scratch_write(config, text, strlen(text) - 1);
    refuses(path, NULL, "not a JSON object");
    const char *wrong =
        "{\"architecture\": \"tf_efficientnet_b0\", \"pretrained_cfg\": {\"input_size\": [17, 28, 28]}}";
    scratch_write(config, wrong, strlen(wrong));
    refuses(path, NULL, "input_size");
    const char *padding = "{\"architecture\": \"tf_efficientnet_b0\", \"model_args\": {\"pad_type\": \"odd\"}}";
    scratch_write(config, padding, strlen(padding));
    refuses(path, NULL, "pad_type is \"odd\"");
    const char *names = "{\"architecture\": \"tf_efficientnet_b0\", \"label_names\": [\"x\"]}";
    scratch_write(config, names, strlen(names));
    refuses(path, NULL, "names 1 classes");
}

static void thousand_classes_are_imagenet(void **state) {
    (void)state;
    const char *path = scratch_path(&folder, "thousand.safetensors"), *own = scratch_path(&folder, "own.safetensors");
    write_weights(path, "efficientnet_b0", NAMES_TORCHVISION, 1000);
    const char *settings[] = {"resolution=96", "crop_pct=0.8", "mean=0.1,0.2,0.3", NULL};
    effnet_import_options options = {.struct_size = sizeof options, .settings = settings, .threads = 1};
    effnet_model *model;
    effnet_error err = {0};
    if (effnet_model_import(path, &options, &model, NULL, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_string_equal(effnet_model_label(model, 0), "tench");
    assert_string_equal(effnet_model_label(model, 134), "crane (n02012849)");
    assert_string_equal(effnet_model_label(model, 999), "toilet tissue");
    if (effnet_model_save(model, own, &err) != EFFNET_OK) fail_msg("%s", err.message);
    effnet_model_free(model);

    /* and our own file keeps its card */
    options.settings = NULL;
    const Wanted kept = {NULL, 96, 0.8, 0.1, 1e-5, SYMMETRIC, CUBIC};
    check_card(own, &options, &kept);
    if (effnet_model_import(own, &options, &model, NULL, &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_string_equal(effnet_model_label(model, 999), "toilet tissue");
    effnet_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_timm),
        cmocka_unit_test(unknown_is_refused),
        cmocka_unit_test(names_of_torchvision),
        cmocka_unit_test(config_json_is_obeyed),
        cmocka_unit_test(thousand_classes_are_imagenet),
    };
    return cmocka_run_group_tests_name("import_settings", tests, set_up, tear_down);
}
