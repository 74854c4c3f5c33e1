/* limits_avx2.c - kernels/limits_body.h compiled for avx2. */
#include "backend/cpu/vector_avx2.h"

#include "backend/cpu/kernels/limits_body.h"
