/* elementwise_scalar.c - kernels/elementwise_body.h compiled for scalar. */
#include "backend/cpu/vector_scalar.h"

#include "backend/cpu/kernels/elementwise_body.h"
