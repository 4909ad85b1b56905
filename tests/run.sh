#!/usr/bin/env bash
# Builds everything and runs every test, then those of core and gpu and the fuzzers under the address and undefined-behaviour
# sanitizers. Installs missing Debian packages where it may.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tests/packages.sh

cmake --preset release
cmake --build --preset release
ctest --preset release -j "$(nproc)"

cmake --preset asan
cmake --build --preset asan --target sanitized
MESHATTN_FUZZ_SECONDS=${MESHATTN_FUZZ_SECONDS:-10} ctest --preset asan -j "$(nproc)" -R '^(core|core_only|gpu|fuzz)\.'
