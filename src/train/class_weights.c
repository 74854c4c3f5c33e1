/* class_weights.c - see class_weights.h. */
#include "train/class_weights.h"

#include "base/memory.h"
#include "base/number_text.h"

#include <math.h>
#include <string.h>

static effnet_status by_counts(const Dataset *dataset, int classes, float *out, effnet_error *err) {
    int64_t *counts, filled = 0;
    void *block;
    TRY(memory_allocate((size_t)classes, sizeof *counts, "the pictures of each class", &block, err));
    counts = block;
    memset(counts, 0, (size_t)classes * sizeof *counts);
    for (int64_t i = 0; i < dataset_size(dataset); i++) counts[dataset_label(dataset, i)]++;
    for (int c = 0; c < classes; c++) filled += counts[c] > 0;
    for (int c = 0; c < classes; c++)
        out[c] = counts[c] ? (float)((double)dataset_size(dataset) / ((double)filled * (double)counts[c])) : 1;
    memory_free(counts);
    return EFFNET_OK;
}

static effnet_status by_list(const char *text, int classes, float *out, effnet_error *err) {
    char copy[RECIPE_TEXT];
    int count = 0;
    double sum = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *rest = copy, *item; (item = strsep(&rest, ","));) {
        item += strspn(item, " [");
        item[strcspn(item, " ]")] = 0;
        char *end;
        const double value = number_of_text(item, &end);
        if (!*item || *end || !(value >= 0 && value <= 1e6))
            return fail(err, EFFNET_ERROR_ARGUMENT,
                        "class_weights holds '%.40s'; allowed: auto, or a number from 0 to 1e6 for each class, with "
                        "commas between",
                        item);
        if (count < classes) out[count] = (float)value;
        sum += value;
        count++;
    }
    if (count != classes)
        return fail(err, EFFNET_ERROR_ARGUMENT, "class_weights has %d numbers, and there are %d classes; give one each",
                    count, classes);
    if (!(sum > 0)) return fail(err, EFFNET_ERROR_ARGUMENT, "class_weights are all 0: nothing would be learnt");
    return EFFNET_OK;
}

effnet_status class_weights_create(const Recipe *recipe, const Dataset *dataset, int classes, ClassWeights *out,
                                   effnet_error *err) {
    *out = (ClassWeights){0};
    if (!recipe->class_weights[0]) return EFFNET_OK;
    TRY(memory_allocate_floats((size_t)classes, 1, "the classes' weights", &out->of_class, err));
    TRY(memory_allocate_floats((size_t)recipe->batch_size, 1, "the pictures' weights", &out->of_picture, err));
    if (strcmp(recipe->class_weights, "auto") == 0) return by_counts(dataset, classes, out->of_class, err);
    return by_list(recipe->class_weights, classes, out->of_class, err);
}

void class_weights_free(ClassWeights *weights) {
    memory_free(weights->of_class);
    memory_free(weights->of_picture);
    *weights = (ClassWeights){0};
}

const float *class_weights_of(const ClassWeights *weights, const Batch *batch) {
    if (!weights->of_class) return NULL;
    for (int n = 0; n < batch->size; n++) {
        float own = weights->of_class[batch->labels[n]];
        weights->of_picture[n] =
            batch->others ? batch->shares[n] * own + (1 - batch->shares[n]) * weights->of_class[batch->others[n]] : own;
    }
    return weights->of_picture;
}
