/* known_weights.h - published weights by name, and how their programs run them: size, crop, interpolation, mean,
 * padding, batch norm. The table is known_weights.def. */
#ifndef EFFNET_TRAIN_KNOWN_WEIGHTS_H
#define EFFNET_TRAIN_KNOWN_WEIGHTS_H

#include "format/weight_names.h"
#include "recipe/recipe.h"

typedef struct KnownWeights {
    NamingStyle naming;
    const char *architecture; /* "tf_efficientnet_b0", "efficientnet_b0" */
    const char *tag;          /* "ns_jft_in1k", "IMAGENET1K_V1"; "": the program publishes no weights of this one */
    int resolution;
    double crop_pct;
    int interpolation; /* INTERPOLATION_* */
    bool half;         /* mean and std .5; else ImageNet's */
    bool squash;       /* the whole picture, resized; no crop */
    int test_resolution;
    double test_crop_pct; /* of a second published result; 0: none */
    const char *file;     /* the download's name without its ending; "" where it has none of its own */
} KnownWeights;

/* By "ARCHITECTURE.TAG", or "ARCHITECTURE", which means the tag that the program takes itself; NULL: not known. */
const KnownWeights *known_weights_find(NamingStyle naming, const char *name);
/* Whose download's name, or "ARCHITECTURE.TAG", stands in the path; NULL: none's. */
const KnownWeights *known_weights_by_path(NamingStyle naming, const char *path);
/* The row after `weights` of the same architecture, or NULL. */
const KnownWeights *known_weights_next(const KnownWeights *weights);
/* Both rows prepare pictures in the same way. */
bool known_weights_agree(const KnownWeights *a, const KnownWeights *b);
/* Our name of an architecture's layers: "efficientnet_b0" of "tf_efficientnet_b0". */
const char *known_weights_model(const char *architecture);
/* Padding and batch norm as the architecture has them; timm has every model twice, plain and "tf_". */
void known_weights_architecture(NamingStyle naming, const char *architecture, Recipe *recipe);
/* The row's settings of pictures. */
void known_weights_pictures(const KnownWeights *weights, Recipe *recipe);

#endif
