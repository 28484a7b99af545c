# The demo of quickstart.sh: two fake providers, of which the first is overloaded every fourth time. Needs $state, $bin. Sourced.

start_fake_providers() {
    cat >"$state/alpha.json" <<'TEXT'
{
  "loop": true,
  "steps": [
    {"times": 3, "text": "Hello from provider alpha, the first choice.", "event_gap_ms": 60},
    {"status": 529}
  ]
}
TEXT
    echo '{"steps": [{"text": "Hello from provider beta, the second choice.", "event_gap_ms": 60}]}' >"$state/beta.json"
    local name
    for name in alpha beta; do
        rm -f "$state/$name.addresses.json"
        start_program "$name" "$bin/fake-provider" --listen 127.0.0.1:0 \
            --script "$state/$name.json" --addresses-file "$state/$name.addresses.json"
    done
    write_demo_config "$(address_of alpha)" "$(address_of beta)" >"$state/demo-config.yaml"
    chmod 600 "$state/demo-config.yaml"
}

# Where a fake provider listens, as soon as it says so.
address_of() {
    local tries=0
    while [ ! -s "$state/$1.addresses.json" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ] || ! is_running "$1"; then
            echo "quickstart.sh: provider $1 does not start" >&2
            show_log_end "$1"
            return 1
        fi
        sleep 0.1
    done
    sed -n 's/.*"listen": *"\([^"]*\)".*/\1/p' "$state/$1.addresses.json"
}

write_demo_config() {
    cat <<TEXT
# Made by deploy/quickstart.sh. It is watched: edit it and see it reload.
providers:
  - name: alpha
    type: anthropic
    base_url: http://$1
    auth_type: api_key
    auth_value: demo-key-of-alpha
  - name: beta
    type: anthropic
    base_url: http://$2
    auth_type: auth_token
    auth_value: demo-token-of-beta
model_routes:
  "*":
    - {provider: alpha, model: passthrough, priority: 1}
    - {provider: beta, model: passthrough, priority: 2}
settings:
  unhealthy_threshold: 2
  failure_cooldown: 30
  unhealthy_http_codes: [402, 403, 404, 408, 429, 500, 502, 503, 504, 529]
TEXT
}

# ask PROMPT STREAM [CURL_FLAG...]: each prompt is a conversation of its own.
ask() {
    local prompt=$1 stream=$2
    shift 2
    curl --noproxy '*' -sS --max-time 30 "$@" "$clients/v1/messages?beta=true" \
        -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' -H 'x-api-key: anything' \
        -d "{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":100,\"stream\":$stream,\"messages\":[{\"role\":\"user\",\"content\":\"$prompt\"}]}"
}

# The provider that the response head in file $1 names.
provider_in() {
    sed -n 's/^x-provider-used: *\([^[:space:]]*\).*/\1/Ip' "$1"
}

show_demo() {
    local head=$state/demo-head number provider
    echo
    echo "== an answer"
    ask 'first' false -D "$head"
    echo
    echo "   (from $(provider_in "$head"))"
    echo
    echo "== a stream"
    ask 'second' true -N -D "$head"
    echo "   (from $(provider_in "$head"))"
    echo
    echo "== a failover: alpha says 529 (overloaded) every fourth time, and the client never sees it"
    for number in 3 4 5; do
        ask "question $number" false -D "$head" -o "$state/demo-body"
        provider=$(provider_in "$head")
        echo "   request $number: $(head -n 1 "$head" | tr -d '\r'), answered by $provider"
    done
}
