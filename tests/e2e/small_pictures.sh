# small_pictures.sh - a data set of a few 32x32 pictures, read by `source` after harness.sh.
#
# small_pictures FOLDER CLASS...: FOLDER/train/CLASS/00.bmp to 11.bmp and val/CLASS/00.bmp to 03.bmp; each class has a
# level of grey of its own, with noise from a fixed seed.

picture() { # FILE LEVEL SEED
    printf 'BM\066\014\0\0\0\0\0\0\066\0\0\0\050\0\0\0\040\0\0\0\040\0\0\0\001\0\030\0\0\0\0\0\0\014\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >"$1"
    LC_ALL=C awk -v level="$2" -v seed="$3" \
        'BEGIN { srand(seed); for (i = 0; i < 3072; i++) printf "%c", level + int(60 * rand()) }' >>"$1"
}

small_pictures() {
    local folder=$1 class split count level=10 seed=1 i
    shift
    for class in "$@"; do
        for split in train:12 val:4; do
            count=${split#*:}
            mkdir -p "$folder/${split%:*}/$class"
            for ((i = 0; i < count; i++)); do
                picture "$folder/${split%:*}/$class/$(printf '%02d' "$i").bmp" "$level" "$((seed++))"
            done
        done
        level=$((level + 55))
    done
}

# The recipe of such a run: small, quick, every step logged.
small_recipe() {
    printf '%s\n' 'model: efficientnet_lite0' 'resolution: 32' 'batch_size: 12' 'epochs: 2' 'lr_base: 0.016' \
        'warmup_epochs: 0' 'bn_momentum: 0.9' 'model_ema_decay: 0.9' 'log_interval: 1' >"$1"
}
