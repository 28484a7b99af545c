# Programs of quickstart.sh: started, awaited and ended by process id and start time, so that a number which the kernel has
# given to somebody else since is never touched. Needs $state. Sourced.

# Clock ticks since boot at which process $1 started; empty when there is none.
start_time_of() {
    # The name in brackets may hold spaces; what follows its last bracket does not.
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20 || true
}

# start_program NAME COMMAND...
start_program() {
    local name=$1 pid
    shift
    # A session of its own: Ctrl-C reaches this script alone, which then ends the programs in order.
    setsid "$@" </dev/null >"$state/log/$name.log" 2>&1 &
    pid=$!
    echo "$pid $(start_time_of "$pid")" >"$state/pids/$name"
    echo "   $name (process $pid)"
}

# Sets `pid`; false when the program does not run.
is_running() {
    local start
    pid=''
    [ -f "$state/pids/$1" ] || return 1
    read -r pid start <"$state/pids/$1" || return 1
    [ -n "$start" ] && [ "$(start_time_of "$pid")" = "$start" ] && [ "$(state_of "$pid")" != Z ]
}

# R, S, D, Z ...
state_of() {
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 1 || true
}

show_log_end() {
    echo "   the end of $state/log/$1.log:" >&2
    tail -n 20 "$state/log/$1.log" | sed 's/^/   | /' >&2
}

# wait_until_ready NAME URL
wait_until_ready() {
    local name=$1 url=$2 tries=0
    while [ $tries -lt 300 ]; do
        if ! is_running "$name"; then
            echo "quickstart.sh: $name ended" >&2
            show_log_end "$name"
            return 1
        fi
        if curl --noproxy '*' -sf -o /dev/null --max-time 2 "$url"; then return 0; fi
        tries=$((tries + 1))
        sleep 0.1
    done
    echo "quickstart.sh: $name is not ready after 30 s ($url)" >&2
    show_log_end "$name"
    return 1
}

# The last started first: data planes, control plane, fake providers. The data planes together: each may take its 30 s for
# answers that are under way, and 2 s for the last words to the others.
stop_everything() {
    trap '' INT TERM
    ended=0
    stop_programs 40 dp2 dp1
    stop_programs 20 control-plane
    stop_programs 20 beta alpha
    if [ $ended -eq 0 ]; then echo "== nothing of this quickstart is running"; fi
}

# stop_programs SECONDS NAME...: asks them to end, waits, and kills what is left then. Adds to `ended`.
stop_programs() {
    local seconds=$1 name tries=0 left
    shift
    for name in "$@"; do
        is_running "$name" || continue
        echo "== stopping $name (process $pid)"
        kill -TERM "$pid" 2>/dev/null || true
        ended=$((ended + 1))
    done
    while true; do
        left=''
        for name in "$@"; do
            is_running "$name" || continue
            left+=" $name"
            if [ $tries -eq $((seconds * 10)) ]; then
                echo "   $name does not end within $seconds s: killing it"
                kill -KILL "$pid" 2>/dev/null || true
            fi
        done
        if [ -z "$left" ]; then break; fi
        tries=$((tries + 1))
        sleep 0.1
    done
    for name in "$@"; do rm -f "$state/pids/$name"; done
}

exit_if_running() {
    local name running=''
    for name in alpha beta control-plane dp1 dp2; do
        if is_running "$name"; then running+=" $name"; fi
    done
    if [ -z "$running" ]; then return; fi
    echo "quickstart.sh: it is running already:$running. End it with deploy/quickstart.sh --stop"
    exit 0
}

# Returns only by a signal's trap, or when a program has ended.
watch_programs() {
    local file name
    while true; do
        if [ -z "$(ls "$state/pids")" ]; then
            echo "== stopped from elsewhere"
            exit 0
        fi
        for file in "$state"/pids/*; do
            name=${file##*/}
            # Gone, and its file too: --stop is at work.
            if is_running "$name" || [ ! -e "$file" ]; then continue; fi
            sleep 0.3
            if [ ! -e "$file" ]; then continue; fi
            echo "quickstart.sh: $name ended by itself" >&2
            show_log_end "$name"
            return 1
        done
        sleep 1
    done
}
