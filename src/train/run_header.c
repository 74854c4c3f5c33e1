/* run_header.c - see run_header.h. */
#include "train/run_header.h"

#include "base/machine.h"
#include "base/number_text.h"

void run_header(const Run *run, int64_t step, char lines[RUN_HEADER_LINES][RUN_HEADER_BYTES]) {
    const Recipe *recipe = run->recipe;
    const ExecutorInfo info = executor_info(run->trainer.executor);
    char free_memory[60] = "", on_device[80] = "", first[60] = "";
    Machine machine;
    machine_here(&machine);
    number_print(lines[0], RUN_HEADER_BYTES, "%s at %dx%d, %d classes, %.4g million parameters, into '%s'",
                 run->network.config.name, run->network.config.input.height, run->network.config.input.width,
                 run->network.config.num_classes, (double)run->network.parameter_floats / 1e6, run->out);
    if (step > 0) number_print(first, sizeof first, " from step %lld on", (long long)step);
    number_print(lines[1], RUN_HEADER_BYTES,
                 "%lld steps of %lld pictures%s; an epoch has %lld, the recipe %lld epochs; %lld training pictures, "
                 "%lld evaluation",
                 (long long)run->last_step, (long long)recipe->batch_size, first, (long long)run->steps_per_epoch,
                 (long long)recipe->epochs, (long long)dataset_size(run->train_set),
                 (long long)dataset_size(run->val_set));
    if (machine.memory_free > 0)
        number_print(free_memory, sizeof free_memory, " of %.3g GiB free", (double)machine.memory_free / 0x1p30);
    if (info.device_bytes > 0)
        number_print(on_device, sizeof on_device, ", on %s about %.3g GiB",
                     info.devices > 1 ? "each device" : "the device", (double)info.device_bytes / 0x1p30);
    number_print(lines[2], RUN_HEADER_BYTES, "%s engine, %s, %s, %d threads; memory about %.3g GiB%s%s; seed %lld",
                 info.engine, info.isa, recipe->amp == AMP_BF16 ? "bf16" : "fp32", thread_team_size(run->team),
                 (double)run->memory_bytes / 0x1p30, free_memory, on_device, (long long)recipe->seed);
}
