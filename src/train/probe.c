/* probe.c - see probe.h. Features are standardised; the convex problem is solved by L-BFGS (Nocedal and Wright, Numerical
 * Optimization, algorithm 7.5) with a backtracking line search, in double, from the largest l2 to the smallest, each
 * beginning where the one before ended.
 *
 * Weights are kept (features + 1, classes), the bias last: loops over classes run in the vector registers. Rows are cut
 * into CHUNKS parts, whose losses and gradients are added up in order. */
#include "train/probe.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

enum { CHUNKS = 16, FOLDS = 3, HISTORY = 8, ITERATIONS = 100, STEPS = 30 };
/* Multiplications of one evaluation; where all rows need more, every second, third, ... picture is looked at. */
static const double work_of_choosing = 3e8, work_of_fitting = 3e9;
static const double strengths[] = {1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001};
enum { STRENGTHS = sizeof strengths / sizeof strengths[0] };

typedef struct Problem {
    const ProbeData *data;
    ThreadTeam *team;
    const double *mean, *scale; /* (features) of the standardisation */
    int fold;                   /* left out; -1: none */
    int64_t stride;             /* every so many pictures take part */
    const int32_t *ranks;       /* (rows) of the row's picture among those of its class, which folds go by */
    double l2;
    size_t size;       /* (features + 1) * classes */
    const double *at;  /* (size) the weights where it is evaluated */
    double *gradients; /* (CHUNKS, size) */
    double *logits;    /* (CHUNKS, classes) */
    double losses[CHUNKS];
    int64_t counts[CHUNKS], right[CHUNKS];
    bool inside; /* of the fold that is left out: its loss is asked for */
} Problem;

static bool takes_part(const Problem *problem, int64_t row) {
    const int64_t rank = problem->ranks[row];
    if (rank % problem->stride != 0) return false;
    return problem->fold < 0 || (rank / problem->stride % FOLDS == problem->fold) == problem->inside;
}

/* Loss of one row; logits become softmax - onehot. */
static double row_loss(const Problem *problem, int64_t row, double *logits, bool *right) {
    const ProbeData *data = problem->data;
    const int classes = data->classes, features = data->features, label = data->labels[row];
    const float *x = data->values + (size_t)row * (size_t)features;
    const double *bias = problem->at + (size_t)features * (size_t)classes;
    for (int c = 0; c < classes; c++) logits[c] = bias[c];
    for (int f = 0; f < features; f++) {
        const double value = (x[f] - problem->mean[f]) * problem->scale[f];
        const double *w = problem->at + (size_t)f * (size_t)classes;
        for (int c = 0; c < classes; c++) logits[c] += value * w[c];
    }
    double largest = logits[0], sum = 0;
    int best = 0;
    for (int c = 1; c < classes; c++)
        if (logits[c] > largest) largest = logits[c], best = c;
    const double own = logits[label] - largest;
    for (int c = 0; c < classes; c++) sum += logits[c] = exp(logits[c] - largest);
    for (int c = 0; c < classes; c++) logits[c] = logits[c] / sum - (c == label);
    *right = best == label;
    return log(sum) - own;
}

static void chunk_task(void *context, int task, int thread) {
    (void)thread;
    Problem *problem = context;
    const ProbeData *data = problem->data;
    const size_t classes = (size_t)data->classes, features = (size_t)data->features;
    double *gradient = problem->gradients + (size_t)task * problem->size,
           *logits = problem->logits + (size_t)task * classes;
    const int64_t span = (data->rows + CHUNKS - 1) / CHUNKS, first = task * span;
    const int64_t end = first + span < data->rows ? first + span : data->rows;
    problem->losses[task] = 0;
    problem->counts[task] = problem->right[task] = 0;
    if (!problem->inside) memset(gradient, 0, problem->size * sizeof *gradient);
    for (int64_t row = first; row < end; row++) {
        bool right;
        if (!takes_part(problem, row)) continue;
        problem->losses[task] += row_loss(problem, row, logits, &right);
        problem->counts[task]++;
        problem->right[task] += right;
        if (problem->inside) continue;
        const float *x = data->values + (size_t)row * features;
        for (size_t f = 0; f < features; f++) {
            const double value = (x[f] - problem->mean[f]) * problem->scale[f];
            for (size_t c = 0; c < classes; c++) gradient[f * classes + c] += value * logits[c];
        }
        for (size_t c = 0; c < classes; c++) gradient[features * classes + c] += logits[c];
    }
}

