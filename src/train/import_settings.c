/* import_settings.c - see import_settings.h. */
#include "train/import_settings.h"

#include "base/number_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 160 };

void import_settings_note(ImportSettings *settings, const char *format, ...) {
    size_t used = strlen(settings->notes);
    va_list arguments;
    if (used + 2 >= sizeof settings->notes) return;
    if (used) settings->notes[used++] = '\n';
    va_start(arguments, format);
    number_print_list(settings->notes + used, sizeof settings->notes - used, format, arguments);
    va_end(arguments);
}

void import_settings_free(ImportSettings *settings) {
    hub_config_free(&settings->hub);
}

/* ---- which architecture ---- */

/* What is known of the weights before their settings. */
typedef struct Identity {
    char name[NAME];           /* "ARCHITECTURE" or "ARCHITECTURE.TAG" */
    const char *source;        /* where the name comes from, for the notes */
    const KnownWeights *known; /* NULL: not in the table */
} Identity;

static void architecture_of(const char *name, char out[NAME]) {
    snprintf(out, NAME, "%.*s", (int)strcspn(name, "."), name);
}

/* What lies beside the file, or is noted in it. */
static void find_evidence(const WeightImport *import, const HubConfig *hub, Identity *out) {
    const char *path = safetensors_path(import->file);
    const KnownWeights *named = known_weights_by_path(import->naming.style, path);
    *out = (Identity){0};
    if (*hub->architecture) {
        snprintf(out->name, NAME, "%s%s%s", hub->architecture, *hub->tag ? "." : "", hub->tag);
        out->source = hub->path;
    } else if (named) {
        snprintf(out->name, NAME, "%s%s%s", named->architecture, *named->tag ? "." : "", named->tag);
        out->source = "the file's name";
    }
}

/* `wanted` may say less than the evidence (no tag, no "tf_"), not something else. */
static effnet_status agree(const char *wanted, const Identity *evidence, const char *path, bool *says_less,
                           effnet_error *err) {
    char theirs[NAME], ours[NAME];
    architecture_of(evidence->name, theirs);
    architecture_of(wanted, ours);
    bool same = strcmp(theirs, ours) == 0;
    *says_less = !strchr(wanted, '.') && (same || strcmp(known_weights_model(theirs), ours) == 0);
    if (*says_less || same || strcmp(evidence->source, "the file's name") == 0) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT,
                "'%s': the model asked for is %s, and %s says %s; ask for that, or take the weights away from it", path,
                wanted, evidence->source, evidence->name);
}

static effnet_status identify(const WeightImport *import, const char *wanted, const HubConfig *hub, Identity *out,
                              effnet_error *err) {
    NamingStyle style = import->naming.style;
    bool says_less = true;
    find_evidence(import, hub, out);
    if (wanted && out->source) TRY(agree(wanted, out, safetensors_path(import->file), &says_less, err));
    if (wanted && (!out->source || !says_less)) {
        if (strlen(wanted) >= NAME)
            return fail(err, EFFNET_ERROR_ARGUMENT, "'%.40s...' is no model known here", wanted);
        snprintf(out->name, NAME, "%s", wanted);
        out->source = "the name asked for";
    }
    char architecture[NAME];
    architecture_of(out->name, architecture);
    if (out->source) out->known = known_weights_find(style, out->name);
    if (out->known || !strchr(out->name, '.')) return EFFNET_OK;
    if (*hub->architecture) { /* a tag of one's own; config.json says the rest */
        out->known = known_weights_find(style, architecture);
        return EFFNET_OK;
    }
    const KnownWeights *row = known_weights_find(style, architecture);
    char tags[200] = "";
    for (const KnownWeights *other = row; other; other = known_weights_next(other)) {
        size_t used = strlen(tags);
        snprintf(tags + used, sizeof tags - used, "%s%s", used ? ", " : "", other->tag);
    }
    return fail(err, EFFNET_ERROR_ARGUMENT, "%s knows no weights '%s'%s%s", naming_label(style), out->name,
                row ? "; tags of this architecture: " : ", and no such architecture is known here", tags);
}

/* ---- what must be said ---- */

static bool is_given(const char *const *given, const char *key) {
    size_t length = strlen(key);
    for (; given && *given; given++)
        if (strncmp(*given, key, length) == 0 && (*given)[length] == '=') return true;
    return false;
}

/* timm's names do not tell its two ways to run a model apart. */
static effnet_status must_be_said(const WeightImport *import, const char *const *given, const char *model,
                                  effnet_error *err) {
    if (import->naming.style != NAMES_TIMM ||
        (is_given(given, "padding") && is_given(given, "bn_eps") && is_given(given, "mean") && is_given(given, "std")))
        return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT,
                "'%s' has timm's names and the shapes of %s, and nothing says which of timm's models it is, on which "
                "padding and colours depend: give --model %s (symmetric padding, bn_eps 1e-5) or --model tf_%s "
                "(TensorFlow's padding, bn_eps 1e-3), with a tag such as '.in1k' where the weights have one; or --set "
                "padding, bn_eps, mean and std; or timm's config.json beside the file",
                safetensors_path(import->file), model, model, model);
}

