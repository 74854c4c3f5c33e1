/* tfrecord.h - TFRecord files and the tf.train.Example in each record.
 *
 * A record is: length (8 bytes, little-endian), masked CRC-32C of those 8 bytes (4), the data, masked CRC-32C of the
 * data (4): crc32c_masked (tensorflow/core/lib/io/record_writer.h). Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_TFRECORD_H
#define EFFNET_DATA_SOURCES_TFRECORD_H

#include "data/picture/decoder.h"

enum { TFRECORD_HEAD = 12, TFRECORD_TAIL = 4, TFRECORD_LIMIT = 1 << 30 };

/* Of TFRECORD_HEAD bytes; false where the sum is wrong. */
bool tfrecord_length(const uint8_t *head, uint64_t *length);
/* `record`: data and tail. */
bool tfrecord_sum_is_right(const uint8_t *record, size_t length);

/* What a picture's Example says; pointers into the decoder's memory, until its next use. */
typedef struct Example {
    const uint8_t *image; /* encoded */
    size_t image_size;
    bool labelled;
    int64_t label;
    char synset[64]; /* image/class/synset, or "" */
} Example;

/* image/encoded, image/class/label and image/class/synset, or TFDS's image and label. `name` stands for the record in
 * messages. A record without a picture, without a label or with several of one is an error. */
effnet_status example_parse(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Example *out,
                            effnet_error *err);

#endif
