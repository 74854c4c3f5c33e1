/* Checkpoints: everything back bit for bit, the right ones kept, incomplete ones never chosen, those of another run
 * refused by a message. Kills and full disks are in tests/fault. */
#include "base/file.h"
#include "scratch_fixture.h"
#include "small_run.h"
#include "train/card.h"
#include "train/checkpoint.h"
#include "train/weights.h"

#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

static effnet_error err;

static void expect(effnet_status got, effnet_status wanted, const char *part) {
    if (got != wanted || (wanted != EFFNET_OK && !strstr(err.message, part)))
        fail_msg("status %d (wanted %d), message \"%s\", wanted \"%s\" in it", got, wanted, err.message, part);
}

static effnet_status write_run(SmallRun *run, const char *out, int64_t mark, char *path) {
    small_run_fill(run, mark);
    return checkpoint_write(out, &run->network, &run->recipe, &run->state, &run->card, 87.1 + (double)mark / 3,
                            mark - 1, path, 512, &err);
}

static void test_round_trip(void **unused) {
    (void)unused;
    for (int optimizer = 0; optimizer < 5; optimizer++)
        for (int ema = 0; ema < 2; ema++) {
            SmallRun run, other;
            char out[300], path[512], link[600];
            snprintf(out, sizeof out, "%s/round%d%d", folder.path, optimizer, ema);
            small_run_create(&run, optimizer, ema);
            small_run_create(&other, optimizer, ema);
            expect(write_run(&run, out, 1234, path), EFFNET_OK, "");
            snprintf(link, sizeof link, "%s/checkpoints/00001234", out);
            assert_string_equal(path, link);
            snprintf(link, sizeof link, "%s/checkpoints/last", out);
            double best;
            int64_t best_step;
            small_run_fill(&other, 99);
            assert_false(small_run_same(&run, &run.state, &other.state));
            expect(checkpoint_read(link, &other.network, &other.recipe, &other.state, &best, &best_step, &err),
                   EFFNET_OK, "");
            assert_true(small_run_same(&run, &run.state, &other.state));
            assert_true(best == 87.1 + 1234.0 / 3);
            assert_int_equal(best_step, 1233);
            Recipe saved;
            snprintf(link, sizeof link, "%s/recipe.yaml", path);
            expect(recipe_read(link, &saved, &err), EFFNET_OK, "");
            assert_int_equal(saved.opt, optimizer);
            snprintf(link, sizeof link, "%s/ema.safetensors", path);
            assert_int_equal(path_exists(link), ema);
            ModelCard card;
            snprintf(link, sizeof link, "%s/raw.safetensors", path);
            expect(weights_read_card(link, &card, &err), EFFNET_OK, "");
            assert_int_equal(card.step, 1234);
            model_card_free(&card);
            small_run_free(&run);
            small_run_free(&other);
        }
}

/* The same state written twice gives the same bytes: resume tests compare files. */
static void test_deterministic_and_replaced(void **unused) {
    (void)unused;
    static const char *const names[] = {"raw.safetensors", "ema.safetensors", "slots.safetensors", "recipe.yaml"};
    SmallRun run;
    char out[300], path[512], file[600];
    char *first[4], *second[4];
    size_t sizes[2][4];
    snprintf(out, sizeof out, "%s/twice", folder.path);
    small_run_create(&run, OPTIMIZER_RMSPROP, true);
    expect(write_run(&run, out, 5, path), EFFNET_OK, "");
    for (int i = 0; i < 4; i++) {
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        expect(file_read(file, 1 << 24, &first[i], &sizes[0][i], &err), EFFNET_OK, "");
    }
    scratch_write(file, "ruined", 6); /* the second writing replaces the whole folder */
    expect(write_run(&run, out, 5, path), EFFNET_OK, "");
    for (int i = 0; i < 4; i++) {
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        expect(file_read(file, 1 << 24, &second[i], &sizes[1][i], &err), EFFNET_OK, "");
        assert_int_equal(sizes[0][i], sizes[1][i]);
        assert_memory_equal(first[i], second[i], sizes[0][i]);
        free(first[i]);
        free(second[i]);
    }
    snprintf(file, sizeof file, "%s/checkpoints/00000005.tmp", out);
    assert_false(path_exists(file));
    small_run_free(&run);
}

static bool kept(const char *out, const char *name) {
    char path[400];
    struct stat status;
    snprintf(path, sizeof path, "%s/checkpoints/%s", out, name);
    return lstat(path, &status) == 0;
}

