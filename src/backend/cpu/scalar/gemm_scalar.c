/* gemm_scalar.c - kernels/gemm_body.h compiled for scalar. */
#include "backend/cpu/vector_scalar.h"

#include "backend/cpu/kernels/gemm_body.h"
