#!/usr/bin/env bash
# Runs the recipes for real and writes their pages: `make experiments`.
#
#     experiments/make.sh [CHERRY]      log 4's too, on the images in the folder CHERRY
#
# Each page stands beside those that it is compared with. An unmet criterion (exit code 1) is a
# result, not an error.
set -euo pipefail
cd "$(dirname "$0")/.."
cherry=${1:-}
ablations=(scan_line_no_weights scan_line_no_normalisation scan_line_lr_1e-3 scan_line_4_layers)

train() { expkit train "$@" output_dir=outputs/experiments || [ $? -eq 1 ]; }
run() { train experiment="$1" "${@:2}"; }
latest() { find outputs/experiments -maxdepth 1 -name "*_$1" | sort | tail -n 1; }
page() {  # RECIPE COMPARED_WITH...
    local name runs=()
    for name in "$@"; do runs+=("$(latest "$name")"); done
    expkit report "${runs[@]}" --to "experiments/$1"
}

for recipe in puzzle_simple_conv puzzle_deep_head puzzle_larger_backbone \
    puzzle_deep_head_repaired puzzle_larger_backbone_quick \
    scan_line_baseline scan_line_fixed scan_line_reference "${ablations[@]}"; do
    run "$recipe"
done
page puzzle_simple_conv puzzle_larger_backbone
page puzzle_deep_head puzzle_simple_conv
page puzzle_larger_backbone puzzle_simple_conv puzzle_deep_head
page puzzle_deep_head_repaired puzzle_deep_head
page puzzle_larger_backbone_quick puzzle_larger_backbone
page scan_line_baseline scan_line_fixed
page scan_line_fixed scan_line_baseline "${ablations[@]}"
for recipe in scan_line_reference "${ablations[@]}"; do page "$recipe" scan_line_fixed; done

train -m +ablation=puzzle_repairs
expkit report "$(latest sweep)" --to experiments/puzzle_repairs

for recipe in logo_efficientnet logo_vit_plain logo_resnet18 logo_vit_plan; do
    run "$recipe" device.threads=1
done
page logo_efficientnet logo_vit_plain
page logo_vit_plain
page logo_resnet18 logo_vit_plain
page logo_vit_plan logo_vit_plain logo_resnet18
train -m +ablation=logo_plan device.threads=1
expkit report "$(latest sweep)" --to experiments/logo_plan

if [ -n "$cherry" ]; then
    for recipe in cherry_small_conv cherry_resnet18_scratch cherry_small_two_stage; do
        run "$recipe" dataset.root="$cherry"
    done
    page cherry_small_conv
    page cherry_resnet18_scratch cherry_small_conv
    page cherry_small_two_stage cherry_small_conv
    # the model leaves its run: the page holds each file against it
    subject=$(latest cherry_resnet18_scratch)
    for precision in fp32 int8; do
        expkit export "$subject" --to "outputs/experiments/exported_$precision" \
            --precision "$precision" || [ $? -eq 1 ]
    done
    expkit report "$subject" outputs/experiments/exported_{fp32,int8} \
        --to experiments/cherry_resnet18_exported
fi
