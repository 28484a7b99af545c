#!/usr/bin/env bash
# build.sh PRESET [TARGET...]: configures and builds a CMake preset. BALANCER_JOBS limits how much runs at once; without it,
# as many compilers as there are cores and memory for (a heavy file takes about 1.5 GB).
# BALANCER_NODE=off builds on a machine without npm: tokens are then not counted locally (docs/tokens-and-models.md); on
# takes that back. Without it a build folder stays as it is, and a new one counts.
# BALANCER_SERVICES=off leaves out the tests that need HAProxy, nginx and Prometheus, in the same way.
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
options=()
case ${BALANCER_NODE:-} in
    '') ;;
    on) options=(-DBALANCER_TOKENIZERS=ON) ;;
    off) options=(-DBALANCER_TOKENIZERS=OFF) ;;
    *)
        echo "build.sh: BALANCER_NODE is '$BALANCER_NODE'; it can be on or off" >&2
        exit 1
        ;;
esac
case ${BALANCER_SERVICES:-} in
    '') ;;
    on) options+=(-DBALANCER_SERVICES=ON) ;;
    off) options+=(-DBALANCER_SERVICES=OFF) ;;
    *)
        echo "build.sh: BALANCER_SERVICES is '$BALANCER_SERVICES'; it can be on or off" >&2
        exit 1
        ;;
esac
echo "== configuring preset $preset ${options[*]}"
cmake --preset "$preset" "${options[@]}" >/dev/null
echo "== building with $(jobs) jobs in build/$preset${*:+: $*}"
targets=()
if [ $# -gt 0 ]; then targets=(--target "$@"); fi
cmake --build "build/$preset" --parallel "$(jobs)" "${targets[@]}"
