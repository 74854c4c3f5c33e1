/* handles.h - what the public header's opaque objects are, and the checks that every entry point shares. Private to
 * src/api. */
#ifndef EFFNET_API_HANDLES_H
#define EFFNET_API_HANDLES_H

#include "data/transform/preprocess.h"
#include "train/train.h"

struct effnet_recipe {
    Recipe recipe;
};

/* The options' dtype: NULL or "fp32"; "bf16"; "int8", which is bf16 with 1x1 convolutions in bytes, for inference. */
typedef struct Dtype {
    bool bf16, int8;
} Dtype;
effnet_status dtype_by_name(const char *name, Dtype *out, effnet_error *err);

struct effnet_model {
    Network network;
    ModelCard card; /* owns its class names */
    PreprocessOptions preprocess;
    float *parameters, *statistics; /* the network's blocks */
    uint64_t writes;                /* times they were changed */
    char (*numbers)[12];            /* labels where the card names no classes */
    char *file;                     /* the weights were read from it; NULL: from none */
    char *notes;                    /* of an import: effnet_model_notes; NULL: none */
    ThreadTeam *team;
    const EngineVtable *engine_kind;
    Dtype dtype;
    Engine *engine; /* forward only, made at the first call; NULL before */
    int engine_batch;
};

struct effnet_trainer {
    Recipe recipe;
    Network network;
    ThreadTeam *team;
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

/* A model of card->config with zeroed weights, at card->resolution. Takes the card over, also where it fails. */
effnet_status model_allocate(ModelCard *card, int threads, const char *engine, effnet_model **out, effnet_error *err);
/* logits (classes), which are changed, to the `count` likeliest classes, best first. */
effnet_status model_rank(const effnet_model *model, float *logits, effnet_prediction *out, int count,
                         effnet_error *err);
/* 1 to the model's classes. */
effnet_status model_check_count(const effnet_model *model, int count, effnet_error *err);
/* The engine of the model for `batch` images, made anew where it is too small. */
effnet_status model_engine(effnet_model *model, int batch, effnet_error *err);

#endif
