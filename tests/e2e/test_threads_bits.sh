#!/usr/bin/env bash
# The number of engine threads and of loader threads changes nothing: 1, 2 and 3 give the same weights bit for bit.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion

for amp in none bf16; do
    for threads in 1 2 3; do
        run 0 "${train[@]}" --out "$work/$amp-$threads" --steps 4 --threads "$threads" --set workers="$threads" --set amp=$amp
    done
    same_checkpoint "$work/$amp-1/checkpoints/last" "$work/$amp-2/checkpoints/last"
    same_checkpoint "$work/$amp-1/checkpoints/last" "$work/$amp-3/checkpoints/last"
done

# And a seed does change something, and so does bf16, or the comparison above would mean nothing.
differ() {
    if cmp -s "$work/none-1/checkpoints/last/raw.safetensors" "$work/$1/checkpoints/last/raw.safetensors"; then
        die "$2 give the same weights"
    fi
}
differ bf16-1 "fp32 and bf16"
run 0 "${train[@]}" --out "$work/seed" --steps 4 --set seed=43
differ seed "seed 42 and 43"
