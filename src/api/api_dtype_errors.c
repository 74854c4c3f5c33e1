/* api_dtype_errors.c - what bfloat16 or bytes cost, layer by layer: every block's output, what the classifier sees, and the
 * logits, beside those of the same weights in fp32, on pictures from all over a data set. */
#include "api/handles.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

enum { DEFAULT_PICTURES = 32, MOST_PICTURES = 10000, PART = 8 };

typedef struct Measuring {
    effnet_model plain,
        chosen;    /* the model in fp32 and in its dtype: the same weights and threads, states of their own */
    float *images; /* (pictures, the input) */
    int pictures;
    size_t image_floats, logit_floats;
} Measuring;

static effnet_status read_pictures(Measuring *run, const Dataset *dataset, int wanted, effnet_error *err) {
    const int64_t size = dataset_size(dataset);
    if (wanted > size) wanted = (int)size;
    TRY(memory_allocate_floats((size_t)wanted, run->image_floats, "the pictures", &run->images, err));
    for (int i = 0; i < wanted; i++) {
        bool read;
        TRY(model_read_spaced(&run->plain, dataset, i, wanted, run->images + (size_t)run->pictures * run->image_floats,
                              &read, err));
        run->pictures += read;
    }
    return run->pictures ? EFFNET_OK : fail(err, EFFNET_ERROR_FORMAT, "not one picture could be read");
}

typedef struct Sums {
    double square, difference, largest;
    double values;
} Sums;

static void compare(const float *plain, const float *chosen, size_t count, Sums *sums) {
    for (size_t i = 0; i < count; i++) {
        const double difference = fabs((double)chosen[i] - (double)plain[i]);
        sums->square += (double)plain[i] * (double)plain[i];
        sums->difference += difference * difference;
        if (!(difference <= sums->largest)) sums->largest = difference; /* NaN too */
    }
    sums->values += (double)count;
}

static effnet_status run_one(effnet_model *model, const float *images, int batch, int keep, float *out,
                             effnet_error *err) {
    ModelState *state;
    TRY(model_state_take(model, PART, keep, &state, err));
    effnet_status status = model_state_run(model, state, images, batch, keep ? NULL : out, keep ? out : NULL, err);
    model_state_give(model, state);
    return status;
}

/* One layer; keep 0: the logits. */
static effnet_status measure(Measuring *run, const char *name, int keep, const effnet_dtype_options *options,
                             effnet_error *err) {
    const size_t floats = keep ? shape_floats(run->plain.network.tensors[keep]) : run->logit_floats;
    float *plain = NULL, *chosen = NULL;
    Sums sums = {0};
    effnet_status status = memory_allocate_floats(PART, floats, "a layer's output", &plain, err);
    if (status == EFFNET_OK) status = memory_allocate_floats(PART, floats, "a layer's output", &chosen, err);
    for (int first = 0; first < run->pictures && status == EFFNET_OK; first += PART) {
        const int batch = run->pictures - first < PART ? run->pictures - first : PART;
        const float *images = run->images + (size_t)first * run->image_floats;
        status = run_one(&run->plain, images, batch, keep, plain, err);
        if (status == EFFNET_OK) status = run_one(&run->chosen, images, batch, keep, chosen, err);
        if (status == EFFNET_OK) compare(plain, chosen, (size_t)batch * floats, &sums);
    }
    memory_free(plain);
    memory_free(chosen);
    model_states_free(&run->plain); /* an engine for each layer would add up */
    model_states_free(&run->chosen);
    if (status != EFFNET_OK) return status;
    const double size = sqrt(sums.square / sums.values);
    const effnet_layer_error told = {.struct_size = sizeof told,
                                     .layer = name,
                                     .relative = size > 0 ? sqrt(sums.difference / sums.values) / size : 0,
                                     .largest = size > 0 ? sums.largest / size : 0};
    options->layer(options->context, &told);
    return EFFNET_OK;
}

static effnet_status measure_all(Measuring *run, const effnet_dtype_options *options, effnet_error *err) {
    const Network *network = &run->plain.network;
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        const bool last = i + 1 == network->num_ops || network->ops[i + 1].block != op->block;
        if (op->kind == OP_GLOBAL_POOL) TRY(measure(run, "gap", op->output, options, err));
        if (op->block >= 0 && op->block < network->num_blocks && last)
            TRY(measure(run, network->blocks[op->block].name, op->output, options, err));
    }
    return measure(run, "logits", 0, options, err);
}

effnet_status effnet_dtype_errors(effnet_model *model, const char *data, const effnet_dtype_options *options,
                                  effnet_error *error) {
    effnet_dtype_options chosen;
    static const effnet_evaluate_options evaluation = {.struct_size = sizeof evaluation};
    Dataset *dataset;
    NEED(model);
    NEED(data);
    NEED(options);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_dtype_options", error));
    if (!chosen.layer) return fail(error, EFFNET_ERROR_ARGUMENT, "`layer` is NULL: nobody would be told");
    if (chosen.pictures < 0 || chosen.pictures > MOST_PICTURES)
        return fail(error, EFFNET_ERROR_ARGUMENT, "pictures is %d; allowed: 1 to %d, or 0 for %d", chosen.pictures,
                    MOST_PICTURES, DEFAULT_PICTURES);
    if (model->device)
        return fail(error, EFFNET_ERROR_UNSUPPORTED,
                    "layers are measured on the processor; open the model without `device`");
    Measuring run = {.plain = *model,
                     .chosen = *model,
                     .image_floats = shape_floats(model->card.transform.input),
                     .logit_floats = (size_t)model->network.config.num_classes};
    run.plain.dtype = (Dtype){0};
    run.plain.bytes = NULL;
    run.plain.idle = run.chosen.idle = NULL;
    TRY(model_open_data(model, data, &evaluation, &dataset, error));
    effnet_status status = read_pictures(&run, dataset, chosen.pictures ? chosen.pictures : DEFAULT_PICTURES, error);
    dataset_free(dataset);
    if (status == EFFNET_OK) status = measure_all(&run, &chosen, error);
    memory_free(run.images);
    return status;
}
