/* limits_avx512.c - kernels/limits_body.h compiled for avx512. */
#include "backend/cpu/vector_avx512.h"

#include "backend/cpu/kernels/limits_body.h"