/* The objective at `at`, and its gradient. */
static double evaluate(Problem *problem, const double *at, double *gradient) {
    const size_t weights = (size_t)problem->data->features * (size_t)problem->data->classes;
    double loss = 0, squares = 0;
    int64_t count = 0;
    problem->at = at;
    problem->inside = false;
    thread_team_run(problem->team, chunk_task, problem, CHUNKS);
    for (int i = 0; i < CHUNKS; i++) loss += problem->losses[i], count += problem->counts[i];
    for (size_t i = 0; i < problem->size; i++) {
        double sum = 0;
        for (int chunk = 0; chunk < CHUNKS; chunk++) sum += problem->gradients[(size_t)chunk * problem->size + i];
        gradient[i] = sum / (double)count + (i < weights ? problem->l2 * at[i] : 0);
        if (i < weights) squares += at[i] * at[i];
    }
    return loss / (double)count + problem->l2 / 2 * squares;
}

/* ---- L-BFGS ---- */

typedef struct Lbfgs {
    size_t size;
    double *moves, *changes;          /* (HISTORY, size) of the weights, of the gradient */
    double curvature[HISTORY];        /* 1 / (move . change) */
    int count;                        /* made so far */
    double *gradient, *next_gradient; /* (size) */
    double *direction, *next;
} Lbfgs;

static double dot(const double *a, const double *b, size_t size) {
    double sum = 0;
    for (size_t i = 0; i < size; i++) sum += a[i] * b[i];
    return sum;
}

/* direction = -H gradient by the two loops. */
static void choose_direction(Lbfgs *solver) {
    const size_t size = solver->size;
    const int kept = solver->count < HISTORY ? solver->count : HISTORY;
    double alphas[HISTORY], *d = solver->direction;
    for (size_t i = 0; i < size; i++) d[i] = -solver->gradient[i];
    for (int k = solver->count - 1; k >= solver->count - kept; k--) {
        const int at = k % HISTORY;
        const double *move = solver->moves + (size_t)at * size, *change = solver->changes + (size_t)at * size;
        alphas[at] = solver->curvature[at] * dot(move, d, size);
        for (size_t i = 0; i < size; i++) d[i] -= alphas[at] * change[i];
    }
    if (kept) {
        const int last = (solver->count - 1) % HISTORY;
        const double *change = solver->changes + (size_t)last * size;
        const double shrink = 1 / (solver->curvature[last] * dot(change, change, size));
        for (size_t i = 0; i < size; i++) d[i] *= shrink;
    }
    for (int k = solver->count - kept; k < solver->count; k++) {
        const int at = k % HISTORY;
        const double *move = solver->moves + (size_t)at * size, *change = solver->changes + (size_t)at * size;
        const double beta = solver->curvature[at] * dot(change, d, size);
        for (size_t i = 0; i < size; i++) d[i] += (alphas[at] - beta) * move[i];
    }
}

