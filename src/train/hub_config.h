/* hub_config.h - the config.json that timm writes beside a model's weights (the layout of Hugging Face's hub): which
 * architecture, how its pictures are prepared, what its classes are called. */
#ifndef EFFNET_TRAIN_HUB_CONFIG_H
#define EFFNET_TRAIN_HUB_CONFIG_H

#include "recipe/recipe.h"

typedef struct HubConfig {
    char path[4096];         /* for messages; "": there is none */
    char architecture[64];   /* "tf_efficientnet_b0"; "": the file names none, so it is another program's */
    char tag[64];            /* "ns_jft_in1k"; may be "" */
    int num_classes;         /* 0: not said */
    char **class_names;      /* label_names; NULL: not said */
    int class_name_count;    /* of them */
    void *root, *pretrained; /* the JSON object, and the one in it that says how pictures are prepared */
} HubConfig;

/* Reads config.json in the folder of `weights_path` where there is one, else `noted`, the same text out of the file
 * itself (tools/convert.py puts it there; NULL: none); freed by hub_config_free, after an error too.
 */
effnet_status hub_config_read(const char *weights_path, const char *noted, HubConfig *out, effnet_error *err);
/* What it says of padding, batch norm and pictures, into the recipe; what it does not say stays. */
effnet_status hub_config_apply(const HubConfig *config, Recipe *recipe, effnet_error *err);
void hub_config_free(HubConfig *config);

#endif
