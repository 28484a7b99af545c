#!/usr/bin/env bash
# Builds the balancer and runs it on this machine: a control plane and two data planes that share one port.
# With a config.yaml in the project's folder that is what runs; without one, two fake providers are started as well, and
# a few real requests show an answer, a stream and a failover.
set -euo pipefail

cd "$(dirname "$0")/.."
source deploy/quickstart/programs.sh
source deploy/quickstart/ports.sh
source deploy/quickstart/demo.sh

usage() {
    cat <<'TEXT'
usage: deploy/quickstart.sh [--detach | --stop]

  (no flag)  run until Ctrl-C
  --detach   leave it running in the background
  --stop     end what an earlier quickstart left running, and nothing else

Environment:
  BALANCER_PORT    the clients' port (9090, or what config.yaml says); the control plane listens on
                   port+1 (gRPC) and port+2 (HTTP), the data planes' metrics on port+100 and port+101
  BALANCER_STATE   folder for tokens, logs and the demo's configuration (.quickstart)
  BALANCER_PRESET  CMake preset to build and run (release)
  BALANCER_JOBS    how many compilers run at once
  BALANCER_NODE    off: build on a machine without Node.js and npm; tokens are then not counted locally
TEXT
}

mode=foreground
case ${1:-} in
    '') ;;
    --detach) mode=detach ;;
    --stop) mode=stop ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
esac

state=${BALANCER_STATE:-$PWD/.quickstart}
preset=${BALANCER_PRESET:-release}
bin=build/$preset/bin
base_port=${BALANCER_PORT:-9090}
if ! [[ $base_port =~ ^[1-9][0-9]{0,4}$ ]] || [ "$base_port" -gt 65434 ]; then
    echo "quickstart.sh: BALANCER_PORT is '$base_port'; it must be a port from 1 to 65434 (the last is port+101)" >&2
    exit 2
fi
grpc=127.0.0.1:$((base_port + 1))
http=127.0.0.1:$((base_port + 2))

if [ "$mode" = stop ]; then
    stop_everything
    exit 0
fi

# Tokens lie in there, so it is private; a folder of somebody else's is not made so.
if [ -d "$state" ] && [ ! -d "$state/pids" ] && [ -n "$(ls -A "$state")" ]; then
    echo "quickstart.sh: BALANCER_STATE is $state, which holds other files: name a folder that is new or empty" >&2
    exit 2
fi
mkdir -p "$state/pids" "$state/log"
chmod 700 "$state"
state=$(cd "$state" && pwd)

start_control_plane() {
    start_program control-plane "$bin/balancer-controlplane" \
        --config "$1" --state-dir "$state/control" --grpc "$grpc" --http "$http"
    wait_until_ready control-plane "http://$http/readyz"
}

# start_data_plane ID ADMIN_PORT [--listen ADDRESS]
start_data_plane() {
    local id=$1 admin=127.0.0.1:$2
    shift 2
    start_program "$id" "$bin/balancer-dataplane" --id "$id" --workers 1 \
        --control-plane "$grpc" --token-file "$state/control/dataplane.token" \
        --state-dir "$state/$id" --admin "$admin" --drain-grace 0 "$@"
    wait_until_ready "$id" "http://$admin/readyz"
}

start_all() {
    local config=config.yaml listen=()
    require_free_ports $((base_port + 1)) $((base_port + 2)) $((base_port + 100)) $((base_port + 101))
    if [ -f config.yaml ]; then
        # The clients' port is known once the control plane has read the file.
        echo "== starting with config.yaml"
        if [ -n "${BALANCER_PORT:-}" ]; then listen=(--listen "127.0.0.1:$base_port"); fi
    else
        require_free_ports "$base_port"
        echo "== starting a demo: there is no config.yaml here (config.example.yaml shows what one says)"
        listen=(--listen "127.0.0.1:$base_port")
        start_fake_providers
        config=$state/demo-config.yaml
    fi
    start_control_plane "$config"
    local clients_on
    clients_on=$(clients_port)
    if [ -z "$clients_on" ]; then
        echo "quickstart.sh: the control plane does not tell the clients' port" >&2
        show_log_end control-plane
        return 1
    fi
    require_free_ports "$clients_on"
    rm -f "$state/dp1/addresses.json"
    start_data_plane dp1 $((base_port + 100)) ${listen[@]+"${listen[@]}"}
    start_data_plane dp2 $((base_port + 101)) ${listen[@]+"${listen[@]}"}
    # What it really listens on; a configuration may say every address of the machine.
    clients=$(sed -n 's/.*"listen": *"\([^"]*\)".*/\1/p' "$state/dp1/addresses.json")
    clients=http://${clients/#0.0.0.0:/127.0.0.1:}
}

# Where the data planes are going to listen.
clients_port() {
    if [ -n "${BALANCER_PORT:-}" ] || [ ! -f config.yaml ]; then
        echo "$base_port"
        return
    fi
    "$bin/balancerctl" --server "$grpc" --token-file "$state/control/admin.token" -o json config show |
        sed -n 's/.*"listen_port": *\([0-9]*\).*/\1/p' | head -n 1
}

print_directions() {
    local ctl="$bin/balancerctl --server $grpc --token-file $state/control/admin.token"
    cat <<TEXT

== running. Point Claude Code at it:
     export ANTHROPIC_BASE_URL=$clients
     export ANTHROPIC_AUTH_TOKEN=anything
   (the token is one of settings.auth's keys when that is enabled; without it any text will do, except for
   a provider with auth_value: passthrough, which gets the client's own)
   Look at it:
     $ctl status
     $ctl providers list
     curl http://127.0.0.1:$((base_port + 100))/metrics
   Logs: $state/log
TEXT
}

exit_if_running
BALANCER_SERVICES=off deploy/install-build-deps.sh
deploy/build.sh "$preset" balancer-controlplane balancer-dataplane balancerctl fake-provider

# From here on something may be running: whatever goes wrong, it ends.
trap stop_everything EXIT
trap 'echo; exit 0' INT TERM
start_all
if [ ! -f config.yaml ]; then show_demo; fi
print_directions
if [ "$mode" = detach ]; then
    echo "   Stop it: deploy/quickstart.sh --stop"
    trap - EXIT
    exit 0
fi
echo "   Stop it: Ctrl-C"
watch_programs
