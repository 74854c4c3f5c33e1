/* jpeg_session.h - one JPEG being decoded by libjpeg-turbo: its state, what it had to say, and where it jumps to when
 * it gives up. A session is of one picture: tables of one file are never used for the next. Internal to picture/.
 *
 * Whoever begins one calls setjmp(session->back) first, in a function of its own that is given the session, and
 * jpeg_session_end in any case:
 *
 *     if (setjmp(session->back)) return false;            // session->code says why
 *     jpeg_session_begin(session, bytes, size);
 *     ... jpeg_read_header(&session->jpeg, TRUE) ...
 */
#ifndef EFFNET_DATA_PICTURE_JPEG_SESSION_H
#define EFFNET_DATA_PICTURE_JPEG_SESSION_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jpeglib.h>

/* A progressive file is refused beyond so many scans, and beyond so many pixels in all of them together: each scan goes
 * over the whole picture, so that a small file could cost minutes. Encoders make about ten. */
enum { JPEG_MOST_SCANS = 100 };
#define JPEG_MOST_SCANNED ((int64_t)2000 * 1000 * 1000)

typedef struct JpegSession {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    bool warn_is_error;  /* give up at a warning that leaves pixels wrong, too */
    bool too_many_scans; /* why it gave up */
    int code;            /* of the error, else of the first warning that leaves pixels wrong (jerror.h); 0: none */
    char text[JMSG_LENGTH_MAX]; /* of it */
} JpegSession;

/* After setjmp: jumps back where there is no memory. */
void jpeg_session_begin(JpegSession *session, const uint8_t *bytes, size_t size);
/* Releases what libjpeg holds; harmless before begin on a session of zeros. */
void jpeg_session_end(JpegSession *session);
/* Whether session->code says that the file ends early. */
bool jpeg_session_truncated(const JpegSession *session);

#endif
