/* crc32c.h - CRC-32C (Castagnoli: iSCSI, RFC 3720 appendix B.4; ext4; TFRecord), by the processor's instruction where
 * there is one. */
#ifndef EFFNET_BASE_CRC32C_H
#define EFFNET_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The sum of bytes that follow others whose sum is `before`; 0 at the beginning. crc32c(0, "123456789", 9) is
 * 0xE3069283. */
uint32_t crc32c(uint32_t before, const void *bytes, size_t size);
/* As TFRecord stores it, rotated right by 15 bits, plus 0xA282EAD8, so that the sum of data that hold sums is a good one
 * (tensorflow/core/lib/hash/crc32c.h). */
uint32_t crc32c_masked(const void *bytes, size_t size);
/* crc32c without the instruction. */
uint32_t crc32c_plain(uint32_t before, const void *bytes, size_t size);

#endif
