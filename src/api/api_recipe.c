/* api_recipe.c - recipes as the public header has them. */
#include "api/handles.h"

#include <stdlib.h>

effnet_status effnet_recipe_open(const char *path, effnet_recipe **out, effnet_error *error) {
    *out = NULL;
    effnet_recipe *recipe = malloc(sizeof *recipe);
    if (!recipe) return fail(error, EFFNET_ERROR_MEMORY, "no memory for a recipe");
    recipe_defaults(&recipe->recipe);
    effnet_status status = path ? recipe_read(path, &recipe->recipe, error) : EFFNET_OK;
    if (status != EFFNET_OK) {
        free(recipe);
        return status;
    }
    *out = recipe;
    return EFFNET_OK;
}

void effnet_recipe_free(effnet_recipe *recipe) {
    free(recipe);
}

effnet_status effnet_recipe_set(effnet_recipe *recipe, const char *key, const char *value, effnet_error *error) {
    return recipe_set(&recipe->recipe, key, value, error);
}

void effnet_recipe_keys(effnet_key_visitor *visit, void *context) {
    recipe_visit_keys(visit, context);
}
