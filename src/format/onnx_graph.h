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

/* What the file says of one input or output: float, (N, ...): the batch is free. */
typedef struct OnnxPort {
    const char *name;
    int rank; /* without the batch */
    int shape[3];
} OnnxPort;

/* The model as a file of operator set `opset` (13 to 21), written beside and renamed into place. metadata: pairs key, value, ..., NULL; may be NULL. */
effnet_status onnx_graph_write(OnnxGraph *graph, const char *path, int opset, const char *name, const OnnxPort *input,
                               const OnnxPort *output, const char *const *metadata, effnet_error *err);

#endif
