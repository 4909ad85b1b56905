#!/usr/bin/env bash
# An attention layer of Llama 2 7B with 1 M tokens on 256 H100 GPUs: ring or mesh, which tile, how long, how much traffic,
# where does it wait? Installs missing Debian packages if it can, builds the command and runs it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tests/packages.sh

cmake --preset release >&2
cmake --build --preset release --target meshattn >&2
build/experiments/meshattn compare --cluster dgx-h100 --gpus 256 --model llama-2-7b --seq 1M --mask causal --algorithm mesh
