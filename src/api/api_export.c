/* api_export.c - a model for other programs: ONNX. */
#include "api/handles.h"

#include "format/onnx.h"
#include "train/card.h"

effnet_status effnet_model_save_onnx(const effnet_model *model, const char *path, const effnet_onnx_options *options,
                                     effnet_error *error) {
    effnet_onnx_options chosen;
    char **metadata;
    NEED(model);
    NEED(path);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_onnx_options", error));
    TRY(card_metadata(&model->card, &metadata, error));
    const OnnxOptions write = {
        .opset = chosen.opset, .keep_batch_norm = chosen.keep_batch_norm, .metadata = (const char *const *)metadata};
    effnet_status status = onnx_write(path, &model->network, model->parameters, model->statistics, &write, error);
    card_metadata_free(metadata);
    return status;
}
