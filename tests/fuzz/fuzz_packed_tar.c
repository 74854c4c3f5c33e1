/* fuzz_packed_tar.c - any bytes as a compressed tar: the first byte says whether they are gzip's frames as they are, or
 * the tar, which is then packed here, so that a search reaches what is in it. */
#include "fuzz_shard.h"

#include <zlib.h>

static effnet_status open_tar(const NameList *paths, Dataset **out, effnet_error *err) {
    return fuzz_open_tar(paths, TAR_HOLD_LIMIT, out, err);
}

/* Streamed rather than held. */
static effnet_status open_stream(const NameList *paths, Dataset **out, effnet_error *err) {
    return fuzz_open_tar(paths, 0, out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    OpenFunction *const open_source = data[0] & 2 ? open_stream : open_tar;
    if (data[0] & 1) {
        fuzz_shard(data + 1, size - 1, open_source);
        return 0;
    }
    z_stream stream = {0};
    if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) abort();
    size_t room = deflateBound(&stream, size) + 64;
    uint8_t *packed = malloc(room);
    if (!packed) abort();
    stream.next_in = (uint8_t *)data + 1;
    stream.avail_in = (uInt)(size - 1);
    stream.next_out = packed;
    stream.avail_out = (uInt)room;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) abort();
    fuzz_shard(packed, stream.total_out, open_source);
    deflateEnd(&stream);
    free(packed);
    return 0;
}
