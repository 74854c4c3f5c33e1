/* torch_file.h - the weights in a file that torch.save wrote (.pth, .pth.tar, .pt, .bin, .ckpt), behind safetensors.h's
 * functions: nothing of the file is executed (pickle.h). Metadata: "torch.taken", a sentence that says which of several
 * weights these are, and "config", what a trainer noted of the model, as tools/convert.py notes it. */
#ifndef EFFNET_FORMAT_TORCH_FILE_H
#define EFFNET_FORMAT_TORCH_FILE_H

#include "format/safetensors.h"

/* Names, shapes and storages are checked here; the values are read, all at once, when the first is asked for. */
effnet_status torch_file_open(const char *path, Safetensors **out, effnet_error *err);
/* A safetensors file or one of torch.save's, by its first bytes. */
effnet_status weight_file_open(const char *path, Safetensors **out, effnet_error *err);
/* Is it one of torch.save's? false also where it cannot be read. */
bool torch_file_is(const char *path);

#endif
