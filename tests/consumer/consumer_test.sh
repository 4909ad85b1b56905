#!/usr/bin/env bash
# consumer_test.sh BUILD: installs the build into an empty prefix. A project outside the tree finds the package there and
# simulates what the installed command does; and the command answers from / with nothing in its environment.
set -euo pipefail
build=$1
here=$(dirname "${BASH_SOURCE[0]}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" >/dev/null
cp -r "$here" "$work/consumer"
cmake -S "$work/consumer" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/build"
cd /
program=$work/prefix/bin/meshattn
problem="--cluster dgx-h100 --gpus 16 --seq 64K --heads 32 --kv-heads 8 --head-dim 128 --mask causal"

"$work/build/ring_or_mesh" >"$work/consumer.txt"
for algorithm in ring 'mesh --tile 4x4'; do
  # shellcheck disable=SC2086  # options have no quoting
  makespan=$(env -i "$program" simulate $problem --algorithm $algorithm --json - |
    sed -n 's/^ *"makespan_s": \(.*\),$/\1/p' | head -1)
  printf '%s %.12f\n' "${algorithm%% *}" "$makespan"
done >"$work/command.txt"
cat "$work/consumer.txt"
diff "$work/consumer.txt" "$work/command.txt"

bash -c "source $work/prefix/share/bash-completion/completions/meshattn && complete -p meshattn"

# A cluster that is in the prefix alone, so that the data of the source tree will not do.
clusters=$work/prefix/share/meshattn/topologies/clusters
cp "$clusters/dgx-h100.ini" "$clusters/installed.ini"
env -i "$program" compare --cluster installed --gpus 256 --model llama-2-7b --seq 1M --mask causal --algorithm mesh |
  grep '^mesh 16x16 is the fastest'
