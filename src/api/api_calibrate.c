/* api_calibrate.c - a model in bytes of fixed ranges (engine/static_bytes.h): the ranges that its tensors have on pictures. */
#include "api/handles.h"

#include "engine/calibration.h"

#include "base/memory.h"

enum { DEFAULT_PICTURES = 256, MOST_PICTURES = 100000, PART = 8 };
static const double default_percentile = 99.99;

typedef struct Calibrating {
    effnet_model *model;
    const Dataset *dataset;
    int64_t pictures; /* evenly spaced over the data set */
    Engine *engine;
    Calibration *calibration;
    float *images, *logits; /* (PART, the input), (PART, classes) */
    size_t image_floats;
} Calibrating;

static effnet_status look_at(Calibrating *run, int batch, effnet_error *err) {
    const StoredTensors stored = {calibration_look, run->calibration};
    const EngineForward call = {.batch = batch,
                                .images = run->images,
                                .parameters = run->model->parameters,
                                .statistics = run->model->statistics,
                                .logits = run->logits,
                                .stored = &stored,
                                .version = 1};
    calibration_look(run->calibration, 0, run->images, (size_t)batch * run->image_floats);
    return engine_forward(run->engine, &call, err);
}

/* Every picture once. */
static effnet_status one_round(Calibrating *run, effnet_error *err) {
    int batch = 0;
    int64_t seen = 0;
    for (int64_t i = 0; i < run->pictures; i++) {
        bool read;
        TRY(model_read_spaced(run->model, run->dataset, i, run->pictures,
                              run->images + (size_t)batch * run->image_floats, &read, err));
        batch += read;
        seen += read;
        if (batch < PART && (i + 1 < run->pictures || batch == 0)) continue;
        TRY(look_at(run, batch, err));
        batch = 0;
    }
    return seen ? EFFNET_OK : fail(err, EFFNET_ERROR_FORMAT, "not one picture to calibrate on could be read");
}

static effnet_status calibrate(Calibrating *run, double percentile, effnet_error *err) {
    effnet_model *model = run->model;
    const EngineOptions options = {.batch = PART, .fuse = 2, .team = model->team};
    ByteRange *ranges;
    TRY(calibration_create(&model->network, &run->calibration, err));
    TRY(engine_create(model->engine_kind, &model->network, &options, &run->engine, err));
    TRY(memory_allocate_floats(PART, run->image_floats, "the pictures", &run->images, err));
    TRY(memory_allocate_floats(PART, (size_t)model->network.config.num_classes, "the logits", &run->logits, err));
    TRY(one_round(run, err));
    TRY(calibration_second_round(run->calibration, err));
    TRY(one_round(run, err));
    TRY(calibration_ranges(run->calibration, percentile, &ranges, err));
    return model_set_ranges(model, ranges, calibration_means(run->calibration), err);
}

effnet_status effnet_calibrate(effnet_model *model, const char *data, const effnet_calibrate_options *options,
                               effnet_error *error) {
    effnet_calibrate_options chosen;
    Dataset *dataset;
    NEED(model);
    NEED(data);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_calibrate_options", error));
    if (chosen.pictures < 0 || chosen.pictures > MOST_PICTURES)
        return fail(error, EFFNET_ERROR_ARGUMENT, "pictures is %d; allowed: 1 to %d, or 0 for %d", chosen.pictures,
                    MOST_PICTURES, DEFAULT_PICTURES);
    if (model->bytes) return fail(error, EFFNET_ERROR_ARGUMENT, "the model is calibrated; open it anew to do it again");
    if (model->device || model->dtype.bf16)
        return fail(error, EFFNET_ERROR_ARGUMENT,
                    "a model is calibrated on the processor in fp32; open it without `device` and `dtype`");
    TRY(static_bytes_check(&model->network, error));
    Calibrating run = {.model = model, .image_floats = shape_floats(model->network.tensors[0])};
    TRY(dataset_open(data, SPLIT_TRAIN, NULL, &dataset, error));
    run.dataset = dataset;
    run.pictures = chosen.pictures ? chosen.pictures : DEFAULT_PICTURES;
    if (run.pictures > dataset_size(dataset)) run.pictures = dataset_size(dataset);
    effnet_status status = calibrate(&run, chosen.percentile != 0 ? chosen.percentile : default_percentile, error);
    memory_free(run.images);
    memory_free(run.logits);
    engine_free(run.engine);
    calibration_free(run.calibration);
    dataset_free(dataset);
    return status;
}
