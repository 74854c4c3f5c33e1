/* test_event_file.c - an event file byte for byte as TensorBoard's own writer makes it (tensorboard 2.20: RecordWriter
 * over event_pb2.Event with these values), and what is left out of it. */
#include "format/event_file.h"

#include "base/file.h"
#include "scratch_fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* version; SessionLog START at step 8; two scalars at step 9; a picture at step 10 */
static const char golden[] =
    "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b3531100f000000000000006d532b09090000"
    "2040fc54d94110083a020801b9c5b1b1300000000000000095f5d05f0900005040fc54d94110092a230a110a0a6c6f73732f747261696e"
    "150000c03f0a0e0a07726174652f6c72150000803e3af8c4212e00000000000000c5cb57fa0900008040fc54d941100a2a210a1f0a0963"
    "6f6e667573696f6e2212080210031803220a6a706567006279746573e0d21bcd";

static void test_bytes(void **state) {
    (void)state;
    EventFile file;
    effnet_error err = {0};
    const EventScalar scalars[] = {{"loss/train", 1.5}, {"norm/weights", NAN}, {"rate/lr", 0.25}};
    const EventScalar nothing[] = {{"loss/train", INFINITY}};
    assert_int_equal(event_file_open(&file, folder.path, 1700000000.5, 7, &err), EFFNET_OK);
    assert_int_equal(event_file_scalars(&file, 1700000001.25, 9, scalars, 3, &err), EFFNET_OK);
    assert_int_equal(event_file_scalars(&file, 1700000001.5, 9, nothing, 1, &err), EFFNET_OK);
    assert_int_equal(
        event_file_image(&file, 1700000002.0, 10, "confusion", 2, 3, (const uint8_t *)"jpeg\0bytes", 10, &err),
        EFFNET_OK);
    assert_non_null(strstr(file.path, "/events.out.tfevents.1700000000.effnet"));
    event_file_close(&file);
    event_file_close(&file);
    char *bytes, hex[1000] = "";
    size_t size;
    assert_int_equal(file_read(file.path, 10000, &bytes, &size, &err), EFFNET_OK);
    assert_true(2 * size < sizeof hex);
    for (size_t i = 0; i < size; i++) snprintf(hex + 2 * i, 3, "%02x", (unsigned)(unsigned char)bytes[i]);
    free(bytes);
    assert_string_equal(hex, golden);
}

static void test_refusals(void **state) {
    (void)state;
    EventFile file;
    effnet_error err = {0};
    char nowhere[600];
    snprintf(nowhere, sizeof nowhere, "%s/nowhere", folder.path);
    assert_int_equal(event_file_open(&file, nowhere, 1, 0, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "nowhere"));
    assert_null(file.stream);
    if (access("/dev/full", W_OK) != 0) return;
    file = (EventFile){.stream = fopen("/dev/full", "w"), .path = "/dev/full"};
    const EventScalar one = {"loss/train", 1};
    assert_int_equal(event_file_scalars(&file, 1, 1, &one, 1, &err), EFFNET_ERROR_IO);
    assert_non_null(strstr(err.message, "/dev/full"));
    event_file_close(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
