/* weights.h - weights alone, in files of our own and of timm's names. */
#ifndef EFFNET_TRAIN_WEIGHTS_H
#define EFFNET_TRAIN_WEIGHTS_H

#include "model/network.h"
#include "train/model_card.h"

/* From the file's metadata, or, where a file of another program has none, from the shapes of its tensors and
 * the published defaults. out->class_names is freed by model_card_free. */
effnet_status weights_read_card(const char *safetensors_path, ModelCard *out, effnet_error *err);
/* Reads parameters and statistics by timm's names. Every tensor of the network must be there in its shape,
 * and no other but num_batches_tracked; nothing is changed before that is checked. `allow_other_head`: a
 * classifier that is missing or of another shape keeps the values already there, *head_kept (may be NULL)
 * says so. */
effnet_status weights_read(const char *safetensors_path, const Network *network, float *parameters, float *statistics,
                           bool allow_other_head, bool *head_kept, effnet_error *err);
effnet_status weights_write(const char *safetensors_path, const Network *network, const float *parameters,
                            const float *statistics, const ModelCard *card, effnet_error *err);

#endif
