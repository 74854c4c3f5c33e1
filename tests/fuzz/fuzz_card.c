/* fuzz_card.c - any text as the metadata of a checkpoint: lines KEY=VALUE behind effnet.'s keys, read as a model card,
 * or an error. */
#include "train/card.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The value of a key in "key=value\n..." with zero bytes for the ends of lines. */
static const char *find(const void *file, const char *key) {
    const size_t length = strlen(key);
    for (const char *line = file; *line; line += strlen(line) + 1)
        if (strncmp(line, key, length) == 0 && line[length] == '=') return line + length + 1;
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = calloc(1, size + 2);
    if (!text) abort();
    for (size_t i = 0; i < size; i++) text[i] = data[i] == '\n' || !data[i] ? 0 : (char)data[i];
    const CardTexts texts = {.path = "fuzz", .find = find, .file = text};
    ModelCard card = {0};
    bool found = false;
    effnet_error err = {0};
    effnet_status status = card_from_texts(&texts, &card, &found, &err);
    if (status != EFFNET_OK && !err.message[0]) abort(); /* never silence */
    if (status == EFFNET_OK && found) {
        char **metadata;
        if (card_metadata(&card, &metadata, &err) == EFFNET_OK) card_metadata_free(metadata);
        model_card_free(&card);
    }
    free(text);
    return 0;
}
