#!/usr/bin/env bash
# job_test.sh PROGRAM REPEATS MPIRUN...: runs job_program on 1, 2 and 4 processes over loopback and repeats_program on 2
# and 3. An error in some processes ends all with its status, and every error is printed. A process that never comes is
# not waited for.
set -euo pipefail
program=$1
repeats=$2
shift 2
mpirun=("$@")
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

"$program" | grep -qx "1 processes"
for n in 1 2 4; do
  "${mpirun[@]}" -n "$n" "$program" | grep -qx "$n processes"
done

for n in 2 3; do
  "${mpirun[@]}" -n "$n" "$repeats"
done

ends() {  # HOW STATUS MESSAGE...
  local how=$1 expected=$2 status=0
  shift 2
  # shellcheck disable=SC2086  # HOW may be two words
  timeout 60 "${mpirun[@]}" -n 3 "$program" $how 2>"$errors" || status=$?
  for message in "$@"; do
    if ((status != expected)) || ! grep -qx "meshattn: process $message" "$errors"; then
      echo "$how: status $status, '$message' is not printed:" >&2
      cat "$errors" >&2
      exit 1
    fi
  done
}
late="other processes did not come in time"
ends "misses barrier" 1 "0 of 3: MPI: barrier: $late" "2 of 3: MPI: barrier: $late"
ends "misses gather" 1 "0 of 3: MPI: gather: $late"
ends "misses broadcast" 1 "1 of 3: MPI: broadcast: $late" "2 of 3: MPI: broadcast: $late"
ends "misses clocks" 1 "0 of 3: MPI: clocks: $late" "2 of 3: MPI: clocks: $late"
ends fails 1 "0 of 3: is stuck" "1 of 3: is stuck" "2 of 3: is stuck"
ends throws 1 "1 of 3: has had enough" "2 of 3: has had enough"
ends refuses 2 "0 of 3: wants something else"
