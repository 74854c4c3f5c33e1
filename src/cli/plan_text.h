/* plan_text.h - what a run will be, found and printed: for `effnet plan` and `effnet train --dry-run`. */
#ifndef EFFNET_CLI_PLAN_TEXT_H
#define EFFNET_CLI_PLAN_TEXT_H

#include "effnet.h"

/* As text, or as one JSON object on standard output. Returns the exit status. */
int plan_and_print(const char *verb, const effnet_recipe *recipe, const effnet_train_options *train, int64_t pictures,
                   bool json);

#endif
