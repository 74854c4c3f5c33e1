/* SHA-1: the answers of FIPS 180 (NIST's example messages), and lengths around the end of a block (made by Python's
 * hashlib of the byte 'a' so many times). */
#include "base/sha1.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void expect(const void *bytes, size_t size, const char *hex) {
    uint8_t digest[20];
    char text[41];
    sha1_digest(bytes, size, digest);
    for (int i = 0; i < 20; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, hex);
}

static void test_published(void **state) {
    (void)state;
    const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    expect("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
    expect(NULL, 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    expect(two_blocks, strlen(two_blocks), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

static void test_lengths(void **state) {
    (void)state;
    static const struct {
        size_t size;
        const char *hex;
    } known[] = {
        {55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"},  {56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"},
        {63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},  {64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
        {65, "11655326c708d70319be2610e8a57d9a5b959d3b"},  {119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"},
        {120, "f34c1488385346a55709ba056ddd08280dd4c6d6"}, {1000, "291e9a6c66994949b57ba5e650361e98fc36b1ba"},
    };
    char text[1000];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) expect(text, known[i].size, known[i].hex);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_published), cmocka_unit_test(test_lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
