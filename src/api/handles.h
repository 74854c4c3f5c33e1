/* handles.h - what the public header's opaque objects are, and the checks that every entry point shares. Private to
 * src/api. */
#ifndef EFFNET_API_HANDLES_H
#define EFFNET_API_HANDLES_H

#include "data/picture/decoder.h"
#include "data/sources/dataset.h"
#include "data/transform/preprocess.h"
#include "engine/static_bytes.h"
#include "report/predictions.h"
#include "recipe/recipe.h"
#include "train/evaluate.h"
#include "train/model_card.h"
#include "train/trainer.h"

#include <pthread.h>

struct effnet_recipe {
    Recipe recipe;
};

/* The options' dtype: NULL or "fp32"; "bf16"; "int8", which is bf16 with 1x1 convolutions in bytes, for inference. */
typedef struct Dtype {
    bool bf16, int8;
} Dtype;
effnet_status dtype_by_name(const char *name, Dtype *out, effnet_error *err);

struct effnet_team {
    ThreadTeam *team;
};

/* What a call needs to run the network besides the weights: one call at a time. */
typedef struct ModelState {
    Engine *engine;
    int batch, keep; /* the engine's options */
    struct ModelState *next;
} ModelState;

struct effnet_model {
    Network network;
    ModelCard card;                 /* owns its class names */
    int64_t most_pixels;            /* of a picture's file that is decoded; 0: as many as can be */
    float *parameters, *statistics; /* the network's blocks */
    uint64_t writes;                /* times they were changed */
    char (*numbers)[12];            /* labels where the card names no classes */
    char *file;                     /* the weights were read from it; NULL: from none */
    ThreadTeam *team;
    bool team_is_shared; /* the caller's effnet_team */
    const EngineVtable *engine_kind;
    Dtype dtype;
    StaticBytes *bytes; /* what effnet_calibrate made, and the model computes with; NULL: the weights as they are */
    struct ModelDevice *device; /* who computes instead of an engine (api_model_device.c); NULL: nobody */
    pthread_rwlock_t *weights;  /* read by who runs the network, written by who changes its weights */
    pthread_mutex_t *lock;      /* over: */
    ModelState *idle;           /* states that no call has */
};

struct effnet_trainer {
    Recipe recipe;
    Network network;
    ThreadTeam *team;
    bool team_is_shared; /* the caller's effnet_team */
    Trainer trainer;
    bool has_trainer;
};

