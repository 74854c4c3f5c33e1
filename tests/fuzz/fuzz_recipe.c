/* fuzz_recipe.c - the recipe parser on any bytes: an error has a message of one line; what is accepted is written and
 * read back to the same recipe. */
#include "recipe/recipe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    Recipe recipe, back;
    effnet_error error = {0};
    effnet_status status = recipe_parse("fuzz.yaml", (const char *)bytes, size, &recipe, &error);
    if (status != EFFNET_OK) {
        if (error.status != status || !error.message[0] || strchr(error.message, '\n')) abort();
        return 0;
    }
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (!stream) return 0;
    if (recipe_write(&recipe, stream, &error) != EFFNET_OK) abort();
    fclose(stream);
    if (recipe_parse("fuzz.yaml", text, length, &back, &error) != EFFNET_OK) abort();
    if (memcmp(&recipe, &back, sizeof recipe) != 0) abort();
    free(text);
    return 0;
}
