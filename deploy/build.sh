#!/usr/bin/env bash
# build.sh PRESET [TARGET...]: configures and builds a CMake preset. BALANCER_JOBS limits how much runs at once; without it,
# as many compilers as there are cores and memory for (a heavy file takes about 1.5 GB).
# Prints the number of jobs with --jobs instead.
set -euo pipefail

jobs() {
    local cores memory_kb by_memory
    cores=$(nproc)
    memory_kb=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
    by_memory=$((memory_kb / 1500000))
    if [ "$by_memory" -lt 1 ]; then by_memory=1; fi
    echo "${BALANCER_JOBS:-$((cores < by_memory ? cores : by_memory))}"
}

if [ "${1:-}" = --jobs ]; then
    jobs
    exit 0
fi
preset=${1:?build.sh PRESET [TARGET...]}
shift
cd "$(dirname "$0")/.."
echo "== configuring preset $preset"
cmake --preset "$preset" >/dev/null
echo "== building with $(jobs) jobs in build/$preset${*:+: $*}"
targets=()
if [ $# -gt 0 ]; then targets=(--target "$@"); fi
cmake --build "build/$preset" --parallel "$(jobs)" "${targets[@]}"
