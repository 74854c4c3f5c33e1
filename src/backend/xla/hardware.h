/* hardware.h - is there a device that a plugin would drive? Told by what the kernel shows, without loading anything. */
#ifndef EFFNET_BACKEND_XLA_HARDWARE_H
#define EFFNET_BACKEND_XLA_HARDWARE_H

#include <stdbool.h>
#include <stddef.h>

/* name: a known plugin's ("tpu", "cuda", "rocm", "cpu"). `sign` receives what tells of it, such as "/dev/nvidia0", or
 * "" where nothing does. A processor is always there. */
bool hardware_present(const char *name, char *sign, size_t size);

#endif
