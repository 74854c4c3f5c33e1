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
