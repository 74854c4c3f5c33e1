/* weights.c - weights as a safetensors file in timm's names and layouts, which are also those of the
 * parameter block, so that nothing is transposed. See weights.h.
 *
 * A file of timm or PyTorch also counts batches ("bn1.num_batches_tracked"); the count is of no use to us and
 * is left out on writing: PyTorch fills it in on loading, strictly too (tests/golden/check_timm_load.py). */
#include "train/weights.h"

#include "model/input_channels.h"
#include "recipe/recipe.h"
#include "train/card.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_head(const char *name) {
    return strcmp(name, "classifier.weight") == 0 || strcmp(name, "classifier.bias") == 0;
}

/* The stem of a network of other input channels. */
static bool is_other_stem(const SafetensorsTensor *tensor, const Network *network, const Parameter *parameter) {
    return parameter == network_stem(network) && tensor->rank == 4 && tensor->shape[0] == parameter->shape[0] &&
           tensor->shape[1] >= 1 && tensor->shape[1] <= MOST_CHANNELS && tensor->shape[2] == parameter->shape[2] &&
           tensor->shape[3] == parameter->shape[3];
}

static bool is_batch_count(const char *name) {
    const char *suffix = ".num_batches_tracked";
    size_t length = strlen(name), tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

static bool same_shape(const SafetensorsTensor *tensor, const Parameter *parameter) {
    bool same = tensor->rank == parameter->rank;
    for (int i = 0; same && i < parameter->rank; i++) same = tensor->shape[i] == parameter->shape[i];
    return same;
}

/* Index i over parameters, then statistics. */
static const Parameter *parameter_at(const Network *network, int i) {
    return i < network->num_parameters ? &network->parameters[i] : &network->statistics[i - network->num_parameters];
}

static int parameter_count(const Network *network) {
    return network->num_parameters + network->num_statistics;
}

/* Tensors of the file that a network could hold. */
static int weight_tensors(const Safetensors *file) {
    int count = 0;
    for (int i = 0; i < safetensors_count(file); i++) count += !is_batch_count(safetensors_tensor(file, i).name);
    return count;
}

/* ---- which model is this file? ---- */

/* All shapes but the classifier's agree, and the file has no tensor more. */
static bool fits(const Safetensors *file, const Network *network) {
    int matched = 0;
    for (int i = 0; i < parameter_count(network); i++) {
        const Parameter *parameter = parameter_at(network, i);
        int index = safetensors_find(file, parameter->name);
        if (index < 0 && !is_head(parameter->name)) return false;
        if (index < 0) continue;
        SafetensorsTensor tensor = safetensors_tensor(file, index);
        if (!is_head(parameter->name) && !same_shape(&tensor, parameter) && !is_other_stem(&tensor, network, parameter))
            return false;
        matched++;
    }
    return matched == weight_tensors(file);
}

/* The known model whose shapes the file has, or NULL. */
static const char *guess_model(const Safetensors *file) {
    const char *name;
    for (int i = 0; (name = model_name_at(i)); i++) {
        ModelConfig config;
        Network network;
        if (model_config_by_name(name, &config, NULL) != EFFNET_OK) continue;
        config.num_classes = 1;
        if (network_build(&config, &network, NULL) != EFFNET_OK) continue;
        bool found = fits(file, &network);
        network_free(&network);
        if (found) return name;
    }
    return NULL;
}

/* "; this file looks like efficientnet_b0", where it looks like any but `wanted`. */
static void describe_guess(const Safetensors *file, const char *wanted, char text[80]) {
    const char *guess = guess_model(file);
    if (guess && strcmp(guess, wanted) == 0)
        text[0] = 0;
    else if (guess)
        snprintf(text, 80, "; this file looks like %s", guess);
    else
        snprintf(text, 80, "; this file looks like no model known here");
}

effnet_status weights_read_card(const char *safetensors_path, ModelCard *out, effnet_error *err) {
    memset(out, 0, sizeof *out);
    Safetensors *file;
    TRY(safetensors_open(safetensors_path, &file, err));
    bool found;
    effnet_status result = card_from_metadata(file, out, &found, err);
    if (result == EFFNET_OK && !found) {
        const char *name = guess_model(file);
        int head = safetensors_find(file, "classifier.weight");
        SafetensorsTensor classifier = {0};
        if (head >= 0) classifier = safetensors_tensor(file, head);
        if (!name)
            result = fail(err, EFFNET_ERROR_FORMAT,
                          "'%s' holds no model known here: it says none in its metadata, and its shapes are not those "
                          "of %s in timm's names",
                          safetensors_path, model_names());
        else if (classifier.rank != 2 || classifier.shape[0] < 1 || classifier.shape[0] > 100000)
            result =
                fail(err, EFFNET_ERROR_FORMAT,
                     "'%s' looks like %s and has no classifier.weight of 1 to 100,000 classes", safetensors_path, name);
        else
            result = model_config_by_name(name, &out->config, err);
        if (result == EFFNET_OK) {
            Recipe defaults;
            recipe_defaults(&defaults);
            out->config.num_classes = (int)classifier.shape[0];
            int stem = safetensors_find(file, "conv_stem.weight");
            if (stem >= 0)
                out->config.input.channels = (int)safetensors_tensor(file, stem).shape[1]; /* 1 to 16: it fits */
            evaluation_transform_from_recipe(&defaults, out->config.input, &out->transform);
        }
    }
    safetensors_close(file);
    return result;
}

/* ---- reading ---- */

static effnet_status wrong_shape(const Safetensors *file, const Network *network, const SafetensorsTensor *tensor,
                                 const Parameter *parameter, effnet_error *err) {
    char found[SHAPE_TEXT], wanted[SHAPE_TEXT], guess[80], head[80] = "";
    int64_t shape[4];
    for (int i = 0; i < parameter->rank; i++) shape[i] = parameter->shape[i];
    shape_print(found, tensor->rank, tensor->shape);
    shape_print(wanted, parameter->rank, shape);
    describe_guess(file, network->config.name, guess);
    if (is_head(parameter->name) && tensor->rank > 0)
        snprintf(head, sizeof head, "; it was trained for %lld classes, not %d", (long long)tensor->shape[0],
                 network->config.num_classes);
    return fail(err, EFFNET_ERROR_FORMAT, "%s: %s is %s, %s needs %s%s%s", safetensors_path(file), parameter->name,
                found, network->config.name, wanted, head, guess);
}

/* Every tensor of the network is in the file in its shape, and none beside them; *head_kept where the
 * classifier is another and that is allowed. */
static effnet_status check_tensors(const Safetensors *file, const Network *network, bool allow_other_head,
                                   bool *head_kept, effnet_error *err) {
    *head_kept = false;
    char guess[80];
    for (int i = 0; i < parameter_count(network); i++) {
        const Parameter *parameter = parameter_at(network, i);
        int index = safetensors_find(file, parameter->name);
        SafetensorsTensor tensor = {0};
        if (index >= 0) tensor = safetensors_tensor(file, index);
        if (index >= 0 && same_shape(&tensor, parameter)) continue;
        if (index >= 0 && allow_other_head && is_other_stem(&tensor, network, parameter)) continue;
        if (allow_other_head && is_head(parameter->name)) {
            *head_kept = true;
            continue;
        }
        if (index >= 0) return wrong_shape(file, network, &tensor, parameter, err);
        describe_guess(file, network->config.name, guess);
        return fail(err, EFFNET_ERROR_FORMAT, "%s: there is no tensor %s, which %s needs%s", safetensors_path(file),
                    parameter->name, network->config.name, guess);
    }
    for (int i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_tensor(file, i).name;
        bool is_statistic;
        if (is_batch_count(name) || network_find(network, name, &is_statistic)) continue;
        describe_guess(file, network->config.name, guess);
        return fail(err, EFFNET_ERROR_FORMAT, "%s: the tensor %.80s is none of %s's%s", safetensors_path(file), name,
                    network->config.name, guess);
    }
    return EFFNET_OK;
}

/* A tensor into its place; a stem of other channels is converted. */
static effnet_status read_tensor(const Safetensors *file, const Parameter *parameter, float *out, effnet_error *err) {
    const int index = safetensors_find(file, parameter->name);
    const SafetensorsTensor tensor = safetensors_tensor(file, index);
    if (same_shape(&tensor, parameter)) return safetensors_read(file, index, out, parameter->count, err);
    const size_t count = tensor.count;
    float *own;
    TRY(memory_allocate_floats(count, 1, "the first convolution", &own, err));
    effnet_status status = safetensors_read(file, index, own, count, err);
    if (status == EFFNET_OK)
        stem_for_channels(own, parameter->shape[0], (int)tensor.shape[1], parameter->shape[2] * parameter->shape[3],
                          parameter->shape[1], out);
    memory_free(own);
    return status;
}

effnet_status weights_read(const char *safetensors_path, const Network *network, float *parameters, float *statistics,
                           bool allow_other_head, bool *head_kept, effnet_error *err) {
    Safetensors *file;
    bool kept = false;
    TRY(safetensors_open(safetensors_path, &file, err));
    effnet_status result = check_tensors(file, network, allow_other_head, &kept, err);
    if (result == EFFNET_OK) result = safetensors_verify(file, err);
    for (int i = 0; i < parameter_count(network) && result == EFFNET_OK; i++) {
        const Parameter *parameter = parameter_at(network, i);
        if (kept && is_head(parameter->name)) continue;
        float *block = i < network->num_parameters ? parameters : statistics;
        result = read_tensor(file, parameter, block + parameter->offset, err);
    }
    safetensors_close(file);
    if (head_kept) *head_kept = kept;
    return result;
}

/* ---- writing ---- */

effnet_status weights_write(const char *safetensors_path, const Network *network, const float *parameters,
                            const float *statistics, const ModelCard *card, effnet_error *err) {
    int count = parameter_count(network);
    char **metadata = NULL;
    SafetensorsEntry *entries = calloc((size_t)count + 1, sizeof *entries);
    if (!entries) return fail(err, EFFNET_ERROR_MEMORY, "no memory to write '%s'", safetensors_path);
    for (int i = 0; i < count; i++) {
        const Parameter *parameter = parameter_at(network, i);
        const float *block = i < network->num_parameters ? parameters : statistics;
        entries[i] = (SafetensorsEntry){parameter->name, parameter->rank, parameter->shape, block + parameter->offset,
                                        parameter->count};
    }
    effnet_status result = card_metadata(card, &metadata, err);
    if (result == EFFNET_OK)
        result = safetensors_write(safetensors_path, entries, count, (const char *const *)metadata, err);
    card_metadata_free(metadata);
    free(entries);
    return result;
}
