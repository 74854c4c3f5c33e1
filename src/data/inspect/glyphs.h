/* glyphs.h - letters of 5 x 7 dots, to write labels on pictures. Internal to data/. */
#ifndef EFFNET_DATA_INSPECT_GLYPHS_H
#define EFFNET_DATA_INSPECT_GLYPHS_H

#include <stddef.h>
#include <stdint.h>

enum { GLYPH_WIDTH = 5, GLYPH_HEIGHT = 7, GLYPH_ADVANCE = 6 };

/* Writes as much of `text` as fits into `room` dots in black at (y, x) of pixels (any height, width, 3). Bytes that are
 * no ASCII become '?'. */
void glyphs_draw(uint8_t *pixels, int width, int y, int x, int room, const char *text);

#endif
