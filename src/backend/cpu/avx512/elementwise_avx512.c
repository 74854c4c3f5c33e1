/* elementwise_avx512.c - kernels/elementwise_body.h compiled for avx512. */
#include "backend/cpu/vector_avx512.h"

#include "backend/cpu/kernels/elementwise_body.h"