static void test_prune_and_find(void **unused) {
    (void)unused;
    SmallRun run;
    char out[300], path[512], wanted[400];
    bool found = true;
    snprintf(out, sizeof out, "%s/prune", folder.path);
    small_run_create(&run, OPTIMIZER_SGD, false);
    expect(checkpoint_find_last(out, path, sizeof path, &found, &err), EFFNET_OK, ""); /* no folder yet */
    assert_false(found);
    expect(checkpoint_prune(out, 3, &err), EFFNET_OK, "");
    expect(checkpoint_mark_best(out, 20, &err), EFFNET_ERROR_ARGUMENT, "there is no checkpoint");
    for (int64_t step = 10; step <= 70; step += 10) {
        expect(write_run(&run, out, step, path), EFFNET_OK, "");
        if (step == 20) expect(checkpoint_mark_best(out, 20, &err), EFFNET_OK, "");
    }
    expect(checkpoint_mark_best(out, 21, &err), EFFNET_ERROR_ARGUMENT, "00000021");
    /* rubbish of killed writers, and things of other people */
    snprintf(wanted, sizeof wanted, "%s/checkpoints/00000080.tmp/sub", out);
    expect(folder_create(wanted, &err), EFFNET_OK, "");
    snprintf(wanted, sizeof wanted, "%s/checkpoints/00000010.old.tmp", out);
    expect(folder_create(wanted, &err), EFFNET_OK, "");
    snprintf(wanted, sizeof wanted, "%s/checkpoints/last.tmp", out);
    assert_int_equal(symlink("00000060", wanted), 0);
    snprintf(wanted, sizeof wanted, "%s/checkpoints/00000090", out);
    expect(folder_create(wanted, &err), EFFNET_OK, ""); /* incomplete: empty */
    snprintf(wanted, sizeof wanted, "%s/checkpoints/notes.txt", out);
    scratch_write(wanted, "mine", 4);

    expect(checkpoint_find_last(out, path, sizeof path, &found, &err), EFFNET_OK, "");
    assert_true(found);
    snprintf(wanted, sizeof wanted, "%s/checkpoints/00000070", out);
    assert_string_equal(path, wanted);
    expect(checkpoint_prune(out, 3, &err), EFFNET_OK, "");
    assert_false(kept(out, "00000010"));
    assert_true(kept(out, "00000020")); /* best */
    assert_false(kept(out, "00000030"));
    assert_false(kept(out, "00000040"));
    assert_false(kept(out, "00000050"));
    assert_true(kept(out, "00000060"));
    assert_true(kept(out, "00000070"));
    assert_true(kept(out, "00000090"));
    assert_true(kept(out, "notes.txt"));
    assert_false(kept(out, "00000080.tmp") || kept(out, "00000010.old.tmp") || kept(out, "last.tmp"));

    /* a newest one whose file was cut is passed over */
    snprintf(wanted, sizeof wanted, "%s/checkpoints/00000070/slots.safetensors", out);
    assert_int_equal(truncate(wanted, 1000), 0);
    expect(checkpoint_find_last(out, path, sizeof path, &found, &err), EFFNET_OK, "");
    snprintf(wanted, sizeof wanted, "%s/checkpoints/00000060", out);
    assert_true(found);
    assert_string_equal(path, wanted);
    /* best moves on, and the old best may go */
    expect(checkpoint_mark_best(out, 60, &err), EFFNET_OK, "");
    expect(checkpoint_prune(out, 1, &err), EFFNET_OK, "");
    assert_false(kept(out, "00000020"));
    assert_true(kept(out, "00000060") && kept(out, "00000070") && kept(out, "00000090"));
    small_run_free(&run);
}

static void test_refused(void **unused) {
    (void)unused;
    SmallRun run, other;
    char out[300], path[512], file[600];
    double best;
    int64_t best_step;
    snprintf(out, sizeof out, "%s/refused", folder.path);
    small_run_create(&run, OPTIMIZER_RMSPROP, true);
    small_run_create(&other, OPTIMIZER_RMSPROP, true);
    expect(write_run(&run, out, 8, path), EFFNET_OK, "");

    other.recipe.opt = OPTIMIZER_ADAMW;
    expect(checkpoint_read(path, &other.network, &other.recipe, &other.state, &best, &best_step, &err),
           EFFNET_ERROR_FORMAT, "with opt: rmsprop, the recipe says adamw");
    other.recipe.opt = OPTIMIZER_RMSPROP;
    other.recipe.model_ema = false;
    expect(checkpoint_read(path, &other.network, &other.recipe, &other.state, &best, &best_step, &err),
           EFFNET_ERROR_FORMAT, "with model_ema: true, the recipe says false");
    other.recipe.model_ema = true;
    Network renamed = run.network;
    snprintf(renamed.config.name, sizeof renamed.config.name, "efficientnet_b3");
    expect(checkpoint_read(path, &renamed, &other.recipe, &other.state, &best, &best_step, &err), EFFNET_ERROR_FORMAT,
           "with model: efficientnet_b0, the recipe says efficientnet_b3");
    assert_int_equal(other.state.step, 0); /* nothing was taken over */

    /* weights of another step beside these slots */
    char second[512], command[1300];
    expect(write_run(&run, out, 9, second), EFFNET_OK, "");
    snprintf(command, sizeof command, "cp %s/ema.safetensors %s/ema.safetensors", path, second);
    assert_int_equal(system(command), 0);
    expect(checkpoint_read(second, &other.network, &other.recipe, &other.state, &best, &best_step, &err),
           EFFNET_ERROR_FORMAT, "is of step 8, slots.safetensors beside it of step 9");
    assert_int_equal(other.state.step, 0);
    snprintf(file, sizeof file, "%s/raw.safetensors", path);
    assert_int_equal(unlink(file), 0);
    expect(checkpoint_read(path, &other.network, &other.recipe, &other.state, &best, &best_step, &err), EFFNET_ERROR_IO,
           "raw.safetensors");
    expect(checkpoint_read("/nonexistent", &other.network, &other.recipe, &other.state, &best, &best_step, &err),
           EFFNET_ERROR_IO, "/nonexistent/slots.safetensors");
    expect(write_run(&run, "/proc/nowhere", 9, path), EFFNET_ERROR_IO, "/proc/nowhere");
    char buffer[8];
    expect(checkpoint_write(out, &run.network, &run.recipe, &run.state, &run.card, -1, -1, buffer, sizeof buffer, &err),
           EFFNET_ERROR_ARGUMENT, "too long");
    expect(checkpoint_write(out, &run.network, &run.recipe, &run.state, &run.card, -1, -1, NULL, 0, NULL), EFFNET_OK,
           "");
    small_run_free(&run);
    small_run_free(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_deterministic_and_replaced),
        cmocka_unit_test(test_prune_and_find),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
