#!/usr/bin/env python3
"""Runs micro_convert and prints what converting and coalescing cost beside passing the same bytes on.

ratio.py PROGRAM [REPETITIONS]

The two of a pair run in turns in one process, so that what else the machine does hits both; the medians are compared.
Needs nothing but Python.
"""

import json
import subprocess
import sys

PAIRS = [
    ("request, Anthropic to OpenAI", "request_byte_exact", "request_to_openai"),
    ("request, OpenAI to Anthropic", "request_chat_byte_exact", "request_to_anthropic"),
    ("stream, OpenAI to Anthropic", "stream_chat_byte_exact", "stream_to_anthropic"),
    ("stream, Anthropic to OpenAI", "stream_byte_exact", "stream_to_openai"),
    # Request and answer of one exchange, beside those of a provider that has the client's own format.
    (
        "Claude Code, OpenAI provider",
        "request_byte_exact stream_byte_exact",
        "request_to_openai stream_to_anthropic",
    ),
    (
        "OpenAI client, Anthropic provider",
        "request_chat_byte_exact stream_chat_byte_exact",
        "request_to_anthropic stream_to_openai",
    ),
    # Nothing is converted: is anybody else asking the same?
    ("request, signed and claimed", "request_byte_exact", "request_signed"),
]


def medians(program, repetitions):
    run = subprocess.run(
        [
            program,
            f"--benchmark_repetitions={repetitions}",
            "--benchmark_enable_random_interleaving=true",
            "--benchmark_report_aggregates_only=true",
            "--benchmark_min_time=0.1",
            "--benchmark_format=json",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return {
        one["run_name"].split("/repeats")[0]: one["cpu_time"]
        for one in json.loads(run.stdout)["benchmarks"]
        if one["aggregate_name"] == "median"
    }


def main():
    times = medians(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "9")
    print("CPU time, microseconds (median)    work: exact  converted  ratio    path: exact  converted  ratio")
    for title, exact, converted in PAIRS:
        line = f"{title:<34}"
        for kind in ("work", "path"):
            plain, more = (
                sum(times[f"{kind}/{name}"] for name in names.split()) / 1000 for names in (exact, converted)
            )
            line += f"{plain:11.1f}{more:11.1f}{more / plain:7.2f}    "
        print(line.rstrip())
    relays, readers = (times[f"path/{name}"] / 1000 for name in ("stream_50_relays", "stream_50_readers"))
    print(f"stream, 50 relays / 50 readers of one:{relays:11.1f}{readers:11.1f}{relays / readers:7.2f}")


main()
