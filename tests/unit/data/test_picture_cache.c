/* test_picture_cache.c - what is kept, what is not, and threads that fill it together. */
#include "data/feed/picture_cache.h"
#include "make_pictures.h"

#include <pthread.h>

static Picture picture_of(int level, int height, int width) {
    Picture picture = {.height = height, .width = width, .pixels = malloc(3 * (size_t)height * (size_t)width)};
    assert_non_null(picture.pixels);
    memset(picture.pixels, level, 3 * (size_t)height * (size_t)width);
    return picture;
}

static void keeps_until_the_budget_is_spent(void **state) {
    (void)state;
    PictureCache *cache;
    Picture small = picture_of(5, 10, 10), large = picture_of(6, 100, 100), found;
    assert_int_equal(picture_cache_create(4, 1000, &cache, NULL), EFFNET_OK);
    assert_false(picture_cache_find(cache, 0, &found));
    picture_cache_add(cache, 0, &large); /* 30,000 bytes: no room */
    assert_false(picture_cache_find(cache, 0, &found));
    assert_int_equal(picture_cache_bytes(cache), 0);
    for (int i = 1; i < 4; i++) picture_cache_add(cache, i, &small); /* 308 bytes each */
    picture_cache_add(cache, 0, &small);
    picture_cache_add(cache, 1, &small); /* is there */
    memset(small.pixels, 0, 300);        /* the cache has its own copy */
    for (int i = 1; i < 4; i++) {
        assert_true(picture_cache_find(cache, i, &found));
        assert_true(found.height == 10 && found.width == 10 && found.pixels[299] == 5);
    }
    assert_false(picture_cache_find(cache, 0, &found));
    assert_in_range(picture_cache_bytes(cache), 900, 1000);
    picture_cache_free(cache);
    picture_cache_free(NULL);
    free(small.pixels);
    free(large.pixels);
}

enum { SHARED = 200 };

static void *fill(void *argument) {
    PictureCache *cache = argument;
    for (int i = 0; i < SHARED; i++) {
        Picture found, picture = {.height = 1, .width = 8, .pixels = malloc(24)};
        memset(picture.pixels, i, 24);
        picture_cache_add(cache, i, &picture);
        free(picture.pixels);
        if (!picture_cache_find(cache, i, &found) || found.pixels[23] != i) return argument;
    }
    return NULL;
}

static void threads_share_it(void **state) {
    (void)state;
    PictureCache *cache;
    pthread_t threads[4];
    assert_int_equal(picture_cache_create(SHARED, 1 << 20, &cache, NULL), EFFNET_OK);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, fill, cache), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(picture_cache_bytes(cache), SHARED * 36); /* each once: three ints and 24 bytes */
    picture_cache_free(cache);
}

static void default_budget_is_sensible(void **state) {
    (void)state;
    assert_true(picture_cache_default_budget(0) > 1 << 20);
    assert_true(picture_cache_default_budget(0) <
                (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) / 4 + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_until_the_budget_is_spent),
        cmocka_unit_test(threads_share_it),
        cmocka_unit_test(default_budget_is_sensible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
