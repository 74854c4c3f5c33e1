/* safetensors_sum.h - the checksums in our safetensors files: a value of __metadata__, so that the file stays what any
 * other reader knows, and goes with it wherever it is copied.
 *
 *   "effnet.crc32c": "HHHHHHHH-DDDDDDDD"
 *
 * D is the CRC-32C (base/crc32c.h) of the data, H that of what stands before the data: eight bytes of length and the
 * whole header, with the eight digits of H as zeros. Eight lower-case hexadecimal digits each. Private to src/format.
 */
#ifndef EFFNET_FORMAT_SAFETENSORS_SUM_H
#define EFFNET_FORMAT_SAFETENSORS_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUM_KEY         "effnet.crc32c"
#define SUM_PLACEHOLDER "00000000-00000000"
enum { SUM_DIGITS = 8, SUM_LENGTH = 17 };

/* Where in a header's text of `size` bytes the value begins; NULL where there is none of that length. */
char *sum_place(char *text, size_t size);
void sum_store(char digits[SUM_DIGITS], uint32_t sum);
/* False where they are not eight digits as sum_store writes them. */
bool sum_load(const char digits[SUM_DIGITS], uint32_t *sum);
/* H of the eight bytes before the header and its text, whose value begins at `place`. */
uint32_t sum_header(const unsigned char length[8], const char *text, size_t size, const char *place);

#endif
