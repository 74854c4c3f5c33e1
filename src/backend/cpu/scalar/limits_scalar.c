/* limits_scalar.c - kernels/limits_body.h compiled for scalar. */
#include "backend/cpu/vector_scalar.h"

#include "backend/cpu/kernels/limits_body.h"
