/* mirror.h - pictures from right to left. */
#ifndef EFFNET_DATA_TRANSFORM_MIRROR_H
#define EFFNET_DATA_TRANSFORM_MIRROR_H

/* `out`, not `images` itself, becomes images (count, height, width, 3) with every row reversed. */
void images_mirror(const float *images, int count, int height, int width, float *out);

#endif
