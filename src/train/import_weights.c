/* import_weights.c - see import_weights.h. */
#include "train/import_weights.h"

#include "base/memory.h"
#include "base/number_text.h"
#include "format/torch_file.h"
#include "model/input_channels.h"
#include "train/from_recipe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

effnet_status weight_import_open(const char *path, WeightImport *out, effnet_error *err) {
    *out = (WeightImport){0};
    TRY(weight_file_open(path, &out->file, err));
    if (naming_detect(out->file, &out->naming)) return EFFNET_OK;
    const char *first = safetensors_count(out->file) ? safetensors_tensor(out->file, 0).name : NULL;
    return fail(err, EFFNET_ERROR_FORMAT,
                "'%s' has no stem convolution in the names of timm ('conv_stem.weight'), torchvision "
                "('features.0.0.weight'), efficientnet_pytorch ('_conv_stem.weight'), Flax "
                "('params/EfficientNetBackbone_0/Stem_Conv/kernel'), Keras ('stem_conv/kernel') or TensorFlow "
                "('stem/conv2d/kernel'); its first tensor is %s%.80s%s",
                path, first ? "'" : "", first ? first : "none", first ? "'" : "");
}

void weight_import_close(WeightImport *import) {
    safetensors_close(import->file);
    import->file = NULL;
}

/* ---- one list of parameters and statistics ---- */

static int weight_count(const Network *network) {
    return network->num_parameters + network->num_statistics;
}

static const Parameter *weight_at(const Network *network, int i, bool *is_statistic, int *index) {
    *is_statistic = i >= network->num_parameters;
    *index = *is_statistic ? i - network->num_parameters : i;
    return *is_statistic ? &network->statistics[*index] : &network->parameters[*index];
}

static int find(const WeightImport *import, const Network *network, int i) {
    bool is_statistic;
    int index;
    weight_at(network, i, &is_statistic, &index);
    return naming_find(&import->naming, import->file, network, is_statistic, index);
}

static bool has_shape(const WeightImport *import, int tensor_index, const Parameter *parameter) {
    SafetensorsTensor tensor = safetensors_tensor(import->file, tensor_index);
    int64_t wanted[4];
    naming_shape(import->naming.style, parameter, wanted);
    bool same = tensor.rank == parameter->rank;
    for (int d = 0; same && d < tensor.rank; d++) same = tensor.shape[d] == wanted[d];
    return same;
}

/* Channels of the file's stem where they are others than the network's and all else is its shape; 0: no such tensor. */
static int other_stem_channels(const WeightImport *import, int tensor_index, const Parameter *parameter) {
    if (strcmp(parameter->name, "conv_stem.weight") != 0) return 0;
    for (int channels = 1; channels <= MOST_CHANNELS; channels++) {
        Parameter other = *parameter;
        other.shape[1] = channels;
        if (channels != parameter->shape[1] && has_shape(import, tensor_index, &other)) return channels;
    }
    return 0;
}

static bool is_taken(const WeightImport *import, int tensor_index, const Parameter *parameter) {
    return has_shape(import, tensor_index, parameter) || other_stem_channels(import, tensor_index, parameter);
}

int weight_import_channels(const WeightImport *import, const Network *network) {
    const Parameter *stem = network_stem(network);
    const int found = find(import, network, 0);
    const int other = found >= 0 ? other_stem_channels(import, found, stem) : 0;
    return other ? other : stem->shape[1];
}

static bool is_classifier(const Network *network, int i) {
    return i == network->num_parameters - 1 || i == network->num_parameters - 2;
}

/* ---- does a network fit? ---- */

static bool fits(const WeightImport *import, const Network *network) {
    for (int i = 0; i < weight_count(network); i++) {
        bool is_statistic;
        int index, found = find(import, network, i);
        const Parameter *parameter = weight_at(network, i, &is_statistic, &index);
        if (found < 0 || !(is_classifier(network, i) || is_taken(import, found, parameter))) return false;
    }
    return true;
}

/* Tensors that are weights of a model: the largest one that fits has as many as the file. */
static int weights_in_file(const WeightImport *import) {
    int count = 0;
    for (int i = 0; i < safetensors_count(import->file); i++)
        count += !naming_ignores(&import->naming, safetensors_tensor(import->file, i).name);
    return count;
}

