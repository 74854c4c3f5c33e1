/* run_meter.h - how fast a run goes and what its losses are on average, between two moments. Internal to train/. */
#ifndef EFFNET_TRAIN_RUN_METER_H
#define EFFNET_TRAIN_RUN_METER_H

#include <stdbool.h>
#include <stdint.h>

/* Steps since a moment: the interval of a log line, of an epoch, of a report. Begin with zeros and `began`. */
typedef struct Meter {
    double began; /* seconds; moved on by what was no training (an evaluation) */
    double loss, gradient_norm, waited;
    int64_t steps;
} Meter;

void meter_add(Meter *meter, double loss, double gradient_norm, double waited);
/* Means over the steps; `none` where there was none. */
double meter_loss(const Meter *meter, double none);
double meter_gradient_norm(const Meter *meter);
/* Share of the time since `began` that went by waiting, 0 to 1. */
double meter_waited(const Meter *meter, double now);
double meter_steps_per_second(const Meter *meter, double now);

enum { METER_STAMPS = 32 };
/* Steps done at some moments of the last ten seconds: the speed of now. */
typedef struct SpeedWindow {
    double time[METER_STAMPS];
    int64_t step[METER_STAMPS];
    int first, count;
} SpeedWindow;

void window_add(SpeedWindow *window, double now, int64_t step);
double window_steps_per_second(const SpeedWindow *window);

/* How long a step takes, for the time that is left: a mean that forgets over a minute or two, so that the time goes down
 * steadily and still follows a machine that gets slower. The first step, in which memory is touched for the first time,
 * does not count where another follows. */
typedef struct StepPace {
    double seconds; /* a step; 0: not known */
    double since, told;
    int64_t step;
    bool warm;
} StepPace;

/* Time in which no step was made, an evaluation, ends here. */
void pace_resume(StepPace *pace, double now, int64_t step);
void pace_add(StepPace *pace, double now, int64_t step);

#endif
