/* torch_values.h - PyTorch's tensors among a pickle's values: what torch.save writes for a tensor is a call of
 * torch._utils._rebuild_tensor_v2 with a storage that stands elsewhere, an offset, a size and strides. These names, and
 * those that wrap them (parameters), are the only ones that mean anything; every other name a file gives stays a name.
 * A tensor is held against its storage here: no element of it lies outside. */
#ifndef EFFNET_FORMAT_TORCH_VALUES_H
#define EFFNET_FORMAT_TORCH_VALUES_H

#include "format/elements.h"
#include "format/pickle.h"

enum { TORCH_MAX_RANK = 8, TORCH_KEY_BYTES = 100 };

typedef struct TorchTensor {
    const ElementType *type;
    int rank;
    int64_t shape[TORCH_MAX_RANK], stride[TORCH_MAX_RANK]; /* strides in elements, as torch has them */
    size_t count;                                          /* the product of the shape */
    char key[TORCH_KEY_BYTES];                             /* of the storage: no '/' in it */
    uint64_t offset;                                       /* of the first element in the storage, in elements */
    uint64_t extent;           /* elements of the storage up to the tensor's last one; 0 where it has none */
    uint64_t storage_elements; /* of the whole storage, as the pickle says */
} TorchTensor;

bool torch_is_tensor(const Pickle *pickle, PickleRef reference);
/* `path` and `name`, the tensor's, for messages. */
effnet_status torch_tensor_read(const Pickle *pickle, PickleRef reference, const char *path, const char *name,
                                TorchTensor *out, effnet_error *err);
/* Bytes of an element of a PICKLE_STORED storage, and its key; 0: of a type that is not known here. */
size_t torch_storage_element(const Pickle *pickle, PickleRef stored, PickleRef *key);

#endif
