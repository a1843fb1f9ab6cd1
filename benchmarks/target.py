#!/usr/bin/env python3
"""`hone convert --target onnxruntime` against ONNX Runtime's own offline optimizer, as a Markdown table.

    target.py --hone build/release/bin/hone [--runs 30] [-o target.md] MODEL...

Run with a Python that has onnx, onnxruntime and numpy. Inputs are read from NAME.inputs.npz beside the model. Each file (the
original, hone's at level 2, hone's for the target, ONNX Runtime's extended file) is loaded with all optimizations on one
thread; runs take turns, and the time of a file is the median of its processor time, against the original's in the same turn.
"""
import argparse
import os
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort


def session(path, level=ort.GraphOptimizationLevel.ORT_ENABLE_ALL, save=None):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    if save:
        options.optimized_model_filepath = save
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def nodes(path):
    return len(onnx.load(path, load_external_data=False).graph.node)


def run_time(one, inputs):
    start = time.process_time()
    one.run(None, inputs)
    return time.process_time() - start


def difference(a, b):
    worst = 0.0
    for x, y in zip(a, b):
        assert x.shape == y.shape and x.dtype == y.dtype
        scale = float(np.abs(x).max()) or 1.0
        worst = max(worst, float(np.abs(x.astype("f8") - y.astype("f8")).max()) / scale)
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--hone", required=True)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("-o", "--output")
    arguments = parser.parse_args()
    lines = ["| model | nodes | hone | for the target | ort extended | ms | hone | for the target | ort extended | |", "|---" * 10 + "|"]
    for model in arguments.models:
        name = os.path.basename(model).removesuffix(".onnx")
        with np.load(model.removesuffix(".onnx") + ".inputs.npz") as archive:
            inputs = dict(archive)
        with tempfile.TemporaryDirectory() as folder:
            files = {kind: os.path.join(folder, kind + ".onnx") for kind in ("plain", "target", "ort")}
            subprocess.run([arguments.hone, "convert", model, "-o", files["plain"], "--verify", "never", "--quiet"], check=True)
            subprocess.run([arguments.hone, "convert", model, "-o", files["target"], "--target", "onnxruntime", "--verify", "never", "--quiet"], check=True)
            session(model, ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED, files["ort"])
            paths = [model, *files.values()]
            counts = [nodes(path) for path in paths]
            sessions = [session(path) for path in paths]
            results = [one.run(None, inputs) for one in sessions]
            times = np.array([[run_time(one, inputs) for one in sessions] for _ in range(arguments.runs)])
        ratios = np.median(times / times[:, :1], axis=0)
        worst = max(difference(results[0], other) for other in results[1:3])
        lines.append("| " + " | ".join([name, *map(str, counts), f"{np.median(times[:, 0]) * 1e3:.2f}", *(f"{r:.2f}" for r in ratios[1:]), f"{worst:.1e}"]) + " |")
        print(lines[-1], flush=True)
    if arguments.output:
        with open(arguments.output, "w") as file:
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
