/* fuzz_set.c - any text as KEY=VALUE of --set: the recipe is changed to something that it can write and read back, or
 * stays what it was. */
#include "recipe/recipe.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static Recipe before, recipe;
    char *text = malloc(size + 1), value[600];
    if (!text) abort();
    memcpy(text, data, size);
    text[size] = 0;
    char *equals = strchr(text, '=');
    effnet_error err = {0};
    recipe_defaults(&before);
    recipe_defaults(&recipe);
    if (equals) {
        *equals = 0;
        if (recipe_set(&recipe, text, equals + 1, &err) != EFFNET_OK) {
            if (!err.message[0] || memcmp(&before, &recipe, sizeof recipe) != 0) abort();
        } else {
            before = recipe;
            if (recipe_get(&recipe, text, value, sizeof value, &err) != EFFNET_OK) abort();
            if (recipe_set(&recipe, text, value, &err) != EFFNET_OK || memcmp(&before, &recipe, sizeof recipe) != 0)
                abort();
        }
        (void)recipe_check(&recipe, &err);
    }
    free(text);
    return 0;
}
