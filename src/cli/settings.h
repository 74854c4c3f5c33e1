/* settings.h - the command line over a recipe: --set KEY=VALUE and --engine, for every verb that takes a recipe. */
#ifndef EFFNET_CLI_SETTINGS_H
#define EFFNET_CLI_SETTINGS_H

#include "effnet.h"
#include "options.h"

/* engine: NULL leaves the recipe's. Returns EXIT_OK, or after a message the status to exit with. */
int apply_settings(const char *verb, effnet_recipe *recipe, const OptionList *settings, const char *engine);

/* The recipe that the command line's only argument names, with the settings applied; *out is the caller's to free, NULL
 * where the status is not EXIT_OK. */
int open_only_recipe(const char *verb, const CommandLine *line, const OptionList *settings, const char *engine,
                     effnet_recipe **out);
/* path NULL: the defaults. */
int open_recipe(const char *verb, const char *path, const OptionList *settings, const char *engine,
                effnet_recipe **out);

/* The recipe's `device` where one is given. */
int apply_device(const char *verb, effnet_recipe *recipe, const char *device);

#endif