/* ---- settings ---- */

/* Crop of TensorFlow's own evaluation: side / (side + 32) of the picture's shorter side (CROP_PADDING in
 * tensorflow/tpu efficientnet/preprocessing.py). */
static effnet_status tensorflow_crop(Recipe *recipe, effnet_error *err) {
    ModelConfig config;
    TRY(model_config_by_name(recipe->model, &config, err));
    recipe->crop_pct = (double)config.input.height / (config.input.height + 32);
    return EFFNET_OK;
}

static void note_known(const Identity *identity, ImportSettings *out) {
    const KnownWeights *known = identity->known;
    const char *program = naming_label(known->naming);
    bool own_tag = strchr(identity->name, '.') || *out->hub.path; /* or the one that the program takes itself */
    import_settings_note(out, "taken for %s's %s%s%s, by %s", program, own_tag ? identity->name : known->architecture,
                         !own_tag && *known->tag ? "." : "", own_tag ? "" : known->tag, identity->source);
    if (!own_tag)
        for (const KnownWeights *other = known_weights_find(known->naming, known->architecture); other;
             other = known_weights_next(other))
            if (!known_weights_agree(other, known))
                import_settings_note(out,
                                     "assumed: the weights that %s takes for that name; prepared otherwise, and to be "
                                     "asked for by name, are %s.%s",
                                     program, other->architecture, other->tag);
    if (known->test_resolution && !*out->hub.path)
        import_settings_note(out, "%s's second result of these weights: --set resolution=%d --set crop_pct=%g", program,
                             known->test_resolution, known->test_crop_pct);
}

static effnet_status apply(const WeightImport *import, const Identity *identity, Recipe *recipe, ImportSettings *out,
                           effnet_error *err) {
    char architecture[NAME];
    architecture_of(identity->name, architecture);
    TRY(weight_import_presets(import, recipe, err));
    /* PyTorch's programs resize first and crop then; TensorFlow's and Keras's do not */
    NamingStyle style = import->naming.style;
    if (style == NAMES_TIMM || style == NAMES_TORCHVISION || style == NAMES_LUKEMELAS)
        recipe->val_crop = VAL_CROP_RESIZE_SHORTER;
    if (identity->source) known_weights_architecture(import->naming.style, architecture, recipe);
    if (identity->known) {
        known_weights_pictures(identity->known, recipe);
        note_known(identity, out);
    } else {
        TRY(tensorflow_crop(recipe, err));
        import_settings_note(out, "assumed: size and crop of TensorFlow's evaluation, as %s's names do not tell them",
                             naming_label(import->naming.style));
    }
    if (!*out->hub.path) return EFFNET_OK;
    if (!*out->hub.architecture) {
        import_settings_note(out, "not used: '%s' names no architecture as timm's do", out->hub.path);
        return EFFNET_OK;
    }
    TRY(hub_config_apply(&out->hub, recipe, err));
    import_settings_note(out, "size, crop and colours as '%s' says", out->hub.path);
    return EFFNET_OK;
}

/* Tensors that are none of the network's: left out. */
static void note_beside(const WeightImport *import, ImportSettings *out) {
    const char *first = NULL;
    int count = 0;
    for (int i = 0; i < safetensors_count(import->file); i++) {
        const char *name = safetensors_tensor(import->file, i).name;
        if (!weight_import_is_beside(import, name) || naming_ignores(&import->naming, name)) continue;
        if (!count++) first = name;
    }
    if (count)
        import_settings_note(out, "left out: %d tensors that are not under '%.60s' ('%.80s'%s)", count,
                             import->naming.prefix, first, count > 1 ? ", ..." : "");
}

effnet_status import_settings_find(const WeightImport *import, const char *wanted, const char *const *given,
                                   Recipe *recipe, ImportSettings *out, effnet_error *err) {
    Identity identity;
    char architecture[NAME];
    *out = (ImportSettings){0};
    const char *taken = safetensors_metadata(import->file, "torch.taken");
    if (taken) import_settings_note(out, "%s", taken);
    note_beside(import, out);
    TRY(hub_config_read(safetensors_path(import->file), safetensors_metadata(import->file, "config"), &out->hub, err));
    TRY(identify(import, wanted, &out->hub, &identity, err));
    architecture_of(identity.name, architecture);
    const char *model = identity.source ? known_weights_model(architecture) : weight_import_guess(import);
    if (!model)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s' has %s's names and the shapes of no model known here (%s); say which it should be, and the "
                    "first tensor that does not fit will be named",
                    safetensors_path(import->file), naming_label(import->naming.style), model_names());
    if (!identity.source) {
        TRY(must_be_said(import, given, model, err));
        identity.known = import->naming.style == NAMES_TIMM ? NULL : known_weights_find(import->naming.style, model);
        snprintf(identity.name, NAME, "%s", model);
        if (identity.known) identity.source = "its shapes";
    }
    TRY(recipe_set(recipe, "model", model, err));
    return apply(import, &identity, recipe, out, err);
}