/* One iteration; false where there is nothing more to gain. */
static bool iterate(Problem *problem, Lbfgs *solver, double *weights, double *value) {
    const size_t size = solver->size;
    const double norm = sqrt(dot(solver->gradient, solver->gradient, size));
    if (!(norm > 1e-5)) return false;
    choose_direction(solver);
    const double slope = dot(solver->direction, solver->gradient, size);
    double step = solver->count ? 1 : 1 / (1 + norm), reached = *value;
    bool found = false;
    for (int i = 0; i < STEPS && !found && slope < 0; i++, step /= 2) {
        for (size_t j = 0; j < size; j++) solver->next[j] = weights[j] + step * solver->direction[j];
        reached = evaluate(problem, solver->next, solver->next_gradient);
        found = reached <= *value + 1e-4 * step * slope;
    }
    if (!found) return false;
    const int at = solver->count % HISTORY;
    double *move = solver->moves + (size_t)at * size, *change = solver->changes + (size_t)at * size;
    for (size_t i = 0; i < size; i++) {
        move[i] = solver->next[i] - weights[i];
        change[i] = solver->next_gradient[i] - solver->gradient[i];
    }
    const double product = dot(move, change, size), gained = *value - reached;
    memcpy(weights, solver->next, size * sizeof *weights);
    memcpy(solver->gradient, solver->next_gradient, size * sizeof *weights);
    *value = reached;
    if (product > 1e-300) {
        solver->curvature[at] = 1 / product;
        solver->count++;
    }
    return gained > 1e-7 * (1 + fabs(reached));
}

static void solve(Problem *problem, Lbfgs *solver, double *weights) {
    solver->count = 0;
    double value = evaluate(problem, weights, solver->gradient);
    for (int i = 0; i < ITERATIONS && iterate(problem, solver, weights, &value); i++) continue;
}

/* ---- choosing l2 ---- */

typedef struct Asked {
    bool (*stop)(void *context);
    void *context;
} Asked;

static effnet_status ask(const Asked *asked, effnet_error *err) {
    if (!asked->stop || !asked->stop(asked->context)) return EFFNET_OK;
    return fail(err, EFFNET_INTERRUPTED, "interrupted while the classifier was fitted");
}

/* Mean loss and share of right answers on the rows left out, for each strength. */
static effnet_status cross_validate(Problem *problem, Lbfgs *solver, double *weights, const Asked *asked,
                                    double losses[STRENGTHS], double right[STRENGTHS], effnet_error *err) {
    int64_t counts[STRENGTHS] = {0};
    for (int s = 0; s < STRENGTHS; s++) losses[s] = right[s] = 0;
    for (problem->fold = 0; problem->fold < FOLDS; problem->fold++) {
        memset(weights, 0, problem->size * sizeof *weights);
        for (int s = 0; s < STRENGTHS; s++) {
            TRY(ask(asked, err));
            problem->l2 = strengths[s];
            solve(problem, solver, weights);
            problem->at = weights;
            problem->inside = true;
            thread_team_run(problem->team, chunk_task, problem, CHUNKS);
            for (int i = 0; i < CHUNKS; i++) {
                losses[s] += problem->losses[i];
                right[s] += (double)problem->right[i];
                counts[s] += problem->counts[i];
            }
        }
    }
    for (int s = 0; s < STRENGTHS; s++) {
        losses[s] /= counts[s] ? (double)counts[s] : 1;
        right[s] *= counts[s] ? 100.0 / (double)counts[s] : 0;
    }
    problem->fold = -1;
    return EFFNET_OK;
}

static int64_t stride_of(const ProbeData *data, double most) {
    const double work = (double)data->rows * data->features * data->classes;
    return work > most ? (int64_t)ceil(work / most) : 1;
}

/* Every class has its share of every fold, whatever order the pictures have. */
static effnet_status rank_pictures(const ProbeData *data, int32_t *ranks, effnet_error *err) {
    int32_t most = 0;
    for (int64_t row = 0; row < data->rows; row++)
        if (data->pictures && data->pictures[row] > most) most = data->pictures[row];
    const size_t pictures = data->pictures ? (size_t)most + 1 : (size_t)data->rows;
    void *block;
    TRY(memory_allocate(pictures + (size_t)data->classes, sizeof(int32_t), "the folds of the pictures", &block, err));
    int32_t *of_picture = block, *counts = of_picture + pictures; /* of_picture: rank + 1; 0: not met yet */
    for (int64_t row = 0; row < data->rows; row++) {
        int32_t *own = &of_picture[data->pictures ? (size_t)data->pictures[row] : (size_t)row];
        if (*own == 0) *own = ++counts[data->labels[row]];
        ranks[row] = *own - 1;
    }
    memory_free(block);
    return EFFNET_OK;
}

