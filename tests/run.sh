#!/usr/bin/env bash
# Builds everything and runs every test. Installs missing Debian packages where it may.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tests/packages.sh

cmake --preset release
cmake --build --preset release
ctest --preset release -j "$(nproc)"
