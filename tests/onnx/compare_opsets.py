"""Converts models to other opsets with `hone convert --opset` and compares what ONNX Runtime computes before and after.

Run by hand where onnx, onnxruntime and numpy are there:

    python tests/onnx/compare_opsets.py build/release/bin/hone MODEL_OR_FOLDER... [--opsets 13,17,21] [--cases]

MODEL is a .onnx file; with --cases, a folder holds backend test cases (tests/conformance/generate makes them), whose
own inputs are used. Outputs are equal when |a-b| <= 1e-4 max|a|, or 2e-2 for half precision. Prints one line for each
difference and a summary; exit code 1 if anything differs. A model that ONNX Runtime does not run before says nothing; one
that it runs before and not after counts as "not run", with its reason.
"""

import argparse
import collections
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(bool)": np.bool_,
}


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def random_inputs(_, runner, size):
    """The first dimension, where it is free, is 1, others `size`."""
    random = np.random.default_rng(0)
    feed = {}
    for value in runner.get_inputs():
        shape = [d if isinstance(d, int) and d > 0 else 1 if i == 0 else size for i, d in enumerate(value.shape)]
        kind = TYPES[value.type]
        if np.issubdtype(kind, np.floating):
            feed[value.name] = random.standard_normal(shape).astype(kind)
        else:
            feed[value.name] = random.integers(0, 2, shape).astype(kind)
    return feed


def case_inputs(path, runner, _):
    folder = os.path.join(os.path.dirname(path), "test_data_set_0")
    feed = {}
    for index, value in enumerate(runner.get_inputs()):
        tensor = onnx.TensorProto()
        with open(os.path.join(folder, f"input_{index}.pb"), "rb") as file:
            tensor.ParseFromString(file.read())
        feed[value.name] = onnx.numpy_helper.to_array(tensor)
    return feed


def difference(before, after):
    if len(before) != len(after):
        return f"{len(before)} values became {len(after)}"
    for index, (a, b) in enumerate(zip(before, after, strict=True)):
        if a is None or b is None or isinstance(a, list):  # an optional, a sequence
            reason = "values differ" if type(a) is not type(b) else difference(a, b) if isinstance(a, list) else None
            if reason:
                return f"output {index}: {reason}"
            continue
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"output {index}: {a.dtype}{a.shape} became {b.dtype}{b.shape}"
        if not np.issubdtype(a.dtype, np.floating):
            if not np.array_equal(a, b):
                return f"output {index}: values differ"
            continue
        tolerance = 2e-2 if a.dtype == np.float16 else 1e-4
        both = np.isfinite(a) & np.isfinite(b)
        if not np.array_equal(a[~both], b[~both], equal_nan=True):
            return f"output {index}: not finite at other places"
        scale = np.abs(a[both]).max() if both.any() else 0
        error = np.abs(a[both].astype(np.float64) - b[both]).max() if both.any() else 0
        if error > tolerance * scale:
            return f"output {index}: {error:.3g} of {scale:.3g}"
    return None


def compare(hone, path, opset, feed, expected, work):
    output = os.path.join(work, "converted.onnx")
    command = [hone, "convert", path, "-o", output, "--level", "0", "--verify", "never", "--opset", str(opset), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 4:
        return "unsupported", done.stderr.strip()
    if done.returncode != 0:
        return "failed", f"exit {done.returncode}: {done.stderr.strip()}"
    try:
        onnx.checker.check_model(output)
    except onnx.checker.ValidationError as error:
        return "invalid", str(error).splitlines()[0]
    try:
        got = session(output).run(None, feed)
    except Exception as error:  # noqa: BLE001: ONNX Runtime's are many
        return "not run", str(error).splitlines()[0]
    reason = difference(expected, got)
    return ("different", reason) if reason else ("equal", None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hone")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--opsets", default="9,11,12,13,15,16,17,18,19,20,21,22,23,24")
    parser.add_argument("--cases", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="say why a model was not converted or not run")
    arguments = parser.parse_args()
    models = []
    for path in arguments.paths:
        if os.path.isdir(path):
            names = (os.path.join(path, n, "model.onnx") if arguments.cases else os.path.join(path, n) for n in sorted(os.listdir(path)))
            models += [n for n in names if n.endswith(".onnx") and os.path.exists(n)]
        else:
            models.append(path)
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as work:
        for path in models:
            expected = None
            for size in (32, 512):  # what images and sounds want at least
                try:
                    runner = session(path)
                    feed = (case_inputs if arguments.cases else random_inputs)(path, runner, size)
                    expected = runner.run(None, feed)
                    break
                except Exception as error:  # noqa: BLE001
                    reason = str(error).splitlines()[0]
            if expected is None:
                counts["not run before"] += 1
                if arguments.verbose:
                    print(f"{path}: not run before: {reason}", flush=True)
                continue
            imports = {i.domain: i.version for i in onnx.load(path, load_external_data=False).opset_import}
            for opset in map(int, arguments.opsets.split(",")):
                if imports.get("", imports.get("ai.onnx")) == opset:
                    continue
                outcome, reason = compare(arguments.hone, path, opset, feed, expected, work)
                counts[outcome] += 1
                if outcome in ("failed", "invalid", "different") or (arguments.verbose and reason):
                    print(f"{path} -> {opset}: {outcome}: {reason}", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
    return 1 if counts["failed"] or counts["invalid"] or counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
