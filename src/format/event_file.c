/* event_file.c - see event_file.h. */
#include "format/event_file.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "event.pb-c.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SCALARS = 32, SESSION_START = 1, COLORS_RGB = 3 };

static void put_little_endian(uint8_t *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) out[i] = (uint8_t)(value >> (8 * i));
}

/* One TFRecord: length and its sum, data and their sum. */
static effnet_status write_event(EventFile *file, const EffnetProto__Event *event, effnet_error *err) {
    size_t size = effnet_proto__event__get_packed_size(event);
    uint8_t *record = malloc(size + 16);
    if (!record) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a record of '%s'", file->path);
    put_little_endian(record, size, 8);
    put_little_endian(record + 8, crc32c_masked(record, 8), 4);
    effnet_proto__event__pack(event, record + 12);
    put_little_endian(record + 12 + size, crc32c_masked(record + 12, size), 4);
    errno = 0;
    bool written = fwrite(record, 1, size + 16, file->stream) == size + 16 && fflush(file->stream) == 0;
    free(record);
    return written ? EFFNET_OK
                   : fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", file->path, strerror(errno ? errno : EIO));
}

static EffnetProto__Event event_at(double wall_time, int64_t step) {
    EffnetProto__Event event = EFFNET_PROTO__EVENT__INIT;
    event.has_wall_time = event.has_step = 1;
    event.wall_time = wall_time;
    event.step = step;
    return event;
}

effnet_status event_file_open(EventFile *file, const char *folder, double wall_time, int64_t resumed_after,
                              effnet_error *err) {
    *file = (EventFile){0};
    if ((size_t)snprintf(file->path, sizeof file->path, "%s/events.out.tfevents.%lld.effnet", folder,
                         (long long)wall_time) >= sizeof file->path)
        return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.80s...'", folder);
    TRY(file_check_writable(file->path, err));
    file->stream = fopen(file->path, "ab"); /* two processes within a second: one file, as they are one run */
    if (!file->stream) return fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", file->path, strerror(errno));
    EffnetProto__Event event = event_at(wall_time, 0);
    event.has_step = 0;
    event.file_version = "brain.Event:2";
    effnet_status status = write_event(file, &event, err);
    if (status == EFFNET_OK && resumed_after > 0) {
        EffnetProto__SessionLog session = EFFNET_PROTO__SESSION_LOG__INIT;
        session.has_status = 1;
        session.status = SESSION_START;
        event = event_at(wall_time, resumed_after + 1);
        event.session_log = &session;
        status = write_event(file, &event, err);
    }
    if (status != EFFNET_OK) event_file_close(file);
    return status;
}

static effnet_status write_values(EventFile *file, double wall_time, int64_t step, EffnetProto__EventValue **values,
                                  size_t count, effnet_error *err) {
    EffnetProto__EventSummary summary = EFFNET_PROTO__EVENT_SUMMARY__INIT;
    EffnetProto__Event event = event_at(wall_time, step);
    summary.value = values;
    summary.n_value = count;
    event.summary = &summary;
    return write_event(file, &event, err);
}

effnet_status event_file_scalars(EventFile *file, double wall_time, int64_t step, const EventScalar *scalars, int count,
                                 effnet_error *err) {
    EffnetProto__EventValue values[MOST_SCALARS], *list[MOST_SCALARS];
    size_t used = 0;
    for (int i = 0; i < count && used < MOST_SCALARS; i++) {
        if (!isfinite(scalars[i].value)) continue;
        EffnetProto__EventValue *value = list[used] = &values[used];
        effnet_proto__event_value__init(value);
        value->tag = (char *)scalars[i].tag; /* read alone */
        value->has_simple_value = 1;
        value->simple_value = (float)scalars[i].value;
        used++;
    }
    return used ? write_values(file, wall_time, step, list, used, err) : EFFNET_OK;
}

effnet_status event_file_image(EventFile *file, double wall_time, int64_t step, const char *tag, int height, int width,
                               const uint8_t *encoded, size_t size, effnet_error *err) {
    EffnetProto__EventImage image = EFFNET_PROTO__EVENT_IMAGE__INIT;
    EffnetProto__EventValue value = EFFNET_PROTO__EVENT_VALUE__INIT, *list[] = {&value};
    image.has_height = image.has_width = image.has_colorspace = image.has_encoded_image_string = 1;
    image.height = height;
    image.width = width;
    image.colorspace = COLORS_RGB;
    image.encoded_image_string.data = (uint8_t *)encoded; /* read alone */
    image.encoded_image_string.len = size;
    value.tag = (char *)tag;
    value.image = &image;
    return write_values(file, wall_time, step, list, 1, err);
}

void event_file_close(EventFile *file) {
    if (file->stream) fclose(file->stream);
    file->stream = NULL;
}
