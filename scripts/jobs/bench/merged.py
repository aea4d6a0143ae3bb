# SPDX-License-Identifier: Apache-2.0
"""Makes one Google Benchmark file of a whole run: each benchmark once, with the medians over all
repetitions of all rounds. github-action-benchmark ("googlecpp") and Bencher ("cpp_google") can read
the file.
"""

import statistics

FILE = "merged.json"
_KEPT = ("run_name", "time_unit", "threads")  # these fields are the same in each round
_NUMBERS_OF_A_RUN = frozenset((
    "family_index", "per_family_instance_index", "repetitions", "repetition_index", "threads"))


def merge(documents: list[dict]) -> dict:
    """documents: the parsed files of all programs and rounds, in the order in which they ran."""
    entries: dict[str, list[dict]] = {}
    for document in documents:
        for entry in document["benchmarks"]:
            if entry.get("run_type", "iteration") == "iteration":
                entries.setdefault(entry.get("run_name", entry["name"]), []).append(entry)
    context = dict(documents[0]["context"]) if documents else {}
    # This field differs from program to program, and the programs' own files have it.
    context.pop("executable", None)
    return {"context": {**context, "merged_from": len(documents)},
            "benchmarks": [_median(name, runs) for name, runs in entries.items()]}


def _median(name: str, runs: list[dict]) -> dict:
    merged = {"name": name, "run_type": "iteration",
              **{key: runs[0][key] for key in _KEPT if key in runs[0]},
              "repetitions": 1, "repetition_index": 0}
    for key, value in runs[0].items():
        if key in _NUMBERS_OF_A_RUN or not isinstance(value, (int, float)):
            continue
        middle = statistics.median(run[key] for run in runs if key in run)
        merged[key] = int(middle) if key == "iterations" else middle
    return merged
