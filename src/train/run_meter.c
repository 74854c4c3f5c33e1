/* run_meter.c - see run_meter.h. */
#include "train/run_meter.h"

#include <math.h>

static const double window_seconds = 10;

void meter_add(Meter *meter, double loss, double gradient_norm, double waited) {
    meter->loss += loss;
    meter->gradient_norm += gradient_norm;
    meter->waited += waited;
    meter->steps++;
}

double meter_loss(const Meter *meter, double none) {
    return meter->steps ? meter->loss / (double)meter->steps : none;
}

double meter_gradient_norm(const Meter *meter) {
    return meter->steps ? meter->gradient_norm / (double)meter->steps : NAN;
}

double meter_waited(const Meter *meter, double now) {
    double seconds = now - meter->began;
    if (!(seconds > 0) || !meter->steps) return NAN;
    return meter->waited < seconds ? meter->waited / seconds : 1;
}

double meter_steps_per_second(const Meter *meter, double now) {
    double seconds = now - meter->began;
    return seconds > 0 ? (double)meter->steps / seconds : 0;
}

/* A stamp a report; those older than the window go, but for one. */
void window_add(SpeedWindow *window, double now, int64_t step) {
    int last = (window->first + window->count) % METER_STAMPS;
    window->time[last] = now;
    window->step[last] = step;
    if (window->count < METER_STAMPS)
        window->count++;
    else
        window->first = (window->first + 1) % METER_STAMPS;
    while (window->count > 2 && now - window->time[(window->first + 1) % METER_STAMPS] > window_seconds) {
        window->first = (window->first + 1) % METER_STAMPS;
        window->count--;
    }
}

double window_steps_per_second(const SpeedWindow *window) {
    int last = (window->first + window->count - 1 + METER_STAMPS) % METER_STAMPS;
    double seconds = window->count > 1 ? window->time[last] - window->time[window->first] : 0;
    return seconds > 0 ? (double)(window->step[last] - window->step[window->first]) / seconds : 0;
}

void pace_resume(StepPace *pace, double now, int64_t step) {
    pace->told = now;
    pace->step = step;
}

void pace_add(StepPace *pace, double now, int64_t step) {
    const double passed = now - pace->told, longest = 120;
    if (step <= pace->step || !(passed > 0)) return;
    const double seconds = passed / (double)(step - pace->step);
    if (!pace->warm) { /* after the first report it begins anew */
        pace->warm = true;
        pace->since = now;
        pace->seconds = seconds;
    } else {
        const double known = pace->told - pace->since; /* how much the mean so far is worth */
        const double weight = passed / (passed + (known < longest ? known : longest));
        pace->seconds += weight * (seconds - pace->seconds);
    }
    pace_resume(pace, now, step);
}
