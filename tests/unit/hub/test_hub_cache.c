/* What a name on a hub may be, where its files are kept, and SHA-256 against FIPS 180-4's examples and sha256sum. Requests
 * are tests/e2e/test_hub.sh's. */
#include "hub/hub_cache.h"
#include "hub/sha256.h"
#include "scratch_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

static void check_sum(const char *byte, size_t count, size_t at_once, const char *wanted) {
    uint8_t digest[32];
    char text[65];
    Sha256 sum;
    sha256_begin(&sum);
    const size_t length = strlen(byte);
    char *bytes = malloc(count * length + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++) memcpy(bytes + i * length, byte, length);
    for (size_t done = 0; done < count * length; done += at_once)
        sha256_add(&sum, bytes + done, count * length - done < at_once ? count * length - done : at_once);
    free(bytes);
    sha256_end(&sum, digest);
    for (int i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, wanted);
}

static void test_sha256(void **state) {
    (void)state;
    check_sum("", 1, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sum("abc", 1, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sum("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, 7,
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_sum("a", 1000000, 100, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    check_sum("a", 1000000, 4096, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    /* where the length begins a block of its own: printf 'a%.0s' $(seq 55) | sha256sum */
    check_sum("a", 55, 64, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    check_sum("a", 56, 64, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
    check_sum("a", 64, 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

static void test_names(void **state) {
    (void)state;
    HubName name;
    assert_true(hub_name_parse("timm/tf_efficientnet_b0.in1k", &name));
    assert_string_equal(name.owner, "timm");
    assert_string_equal(name.name, "tf_efficientnet_b0.in1k");
    assert_string_equal(name.revision, "main");
    assert_true(hub_name_parse("hf-hub:timm/a@v1.0", &name));
    assert_string_equal(name.revision, "v1.0");
    static const char *const none[] = {"",       "timm",    "/a",     "a/",     "a/b/c", "../b",
                                       "a/..",   "a/b@",    "a/b@..", "a b/c",  "a/b c", "a/b:c",
                                       "a--b/c", "a/b@x/y", "a@b/c",  "a\\b/c", "a/b\n", "~/x"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (hub_name_parse(none[i], &name)) fail_msg("'%s' was taken for a name", none[i]);
    char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    longest[150] = '/';
    longest[299] = 0;
    assert_false(hub_name_parse(longest, &name));
}

static void test_places(void **state) {
    (void)state;
    HubName name;
    HubCache cache;
    effnet_error err = {0};
    char wanted[HUB_PATH + 20], path[HUB_PATH];
    assert_true(hub_name_parse("timm/a", &name));
    unsetenv("HF_HUB_CACHE");
    unsetenv("HUGGINGFACE_HUB_CACHE");
    unsetenv("HF_HOME");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", "/home/u", 1);
    const char *const steps[][3] = {{"HOME", "/home/u", "/home/u/.cache/huggingface/hub/models--timm--a"},
                                    {"XDG_CACHE_HOME", "/x", "/x/huggingface/hub/models--timm--a"},
                                    {"HF_HOME", "/h", "/h/hub/models--timm--a"},
                                    {"HF_HUB_CACHE", folder.path, NULL}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        setenv(steps[i][0], steps[i][1], 1);
        assert_int_equal(hub_cache_find(&name, &cache, &err), EFFNET_OK);
        snprintf(wanted, sizeof wanted, "%s/models--timm--a", folder.path);
        assert_string_equal(cache.folder, steps[i][2] ? steps[i][2] : wanted);
    }
    static const char commit[] = "0123456789abcdef0123456789abcdef01234567", sum[] = "00ff";
    char found[HUB_WORD];
    assert_false(hub_cache_commit(&cache, found));
    assert_int_equal(hub_cache_note_commit(&cache, commit, &err), EFFNET_OK);
    assert_true(hub_cache_commit(&cache, found));
    assert_string_equal(found, commit);
    assert_false(hub_cache_file(&cache, commit, "model.safetensors", path, sizeof path));
    assert_int_equal(hub_cache_link(&cache, commit, "model.safetensors", sum, &err), EFFNET_OK);
    assert_false(hub_cache_file(&cache, commit, "model.safetensors", path, sizeof path)); /* a link to nothing */
    assert_int_equal(hub_cache_blob(&cache, sum, "", path, sizeof path, &err), EFFNET_OK);
    scratch_write(path, "x", 1);
    assert_true(hub_cache_file(&cache, commit, "model.safetensors", path, sizeof path));
    assert_int_equal(hub_cache_link(&cache, commit, "model.safetensors", sum, &err), EFFNET_OK); /* again */
    snprintf(wanted, sizeof wanted, "%s/refs/main", cache.folder);
    scratch_write(wanted, "../../etc", 9); /* no commit: not followed */
    assert_false(hub_cache_commit(&cache, found));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sha256), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_places)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
