/* page.h - an HTML page that needs no network: its style stands in it, charts are SVG, pictures are data URIs; light or
 * dark as the reader's system is. Everything is written to an open stream, whose errors are found when it is closed. */
#ifndef EFFNET_REPORT_PAGE_H
#define EFFNET_REPORT_PAGE_H

#include "base/error.h"

#include <stdint.h>
#include <stdio.h>

/* Head, style, heading and the line below it; page_end closes what it opened. */
void page_begin(FILE *out, const char *title, const char *about);
void page_end(FILE *out);

/* Text as HTML: markup's characters escaped, bytes that are no UTF-8 and control characters replaced. */
void page_text(FILE *out, const char *text);

/* A section with a heading and a sentence on what is seen (may be NULL). */
void page_section(FILE *out, const char *heading, const char *explanation);
void page_section_end(FILE *out);

/* A row of large numbers. `note` is small, below. */
void page_tiles_begin(FILE *out);
void page_tile(FILE *out, const char *label, const char *number, const char *note);
void page_tiles_end(FILE *out);

struct Dataset;
/* A picture of the data set, `side` pixels along its longer side, as <img>; one that cannot be read leaves an empty box. */
void page_picture(FILE *out, const struct Dataset *dataset, int64_t index, int side);

/* Numbers with a point as the decimal sign whatever the caller's locale is, between the two; `kept` is what to give
 * back. */
void *numbers_begin(void);
void numbers_end(void *kept);

#endif