/* Mean and 1 / standard deviation of each feature; 0 of one that never changes. */
static void standardise(const ProbeData *data, double *mean, double *scale) {
    for (int f = 0; f < data->features; f++) {
        double sum = 0, squares = 0;
        for (int64_t row = 0; row < data->rows; row++) sum += data->values[row * data->features + f];
        mean[f] = sum / (double)data->rows;
        for (int64_t row = 0; row < data->rows; row++) {
            double centred = data->values[row * data->features + f] - mean[f];
            squares += centred * centred;
        }
        const double deviation = sqrt(squares / (double)data->rows);
        scale[f] = deviation > 1e-6 * (1e-3 + fabs(mean[f])) ? 1 / deviation : 0;
    }
}

static effnet_status fit(Problem *problem, Lbfgs *solver, double *weights, const Asked *asked, ProbeResult *out,
                         effnet_error *err) {
    double losses[STRENGTHS], right[STRENGTHS];
    int best = 0;
    problem->stride = stride_of(problem->data, work_of_choosing);
    TRY(cross_validate(problem, solver, weights, asked, losses, right, err));
    problem->stride = stride_of(problem->data, work_of_fitting);
    for (int s = 1; s < STRENGTHS; s++)
        if (losses[s] < losses[best]) best = s;
    memset(weights, 0, problem->size * sizeof *weights);
    for (int s = 0; s <= best; s++) {
        TRY(ask(asked, err));
        problem->l2 = strengths[s];
        solve(problem, solver, weights);
    }
    *out = (ProbeResult){.l2 = strengths[best], .accuracy = right[best], .loss = losses[best]};
    return EFFNET_OK;
}

effnet_status probe_fit(const ProbeData *data, ThreadTeam *team, bool (*stop)(void *context), void *context,
                        float *weight, float *bias, ProbeResult *out, effnet_error *err) {
    const size_t classes = (size_t)data->classes, features = (size_t)data->features;
    const size_t size = (features + 1) * classes;
    const Asked asked = {stop, context};
    void *block;
    /* moves, changes, gradients of the chunks, five vectors; logits; mean and scale */
    const size_t doubles = (2 * HISTORY + CHUNKS + 5) * size + CHUNKS * classes + 2 * features;
    int32_t *ranks;
    TRY(memory_allocate((size_t)data->rows, sizeof *ranks, "the folds of the pictures", &block, err));
    ranks = block;
    effnet_status status = rank_pictures(data, ranks, err);
    if (status == EFFNET_OK) status = memory_allocate(doubles, sizeof(double), "the classifier's fit", &block, err);
    if (status != EFFNET_OK) {
        memory_free(ranks);
        return status;
    }
    double *next = block;
#define TAKE(count) (next += (count), next - (count))
    Lbfgs solver = {.size = size};
    solver.moves = TAKE(HISTORY * size);
    solver.changes = TAKE(HISTORY * size);
    solver.gradient = TAKE(size);
    solver.next_gradient = TAKE(size);
    solver.direction = TAKE(size);
    solver.next = TAKE(size);
    double *weights = TAKE(size), *mean = TAKE(features), *scale = TAKE(features);
    Problem problem = {
        .data = data, .team = team, .mean = mean, .scale = scale, .fold = -1, .ranks = ranks, .size = size};
    problem.gradients = TAKE(CHUNKS * size);
    problem.logits = TAKE(CHUNKS * classes);
#undef TAKE
    standardise(data, mean, scale);
    status = fit(&problem, &solver, weights, &asked, out, err);
    for (size_t c = 0; c < classes && status == EFFNET_OK; c++) {
        double shift = weights[features * classes + c];
        for (size_t f = 0; f < features; f++) {
            const double w = weights[f * classes + c] * scale[f];
            weight[c * features + f] = (float)w;
            shift -= w * mean[f];
        }
        bias[c] = (float)shift;
    }
    memory_free(block);
    memory_free(ranks);
    return status;
}
