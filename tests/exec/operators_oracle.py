#!/usr/bin/env python3
"""Hold single operators with random attributes to ONNX Runtime. Not run by ctest: needs onnx and onnxruntime.

    operators_oracle.py --hone build/release/bin/hone [--seed N] [--count N]

Convolutions, pooling, recurrent layers, Gemm, Softmax and LayerNormalization, each with hone's default and its reference
kernels. What ONNX Runtime refuses is skipped, and so is what it is known to do differently: a dilated window of a pool with
auto_pad SAME, whose pads it computes without the dilation; windows larger than the padded input; LpPool but for p of 2
without auto_pad and dilations. Exit code 1 where a result differs.
"""
import argparse
import math
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

POOLS = ("MaxPool", "AveragePool", "LpPool")


class Draw:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def integer(self, low, high):
        return int(self.random.integers(low, high + 1))

    def one_of(self, *choices):
        return choices[self.integer(0, len(choices) - 1)]

    def chance(self, probability):
        return self.random.random() < probability

    def normal(self, *shape, scale=1.0):
        return (self.random.standard_normal(shape) * scale).astype(np.float32)


def windows(draw, op):
    """Attributes of a convolution or pool, the input's shape, weights, and the lowest opset."""
    rank = draw.one_of(1, 2, 2, 3)
    channels = draw.one_of(1, 2, 3, 8, 16, 24)
    sizes = [draw.integer(4, 11) for _ in range(rank)]
    kernel = [draw.integer(1, 4) for _ in range(rank)]
    strides = [draw.integer(1, 3) for _ in range(rank)]
    dilations = [draw.one_of(1, 1, 2) for _ in range(rank)]
    auto_pad = draw.one_of("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    if op == "LpPool":
        auto_pad, dilations = "NOTSET", [1] * rank
    if op in POOLS and auto_pad.startswith("SAME"):
        dilations = [1] * rank
    attributes = {"kernel_shape": kernel, "strides": strides}
    opset = 11
    if max(dilations) > 1:
        attributes["dilations"] = dilations
        opset = 19 if op == "AveragePool" else 11
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    pads = [0] * (2 * rank)
    if auto_pad != "NOTSET":
        attributes["auto_pad"] = auto_pad
    elif draw.chance(0.7):
        pads = [draw.integer(0, min(2, k - 1) if op in POOLS else 2) for k in kernel * 2]
        attributes["pads"] = pads
    if op != "ConvTranspose" and not auto_pad.startswith("SAME"):
        if any(span > size + pads[i] + pads[i + rank] for i, (span, size) in enumerate(zip(spans, sizes))):
            return None
    shape = [draw.integer(1, 2), channels] + sizes
    weights = []
    if op in POOLS:
        if auto_pad == "NOTSET" and draw.chance(0.4):
            attributes["ceil_mode"] = 1
            opset = max(opset, 18 if op == "LpPool" else 11)
        if op == "AveragePool" and draw.chance(0.5):
            attributes["count_include_pad"] = 1
        return attributes, shape, weights, opset
    group = draw.one_of(1, 1, channels, 2 if channels % 2 == 0 else 1)
    out = group * draw.one_of(1, 2, 3, 8)
    attributes["group"] = group
    dims = [out, channels // group] if op == "Conv" else [channels, out // group]
    weights.append(draw.normal(*dims, *kernel, scale=1 / math.prod(kernel)))
    if draw.chance(0.5):
        weights.append(draw.normal(out))
    if op == "ConvTranspose":
        extra = [draw.integer(0, max(s, d) - 1) for s, d in zip(strides, dilations)] if draw.chance(0.4) else [0] * rank
        if any(extra):
            attributes["output_padding"] = extra
        if "pads" not in attributes and draw.chance(0.4):
            full = [(size - 1) * s + span + e for size, s, span, e in zip(sizes, strides, spans, extra)]
            attributes["output_shape"] = [max(1, f - draw.integer(0, 3)) for f in full]
    return attributes, shape, weights, opset


def recurrent(draw, op):
    hidden, width = draw.one_of(3, 8, 16), draw.one_of(2, 5, 8)
    direction = draw.one_of("forward", "reverse", "bidirectional")
    count, gates = 2 if direction == "bidirectional" else 1, 4 if op == "LSTM" else 3
    attributes = {"hidden_size": hidden, "direction": direction}
    if op == "GRU" and draw.chance(0.5):
        attributes["linear_before_reset"] = 1
    if draw.chance(0.2):
        attributes["clip"] = 1.5
    weights = [draw.normal(count, gates * hidden, width, scale=0.4), draw.normal(count, gates * hidden, hidden, scale=0.4)]
    if draw.chance(0.7):
        weights.append(draw.normal(count, 2 * gates * hidden, scale=0.3))
    return attributes, [draw.integer(1, 7), draw.integer(1, 3), width], weights, 14


def others(draw, op):
    if op == "Gemm":
        m, k, n = draw.integer(1, 9), draw.integer(1, 20), draw.integer(1, 20)
        a, b = draw.integer(0, 1), draw.integer(0, 1)
        weights = [draw.normal(*([n, k] if b else [k, n]))]
        if draw.chance(0.7):
            weights.append(draw.normal(*draw.one_of([n], [1, n], [m, 1], [m, n], [1], [])))
        attributes = {"transA": a, "transB": b, "alpha": draw.one_of(1.0, 0.5), "beta": draw.one_of(1.0, 2.0, 0.0)}
        return attributes, [k, m] if a else [m, k], weights, 13
    shape = [draw.integer(1, 5) for _ in range(draw.integer(2, 4))]
    if op == "Softmax":
        return {"axis": draw.integer(-len(shape), len(shape) - 1)}, shape, [], 13
    axis = draw.integer(-len(shape), -1)
    weights = [draw.normal(*shape[axis:]) for _ in range(draw.integer(1, 2))]
    return {"axis": axis}, shape, weights, 17


MAKERS = {op: windows for op in ("Conv", "ConvTranspose", *POOLS)}
MAKERS |= {"LSTM": recurrent, "GRU": recurrent, "Gemm": others, "Softmax": others, "LayerNormalization": others}
OUTPUTS = {"LSTM": 3, "GRU": 2}


def make(draw):
    op = draw.one_of(*MAKERS)
    made = MAKERS[op](draw, op)
    if made is None:
        return None
    attributes, shape, weights, lowest = made
    opset = max(lowest, draw.one_of(11, 13, 17, 19, 21))
    names = [f"w{i}" for i in range(len(weights))]
    outputs = [f"y{i}" for i in range(OUTPUTS.get(op, 1))]
    node = helper.make_node(op, ["x", *names], outputs, name="node", **attributes)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(weight, name) for name, weight in zip(names, weights)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return model, draw.normal(*shape), f"{op} (opset {opset}) {attributes} of {shape}, weights {[list(w.shape) for w in weights]}"


def declare(model, results):
    for output, result in zip(model.graph.output, results):
        output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, [None] * result.ndim))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hone", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=500)
    arguments = parser.parse_args()
    ort.set_default_logger_severity(4)
    draw = Draw(arguments.seed)
    compared = refused = different = 0
    with tempfile.TemporaryDirectory() as folder:
        path, feed, out = (os.path.join(folder, name) for name in ("m.onnx", "x.npz", "y.npz"))
        for _ in range(arguments.count):
            made = make(draw)
            if made is None:
                continue
            model, x, what = made
            try:
                session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
                expected = session.run(None, {"x": x})
            except Exception:  # what its providers raise has no common class
                refused += 1
                continue
            declare(model, expected)
            onnx.save(model, path)
            np.savez(feed, x=x)
            for kernels in ([], ["--reference"]):
                command = [arguments.hone, "run", path, "--input-npz", feed, "--output-npz", out, "-q", *kernels]
                ran = subprocess.run(command, capture_output=True, text=True, check=False)
                if ran.returncode != 0:
                    different += 1
                    print(f"{what}: {ran.stderr.strip()}")
                    break
                compared += 1
                with np.load(out) as found:
                    for name, wanted in zip((o.name for o in session.get_outputs()), expected):
                        got = found[name]
                        if got.shape != wanted.shape:
                            different += 1
                            print(f"{what} {kernels}: {name} is {got.shape}, not {wanted.shape}")
                        elif not np.allclose(got, wanted, rtol=1e-3, atol=2e-4, equal_nan=True):
                            different += 1
                            print(f"{what} {kernels}: {name} is {np.nanmax(np.abs(got - wanted)):.3g} off")
    print(f"{compared} compared, {refused} refused by ONNX Runtime, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
