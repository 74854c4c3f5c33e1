/* config.c - the published members of the family by name: width, depth, resolution, dropout.
 * Sources: tensorflow/tpu models/official/efficientnet: efficientnet_builder.py and
 * lite/efficientnet_lite_builder.py. */
#include "model/network.h"

#include <stdio.h>
#include <string.h>

static const struct Member {
    const char *name;
    double width, depth;
    int resolution;
    double drop;
    bool lite;
} members[] = {
    {"efficientnet_b0", 1.0, 1.0, 224, 0.2, false},   {"efficientnet_b1", 1.0, 1.1, 240, 0.2, false},
    {"efficientnet_b2", 1.1, 1.2, 260, 0.3, false},   {"efficientnet_b3", 1.2, 1.4, 300, 0.3, false},
    {"efficientnet_b4", 1.4, 1.8, 380, 0.4, false},   {"efficientnet_b5", 1.6, 2.2, 456, 0.4, false},
    {"efficientnet_b6", 1.8, 2.6, 528, 0.5, false},   {"efficientnet_b7", 2.0, 3.1, 600, 0.5, false},
    {"efficientnet_b8", 2.2, 3.6, 672, 0.5, false},   {"efficientnet_l2", 4.3, 5.3, 800, 0.5, false},
    {"efficientnet_lite0", 1.0, 1.0, 224, 0.2, true}, {"efficientnet_lite1", 1.0, 1.1, 240, 0.2, true},
    {"efficientnet_lite2", 1.1, 1.2, 260, 0.3, true}, {"efficientnet_lite3", 1.2, 1.4, 280, 0.3, true},
    {"efficientnet_lite4", 1.4, 1.8, 300, 0.3, true},
};
enum { MEMBERS = sizeof members / sizeof members[0] };

const char *model_names(void) {
    return "efficientnet_b0 to efficientnet_b8, efficientnet_l2, efficientnet_lite0 to efficientnet_lite4";
}

const char *model_name_at(int index) {
    return index >= 0 && index < MEMBERS ? members[index].name : NULL;
}

effnet_status model_config_by_name(const char *name, ModelConfig *out, effnet_error *err) {
    for (int i = 0; i < MEMBERS; i++) {
        const struct Member *member = &members[i];
        if (strcmp(member->name, name) != 0) continue;
        *out = (ModelConfig){
            .width = member->width,
            .depth = member->depth,
            .input = {member->resolution, member->resolution, 3},
            .drop = member->drop,
            .lite = member->lite,
            .num_classes = 1000,
            .padding = MODEL_PADDING_SAME,
            .bn_momentum = 0.99,
            .bn_eps = 1e-3,
            .drop_path = 0.2,
        };
        snprintf(out->name, sizeof out->name, "%s", name);
        return EFFNET_OK;
    }
    return fail(err, EFFNET_ERROR_ARGUMENT, "unknown model '%.60s'; known: %s", name, model_names());
}
