/* settings.c - see settings.h. */
#include "settings.h"

#include "verbs.h"

#include <stdio.h>
#include <string.h>

int apply_settings(const char *verb, effnet_recipe *recipe, const OptionList *settings, const char *engine) {
    effnet_error error;
    for (int i = 0; i < settings->count; i++) {
        const char *setting = settings->items[i];
        const char *equals = strchr(setting, '=');
        char key[100];
        if (!equals || equals == setting || (size_t)(equals - setting) >= sizeof key)
            return usage_error(verb, "--set '%.60s' is not KEY=VALUE", setting);
        snprintf(key, sizeof key, "%.*s", (int)(equals - setting), setting);
        if (effnet_recipe_set(recipe, key, equals + 1, &error) != EFFNET_OK) {
            report(verb, &error);
            return EXIT_USAGE;
        }
    }
    if (engine && effnet_recipe_set(recipe, "engine", engine, &error) != EFFNET_OK) return report(verb, &error);
    return EXIT_OK;
}

int open_recipe(const char *verb, const char *path, const OptionList *settings, const char *engine,
                effnet_recipe **out) {
    effnet_error error;
    if (effnet_recipe_open(path, out, &error) != EFFNET_OK) return report(verb, &error);
    int status = apply_settings(verb, *out, settings, engine);
    if (status != EXIT_OK) {
        effnet_recipe_free(*out);
        *out = NULL;
    }
    return status;
}

int open_only_recipe(const char *verb, const CommandLine *line, const OptionList *settings, const char *engine,
                     effnet_recipe **out) {
    *out = NULL;
    if (line->count == 0) return usage_error(verb, "no recipe given");
    if (line->count > 1)
        return usage_error(verb, "one recipe at a time; unexpected argument '%.60s'", line->arguments[1]);
    return open_recipe(verb, line->arguments[0], settings, engine, out);
}

int apply_device(const char *verb, effnet_recipe *recipe, const char *device) {
    effnet_error error;
    if (device && effnet_recipe_set(recipe, "device", device, &error) != EFFNET_OK) return report(verb, &error);
    return EXIT_OK;
}
