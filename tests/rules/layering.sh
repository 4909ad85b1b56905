#!/usr/bin/env bash
# layering.sh ROOT: fails when a file of the tree at ROOT includes what it must not know, and prints each such line.
#   experiments -> sim, gpu -> core; core headers include the standard library and core alone.
#   Public headers (<meshattn/...>) are for users of the libraries, of whom the examples are some.
#   Within core a room includes only itself and rooms before it in `rooms`; so do the folders of gpu in `gpu_folders`.
#   No includes go in a circle.
set -euo pipefail
cd "$1"

rooms=(base problem cluster schedule algorithms execution planner report)
gpu_folders=(base kernels issue fused device job)
violations=0

# forbid WHY REGEX GLOB FOLDER: no file below the folder that matches the glob has an include that matches the regex.
forbid() {
  local why=$1 what=$2 files=$3 folder=$4
  [[ -d $folder ]] || return 0
  if grep -rnE --include="$files" "^[[:space:]]*#[[:space:]]*include[[:space:]]*$what" "$folder"; then
    echo "  ^ $why" >&2
    violations=1
  fi
}

# Packages are included from the root; a path that climbs with .. is caught too.
packages() { echo "[\"<](\\.\\./)*($1)/"; }
libraries='[<"](simgrid|xbt|boost|cuda|cudnn|nccl|cublas|mpi)[^>"]*[>"]'

for files in '*.h' '*.cpp' '*.cu' '*.cuh'; do
  forbid 'core knows no other package' "$(packages 'sim|gpu|experiments|tests')" "$files" core
  forbid 'core knows neither SimGrid nor Boost nor a GPU' "$libraries" "$files" core
  forbid 'sim knows core alone' "$(packages 'gpu|experiments|tests')" "$files" sim
  forbid 'gpu knows core alone' "$(packages 'sim|experiments|tests')" "$files" gpu
  forbid 'public headers are for users of the libraries' '["<]meshattn/' "$files" core
  forbid 'public headers are for users of the libraries' '["<]meshattn/' "$files" gpu
  forbid 'examples know public headers alone' "$(packages 'core|sim|gpu|experiments')" "$files" experiments/examples
  forbid 'experiments do not know tests' "$(packages 'tests')" "$files" experiments
  for ((i = 0; i + 1 < ${#rooms[@]}; ++i)); do
    above=$(IFS='|'; echo "${rooms[*]:i+1}")
    forbid "core/${rooms[i]} knows only rooms before it" "[\"<](\\.\\./|core/)+($above)/" "$files" "core/${rooms[i]}"
  done
  for ((i = 0; i < ${#gpu_folders[@]}; ++i)); do
    above=$(IFS='|'; echo "(${gpu_folders[*]:i+1})/|[^/]*\"")  # the files of gpu itself stand above its folders
    forbid "gpu/${gpu_folders[i]} knows only folders before it" "\"(\\.\\./|gpu/)+($above)" "$files" "gpu/${gpu_folders[i]}"
  done
done
# Standard headers have neither a dot nor a slash in their names.
forbid 'core headers include the standard library and core alone' '<[^>]*[./]' '*.h' core

# strangers PACKAGE FOLDER...: the package has no other folders (core/include is for users of the library).
strangers() {
  local package=$1 found
  shift
  found=$(find "$package" -mindepth 2 -type f | cut -d/ -f2 | grep -vx include | sort -u | grep -vxF "$(printf '%s\n' "$@")" || true)
  [[ -n $found ]] || return 0
  echo "not a room of $package: $found" >&2
  violations=1
}
strangers core "${rooms[@]}"
strangers gpu "${gpu_folders[@]}"

includes() {
  grep -rnoE --include='*.h' --include='*.cuh' '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]+"' core sim gpu experiments |
    sed -E 's/^([^:]+):[0-9]+:.*"([^"]+)"$/\1 \2/'
}
if ! circle=$(includes | tsort 2>&1 >/dev/null); then
  printf 'includes go in a circle:\n%s\n' "$circle" >&2
  violations=1
fi

exit $violations
