/* spec_of.h - a recipe's StepSpec for as long as an expression needs it. */
#ifndef EFFNET_TESTS_SPEC_OF_H
#define EFFNET_TESTS_SPEC_OF_H

#include "step/rates.h"
#include "recipe/recipe.h"
#include "step/step_spec.h"
#include "train/from_recipe.h"

static inline const StepSpec *spec_of(const Recipe *recipe) {
    static _Thread_local StepSpec spec;
    step_spec_from_recipe(recipe, &spec);
    return &spec;
}

#endif
