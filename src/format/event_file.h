/* event_file.h - TensorBoard's event files: TFRecords of Event messages, one file a process, appended to.
 *
 * A file is called events.out.tfevents.SECONDS.NAME. It begins with the version "brain.Event:2". After a resume a new
 * file says so at its first step, and TensorBoard forgets what older files say from that step on. */
#ifndef EFFNET_FORMAT_EVENT_FILE_H
#define EFFNET_FORMAT_EVENT_FILE_H

#include "base/error.h"

#include <stdint.h>
#include <stdio.h>

typedef struct EventFile {
    FILE *stream; /* NULL: none is open */
    char path[1100];
} EventFile;

/* Makes folder/events.out.tfevents.SECONDS.effnet, SECONDS being the whole part of wall_time (Unix time).
 * resumed_after: steps that were done by an earlier process; 0: a new run. */
effnet_status event_file_open(EventFile *file, const char *folder, double wall_time, int64_t resumed_after,
                              effnet_error *err);

typedef struct EventScalar {
    const char *tag; /* "loss/train": a group and a name */
    double value;    /* left out where it is not finite */
} EventScalar;

/* One event with every scalar, written and flushed. */
effnet_status event_file_scalars(EventFile *file, double wall_time, int64_t step, const EventScalar *scalars, int count,
                                 effnet_error *err);
/* A picture as a JPEG or PNG of size bytes. */
effnet_status event_file_image(EventFile *file, double wall_time, int64_t step, const char *tag, int height, int width,
                               const uint8_t *encoded, size_t size, effnet_error *err);
void event_file_close(EventFile *file); /* harmless on a zeroed struct */

#endif
