/* api_series.h - training and fine-tuning several times, with other seeds or other parts of the pictures to evaluate on
 * (train/series.h). Private to src/api. */
#ifndef EFFNET_API_SERIES_H
#define EFFNET_API_SERIES_H

#include "effnet.h"
#include "train/series.h"

/* By the recipe, or by what the folder holds; a folder that holds one already is an error unless it is resumed. */
effnet_status api_series_is_meant(const Recipe *recipe, const char *out, bool resume, bool *series, effnet_error *err);

effnet_status api_train_series(const Recipe *recipe, const effnet_train_options *options, const char *out,
                               effnet_train_result *told, effnet_error *err);

/* One fine-tuning. */
typedef effnet_status FinetuneFunction(const char *pictures, const effnet_finetune_options *options,
                                       effnet_finetune_result *told, effnet_error *err);
/* options->out is the series' folder; `asked` has the settings' seeds, folds and seed. */
effnet_status api_finetune_series(const char *pictures, const effnet_finetune_options *options, const Recipe *asked,
                                  FinetuneFunction *finetune, effnet_finetune_result *told, effnet_error *err);

#endif
