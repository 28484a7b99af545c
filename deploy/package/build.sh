#!/usr/bin/env bash
# Builds the programs and makes the Debian package of them: prints its path. BALANCER_PRESET (release) as everywhere.
set -euo pipefail

cd "$(dirname "$0")/../.."
preset=${BALANCER_PRESET:-release}
BALANCER_SERVICES=off deploy/install-build-deps.sh >&2
deploy/build.sh "$preset" balancer-controlplane balancer-dataplane balancerctl >&2
cd "build/$preset"
cpack -G DEB -B package >&2
ls -t "$PWD"/package/*.deb | head -n 1
