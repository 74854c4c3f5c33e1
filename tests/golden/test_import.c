/* test_import.c - weights in other programs' names give those programs' logits: timm, torchvision,
 * efficientnet_pytorch, Keras and jax_examples' Flax model, B0 to B4 and Lite0 (import_logits.json, made by
 * make_import.py from the programs themselves). A case's CRC-32 says that weight_names.c names and shapes every tensor
 * as the program does; then a file is written in those names with the formula's values, in the program's layout as this
 * test understands it, and imported. */
#include "format/weight_names.h"
#include "compare.h"
#include "golden/golden_compare.h"
#include "scratch_folder.h"

#include <jansson.h>

static effnet_error err;

static void must(effnet_status status) {
    if (status == EFFNET_OK) return;
    fprintf(stderr, "FAIL: %s\n", err.message);
    exit(1);
}

static void *take(size_t count, size_t size) {
    void *block = calloc(count + 1, size);
    if (!block) exit(1);
    return block;
}

static const Parameter *weight_at(const Network *network, int i, bool *is_statistic, int *index) {
    *is_statistic = i >= network->num_parameters;
    *index = *is_statistic ? i - network->num_parameters : i;
    return *is_statistic ? &network->statistics[*index] : &network->parameters[*index];
}

/* One line of the checksum's text. */
static uint32_t add_line(uint32_t crc, const char *theirs, const Parameter *parameter, const int64_t *shape) {
    char line[600];
    int used = snprintf(line, sizeof line, "%s %s ", theirs, parameter->name);
    for (int d = 0; d < parameter->rank; d++)
        used += snprintf(line + used, sizeof line - (size_t)used, "%s%lld", d ? "," : "", (long long)shape[d]);
    used += snprintf(line + used, sizeof line - (size_t)used, "\n");
    return (uint32_t)crc32(crc, (const Bytef *)line, (uInt)used);
}

/* timm's (O, I, H, W) element at theirs (H, W, I, O), or (H, W, O, I) for a depthwise kernel of Keras, which calls the
 * channels inputs; (O, I) at (I, O). */
static void to_channels_last(const Parameter *parameter, bool keras, const float *values, float *out) {
    const int *s = parameter->shape;
    if (parameter->rank == 2)
        for (int o = 0; o < s[0]; o++)
            for (int i = 0; i < s[1]; i++) out[i * s[0] + o] = values[o * s[1] + i];
    if (parameter->rank != 4) return;
    bool swapped = keras && parameter->role == ROLE_DEPTHWISE;
    for (int o = 0; o < s[0]; o++)
        for (int i = 0; i < s[1]; i++)
            for (int h = 0; h < s[2]; h++)
                for (int w = 0; w < s[3]; w++) {
                    int pixel = h * s[3] + w;
                    int place = swapped ? (pixel * s[0] + o) * s[1] + i : (pixel * s[1] + i) * s[0] + o;
                    out[place] = values[((o * s[1] + i) * s[2] + h) * s[3] + w];
                }
}

/* The formula's weights as a file in the style's names; returns the checksum of names and shapes. */
static uint32_t write_theirs(const char *path, NamingStyle style, const Network *network, double variance_gain) {
    bool last = style == NAMES_FLAX || style == NAMES_KERAS;
    int count = network->num_parameters + network->num_statistics;
    SafetensorsEntry *entries = take((size_t)count, sizeof *entries);
    char(*names)[WEIGHT_NAME_SIZE] = take((size_t)count, sizeof *names);
    int(*shapes)[4] = take((size_t)count, sizeof *shapes);
    const WeightNaming naming = {.style = style, .suffix = "", .separator = last ? '/' : '.'};
    uint32_t crc = 0;
    for (int i = 0; i < count; i++) {
        bool is_statistic;
        int index;
        int64_t shape[4];
        const Parameter *parameter = weight_at(network, i, &is_statistic, &index);
        naming_name(&naming, network, is_statistic, index, names[i]);
        naming_shape(style, parameter, shape);
        crc = add_line(crc, names[i], parameter, shape);
        for (int d = 0; d < parameter->rank; d++) shapes[i][d] = (int)shape[d];
        float *values = take(parameter->count, sizeof *values), *theirs = take(parameter->count, sizeof *theirs);
        golden_initial(parameter, values);
        if (parameter->role == ROLE_RUNNING_VARIANCE)
            for (size_t k = 0; k < parameter->count; k++) values[k] *= (float)variance_gain;
        memcpy(theirs, values, parameter->count * sizeof *values);
        if (last) to_channels_last(parameter, style == NAMES_KERAS, values, theirs);
        free(values);
        entries[i] = (SafetensorsEntry){names[i], parameter->rank, shapes[i], theirs, parameter->count};
    }
    must(safetensors_write(path, entries, count, NULL, &err));
    for (int i = 0; i < count; i++) free((void *)entries[i].values);
    free(entries);
    free(names);
    free(shapes);
    return crc;
}

