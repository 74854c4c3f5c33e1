/* settings.h - the command line over a recipe: --set KEY=VALUE and --engine, for every verb that takes a recipe. */
#ifndef EFFNET_CLI_SETTINGS_H
#define EFFNET_CLI_SETTINGS_H

#include "effnet.h"
#include "options.h"

/* engine: NULL leaves the recipe's. Returns EXIT_OK, or after a message the status to exit with. */
int apply_settings(const char *verb, effnet_recipe *recipe, const OptionList *settings, const char *engine);

#endif
