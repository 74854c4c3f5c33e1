/* hub.h - weights by name from Hugging Face's hub: "timm/tf_efficientnet_b0.in1k" is fetched once into the cache that
 * Hugging Face's own programs use, and taken from there ever after. Beside the weights lies the model's config.json,
 * which says how its pictures are prepared and what its classes are called.
 *
 * Environment, as huggingface_hub has it: HF_ENDPOINT (another server than https://huggingface.co), HF_TOKEN (for what is
 * private or gated; sent to that server alone), HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME (where the cache is),
 * HF_HUB_OFFLINE=1 (the cache alone), HF_HUB_DOWNLOAD_TIMEOUT (seconds without a byte, 30). */
#ifndef EFFNET_HUB_HUB_H
#define EFFNET_HUB_HUB_H

#include "effnet.h"

/* How far the download of a file is. */
typedef struct HubProgress {
    const char *repository, *file;
    int64_t done, total; /* bytes */
    int64_t here;        /* of them, those that were here before: a download that was broken off goes on */
    double seconds;      /* since it began */
    bool ended;
} HubProgress;

typedef struct HubOptions {
    bool offline;                                                 /* the cache alone, whatever the environment says */
    void (*progress)(void *context, const HubProgress *progress); /* may be NULL */
    void (*note)(void *context, const char *sentence);            /* may be NULL */
    void *context;
} HubOptions;

/* OWNER/NAME or OWNER/NAME@REVISION, maybe after "hf-hub:"; of letters, digits, '-', '_' and '.'. */
bool hub_is_name(const char *text);
/* path becomes that of the weights (model.safetensors, else pytorch_model.bin), config.json beside them where the model
 * has one. Every byte has been held against the hub's checksum. */
effnet_status hub_weights(const char *name, const HubOptions *options, char *path, size_t size, effnet_error *err);

#endif
