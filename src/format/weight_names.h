/* weight_names.h - what other programs call the weights of an EfficientNet, and how they lay them out.
 *
 * Known are the names of timm (ours), torchvision, efficientnet_pytorch (lukemelas; efficientnet_lite_pytorch has the
 * same), the Flax model of NobuoTsukamoto/jax_examples, Keras applications, and the TensorFlow checkpoints of
 * tensorflow/tpu. One table holds them all; docs/weights.md shows it. */
#ifndef EFFNET_FORMAT_WEIGHT_NAMES_H
#define EFFNET_FORMAT_WEIGHT_NAMES_H

#include "format/safetensors.h"
#include "model/network.h"

typedef enum NamingStyle {
    NAMES_TIMM,
    NAMES_TORCHVISION,
    NAMES_LUKEMELAS,
    NAMES_FLAX,
    NAMES_KERAS,
    NAMES_TENSORFLOW,
} NamingStyle;
enum { NAMING_STYLES = NAMES_TENSORFLOW + 1, WEIGHT_NAME_SIZE = 300 };

/* How one file names its weights. */
typedef struct WeightNaming {
    NamingStyle style;
    char prefix[128];   /* before every name: "module.", "efficientnet-b0/" */
    const char *suffix; /* after a name where there is one with it: TensorFlow's moving averages; else "" */
    char separator;     /* of the path: '.' or '/' */
} WeightNaming;

/* "torchvision" */
const char *naming_label(NamingStyle style);
/* Finds the style whose name the stem's kernel has; false where there is none. */
bool naming_detect(const Safetensors *file, WeightNaming *out);
/* The file's name of the index-th parameter, or statistic. */
void naming_name(const WeightNaming *naming, const Network *network, bool is_statistic, int index,
                 char name[WEIGHT_NAME_SIZE]);
/* The index in the file of that tensor, -1 where there is none. */
int naming_find(const WeightNaming *naming, const Safetensors *file, const Network *network, bool is_statistic,
                int index);
/* Known to be no weight of the model: counts of batches, optimizer slots, Keras's own normalisation. */
bool naming_ignores(const WeightNaming *naming, const char *name);

/* The shape that a parameter has in the file. */
void naming_shape(NamingStyle style, const Parameter *parameter, int64_t shape[4]);
/* Values in the file's layout -> out in timm's; `count` of the parameter each. */
void naming_to_timm(NamingStyle style, const Parameter *parameter, const float *values, float *out);

#endif