/* In an entry point, whose arguments are called as in effnet.h: returns where one that must be there is NULL. */
#define NEED(argument)                                                                                                 \
    do {                                                                                                               \
        if (!(argument)) return fail(error, EFFNET_ERROR_ARGUMENT, "%s: `" #argument "` is NULL", __func__);           \
    } while (0)
/* The same of a place for an object, which becomes NULL: so it is where the call fails. */
#define NEED_OUT(out)                                                                                                  \
    do {                                                                                                               \
        NEED(out);                                                                                                     \
        *(out) = NULL;                                                                                                 \
    } while (0)

/* Copies an option structure of a caller who may have been compiled against an older or newer header. `given` NULL: all
 * defaults. A newer structure whose unknown fields are set is refused. */
effnet_status options_copy(const void *given, void *out, size_t size, const char *name, effnet_error *err);

/* A structure that the library fills: zeroes as much as the caller knows of it, but for struct_size, which must be set. */
effnet_status result_clear(void *result, const char *name, effnet_error *err);
/* What the caller knows of `filled` (size bytes), struct_size left alone. */
void result_write(void *result, const void *filled, size_t size);

/* `height` and `width` that a caller asks for into *input, whose channels stay: 0 and 0, as it is; width 0, a square. */
effnet_status input_choose(int height, int width, TensorShape *input, effnet_error *err);
/* A model of card->config with zeroed weights, at card->transform's size, which computes with `team`, or where that is NULL
 * with `threads` of its own. Takes the card over, also where it fails. */
effnet_status model_allocate(ModelCard *card, effnet_team *team, int threads, const char *engine, effnet_model **out,
                             effnet_error *err);
/* A state for at most `batch` images and the kept tensor `keep` (0: none), which no other call has until it is given
 * back. */
effnet_status model_state_take(effnet_model *model, int batch, int keep, ModelState **out, effnet_error *err);
void model_state_give(effnet_model *model, ModelState *state);
void model_states_free(effnet_model *model);
/* Normalised images (batch, height, width, channels) -> logits and kept tensor, each may be NULL. */
effnet_status model_state_run(effnet_model *model, ModelState *state, const float *images, int batch, float *logits,
                              float *kept, effnet_error *err);
/* Takes `ranges` (tensors) over, also where it fails: from here on the model computes in bytes of these ranges. means: as
 * static_bytes_make's. */
effnet_status model_set_ranges(effnet_model *model, ByteRange *ranges, float *const *means, effnet_error *err);
/* ---- api_model_device.c ---- */
/* The model is computed on `device`, a recipe's key; "cpu" and NULL: by its engine. */
effnet_status model_device_choose(effnet_model *model, const char *device, effnet_error *err);
/* As model_state_run without a kept tensor; most: pictures that a call may have from now on. */
effnet_status model_device_run(effnet_model *model, int most, const float *images, int batch, float *logits,
                               effnet_error *err);
void model_device_free(effnet_model *model);
/* A new decoder of the pictures that the model takes: their channels, whether they are turned, how large they may be. */
Decoder model_decoder(const effnet_model *model);
/* One picture, decoded and turned; `out` is valid until decoder_release(decoder), which is due after an error too. */
effnet_status model_decode(const effnet_model *model, const effnet_picture *picture, const char *name, Decoder *decoder,
                           Picture *out, effnet_error *err);
/* One picture, decoded, turned, resized, cropped and normalised. `name` stands for one of memory in messages. */
effnet_status model_prepare(const effnet_model *model, const effnet_picture *picture, const char *name, float *out,
                            effnet_error *err);
/* Whether the text is a place of weights and no name of a model: a folder, a .safetensors file, a checkpoint's mark. */
bool model_is_file(const char *text);
/* The weights file that `path` means: itself, or that of a checkpoint, or that of a run's best or last checkpoint. */
effnet_status model_find_file(const char *path, bool raw, char *out, size_t size, effnet_error *err);
/* The logits that both views of a batch (batch, classes) make together, in `logits`: those of the mean of their
 * probabilities, which are no logits' mean. */
void model_mean_of_views(const effnet_model *model, float *logits, const float *mirrored, int batch);
/* The tensor of a feature, and its shape. */
effnet_status model_find_feature(const effnet_model *model, const char *feature, int *tensor, TensorShape *shape,
                                 effnet_error *err);
/* What api_evaluate.c shares: options with their defaults filled in; what a data set has to say of itself; the
 * evaluation split of `data` with its classes in the model's order; of `wanted` pictures evenly spaced over a data set
 * the i-th as the model takes it in (*read false where it cannot be used, which is no error); accuracy and the answers to every picture (predictions_free, after an error too); names of the
 * outputs in one block that free() frees, NULL where memory runs out; "efficientnet_b0 at 224x224, averaged weights". */
effnet_status evaluate_options_check(effnet_evaluate_options *options, effnet_error *err);
void model_tell_remarks(const Dataset *dataset, effnet_progress_function *progress, void *context);
effnet_status model_open_data(const effnet_model *model, const char *data, const effnet_evaluate_options *options,
                              Dataset **out, effnet_error *err);
effnet_status model_read_spaced(const effnet_model *model, const Dataset *dataset, int64_t i, int64_t wanted,
                                float *image, bool *read, effnet_error *err);
effnet_status model_evaluate(effnet_model *model, const Dataset *dataset, const effnet_evaluate_options *options,
                             Accuracy *out, Predictions *predictions, effnet_error *err);
/* The same, each batch shown to `look` as the network sees it. */
struct Batch;
typedef void BatchLook(void *context, const struct Batch *batch);
effnet_status model_evaluate_looking(effnet_model *model, const Dataset *dataset,
                                     const effnet_evaluate_options *options, Accuracy *out, Predictions *predictions,
                                     BatchLook *look, void *look_context, effnet_error *err);
const char **model_labels(const effnet_model *model, effnet_error *err);
void model_describe(const effnet_model *model, char *out, size_t size);

#endif
