/* import_weights.h - weights of another program (format/weight_names.h) into a network's blocks: which model they are,
 * how it is to be run, and their values in timm's layouts. */
#ifndef EFFNET_TRAIN_IMPORT_WEIGHTS_H
#define EFFNET_TRAIN_IMPORT_WEIGHTS_H

#include "format/weight_names.h"
#include "recipe/recipe.h"

typedef struct WeightImport {
    Safetensors *file;
    WeightNaming naming;
} WeightImport;

/* Opens a safetensors file, or one of torch.save (format/torch_file.h), and finds out whose names it has. Closed by weight_import_close, after an error too. */
effnet_status weight_import_open(const char *path, WeightImport *out, effnet_error *err);
void weight_import_close(WeightImport *import);
/* The known model whose shapes the file has, or NULL. */
const char *weight_import_guess(const WeightImport *import);
/* How the program whose names these are runs any of its models, as recipe keys: batch norm, and padding, mean and std
 * where it has one way only (import_settings.h has the rest). recipe->model is read. */
effnet_status weight_import_presets(const WeightImport *import, Recipe *recipe, effnet_error *err);
/* Input channels of the file's stem; `network` may have others. */
int weight_import_channels(const WeightImport *import, const Network *network);
/* Outputs of the file's classifier; `network` may have another number of classes. */
effnet_status weight_import_classes(const WeightImport *import, const Network *network, int *out, effnet_error *err);
/* A tensor of the program around the network, which has its own under a name, "model.": a loss's weights, a metric's state. */
bool weight_import_is_beside(const WeightImport *import, const char *name);
/* Fills both blocks. Where another classifier is allowed and the file has one of another shape, or none, the classifier's
 * weights stay as they are and *head_kept says so (may be NULL). A stem of other input channels is converted (model/input_channels.h). Every tensor of the network must be there in its shape with finite values, and none beside them
 * that is not known to be no weight; the message names the tensor, as the file calls it and as we do. */
effnet_status weight_import_read(const WeightImport *import, const Network *network, float *parameters,
                                 float *statistics, bool allow_other_head, bool *head_kept, effnet_error *err);

#endif
