/* weights_source.h - what stands for weights on a command line (import, --init, --from): a file, one of our runs, or a name
 * on Hugging Face's hub, "timm/tf_efficientnet_b0.in1k", which is fetched into its cache. */
#ifndef EFFNET_CLI_WEIGHTS_SOURCE_H
#define EFFNET_CLI_WEIGHTS_SOURCE_H

#include "effnet.h"

enum { WEIGHTS_PATH = 1024 };

/* `source` itself where it is on this machine or is no name; else where the hub's file is now. Progress and what is to be
 * known go to standard error. `offline`: the cache alone. */
effnet_status weights_source_resolve(const char *source, bool offline, char path[WEIGHTS_PATH], effnet_error *error);
/* The same of an option: *source, where it is not NULL, becomes `path`. */
effnet_status weights_source_replace(const char **source, bool offline, char path[WEIGHTS_PATH], effnet_error *error);

#endif
