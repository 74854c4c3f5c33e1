/* sha1.h - the SHA-1 digest (FIPS 180-4): what Flax makes a number of a module's path by. Not for security. */
#ifndef EFFNET_BASE_SHA1_H
#define EFFNET_BASE_SHA1_H

#include <stddef.h>
#include <stdint.h>

void sha1_digest(const void *bytes, size_t size, uint8_t digest[20]);

#endif
