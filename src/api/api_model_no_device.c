/* api_model_no_device.c - instead of api_model_device.c in libeffnet-inference, which computes on the processor alone. */
#include "api/handles.h"

#include <string.h>

effnet_status model_device_choose(effnet_model *model, const char *device, effnet_error *err) {
    (void)model;
    if (!device || !*device || strcmp(device, "cpu") == 0) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_UNSUPPORTED,
                "device is '%.80s'; libeffnet-inference computes on 'cpu' alone, libeffnet on others too", device);
}

effnet_status model_device_run(effnet_model *model, int most, const float *images, int batch, float *logits,
                               effnet_error *err) {
    (void)model, (void)most, (void)images, (void)batch, (void)logits;
    return fail(err, EFFNET_ERROR_UNSUPPORTED, "libeffnet-inference computes on the processor alone");
}

void model_device_free(effnet_model *model) {
    (void)model;
}
