/* import_settings.h - which published model the weights of another program are, and how that program runs them: what
 * the user names, the config.json beside the file, what tools/convert.py noted in it, or the file's name tell; a table
 * (known_weights.h) has the settings. What none of them tells must be said, or the import is refused. */
#ifndef EFFNET_TRAIN_IMPORT_SETTINGS_H
#define EFFNET_TRAIN_IMPORT_SETTINGS_H

#include "train/hub_config.h"
#include "train/import_weights.h"
#include "train/known_weights.h"

enum { IMPORT_NOTES = 1600 };

typedef struct ImportSettings {
    HubConfig hub;            /* of the file's folder */
    char notes[IMPORT_NOTES]; /* sentences, one a line: where the settings come from and what is only assumed */
} ImportSettings;

/* The recipe (made by recipe_defaults before) becomes model and settings. `wanted`: our name or the program's, with a
 * tag or not; NULL: not said. `given`: the user's own "KEY=VALUE", ended by NULL, which are looked at to see what needs
 * no finding out, and not applied. Freed by import_settings_free, after an error too. */
effnet_status import_settings_find(const WeightImport *import, const char *wanted, const char *const *given,
                                   Recipe *recipe, ImportSettings *out, effnet_error *err);
/* One sentence more. */
void import_settings_note(ImportSettings *settings, const char *format, ...) __attribute__((format(printf, 2, 3)));
void import_settings_free(ImportSettings *settings);

#endif
