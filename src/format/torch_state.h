/* torch_state.h - which of the values in a PyTorch checkpoint are the model's weights. A .pth file is whatever its
 * program liked to save: a state_dict alone, one among a trainer's other things ("state_dict", "model", "net", ...),
 * averaged ones beside others ("state_dict_ema", "model_ema"), a whole module. Averages go before weights that were not
 * averaged; what was taken is said. */
#ifndef EFFNET_FORMAT_TORCH_STATE_H
#define EFFNET_FORMAT_TORCH_STATE_H

#include "format/pickle.h"

typedef struct TorchNamed {
    char *name;
    PickleRef tensor;
} TorchNamed;

typedef struct TorchState {
    TorchNamed *tensors; /* in bytewise order of the names, each once */
    int count, room;
    char taken[400]; /* a sentence; "": the file has nothing but weights */
    char *config;    /* what the checkpoint says of its model, as timm's config.json would; NULL: nothing */
} TorchState;

/* Freed by torch_state_free, after an error too. `path` for messages. */
effnet_status torch_state_find(const Pickle *pickle, const char *path, TorchState *out, effnet_error *err);
void torch_state_free(TorchState *state);

#endif
