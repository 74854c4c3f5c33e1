/* activation_kind.h - the functions behind a batch norm, by name: what kernels know of a model. */
#ifndef EFFNET_MODEL_ACTIVATION_KIND_H
#define EFFNET_MODEL_ACTIVATION_KIND_H

typedef enum Activation { ACTIVATION_NONE, ACTIVATION_SWISH, ACTIVATION_RELU6 } Activation;

#endif
