/* onnx_graph.h - an ONNX graph being built: nodes, their attributes, constant tensors. Private to src/format.
 *
 * Everything belongs to the graph. Where memory runs out the graph remembers it (failed), the functions return NULL and
 * take NULL for a node, and onnx_graph_write says so: the builder need not look at each. */
#ifndef EFFNET_FORMAT_ONNX_GRAPH_H
#define EFFNET_FORMAT_ONNX_GRAPH_H

#include "base/error.h"

#include <onnx.pb-c.h>

typedef struct OnnxGraph {
    struct OnnxAllocation *allocations;
    Onnx__NodeProto **nodes;
    size_t num_nodes, node_capacity;
    Onnx__TensorProto **constants;
    size_t num_constants, constant_capacity;
    bool failed;
} OnnxGraph;

void onnx_graph_free(OnnxGraph *graph);
/* A name made by printf's rules. */
char *onnx_name(OnnxGraph *graph, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A node with one output, called like it; `inputs` end with NULL. Returns the node to set attributes of. */
Onnx__NodeProto *onnx_node(OnnxGraph *graph, const char *op_type, char *output, char *const *inputs);
void onnx_attribute_int(OnnxGraph *graph, Onnx__NodeProto *node, const char *name, int64_t value);
void onnx_attribute_float(OnnxGraph *graph, Onnx__NodeProto *node, const char *name, float value);
void onnx_attribute_ints(OnnxGraph *graph, Onnx__NodeProto *node, const char *name, int count, const int64_t *values);
/* A float tensor of rank `rank` (0: one number), zeroed, to be filled by the caller; NULL where memory ran out. */
float *onnx_constant(OnnxGraph *graph, char *name, int rank, const int *shape);
/* The same of int64. */
int64_t *onnx_integers(OnnxGraph *graph, char *name, int rank, const int *shape);
int32_t *onnx_integers32(OnnxGraph *graph, char *name, int rank, const int *shape);
/* The same of bytes with a sign, and without. */
int8_t *onnx_bytes(OnnxGraph *graph, char *name, int rank, const int *shape);
uint8_t *onnx_unsigned_bytes(OnnxGraph *graph, char *name, int rank, const int *shape);

/* TensorProto's element types, those that we use. */
typedef enum OnnxType { ONNX_FLOAT = 1, ONNX_UINT8 = 2, ONNX_INT8 = 3, ONNX_INT32 = 6, ONNX_INT64 = 7 } OnnxType;

/* What the file says of one input or output: (N, ...), the batch is free. */
typedef struct OnnxPort {
    const char *name;
    OnnxType type;
    int rank;     /* without the batch */
    int shape[3]; /* -'H': free, and called H */
} OnnxPort;

/* What becomes of a graph. */
typedef struct OnnxModel {
    int opset;        /* 13 to 21 */
    const char *name; /* of the graph */
    OnnxPort input;
    const OnnxPort *outputs;
    int num_outputs;             /* 1 or 2 */
    const char *const *metadata; /* pairs key, value, ..., NULL; may be NULL. The graph's checksum is added */
} OnnxModel;

/* The model as a file, written beside and renamed into place. */
effnet_status onnx_graph_write(OnnxGraph *graph, const char *path, const OnnxModel *model, effnet_error *err);
/* CRC-32C of the graph's bytes: what the metadata say under ONNX_SUM_KEY, eight hexadecimal digits. */
uint32_t onnx_graph_sum(const Onnx__GraphProto *graph);
#define ONNX_SUM_KEY "effnet.graph_crc32c"

#endif