/* ---- how it is run ---- */

typedef struct Preset {
    const char *key, *value;
} Preset;

static effnet_status set_all(Recipe *recipe, const Preset *presets, effnet_error *err) {
    for (; presets->key; presets++) TRY(recipe_set(recipe, presets->key, presets->value, err));
    return EFFNET_OK;
}

/* The three values of Keras's own normalisation layer ("normalization/mean"); false where the file has none. */
static bool read_normalisation(const WeightImport *import, const char *what, float values[3]) {
    for (int i = 0; i < safetensors_count(import->file); i++) {
        SafetensorsTensor tensor = safetensors_tensor(import->file, i);
        size_t length = strlen(tensor.name), wanted = strlen(what);
        if (length < wanted || strcmp(tensor.name + length - wanted, what) != 0 || tensor.count != 3) continue;
        return safetensors_read(import->file, i, values, 3, NULL) == EFFNET_OK;
    }
    return false;
}

/* Keras subtracts the mean and divides by the root of `variance`. For its ImageNet weights `variance` holds standard
 * deviations (.229, .224, .225), and a layer without weights divides by their root once more
 * (keras/src/applications/efficientnet.py says so); as a variance of pixels in 0..1 these would be impossible, .25
 * being the most with a mean of .5, and improbable. */
static effnet_status keras_normalisation(const WeightImport *import, Recipe *recipe, effnet_error *err) {
    float mean[3], variance[3];
    char text[100];
    if (!read_normalisation(import, "normalization/mean", mean) ||
        !read_normalisation(import, "normalization/variance", variance))
        return EFFNET_OK;
    double std[3];
    for (int c = 0; c < 3; c++) std[c] = variance[c] > 0.1 && variance[c] < 0.5 ? variance[c] : sqrt(variance[c]);
    number_print(text, sizeof text, "%.9g,%.9g,%.9g", (double)mean[0], (double)mean[1], (double)mean[2]);
    TRY(recipe_set(recipe, "mean", text, err));
    number_print(text, sizeof text, "%.9g,%.9g,%.9g", std[0], std[1], std[2]);
    return recipe_set(recipe, "std", text, err);
}

effnet_status weight_import_presets(const WeightImport *import, Recipe *recipe, effnet_error *err) {
    ModelConfig config;
    TRY(model_config_by_name(recipe->model, &config, err));
    static const Preset pytorch[] = {{"bn_variance", "unbiased"}, {0}};
    /* torchvision's own defaults for B0 to B4; from B5 on it has TensorFlow's batch norm */
    static const Preset symmetric[] = {{"padding", "symmetric"}, {0}};
    static const Preset small[] = {{"bn_eps", "1e-5"}, {"bn_momentum", "0.9"}, {0}};
    /* (level - 127) / 128: tensorflow/tpu lite/efficientnet_lite_builder.py */
    static const Preset lite_127[] = {{"mean", "0.498039215686,0.498039215686,0.498039215686"},
                                      {"std", "0.501960784314,0.501960784314,0.501960784314"},
                                      {0}};
    /* jax_examples c05ece5: 1,280 channels before the pooling at every width, even squeeze widths, levels 0..255 */
    static const Preset flax[] = {{"head_width", "fixed"}, {"se_round", "even"},     {"normalize", "false"},
                                  {"overshoot", "keep"},   {"resize", "tensorflow"}, {0}};
    switch (import->naming.style) {
    case NAMES_TIMM:
        return set_all(recipe, pytorch, err);
    case NAMES_TORCHVISION:
        TRY(set_all(recipe, pytorch, err));
        TRY(set_all(recipe, symmetric, err));
        return config.width < 1.5 ? set_all(recipe, small, err) : EFFNET_OK;
    case NAMES_LUKEMELAS:
        TRY(set_all(recipe, pytorch, err));
        return config.lite ? set_all(recipe, lite_127, err) : EFFNET_OK;
    case NAMES_FLAX:
        return set_all(recipe, flax, err);
    case NAMES_KERAS:
        return keras_normalisation(import, recipe, err);
    case NAMES_TENSORFLOW:
        return config.lite ? set_all(recipe, lite_127, err) : EFFNET_OK;
    }
    return EFFNET_OK;
}

/* ---- which model: all of them are tried ---- */

