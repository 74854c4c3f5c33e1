/* stablehlo.h - writes the text of a StableHLO module, one function for each kind of operation that a training step
 * needs.
 *
 * A value is a number with a type and a shape; every function below appends a line that makes a new one and works its
 * shape out. Nothing is computed here and nothing is checked but shapes by assertion: what is wrong is the caller's
 * fault and is found by the compiler that reads the text. Memory that runs out is noted and told once, by hlo_finish.
 *
 * Operations: https://openxla.org/stablehlo/spec. Floats are written as their bits, so that no digit is lost. */
#ifndef EFFNET_BACKEND_XLA_STABLEHLO_H
#define EFFNET_BACKEND_XLA_STABLEHLO_H

#include "backend/xla/program.h"

enum { HLO_RANK = 4, HLO_LOOP_VALUES = 8 };

typedef struct Hlo Hlo;

typedef struct HloValue {
    int id;   /* %vID */
    int part; /* of an operation with several results: %vID#PART; -1: it has one */
    XlaType type;
    int rank;
    int64_t shape[HLO_RANK];
} HloValue;

typedef enum HloBinary {
    HLO_ADD,
    HLO_SUBTRACT,
    HLO_MULTIPLY,
    HLO_DIVIDE,
    HLO_MAXIMUM,
    HLO_MINIMUM,
    HLO_AND,
    HLO_OR,
    HLO_XOR,
    HLO_SHIFT_LEFT,
    HLO_SHIFT_RIGHT,
} HloBinary;
typedef enum HloUnary { HLO_NEGATE, HLO_EXP, HLO_LOG, HLO_SQRT, HLO_RSQRT, HLO_LOGISTIC } HloUnary;
typedef enum HloCompare { HLO_LESS, HLO_GREATER, HLO_EQUAL, HLO_AT_LEAST } HloCompare;

/* One side of a convolution's window, and where kernels and maps have their dimensions (MLIR's own text). */
typedef struct HloConvolution {
    const char *dimensions; /* "[b, 0, 1, f]x[o, i, 0, 1]->[b, 0, 1, f]" */
    int stride[2], pad[2][2], lhs_dilate[2], rhs_dilate[2];
    int64_t feature_groups, batch_groups;
    int64_t result[HLO_RANK]; /* its shape */
    XlaType type;
} HloConvolution;

/* A kernel for an NVIDIA GPU: PTX whose function `name` takes the operands' and then the result's address. */
typedef struct HloKernel {
    const char *name, *ptx;
    int64_t blocks;
    int threads; /* of a block */
} HloKernel;

Hlo *hlo_create(void); /* NULL: no memory */
/* The text, which the caller frees, and the writer's end; NULL where memory ran out or shapes did not
 * fit. */
char *hlo_finish(Hlo *hlo, size_t *bytes);

/* module and main's head: arguments become values in order; then the body; then the results and the end. */
void hlo_begin_main(Hlo *hlo, const XlaProgram *program, HloValue *arguments);
void hlo_end_main(Hlo *hlo, const HloValue *results, int count);

HloValue hlo_fill(Hlo *hlo, XlaType type, int rank, const int64_t *shape, double value); /* a constant */
HloValue hlo_scalar(Hlo *hlo, XlaType type, double value);
HloValue hlo_floats(Hlo *hlo, const float *values, int64_t count); /* a constant f32 vector */
HloValue hlo_iota(Hlo *hlo, XlaType type, int rank, const int64_t *shape, int dimension);
HloValue hlo_replica(Hlo *hlo); /* ui32 scalar: which replica this is */

HloValue hlo_binary(Hlo *hlo, HloBinary kind, HloValue a, HloValue b);
HloValue hlo_unary(Hlo *hlo, HloUnary kind, HloValue a);
HloValue hlo_compare(Hlo *hlo, HloCompare kind, HloValue a, HloValue b); /* -> XLA_BOOL */
HloValue hlo_is_finite(Hlo *hlo, HloValue a);
HloValue hlo_select(Hlo *hlo, HloValue condition, HloValue yes,
                    HloValue no);                         /* condition: of their shape, or a scalar */
HloValue hlo_convert(Hlo *hlo, XlaType type, HloValue a); /* a itself where it is of that type */
HloValue hlo_bitcast(Hlo *hlo, XlaType type, HloValue a);

HloValue hlo_reshape(Hlo *hlo, HloValue a, int rank, const int64_t *shape);
/* Dimension i of `a` becomes dimensions[i] of the shape; the others repeat it. */
HloValue hlo_broadcast(Hlo *hlo, HloValue a, int rank, const int64_t *shape, const int *dimensions);
HloValue hlo_broadcast_scalar(Hlo *hlo, HloValue scalar, HloValue like);
HloValue hlo_transpose(Hlo *hlo, HloValue a,
                       const int *order); /* dimension i of the result is dimension order[i] of `a` */
HloValue hlo_reverse(Hlo *hlo, HloValue a, int first, int second); /* along two dimensions */
HloValue hlo_slice(Hlo *hlo, HloValue a, const int64_t *begin, const int64_t *end, const int64_t *step);
HloValue hlo_dynamic_slice(Hlo *hlo, HloValue a, HloValue begin,
                           int64_t count); /* rows [begin, begin + count) of `a` */
/* Zeros around, and `interior` between neighbours; one number for each dimension. */
HloValue hlo_pad(Hlo *hlo, HloValue a, const int64_t *low, const int64_t *high, const int64_t *interior);
HloValue hlo_concatenate(Hlo *hlo, const HloValue *values, int count, int dimension);

/* Sums over the dimensions whose bits are set; in a's type. */
HloValue hlo_sum(Hlo *hlo, HloValue a, unsigned dimensions);
/* The same of several values of one shape, in one operation: one pass over memory. */
void hlo_sums(Hlo *hlo, const HloValue *values, int count, unsigned dimensions, HloValue *out);
HloValue hlo_largest(Hlo *hlo, HloValue a, unsigned dimensions);
/* a (M, K) or (K, M), b (K, N) or (N, K): contracted along dimension a_along and b_along. exact: no rounding of fp32.
 */
HloValue hlo_dot(Hlo *hlo, HloValue a, int a_along, HloValue b, int b_along, XlaType type, bool exact);
HloValue hlo_convolution(Hlo *hlo, HloValue x, HloValue kernel, const HloConvolution *convolution, bool exact);

/* A result of the kernel; operands and result dense, the last dimension varying fastest. XLA for GPUs alone knows it
 * (custom call __gpu$xla.gpu.ptx, xla/service/gpu/kernel_call.h). */
HloValue hlo_kernel(Hlo *hlo, const HloKernel *kernel, const HloValue *operands, int count, XlaType type, int rank,
                    const int64_t *shape);

/* The sum over `group` neighbouring replicas, of `replicas`. */
HloValue hlo_all_reduce(Hlo *hlo, HloValue a, int replicas, int group);

/* A loop of `rounds`: state[0] is an i32 scalar that counts from 0, the rest is the caller's. Inside, `state` holds the
 * round's values; hlo_end_loop takes the next round's (without the count) and leaves the last ones in `state`. */
void hlo_begin_loop(Hlo *hlo, HloValue *state, int count, int64_t rounds);
void hlo_end_loop(Hlo *hlo, const HloValue *next, HloValue *state, int count);

int64_t hlo_elements(HloValue a);
int xla_type_bytes(XlaType type);

#endif
