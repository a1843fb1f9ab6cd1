#!/usr/bin/env python3
"""Hold `hone convert` and `hone run` to ONNX's checker and to ONNX Runtime on whole models. Not run by ctest: needs onnx and
onnxruntime.

    models_oracle.py --hone build/release/bin/hone [--level N] MODEL...

For each model: --level 0 gives the same ModelProto, field for field; the converted model passes onnx.checker (full check),
gives ONNX Runtime's outputs of the original (|a-b| <= 1e-4 max|a| per output, or no further apart than ONNX Runtime's own
levels of optimization are), converting it again changes nothing, and `hone run` gives those outputs of both. Inputs come
from MODEL.inputs.npz beside the model, else they are drawn from its signature. Prints how far the converted model and hone
are from ONNX Runtime.
"""
import argparse
import os
import subprocess
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_,
         "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(uint8)": np.uint8}


def session(path, level):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def draw(path, name):
    beside = path.removesuffix(".onnx") + ".inputs.npz"
    if os.path.exists(beside):
        with np.load(beside) as archive:
            return dict(archive)
    random = np.random.default_rng(0)
    feed, symbols = {}, {}
    for each in session(path, ort.GraphOptimizationLevel.ORT_DISABLE_ALL).get_inputs():
        shape = [size if isinstance(size, int) else symbols.setdefault(size, {"h": 64, "w": 96}.get(str(size)[-1:].lower(), 1))
                 for size in each.shape]
        if name.startswith("ppocr"):
            shape = {"ppocr_v4_det": [1, 3, 64, 96], "ppocr_v4_rec": [1, 3, 48, 96]}.get(name, [1, 3, 48, 192])
        elif name.startswith("silero") and each.name == "input":
            shape = [1, 512]
        elif name.startswith("silero") and each.name == "state":
            shape = [2, 1, 128]
        kind = TYPES[each.type]
        if name.startswith("silero") and each.name == "sr":
            feed[each.name] = np.array(16000, np.int64)
        elif np.issubdtype(kind, np.floating):
            feed[each.name] = random.standard_normal(shape).astype(kind)
        else:
            feed[each.name] = np.ones(shape, kind) if kind == np.bool_ or "mask" in each.name else random.integers(0, 2, shape).astype(kind)
    return feed


def apart(a, b):
    """The largest difference of any output relative to its largest value; infinity for another type, shape or integer."""
    worst = 0.0
    for x, y in zip(a, b):
        if x.shape != y.shape or x.dtype != y.dtype:
            return float("inf")
        if not np.issubdtype(x.dtype, np.floating):
            worst = max(worst, 0.0 if np.array_equal(x, y) else float("inf"))
        elif x.size:
            x, y = x.astype(np.float64), y.astype(np.float64)
            same = (x == y) | (np.isnan(x) & np.isnan(y))
            scale = np.max(np.abs(x[np.isfinite(x)]), initial=0) or 1.0
            with np.errstate(invalid="ignore"):
                distance = np.nan_to_num(np.where(same, 0, np.abs(x - y)), nan=np.inf)
            worst = max(worst, float(distance.max(initial=0)) / scale)
    return worst


def fields(path):
    """The model as a message in which equal means equal, whatever the order of the bytes."""
    return onnx.load(path, load_external_data=False)


def check(model, arguments):
    name = os.path.basename(model).removesuffix(".onnx")
    with tempfile.TemporaryDirectory() as folder:
        copy, once, twice = (os.path.join(folder, file) for file in ("copy.onnx", "once.onnx", "twice.onnx"))
        hone = [arguments.hone, "convert", "--quiet", "--verify", "never"]
        subprocess.run(hone + [model, "-o", copy, "--level", "0"], check=True)
        if fields(model) != fields(copy):
            return "level 0 changes the model"
        subprocess.run(hone + [model, "-o", once, "--level", str(arguments.level)], check=True)
        onnx.checker.check_model(once, full_check=True)
        subprocess.run(hone + [once, "-o", twice, "--level", str(arguments.level)], check=True)
        with open(once, "rb") as a, open(twice, "rb") as b:
            if a.read() != b.read():
                return "a second conversion changes the model"
        feed = draw(model, name)
        off = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        names = [o.name for o in session(model, off).get_outputs()]
        if [o.name for o in session(once, off).get_outputs()] != names:
            return "names of outputs differ"
        want = session(model, off).run(None, feed)
        found = apart(want, session(once, off).run(None, feed))
        allowed = max(1e-4, apart(want, session(model, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC).run(None, feed)))
        inputs, outputs = os.path.join(folder, "in.npz"), os.path.join(folder, "out.npz")
        np.savez(inputs, **feed)
        ran = 0.0
        for each in (model, once):
            subprocess.run([arguments.hone, "run", each, "--input-npz", inputs, "--output-npz", outputs, "--quiet"], check=True)
            with np.load(outputs) as archive:
                ran = max(ran, apart(want, [archive[name] for name in names]))
        if max(found, ran) > allowed:
            return f"converted differs by {found:.1e}, hone run by {ran:.1e}, more than {allowed:.1e}"
        return f"ok {found:.1e} {ran:.1e}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--hone", required=True)
    parser.add_argument("--level", type=int, default=2)
    arguments = parser.parse_args()
    failed = 0
    for model in arguments.models:
        try:
            verdict = check(model, arguments)
        except (subprocess.CalledProcessError, onnx.checker.ValidationError, RuntimeError, ValueError) as error:
            verdict = str(error).splitlines()[0][:160]
        failed += not verdict.startswith("ok")
        print(f"{os.path.basename(model)}: {verdict}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
