/* golden.h - a picture and the logits that a model gives for it, kept inside exported files, so that whoever runs one can
 * tell whether it still computes what it did. Private to src/api. */
#ifndef EFFNET_API_GOLDEN_H
#define EFFNET_API_GOLDEN_H

#include "api/handles.h"
#include "train/card.h"

/* The keys of the metadata: a PNG in base64, and a JSON list. */
#define GOLDEN_PICTURE_KEY "effnet.golden_picture"
#define GOLDEN_LOGITS_KEY  "effnet.golden_logits"
/* Present in files that multiply bytes: "int8", 1x1 convolutions whose pixels have ranges of their own; "int8_static",
 * every layer, of calibrated ranges. The golden logits are of that arithmetic. */
#define GOLDEN_DTYPE_KEY    "effnet.dtype"
#define GOLDEN_DTYPE        "int8"
#define GOLDEN_DTYPE_STATIC "int8_static"

typedef struct Golden {
    Picture picture;
    uint8_t *png; /* the picture as a file */
    size_t png_size;
    float *logits; /* (classes) */
} Golden;

/* Draws the picture, 160 x 120, the same for every model, and runs the model on it in fp32, whatever its dtype; int8: with
 * those convolutions in bytes, and all else in fp32, or, of a calibrated model, all of it in bytes. */
effnet_status golden_make(const effnet_model *model, bool int8, Golden *out, effnet_error *err);
void golden_free(Golden *golden);
/* Into the pairs of card_metadata. */
effnet_status golden_to_metadata(const Golden *golden, int classes, char **metadata, effnet_error *err);
/* Back; *found false where there is none. */
effnet_status golden_from_metadata(const CardTexts *texts, int classes, Golden *out, bool *found, effnet_error *err);
/* The logits that the model gives for a picture, in the same arithmetic. */
effnet_status golden_run(const effnet_model *model, bool int8, const Picture *picture, float *logits,
                         effnet_error *err);

#endif
