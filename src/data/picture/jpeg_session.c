/* jpeg_session.c - see jpeg_session.h. Messages are told apart by libjpeg's codes: a warning is damaged data, but for
 * the few after which every pixel is right. */
#include "data/picture/jpeg_session.h"

#include <string.h>

#include <jerror.h>

static bool is_harmless(int code) {
    return code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM;
}

bool jpeg_session_truncated(const JpegSession *session) {
    return session->code == JWRN_JPEG_EOF || session->code == JWRN_HIT_MARKER || session->code == JERR_INPUT_EOF ||
           session->code == JERR_INPUT_EMPTY;
}

static void note(JpegSession *session) {
    session->code = session->errors.msg_code;
    session->errors.format_message((j_common_ptr)&session->jpeg, session->text);
}

static void on_error(j_common_ptr common) {
    JpegSession *session = common->client_data;
    if (!session->code) note(session); /* a warning before it is nearer to the cause */
    longjmp(session->back, 1);
}

/* Every message of negative level is a warning. */
static void on_message(j_common_ptr common, int level) {
    JpegSession *session = common->client_data;
    if (level >= 0 || is_harmless(session->errors.msg_code)) return;
    if (!session->code) note(session);
    if (session->warn_is_error) longjmp(session->back, 1);
}

static void say_nothing(j_common_ptr common) {
    (void)common;
}

static void on_progress(j_common_ptr common) {
    JpegSession *session = common->client_data;
    int64_t scans = session->jpeg.input_scan_number;
    int64_t pixels = (int64_t)session->jpeg.image_height * session->jpeg.image_width;
    if (scans <= JPEG_MOST_SCANS && scans * pixels <= JPEG_MOST_SCANNED) return;
    session->too_many_scans = true;
    longjmp(session->back, 1);
}

void jpeg_session_begin(JpegSession *session, const uint8_t *bytes, size_t size) {
    session->jpeg.err = jpeg_std_error(&session->errors);
    session->errors.error_exit = on_error;
    session->errors.emit_message = on_message;
    session->errors.output_message = say_nothing;
    session->jpeg.client_data = session;
    jpeg_create_decompress(&session->jpeg);
    session->progress.progress_monitor = on_progress;
    session->jpeg.progress = &session->progress;
    jpeg_mem_src(&session->jpeg, bytes, size);
}

void jpeg_session_end(JpegSession *session) {
    jpeg_destroy_decompress(&session->jpeg);
}