/* The network of a known model as the file's program builds it, with one class. */
static effnet_status build_theirs(const WeightImport *import, const char *name, Network *out) {
    Recipe recipe;
    ModelConfig config;
    recipe_defaults(&recipe);
    TRY(recipe_set(&recipe, "model", name, NULL));
    TRY(weight_import_presets(import, &recipe, NULL));
    TRY(model_config_from_recipe(&recipe, 1, &config, NULL));
    return network_build(&config, out, NULL);
}

const char *weight_import_guess(const WeightImport *import) {
    const char *name;
    for (int i = 0; (name = model_name_at(i)); i++) {
        Network network;
        if (build_theirs(import, name, &network) != EFFNET_OK) continue;
        bool found = weight_count(&network) == weights_in_file(import) && fits(import, &network);
        network_free(&network);
        if (found) return name;
    }
    return NULL;
}

/* ---- errors ---- */

/* "; its shapes are those of efficientnet_b1", or what to try. */
static void describe_guess(const WeightImport *import, const Network *network, char out[100]) {
    const char *guess = weight_import_guess(import);
    if (!guess)
        snprintf(out, 100, "; its shapes are those of no model known here");
    else if (strcmp(guess, network->config.name) == 0)
        out[0] = 0;
    else
        snprintf(out, 100, "; its shapes are those of %s", guess);
}

static effnet_status missing(const WeightImport *import, const Network *network, int i, effnet_error *err) {
    char name[WEIGHT_NAME_SIZE], guess[100];
    bool is_statistic;
    int index;
    const Parameter *parameter = weight_at(network, i, &is_statistic, &index);
    naming_name(&import->naming, network, is_statistic, index, name);
    describe_guess(import, network, guess);
    return fail(err, EFFNET_ERROR_FORMAT, "%s: there is no tensor %s, %s's name for %s's %s%s",
                safetensors_path(import->file), name, naming_label(import->naming.style), network->config.name,
                parameter->name, guess);
}

static effnet_status wrong_shape(const WeightImport *import, const Network *network, int i, int tensor_index,
                                 effnet_error *err) {
    char found[SHAPE_TEXT], wanted[SHAPE_TEXT], guess[100];
    bool is_statistic;
    int index;
    const Parameter *parameter = weight_at(network, i, &is_statistic, &index);
    SafetensorsTensor tensor = safetensors_tensor(import->file, tensor_index);
    int64_t shape[4];
    naming_shape(import->naming.style, parameter, shape);
    shape_print(found, tensor.rank, tensor.shape);
    shape_print(wanted, parameter->rank, shape);
    describe_guess(import, network, guess);
    return fail(err, EFFNET_ERROR_FORMAT, "%s: %.120s is %s, %s needs %s for its %s%s", safetensors_path(import->file),
                tensor.name, found, network->config.name, wanted, parameter->name, guess);
}

bool weight_import_is_beside(const WeightImport *import, const char *name) {
    const char *prefix = import->naming.prefix;
    const size_t length = strlen(prefix);
    return length && prefix[length - 1] == '.' && strncmp(name, prefix, length) != 0;
}

/* ---- reading ---- */

effnet_status weight_import_classes(const WeightImport *import, const Network *network, int *out, effnet_error *err) {
    int i = network->num_parameters - 2, tensor_index = find(import, network, i); /* classifier.weight, then bias */
    if (tensor_index < 0) return missing(import, network, i, err);
    SafetensorsTensor tensor = safetensors_tensor(import->file, tensor_index);
    const Parameter unknown = {.role = ROLE_DENSE, .rank = 2, .shape = {-1, network->features}};
    int64_t wanted[4];
    naming_shape(import->naming.style, &unknown, wanted);
    int place = wanted[0] == -1 ? 0 : 1; /* of the outputs: (O, I) or (I, O) */
    if (tensor.rank != 2 || tensor.shape[1 - place] != network->features)
        return wrong_shape(import, network, i, tensor_index, err);
    if (tensor.shape[place] < 1 || tensor.shape[place] > 100000)
        return fail(err, EFFNET_ERROR_FORMAT, "%s: %.120s is of %lld classes; allowed: 1 to 100,000",
                    safetensors_path(import->file), tensor.name, (long long)tensor.shape[place]);
    *out = (int)tensor.shape[place];
    return EFFNET_OK;
}

