/* cuda_on_host.h - as much of CUDA C as depthwise.cu uses, for a compiler of C: a kernel is a function that is called
 * once for each thread, and the layer's macros are set before the file is included. */
#ifndef EFFNET_TESTS_CUDA_ON_HOST_H
#define EFFNET_TESTS_CUDA_ON_HOST_H

#include <stdint.h>
#include <string.h>

#define KERNEL static void
#define INSIDE static inline __attribute__((unused))
#define UNROLL
#define __restrict__ restrict

typedef struct float2 {
    float x, y;
} float2;

static struct { unsigned x; } blockIdx, blockDim, threadIdx;

static inline __attribute__((unused)) float __uint_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline __attribute__((unused)) unsigned __float_as_uint(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

#endif
