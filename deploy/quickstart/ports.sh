# Who listens where. Sourced by quickstart.sh.

# Inode of the socket that listens on port $1; empty when none does.
listening_inode() {
    local port
    port=$(printf ':%04X' "$1")
    # Where IPv6 is off there is no tcp6.
    { cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || true; } |
        awk -v port="$port" '$4 == "0A" && $2 ~ port "$" && !found {print $10; found = 1}'
}

# "NAME (process PID)" of whoever holds that socket, as far as we may see.
holder_of() {
    local link
    for link in /proc/[0-9]*/fd/*; do
        if [ "$(readlink "$link" 2>/dev/null)" = "socket:[$1]" ]; then
            local pid=${link#/proc/}
            pid=${pid%%/*}
            echo "$(cat "/proc/$pid/comm" 2>/dev/null || echo 'a process') (process $pid)"
            return
        fi
    done
    echo 'a process of another user'
}

# Asked beforehand: data planes share their port with SO_REUSEPORT, so a stranger's one would not even fail.
require_free_ports() {
    local port inode
    for port in "$@"; do
        inode=$(listening_inode "$port")
        if [ -z "$inode" ]; then continue; fi
        echo "quickstart.sh: port $port is taken by $(holder_of "$inode")." >&2
        echo "  End that, or choose other ports: BALANCER_PORT=9590 deploy/quickstart.sh moves all of them" >&2
        echo "  (clients on that port, control plane on +1 and +2, metrics on +100 and +101)." >&2
        return 1
    done
}
