/* Made by make_switches.py: jax_examples c05ece5 on jax 0.10.2, flax 0.12.8, optax 0.2.8; timm 1.0.31; Pillow 13.0.0.
 * Do not edit. */
#include <stdint.h>
typedef struct RateAt {
    int64_t step;
    double rate;
} RateAt;
/* the original's schedule, 626 steps an epoch */
static const RateAt original_rates[] = {
    {0, 0.0},
    {1, 4.089456869008079e-05},
    {1565, 0.064},
    {3129, 0.12795910543130992},
    {3130, 0.128},
    {3131, 0.128},
    {6259, 0.128},
    {6260, 0.128},
    {6261, 0.128},
    {7761, 0.128},
    {7762, 0.12415999999999999},
    {7763, 0.12415999999999999},
    {9263, 0.12415999999999999},
    {9264, 0.12043519999999999},
    {100000, 0.019366783344947378},
    {219099, 0.0017459206481256271},
};
/* timm's StepLRScheduler: lr .048, 2.4 epochs, .97, 3 epochs from 1e-6, warmup_prefix=False; epochs */
static const RateAt timm_rates[] = {
    {0, 1e-06},
    {1, 0.016000666666666667},
    {2, 0.03200033333333333},
    {3, 0.04656},
    {4, 0.04656},
    {5, 0.0451632},
    {7, 0.0451632},
    {8, 0.043808304},
    {10, 0.04249405488},
    {12, 0.041219233233599994},
    {13, 0.041219233233599994},
    {100, 0.013768364101303608},
    {449, 0.00016127072753207363},
};
/* timm's StepLRScheduler: lr .048, 2.4 epochs, .97, 3 epochs from 1e-6, warmup_prefix=True; epochs */
static const RateAt timm_prefix_rates[] = {
    {0, 1e-06},
    {1, 0.016000666666666667},
    {2, 0.03200033333333333},
    {3, 0.048},
    {4, 0.048},
    {5, 0.048},
    {7, 0.04656},
    {8, 0.0451632},
    {10, 0.0451632},
    {12, 0.043808304},
    {13, 0.04249405488},
    {100, 0.014194189795158359},
    {449, 0.00017140049689879226},
};
/* ema_v2(0.4): value, average after it; the decay is min(.4, (1+n)/(10+n)) with n = 0 at first */
static const double original_averages[][2] = {
    {1.0, 0.9},
    {-2.0, -1.4727272727272727},
    {0.5, 0.006818181818181834},
    {3.0, 2.079020979020979},
    {0.25, 0.9032217782217782},
    {-1.0, -0.23871128871128866},
};
/* weights after three steps of gradient .1, -.2, .3 from .5, by the original's rmsprop with l2 .5 */
typedef struct DecayedWeights {
    double conv, depthwise, bn_scale, bn_bias, bias, dense;
} DecayedWeights;
static const DecayedWeights original_run1_weights = {0.38192930410055437, 0.473426059755133, 0.473426059755133,
                                                     0.473426059755133,   0.473426059755133, 0.38192930410055437};
static const DecayedWeights original_run2_weights = {0.38192930410055437, 0.38192930410055437, 0.473426059755133,
                                                     0.473426059755133,   0.38192930410055437, 0.38192930410055437};
/* logits {1.5, -.5, .25, 2}, {0, 3, -1, .5}, labels 0, 1, label_smoothing .1 */
static const double original_loss = 0.6308927734335265;
static const double smoothed_loss = 0.7840177734335265;
/* channels, the original's squeeze width (ratio .25, divisor 2) */
static const int original_squeeze[][2] = {
    {1, 2},  {2, 2},  {3, 2},   {4, 2},   {5, 2},   {6, 2},   {7, 2},    {8, 2},    {9, 4},     {10, 4}, {11, 4},
    {12, 4}, {13, 4}, {14, 4},  {15, 4},  {16, 4},  {17, 4},  {18, 6},   {19, 6},   {20, 6},    {21, 6}, {22, 6},
    {23, 6}, {24, 6}, {50, 12}, {51, 12}, {52, 14}, {53, 14}, {112, 28}, {192, 48}, {640, 160},
};
/* efficientnet_b0: tensors and weights that timm lets decay, and leaves out */
static const int64_t timm_efficientnet_b0_decay[4] = {82, 5236192, 131, 52356};
/* efficientnet_lite0: tensors and weights that timm lets decay, and leaves out */
static const int64_t timm_efficientnet_lite0_decay[4] = {50, 4608992, 99, 43016};