/* Every tensor is there in its shape, but those of a classifier that may be another; used[] marks those of the file. */
static effnet_status check_tensors(const WeightImport *import, const Network *network, bool allow_other_head,
                                   bool *head_kept, bool *used, effnet_error *err) {
    for (int i = 0; i < weight_count(network); i++) {
        bool is_statistic;
        int index, found = find(import, network, i);
        const Parameter *parameter = weight_at(network, i, &is_statistic, &index);
        if (found >= 0) used[found] = true;
        if (found >= 0 && is_taken(import, found, parameter)) continue;
        if (allow_other_head && is_classifier(network, i) && !is_statistic)
            *head_kept = true;
        else
            return found < 0 ? missing(import, network, i, err) : wrong_shape(import, network, i, found, err);
    }
    for (int i = 0; i < safetensors_count(import->file); i++) {
        const char *name = safetensors_tensor(import->file, i).name;
        if (used[i] || naming_ignores(&import->naming, name) || weight_import_is_beside(import, name)) continue;
        char guess[100];
        describe_guess(import, network, guess);
        return fail(err, EFFNET_ERROR_FORMAT, "%s: the tensor %.120s is none of %s's%s", safetensors_path(import->file),
                    name, network->config.name, guess);
    }
    return EFFNET_OK;
}

static effnet_status read_tensor(const WeightImport *import, const Parameter *parameter, int tensor_index,
                                 float *scratch, float *out, effnet_error *err) {
    const int channels = other_stem_channels(import, tensor_index, parameter);
    Parameter own = *parameter; /* as the file has it */
    if (channels) {
        own.shape[1] = channels;
        own.count = parameter->count / (size_t)parameter->shape[1] * (size_t)channels;
    }
    const size_t count = own.count;
    TRY(safetensors_read(import->file, tensor_index, scratch, count, err));
    for (size_t k = 0; k < count; k++)
        if (!isfinite(scratch[k]))
            return fail(err, EFFNET_ERROR_FORMAT, "%s: element %zu of %.120s is %g; weights must be finite",
                        safetensors_path(import->file), k, safetensors_tensor(import->file, tensor_index).name,
                        (double)scratch[k]);
    if (!channels) {
        naming_to_timm(import->naming.style, parameter, scratch, out);
        return EFFNET_OK;
    }
    float *stem;
    TRY(memory_allocate_floats(count, 1, "the first convolution", &stem, err));
    naming_to_timm(import->naming.style, &own, scratch, stem);
    stem_for_channels(stem, own.shape[0], channels, own.shape[2] * own.shape[3], parameter->shape[1], out);
    memory_free(stem);
    return EFFNET_OK;
}

static size_t largest_count(const Network *network) {
    const Parameter *stem = network_stem(network); /* which a file may have with the most channels */
    size_t largest = stem->count / (size_t)stem->shape[1] * MOST_CHANNELS;
    for (int i = 0; i < network->num_parameters; i++)
        if (network->parameters[i].count > largest) largest = network->parameters[i].count;
    return largest;
}

effnet_status weight_import_read(const WeightImport *import, const Network *network, float *parameters,
                                 float *statistics, bool allow_other_head, bool *head_kept, effnet_error *err) {
    bool kept = false, *used = calloc((size_t)safetensors_count(import->file) + 1, sizeof *used);
    void *scratch = NULL;
    effnet_status status =
        used ? check_tensors(import, network, allow_other_head, &kept, used, err)
             : fail(err, EFFNET_ERROR_MEMORY, "no memory to import '%s'", safetensors_path(import->file));
    free(used);
    TRY(status);
    TRY(safetensors_verify(import->file, err));
    TRY(memory_allocate(largest_count(network), sizeof(float), "a tensor", &scratch, err));
    for (int i = 0; i < weight_count(network) && status == EFFNET_OK; i++) {
        bool is_statistic;
        int index;
        const Parameter *parameter = weight_at(network, i, &is_statistic, &index);
        float *block = is_statistic ? statistics : parameters;
        if (kept && is_classifier(network, i)) continue;
        status = read_tensor(import, parameter, find(import, network, i), scratch, block + parameter->offset, err);
    }
    memory_free(scratch);
    if (head_kept) *head_kept = kept;
    return status;
}
