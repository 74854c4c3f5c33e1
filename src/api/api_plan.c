/* api_plan.c - what a run will be, before its first step. */
#include "api/handles.h"

#include "train/forecast.h"

effnet_status effnet_plan_run(const effnet_recipe *recipe, const effnet_plan_options *options, effnet_plan *out,
                              effnet_error *error) {
    effnet_plan_options chosen;
    effnet_train_options train;
    NEED(out);
    TRY(result_clear(out, "effnet_plan", error));
    NEED(recipe);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_plan_options", error));
    TRY(options_copy(chosen.train, &train, sizeof train, "effnet_train_options", error));
    if (chosen.pictures < 0)
        return fail(error, EFFNET_ERROR_ARGUMENT, "pictures is %lld; allowed: 1 or more, or 0 with data",
                    (long long)chosen.pictures);
    Recipe resolved = recipe->recipe;
    if (!train.data && !resolved.data[0] && chosen.pictures == 0)
        return fail(error, EFFNET_ERROR_ARGUMENT,
                    "there is no data to plan for: give --data DIR, or --pictures N to plan for so many of noise");
    effnet_plan plan = {.struct_size = sizeof plan};
    TRY(recipe_check_series(&resolved, error));
    if (resolved.folds && chosen.pictures == 0)
        snprintf(resolved.val_split, sizeof resolved.val_split, "fold 1/%lld", (long long)resolved.folds);
    resolved.seeds = 1; /* all are alike: one is planned */
    resolved.folds = 0;
    effnet_status status = forecast_run(&resolved, &train, chosen.pictures, &plan, error);
    if (status == EFFNET_OK)
        result_write(out, &plan, sizeof plan);
    else
        forecast_free(&plan);
    return status;
}

void effnet_plan_free(effnet_plan *plan) {
    if (!plan) return;
    forecast_free(plan);
    plan->class_names = plan->warnings = NULL;
    plan->counts[0] = plan->counts[1] = NULL;
    plan->num_warnings = 0;
}
