#!/usr/bin/env python3
"""How far hone's integers are from the float computation that a Q/DQ model describes: its graph evaluated in float64.

usage: benchmarks/quantized_agreement.py MODEL.onnx [--inputs FILE.npz] [--limit N] [--batch N] [--hone PROGRAM] [--ort]

Prints the share of outputs within one step, and of samples with the same largest output; the same for the float32
computation (hone run --reference), since a value that falls between two codes rounds to either, and each layer doubles what
came of it; with --ort for ONNX Runtime, and how far hone is from that. A step is that of the output's own DequantizeLinear,
or, of an output that is float, 1/255 of its range. Exits with 1 where fewer are within a step than --share (0.999), and than
of the float32 computation. Without --inputs, normally distributed values. Needs Python with onnx and numpy (and onnxruntime).
Operators: Q and DQ, Conv, Gemm, MatMul, Relu, Clip, Add, Mul, Slice, Pad, pooling, Flatten, Reshape, Transpose, Concat.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper


def per_axis(values, rank, axis):
    return values if values.ndim == 0 or values.size == 1 else values.reshape([-1 if i == axis % rank else 1 for i in range(rank)])


def windows(x, kernel, strides, dilations, pads, fill):
    """[n, c, y, x] to [n, c, oy, ox, ky, kx], a view."""
    x = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])], constant_values=fill)
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    view = np.lib.stride_tricks.sliding_window_view(x, span, axis=(2, 3))
    return view[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


class Float64:
    def __init__(self, model):
        self.nodes = model.graph.node
        self.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.outputs = [o.name for o in model.graph.output]

    def run(self, inputs):
        values = dict(self.constants, **inputs)
        for node in self.nodes:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            operands = [values[name] if name else None for name in node.input]
            values[node.output[0]] = getattr(self, node.op_type)(attributes, *operands)
        return [values[name] for name in self.outputs]

    def QuantizeLinear(self, a, x, scale, zero=None):
        zero = np.uint8(0) if zero is None else zero
        axis = a.get("axis", 1)
        scale, offset = (per_axis(np.asarray(v, np.float64), x.ndim, axis) for v in (scale, zero))
        limits = np.iinfo(zero.dtype)
        return np.clip(np.rint(x.astype(np.float64) / scale) + offset, limits.min, limits.max).astype(zero.dtype)

    def DequantizeLinear(self, a, x, scale, zero=None):
        axis = a.get("axis", 1)
        offset = 0.0 if zero is None else per_axis(np.asarray(zero, np.float64), x.ndim, axis)
        return (x.astype(np.float64) - offset) * per_axis(np.asarray(scale, np.float64), x.ndim, axis)

    def Conv(self, a, x, w, b=None):
        group, kernel = a.get("group", 1), w.shape[2:]
        view = windows(x, kernel, a.get("strides", [1, 1]), a.get("dilations", [1, 1]), a.get("pads", [0] * 4), 0.0)
        n, c, oy, ox = view.shape[:4]
        view = view.reshape(n, group, c // group, oy, ox, *kernel)
        w = w.reshape(group, w.shape[0] // group, *w.shape[1:])
        parts = [np.tensordot(view[:, g], w[g], axes=((1, 4, 5), (1, 2, 3))) for g in range(group)]
        y = np.concatenate(parts, axis=-1).transpose(0, 3, 1, 2)
        return y if b is None else y + b.reshape(1, -1, 1, 1)

    def Gemm(self, a, x, w, b=None):
        y = a.get("alpha", 1.0) * ((x.T if a.get("transA") else x) @ (w.T if a.get("transB") else w))
        return y if b is None else y + a.get("beta", 1.0) * b

    def MaxPool(self, a, x):
        ones = [1, 1]
        low = np.iinfo(x.dtype).min if np.issubdtype(x.dtype, np.integer) else -np.inf
        return windows(x, a["kernel_shape"], a.get("strides", ones), a.get("dilations", ones), a.get("pads", [0] * 4), low).max((4, 5))

    def AveragePool(self, a, x):
        if any(a.get("pads", [0])) or a.get("ceil_mode"):
            raise SystemExit("AveragePool with padding is not handled")
        return windows(x, a["kernel_shape"], a.get("strides", [1, 1]), [1, 1], [0] * 4, 0).mean((4, 5))

    def Slice(self, a, x, starts, ends, axes=None, steps=None):
        axes = range(len(starts)) if axes is None else axes
        steps = [1] * len(starts) if steps is None else steps
        index = [slice(None)] * x.ndim
        for axis, start, end, step in zip(axes, starts, ends, steps):
            index[axis] = slice(int(start), None if step < 0 and end < -x.shape[axis] else int(end), int(step))
        return x[tuple(index)]

    def Pad(self, a, x, pads, value=None, axes=None):
        if a.get("mode", b"constant") != b"constant" or axes is not None:
            raise SystemExit("Pad of this kind is not handled")
        pairs = np.asarray(pads).reshape(2, -1).T
        return np.pad(x, pairs, constant_values=0 if value is None else value.item())

    def Clip(self, a, x, low=None, high=None):
        return np.clip(x, -np.inf if low is None else low, np.inf if high is None else high)

    def Reshape(self, a, x, shape):
        return x.reshape([x.shape[i] if d == 0 else d for i, d in enumerate(shape)])

    def Flatten(self, a, x):
        return x.reshape(int(np.prod(x.shape[: a.get("axis", 1)])), -1)

    def Transpose(self, a, x):
        return x.transpose(a.get("perm"))

    def Concat(self, a, *parts):
        return np.concatenate(parts, a["axis"])

    def Relu(self, a, x):
        return np.maximum(x, 0)

    def Add(self, a, x, y):
        return x + y

    def Mul(self, a, x, y):
        return x * y

    def MatMul(self, a, x, y):
        return x @ y

    def GlobalAveragePool(self, a, x):
        return x.mean((2, 3), keepdims=True)


def step_of(model, name, constants, values):
    for node in model.graph.node:
        if name in node.output and node.op_type == "DequantizeLinear" and constants[node.input[1]].size == 1:
            return float(constants[node.input[1]])
    return float(values.max() - values.min()) / 255


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--inputs", default="")
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--share", type=float, default=0.999)
    parser.add_argument("--ort", action="store_true")
    parser.add_argument("--hone", default=os.path.join(os.path.dirname(__file__), "../build/release/bin/hone"))
    options = parser.parse_args()
    model = onnx.load(options.model)
    shapes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    if options.inputs:
        inputs = {name: array[: options.limit].astype(np.float32) for name, array in np.load(options.inputs).items()}
    else:
        random = np.random.default_rng(0)
        inputs = {n: random.standard_normal([options.limit] + s[1:]).astype(np.float32) for n, s in shapes.items()}
    count = len(next(iter(inputs.values())))
    exact = Float64(model)
    parts = [exact.run({n: v[i : i + options.batch] for n, v in inputs.items()}) for i in range(0, count, options.batch)]
    expected = [np.concatenate(each) for each in zip(*parts)]

    def report(who, results, wanted=None):
        shares = []
        for name, got, want in zip(exact.outputs, results, wanted or expected):
            apart = np.abs(got.astype(np.float64) - want) / step_of(model, name, exact.constants, want)
            shares.append(float((apart <= 1).mean()))
            same = int((got.reshape(count, -1).argmax(1) == want.reshape(count, -1).argmax(1)).sum())
            print(f"{who}: {name}: {100 * shares[-1]:.3f} % within one step (mean {apart.mean():.4f}, most {apart.max():.2f}), same largest {same} of {count}")
        return min(shares)

    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in.npz"), os.path.join(folder, "out.npz")
        np.savez(source, **inputs)

        def hone(who, *more):
            command = [options.hone, "run", options.model, "--input-npz", source, "--output-npz", target, *more]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            saved = np.load(target)
            results = [saved[name] for name in exact.outputs]
            return report(who, results), results

        (share, integers), (floats, _) = hone("hone"), hone("float32", "--reference")
    if options.ort:
        import onnxruntime

        theirs = onnxruntime.InferenceSession(options.model, providers=["CPUExecutionProvider"]).run(None, inputs)
        report("ONNX Runtime", theirs)
        report("hone from ONNX Runtime", integers, theirs)
    sys.exit(0 if share >= min(options.share, floats) else 1)


main()
