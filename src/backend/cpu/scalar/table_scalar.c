/* table_scalar.c - kernels/table_body.h compiled for scalar. */
#include "backend/cpu/vector_scalar.h"

#include "backend/cpu/kernels/table_body.h"
