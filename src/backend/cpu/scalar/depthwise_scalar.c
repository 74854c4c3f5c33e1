/* depthwise_scalar.c - kernels/depthwise_body.h compiled for scalar. */
#include "backend/cpu/vector_scalar.h"

#include "backend/cpu/kernels/depthwise_body.h"
