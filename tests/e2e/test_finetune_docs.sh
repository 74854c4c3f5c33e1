#!/usr/bin/env bash
# docs/finetune.md: every command in it, in its order, as its reader would type it, on small pictures and small weights;
# and every --set of its table. Left out are those that fetch something.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
page=$source/docs/finetune.md

# What the page's commands name: pictures, weights, a recipe.
small_pictures "$work/hymenoptera" ant bee wasp
small_recipe "$work/RECIPE"
cd "$work"
cp -r hymenoptera/train photographs
cp -r hymenoptera/val third-set
cp -r hymenoptera/val FOLDER
cp photographs/ant/00.bmp new.jpg
run 0 "$effnet" train RECIPE --data hymenoptera --out source --no-report --set epochs=1
cp source/checkpoints/last/raw.safetensors efficientnet-lite0-57934424.pth # what a file is, is seen by its content
cp efficientnet-lite0-57934424.pth lite0.safetensors
cp efficientnet-lite0-57934424.pth WEIGHTS

# effnet on the reader's path, made quick: 32x32, one epoch.
mkdir bin
cat >bin/effnet <<END
#!/usr/bin/env bash
case "\$*" in
*--resume*) ;;
finetune*) set -- "\$@" --epochs 1 --set resolution=32 --threads 2 ;;
train*) set -- "\$@" --data hymenoptera --out runs/trained --no-report --threads 2 ;;
esac
exec "$effnet" "\$@"
END
chmod +x bin/effnet
PATH=$work/bin:$PATH

# In fenced blocks a line is a command; elsewhere what stands in backquotes and has arguments.
awk '/^```/ { fenced = !fenced; next }
     fenced && /^effnet / { print; next }
     !fenced { line = $0
               while (match(line, /`effnet [^`]+ [^`]+`/)) {
                   print substr(line, RSTART + 1, RLENGTH - 2)
                   line = substr(line, RSTART + RLENGTH) } }' "$page" >commands
ran=0
while IFS= read -r command; do
    case $command in
    *timm/*) echo "fetches: $command"; continue ;;
    "effnet export MODEL"*) continue ;;
    esac
    echo "\$ $command"
    run 0 bash -c "$command"
    ran=$((ran + 1))
done <commands
[ "$ran" -ge 10 ] || die "only $ran commands were found on the page"
[ -s runs/photographs/report/report.html ] && [ -s photographs.onnx ] && [ -s classes.csv ] || die "a result is missing"

# The table of keys: all of them together, but the one that only makes pictures large.
settings=$(grep -oE -- '--set [a-z_]+=[0-9a-z.]+' "$page" | grep -v -e resolution -e seeds -e folds -e val_split -e reference | sort -u)
[ "$(wc -l <<<"$settings")" -ge 8 ] || die "the table of keys was not found"
# shellcheck disable=SC2086
run 0 effnet finetune photographs --from lite0.safetensors --out runs/settings --no-report $settings
