/* card.h - a ModelCard as the __metadata__ of a safetensors file: strings that say which model the weights
 * are, how pictures are prepared for it and what its classes are called. Private to src/train. */
#ifndef EFFNET_TRAIN_CARD_H
#define EFFNET_TRAIN_CARD_H

#include "format/safetensors.h"
#include "train/model_card.h"

/* Pairs key, value, ..., NULL for safetensors_write; freed by card_metadata_free. */
effnet_status card_metadata(const ModelCard *card, char ***out, effnet_error *err);
/* One pair more, copied: there is room for a few. */
effnet_status card_metadata_add(char **metadata, const char *key, const char *value, effnet_error *err);
void card_metadata_free(char **metadata);

/* A finite number as JSON text that reads back to the same bits; freed with free(). */
effnet_status metadata_number_text(double value, char **out, effnet_error *err);

/* The metadata of a file of any format: `find` gives the text of a key, or NULL. */
typedef struct CardTexts {
    const char *path; /* for messages */
    const char *(*find)(const void *file, const char *key);
    const void *file;
} CardTexts;

/* From the metadata of an open file; *found false where it has none of ours. */
effnet_status card_from_texts(const CardTexts *texts, ModelCard *out, bool *found, effnet_error *err);
effnet_status card_from_metadata(const Safetensors *file, ModelCard *out, bool *found, effnet_error *err);
/* Whole numbers and numbers of the metadata, written as JSON; errors name file and key. */
effnet_status metadata_integer(const Safetensors *file, const char *key, int64_t least, int64_t most, int64_t *out,
                               effnet_error *err);
effnet_status metadata_number(const Safetensors *file, const char *key, double least, double most, double *out,
                              effnet_error *err);
void model_card_free(ModelCard *card);

#endif
