/* embedded.h - texts that the build makes part of the library (cmake/embed.cmake), each named after its file. */
#ifndef EFFNET_BACKEND_XLA_EMBEDDED_H
#define EFFNET_BACKEND_XLA_EMBEDDED_H

extern const char text_of_depthwise_cu[]; /* depthwise.cu */

#endif
