/* base64.h - bytes as text (RFC 4648, section 4): for pictures inside metadata, which are text. */
#ifndef EFFNET_BASE_BASE64_H
#define EFFNET_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Freed with free(); NULL where memory runs out. */
char *base64_encode(const void *bytes, size_t size);
/* The way back, padding wanted, nothing but the alphabet allowed; freed with free(). NULL: memory ran out, or the text is
 * none. */
uint8_t *base64_decode(const char *text, size_t *size);

#endif
