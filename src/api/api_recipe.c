/* api_recipe.c - recipes as the public header has them. */
#include "api/handles.h"

#include "base/file.h"

#include <stdlib.h>

effnet_status effnet_recipe_open(const char *path, effnet_recipe **out, effnet_error *error) {
    NEED_OUT(out);
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
    NEED(recipe);
    NEED(key);
    NEED(value);
    return recipe_set(&recipe->recipe, key, value, error);
}

effnet_status effnet_recipe_copy(const effnet_recipe *recipe, effnet_recipe **out, effnet_error *error) {
    NEED_OUT(out);
    NEED(recipe);
    effnet_recipe *copy = malloc(sizeof *copy);
    if (!copy) return fail(error, EFFNET_ERROR_MEMORY, "no memory for a recipe");
    *copy = *recipe;
    *out = copy;
    return EFFNET_OK;
}

effnet_status effnet_recipe_get(const effnet_recipe *recipe, const char *key, char *buffer, size_t size,
                                effnet_error *error) {
    NEED(recipe);
    NEED(key);
    NEED(buffer);
    return recipe_get(&recipe->recipe, key, buffer, size, error);
}

effnet_status effnet_recipe_save(const effnet_recipe *recipe, const char *path, effnet_error *error) {
    NEED(recipe);
    NEED(path);
    return recipe_save(&recipe->recipe, path, NULL, error);
}

void effnet_recipe_keys(effnet_key_visitor *visit, void *context) {
    if (visit) recipe_visit_keys(visit, context);
}
