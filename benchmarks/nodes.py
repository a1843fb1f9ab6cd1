#!/usr/bin/env python3
"""Nodes after `hone convert` against onnxsim, onnxslim and ONNX Runtime basic, as a Markdown table.

    nodes.py --hone build/release/bin/hone [--inputs] [--time ROUNDS] [--cache peers.json] [--keep DIR] [-o nodes.md] MODEL...

Run with a Python that has onnx, onnxruntime, onnxsim and onnxslim. Nodes in subgraphs count. With --inputs, all results
are run in ONNX Runtime on NAME.inputs.npz beside the model and compared with the original's. A peer that fails, gives
another result, or takes longer than --timeout seconds, shows as "-". --cache keeps the peers' counts between runs, --keep
their models. With --time, too, all results that are equal are run in turns in ONNX Runtime at its defaults on one thread,
CPU time taken; a second table shows how many times as long as hone's a peer's takes (medians; above 1: hone's is faster),
with the geometric mean of all models.
"""
import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

PEERS = {
    "onnxsim": "import sys, onnx, onnxsim; m, ok = onnxsim.simplify(sys.argv[1]); onnx.save(m, sys.argv[2], "
               "save_as_external_data=m.ByteSize() > 2**31 - 1)",
    "onnxslim": "import sys, onnxslim; onnxslim.slim(sys.argv[1], sys.argv[2])",
    "ort basic": "import sys, onnxruntime as o; s = o.SessionOptions(); s.log_severity_level = 4; "
                 "s.graph_optimization_level = o.GraphOptimizationLevel.ORT_ENABLE_BASIC; "
                 "s.optimized_model_filepath = sys.argv[2]; o.InferenceSession(sys.argv[1], s, "
                 "providers=['CPUExecutionProvider'])",
}


def operators(path):
    import onnx
    def count(graph, total):
        for node in graph.node:
            total[node.op_type if not node.domain else node.domain + "." + node.op_type] += 1
            for attribute in node.attribute:
                for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                    count(inner, total)
        return total
    return count(onnx.load(path, load_external_data=False).graph, collections.Counter())


def nodes(path):
    return sum(operators(path).values())


def count_of(path, original):
    """The nodes, as text with a star where some are of domains that the original does not use."""
    found = operators(path)
    domains = {name.rpartition(".")[0] for name in found} - {name.rpartition(".")[0] for name in operators(original)}
    total = sum(found.values())
    return f"{total}*" if domains - {"", "ai.onnx.ml"} else total


def run(command, timeout):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return None


def compare(a, b, inputs):
    """The largest relative difference of any output, or a reason."""
    import numpy as np
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    results = []
    try:
        for path in (a, b):
            session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            results.append(dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs))))
    except Exception as error:  # noqa: BLE001: any failure of the run is the answer
        return str(error).splitlines()[0][:60]
    worst = 0.0
    for name, x in results[0].items():
        y = results[1].get(name)
        if y is None or x.shape != y.shape or x.dtype != y.dtype:
            return f"{name}: missing or of another shape"
        if x.dtype.kind != "f":
            worst = max(worst, float(not np.array_equal(x, y)))
        elif x.size:
            scale = float(np.abs(x).max()) or 1.0
            worst = max(worst, float(np.abs(x.astype("f8") - y.astype("f8")).max()) / scale)
    return worst


def race(paths, inputs, rounds):
    """Median CPU seconds of one run of each model, in turns."""
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    sessions = {name: ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
                for name, path in paths.items()}
    seconds = {name: [] for name in sessions}
    for round_ in range(rounds + 1):
        for name, session in sessions.items():
            start = time.process_time()
            session.run(None, inputs)
            if round_ > 0:
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(each) for name, each in seconds.items()}


def time_table(times):
    lines = ["", "| model | hone ms | " + " | ".join(PEERS) + " |", "|---" * (2 + len(PEERS)) + "|"]
    ratios = {peer: [] for peer in PEERS}
    for name, found in times.items():
        shown = []
        for peer in PEERS:
            if peer in found:
                ratios[peer].append(found[peer] / found["hone"])
            shown.append(f"{ratios[peer][-1]:.3f}" if peer in found else "-")
        lines.append(f"| {name} | {found['hone'] * 1e3:.2f} | " + " | ".join(shown) + " |")
    means = [f"{statistics.geometric_mean(each):.3f}" if each else "-" for each in ratios.values()]
    lines.append("| geometric mean | | " + " | ".join(means) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--hone", required=True)
    parser.add_argument("--inputs", action="store_true")
    parser.add_argument("--time", type=int, default=0, metavar="ROUNDS")
    parser.add_argument("--cache")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--operators", action="store_true", help="print what is left in hone's result to stderr")
    parser.add_argument("-o", "--output")
    arguments = parser.parse_args()
    if arguments.keep:
        os.makedirs(arguments.keep, exist_ok=True)
    cache = {}
    if arguments.cache and os.path.exists(arguments.cache):
        with open(arguments.cache) as file:
            cache = json.load(file)
    lines = ["| model | before | hone | " + " | ".join(PEERS) + " | |", "|---" * (4 + len(PEERS)) + "|"]
    worse = 0
    times = {}
    for model in arguments.models:
        name = os.path.basename(model).removesuffix(".onnx")
        inputs = model.removesuffix(".onnx") + ".inputs.npz"
        data = {}
        if arguments.inputs and os.path.exists(inputs):
            import numpy as np
            with np.load(inputs) as archive:
                data = dict(archive)
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out.onnx")
            done = run([arguments.hone, "convert", model, "-o", out, "--verify", "never", "--quiet"], arguments.timeout)
            ours, note = None, ""
            results = {"hone": out}
            if done is None or done.returncode:
                note = "timeout" if done is None else (done.stderr.strip().splitlines() or ["failed"])[-1][:80]
            else:
                left = operators(out)
                ours = sum(left.values())
                if arguments.operators:
                    print(name, ours, dict(left.most_common()), file=sys.stderr)
                if data:
                    found = compare(model, out, data)
                    note = f"{found:.1e}" if isinstance(found, float) else found
            peers = cache.setdefault(name, {})
            for peer, code in PEERS.items():
                if arguments.no_peers or (peer in peers and (not arguments.time or peers[peer] is None)):
                    continue
                theirs = os.path.join(arguments.keep or folder, f"{name}.{peer.replace(' ', '_')}.onnx")
                made = os.path.exists(theirs) or run([sys.executable, "-c", code, model, theirs], arguments.timeout) is not None
                ok = made and os.path.exists(theirs)
                if ok and data and peers.get(peer) is None:
                    found = compare(model, theirs, data)
                    ok = isinstance(found, float) and found <= 1e-3
                peers[peer] = count_of(theirs, model) if ok else None
                if ok:
                    results[peer] = theirs
            if arguments.time and data and ours is not None:
                times[name] = race(results, data, arguments.time)
        counts = [peers.get(peer) for peer in PEERS]
        best = min((count for count in counts if isinstance(count, int)), default=None)
        if ours is None or (best is not None and ours > best):
            worse += 1
            note = "**more** " + note
        shown = [str(count) if count is not None else "-" for count in [nodes(model), ours] + counts]
        lines.append(f"| {name} | " + " | ".join(shown) + f" | {note} |")
        print(lines[-1], file=sys.stderr, flush=True)
        if arguments.cache:
            with open(arguments.cache, "w") as file:
                json.dump(cache, file, indent=1)
    text = "\n".join(lines + (time_table(times) if times else [])) + "\n"
    if arguments.output:
        with open(arguments.output, "w") as file:
            file.write(text)
    else:
        print(text, end="")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