static NamingStyle style_of(const char *label) {
    for (int i = 0; i < NAMING_STYLES; i++)
        if (strcmp(naming_label((NamingStyle)i), label) == 0) return (NamingStyle)i;
    fprintf(stderr, "FAIL: no naming '%s'\n", label);
    exit(1);
}

/* `name` NULL: the model is to be found out. */
static bool check_logits(const char *path, const char *label, const char *model_name, bool guess, const json_t *want,
                         int side, int batch, int classes) {
    char resolution[40];
    snprintf(resolution, sizeof resolution, "resolution=%d", side);
    /* timm has each model twice; these are the "tf_" ones, which without their name must be described */
    bool timm = strcmp(label, "timm") == 0;
    const char *settings[] = {resolution, NULL, "bn_eps=0.001", "mean=0,0,0", "std=1,1,1", NULL}, *naming = "";
    if (timm && guess) settings[1] = "padding=same";
    char asked[64];
    snprintf(asked, sizeof asked, "%s%s", timm ? "tf_" : "", model_name);
    const effnet_import_options options = {
        .struct_size = sizeof options, .model = guess ? NULL : asked, .settings = settings, .threads = 1};
    effnet_model *model;
    must(effnet_model_import(path, &options, &model, &naming, &err));
    bool good = strcmp(naming, label) == 0 && strcmp(effnet_model_name(model), model_name) == 0 &&
                effnet_model_classes(model) == classes;
    if (!good)
        fprintf(stderr, "FAIL: %s's %s taken for %s's %s\n", label, model_name, naming, effnet_model_name(model));
    int count = batch * classes;
    float *images = take((size_t)(batch * side * side * 3), sizeof *images);
    float *got = take((size_t)count, sizeof *got), *wanted = take((size_t)count, sizeof *wanted);
    golden_images(0, batch, (TensorShape){side, side, 3}, images);
    must(effnet_logits(model, images, batch, got, &err));
    double largest = 0;
    for (int i = 0; i < count; i++) {
        wanted[i] = (float)golden_number(want, (size_t)i);
        largest = fmax(largest, fabs((double)wanted[i]));
    }
    double worst = 0;
    for (int i = 0; i < count; i++) {
        double difference = fabs((double)got[i] - wanted[i]) / largest;
        if (!(difference <= worst)) worst = difference;
        if (difference <= 1e-4) continue;
        fprintf(stderr, "FAIL: %s's %s: logit %d is %.8g, wanted %.8g\n", label, model_name, i, (double)got[i],
                (double)wanted[i]);
        good = false;
        break;
    }
    printf("%-20s %-18s largest difference %.1e of the largest logit\n", label, model_name, worst);
    effnet_model_free(model);
    free(images);
    free(got);
    free(wanted);
    return good;
}

int main(void) {
    json_error_t trouble;
    json_t *golden = json_load_file(EFFNET_SOURCE_DIR "/tests/golden/import_logits.json", 0, &trouble);
    if (!golden) {
        fprintf(stderr, "FAIL: import_logits.json: %s\n", trouble.text);
        return 1;
    }
    int side = (int)json_integer_value(json_object_get(golden, "side"));
    int batch = (int)json_integer_value(json_object_get(golden, "batch"));
    int classes = (int)json_integer_value(json_object_get(golden, "classes"));
    ScratchFolder folder = scratch_folder_create();
    char path[300];
    snprintf(path, sizeof path, "%s/theirs.safetensors", folder.path);
    const json_t *row;
    size_t i;
    int failures = 0;
    json_array_foreach(json_object_get(golden, "cases"), i, row) {
        const char *label = json_string_value(json_object_get(row, "naming"));
        const char *name = json_string_value(json_object_get(row, "model"));
        ModelConfig config;
        Network network;
        must(model_config_by_name(name, &config, &err));
        config.num_classes = classes;
        must(network_build(&config, &network, &err));
        uint32_t crc =
            write_theirs(path, style_of(label), &network, json_number_value(json_object_get(row, "variance_gain")));
        if ((json_int_t)crc != json_integer_value(json_object_get(row, "names"))) {
            fprintf(stderr, "FAIL: %s's %s: tensors are named or shaped otherwise (src/format/weight_names.c)\n", label,
                    name);
            failures++;
        }
        failures += !check_logits(path, label, name, i % 2 == 1, json_object_get(row, "logits"), side, batch, classes);
        network_free(&network);
    }
    if (i < 20) failures++;
    scratch_folder_remove(&folder);
    json_decref(golden);
    return failures ? 1 : 0;
}
