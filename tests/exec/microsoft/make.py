#!/usr/bin/env python3
"""Makes cases.onnx: nodes of com.microsoft operators, their inputs, and what ONNX Runtime computes for them.

    make.py [-o cases.onnx] [--only TEXT]

Run with a Python that has onnx and onnxruntime (1.32). A case is a node named after it; its inputs are initializers
CASE/INPUT, its results CASE/OUTPUT, and what they are to be the initializers CASE/OUTPUT/expected.
"""
import argparse
import pathlib

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(7)
OPSETS = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
CASES = []


def case(name, op, inputs, outputs=("y",), domain="com.microsoft", **attributes):
    CASES.append((name, op, list(inputs), list(outputs), domain, attributes))


def f(*dims, scale=1.0):
    return (random.standard_normal(dims) * scale).astype(np.float32)


def u8(*dims):
    return random.integers(0, 256, dims).astype(np.uint8)


def i8(*dims):
    return random.integers(-128, 128, dims).astype(np.int8)


def w8(*dims):
    """Codes of weights: on CPUs without VNNI ONNX Runtime's products of uint8 and int8 saturate beyond these."""
    return random.integers(-60, 61, dims).astype(np.int8)


def i32(values):
    return np.asarray(values, np.int32)


def i64(values):
    return np.asarray(values, np.int64)


def scalar(value, kind=np.float32):
    return np.asarray(value, kind)


def half(x):
    return x.astype(np.float16)


def activations():
    case("gelu", "Gelu", [f(3, 5)])
    case("bias gelu", "BiasGelu", [f(2, 3, 5), f(5)])
    case("fast gelu", "FastGelu", [f(3, 5)])
    case("fast gelu, bias", "FastGelu", [f(2, 3, 5), f(5)])
    case("quick gelu", "QuickGelu", [f(3, 5)])
    case("quick gelu, alpha", "QuickGelu", [f(3, 5)], alpha=1.0)


def normalizations():
    x, s, g, b, bias = f(2, 3, 8), f(2, 3, 8), f(8), f(8), f(8)
    four = ("y", "", "", "sum")
    case("skip layer", "SkipLayerNormalization", [x, s, g, b], epsilon=1e-5)
    case("skip layer, default epsilon", "SkipLayerNormalization", [x, s, g])
    case("skip layer, bias and sum", "SkipLayerNormalization", [x, s, g, b, bias], four, epsilon=1e-5)
    case("skip layer, skip without batch", "SkipLayerNormalization", [x, f(3, 8), g, b], four, epsilon=1e-5)
    case("skip layer, skip of batch 1", "SkipLayerNormalization", [x, f(1, 3, 8), g, None, bias], four, epsilon=1e-5)
    case("skip layer, half", "SkipLayerNormalization", [half(v) for v in (x, s, g, b, bias)], four, epsilon=1e-5)
    case("skip simplified", "SkipSimplifiedLayerNormalization", [x, s, g], epsilon=1e-5)
    case("skip simplified, bias and sum", "SkipSimplifiedLayerNormalization", [x, s, g, bias], four, epsilon=1e-5)
    case("simplified", "SimplifiedLayerNormalization", [x, g], ("y", "inverse"), "", epsilon=1e-6, axis=-1, stash_type=1)
    case("simplified, axis 1", "SimplifiedLayerNormalization", [x, f(3, 8)], domain="", axis=1)
    ids, kinds = i32([[1, 4, 0], [2, 2, 3]]), i32([[0, 0, 1], [1, 0, 1]])
    words, places, segments = f(5, 8), f(4, 8), f(2, 8)
    mask = i32([[1, 1, 0], [1, 0, 1]])
    case("embed", "EmbedLayerNormalization", [ids, kinds, words, places, segments, g, b], ("y", "mask"), epsilon=1e-5)
    case("embed, mask, sum", "EmbedLayerNormalization", [ids, kinds, words, places, segments, g, b, mask], ("y", "mask", "sum"),
         epsilon=1e-5, mask_index_type=1)
    case("embed, no segments", "EmbedLayerNormalization", [ids, None, words, places, None, g, b], ("y", "mask"))
    case("embed, positions", "EmbedLayerNormalization",
         [ids, kinds, words, places, segments, g, b, None, i32([[3, 0, 1], [2, 2, 1]])], ("y", "mask"))


def products():
    a, b = f(2, 3, 4), f(2, 4, 5)
    turned = lambda x: np.ascontiguousarray(np.swapaxes(x, -1, -2))
    case("fused matmul", "FusedMatMul", [a, b], alpha=0.25)
    case("fused matmul, transposed", "FusedMatMul", [turned(a), turned(b)], alpha=0.5, transA=1, transB=1)
    case("fused matmul, shared", "FusedMatMul", [a, f(5, 4)], transB=1)
    batch_first = lambda x: np.ascontiguousarray(np.moveaxis(x, -2, 0))
    case("fused matmul, batch moved", "FusedMatMul", [batch_first(f(2, 6, 3, 4)), f(2, 6, 4, 5)], transBatchA=1)
    case("fused matmul, both batches moved", "FusedMatMul", [batch_first(f(2, 6, 3, 4)), batch_first(turned(f(2, 6, 4, 5)))],
         transBatchA=1, transBatchB=1, transB=1)
    case("fused matmul, batch moved and transposed", "FusedMatMul", [batch_first(turned(f(2, 3, 4))), b], transBatchA=1, transA=1)
    x, w, bias = f(1, 4, 5, 5), f(6, 2, 3, 3), f(6)
    common = dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1], dilations=[1, 1], group=2)
    for activation, values in (("Relu", []), ("Tanh", []), ("Sigmoid", []), ("LeakyRelu", [0.125]), ("Clip", [-0.5, 1.5]),
                               ("HardSigmoid", [0.3, 0.4])):
        more = {"activation_params": values} if values else {}
        case(f"fused conv, {activation}", "FusedConv", [x, w, bias], activation=activation, **more, **common)
    case("fused conv, sum", "FusedConv", [x, w, bias, f(1, 6, 5, 5)], activation="Relu", **common)
    case("fused conv, sum, no bias", "FusedConv", [x, w, None, f(1, 6, 5, 5)], **common)
    for bits, block, depth, zero in ((4, 16, 40, None), (4, 16, 40, "packed"), (4, 32, 64, "float"), (8, 16, 40, "packed"),
                                     (8, 32, 64, None), (2, 16, 48, "packed"), (2, 16, 48, None)):
        n, blocks = 6, -(-depth // block)
        inputs = [f(2, 3, depth), u8(n, blocks, block * bits // 8), np.abs(f(n * blocks, scale=0.1))]
        if zero == "packed":
            inputs.append(u8(n * (-(-blocks * bits // 8))))
        elif zero == "float":
            inputs.append(np.float32(random.integers(0, 16, n * blocks)) + np.float32(0.25))
        case(f"matmul nbits, {bits}, {zero}", "MatMulNBits", inputs, K=depth, N=n, bits=bits, block_size=block)
    case("matmul nbits, bias", "MatMulNBits", [f(3, 32), u8(6, 2, 8), np.abs(f(12, scale=0.1)), None, None, f(6)],
         K=32, N=6, bits=4, block_size=16)


def attention():
    batch, length, heads, size = 2, 3, 2, 4
    width = heads * size
    x, w, b = f(batch, length, width), f(width, 3 * width, scale=0.4), f(3 * width)
    mask2 = i32([[1, 1, 0], [1, 1, 1]])
    case("attention", "Attention", [x, w, b], num_heads=heads)
    case("attention, no bias", "Attention", [x, w], num_heads=heads, scale=0.3)
    case("attention, mask", "Attention", [x, w, b, mask2], num_heads=heads)
    case("attention, mask value", "Attention", [x, w, b, mask2], num_heads=heads, mask_filter_value=-3.0)
    case("attention, lengths", "Attention", [x, w, b, i32([2, 3])], num_heads=heads)
    case("attention, ends and starts", "Attention", [x, w, b, i32([2, 3, 0, 1])], num_heads=heads)
    case("attention, mask of queries", "Attention", [x, w, b, random.integers(0, 2, (2, 3, 3)).astype(np.int32)], num_heads=heads)
    case("attention, causal", "Attention", [x, w, b], num_heads=heads, unidirectional=1)
    case("attention, causal, mask", "Attention", [x, w, b, mask2], num_heads=heads, unidirectional=1)
    past = f(2, batch, heads, 2, size)
    case("attention, past", "Attention", [x, w, b, None, past], ("y", "present"), num_heads=heads, unidirectional=1)
    case("attention, past, mask", "Attention", [x, w, b, i32([[1, 0, 1, 1, 1], [1, 1, 1, 1, 0]]), past], ("y", "present"), num_heads=heads)
    case("attention, present", "Attention", [x, w, b], ("y", "present"), num_heads=heads)
    case("attention, added", "Attention", [x, w, b, None, None, f(batch, heads, length, length)], num_heads=heads)
    case("attention, added, shared", "Attention", [x, w, b, mask2, None, f(1, 1, length, length)], num_heads=heads)
    case("attention, sizes", "Attention", [x, f(width, 8 + 8 + 12, scale=0.4), f(28)], num_heads=heads, qkv_hidden_sizes=[8, 8, 12])

    q, k, v = f(batch, length, width), f(batch, 5, width), f(batch, 5, 12)
    bias = f(2 * width + 12)
    multi = lambda name, inputs, outputs=("y",), **more: case("multi, " + name, "MultiHeadAttention", inputs, outputs, num_heads=heads, **more)
    multi("plain", [q, k, v])
    multi("bias", [q, k, v, bias])
    multi("scale", [q, k, v], scale=0.2)
    multi("mask", [q, k, v, None, i32([[1, 1, 0, 1, 1], [1, 1, 1, 1, 0]])])
    multi("mask value", [q, k, v, None, i32([[1, 1, 0, 1, 1], [1, 1, 1, 1, 0]])], mask_filter_value=-2.0)
    multi("lengths", [q, k, v, None, i32([2, 5])])
    multi("mask of queries", [q, k, v, None, random.integers(0, 2, (batch, length, 5)).astype(np.int32)])
    multi("added", [q, k, v, bias, None, f(batch, heads, length, 5)])
    multi("added, shared", [q, k, v, None, None, f(1, 1, length, 5)])
    multi("causal", [q, f(batch, length, width), f(batch, length, 12)], unidirectional=1)
    heads_first = lambda n, s: f(batch, heads, n, s)
    multi("keys by head", [q, heads_first(5, size), heads_first(5, size)])
    multi("past", [q, f(batch, length, width), f(batch, length, width), None, None, None, heads_first(2, size), heads_first(2, size)],
          ("y", "present_key", "present_value"))
    multi("past, causal", [q, f(batch, length, width), f(batch, length, width), f(3 * width), None, None, heads_first(2, size), heads_first(2, size)],
          ("y", "present_key", "present_value"), unidirectional=1)
    multi("present", [q, f(batch, length, width), f(batch, length, width)], ("y", "present_key", "present_value"))
    multi("scores", [q, k, v], ("y", "", "", "qk"))

    table = f(10, 2), f(10, 2)
    turn = lambda name, x, positions, **more: case("turn, " + name, "RotaryEmbedding", [x, i64(positions), *table], **more)
    turn("by head", f(batch, heads, length, size), [[0, 1, 2], [4, 5, 6]])
    turn("one position", f(batch, heads, length, size), [3])
    turn("interleaved", f(batch, heads, length, size), [1], interleaved=1)
    turn("side by side", f(batch, length, width), [[0, 1, 2], [4, 5, 9]])
    turn("partly", f(batch, length, 12), [[0, 1, 2], [4, 5, 9]], num_heads=2, rotary_embedding_dim=4)

    def grouped(name, rows, before, outputs=("y", "present_key", "present_value"), packed=False, total=None, seen=None, extra=None, size=8, batch=2, **more):
        query_heads, kv_heads = 4, 2
        total = rows + before if total is None else total
        seen = [total - 1] * batch if seen is None else seen
        if packed:
            inputs = [f(batch, rows, (query_heads + 2 * kv_heads) * size), None, None]
        else:
            inputs = [f(batch, rows, query_heads * size), f(batch, rows, kv_heads * size), f(batch, rows, kv_heads * size)]
        inputs += [f(batch, kv_heads, before, size), f(batch, kv_heads, before, size)] if before else [None, None]
        inputs += [i32(seen), i32([total])]
        inputs += extra or []
        case("grouped, " + name, "GroupQueryAttention", inputs, outputs, num_heads=query_heads, kv_num_heads=kv_heads, **more)

    grouped("prompt", 3, 0)
    grouped("packed", 3, 0, packed=True)
    grouped("decode", 1, 4)
    grouped("several after a past", 2, 3, batch=1)
    grouped("shorter sequences", 3, 0, seen=[1, 2])
    grouped("decode, shorter sequences", 1, 4, seen=[2, 4])
    grouped("window", 3, 0, local_window_size=2)
    grouped("soft cap", 3, 0, softcap=2.0)
    grouped("scale", 3, 0, scale=0.3)
    grouped("smooth", 3, 0, smooth_softmax=1)
    table = [f(10, 8), f(10, 8)]
    grouped("turned", 3, 0, size=16, do_rotary=1, extra=table)
    grouped("turned, decode", 1, 4, size=16, do_rotary=1, extra=table)
    grouped("turned, interleaved, packed", 3, 0, size=16, packed=True, do_rotary=1, rotary_interleaved=1, extra=table)
    grouped("added", 3, 0, extra=[None, None, None, f(2, 4, 3, 3)])
    grouped("sink", 3, 0, extra=[None, None, None, None, f(4)])


def quantized():
    a, b = f(2, 3, 8), u8(8, 5)
    case("dynamic matmul", "DynamicQuantizeMatMul", [a, b, scalar(0.02), scalar(120, np.uint8)])
    case("dynamic matmul, int8, by column, bias", "DynamicQuantizeMatMul", [a, w8(8, 5), np.abs(f(5)) * 0.1 + 0.01, np.zeros(5, np.int8), f(5)])
    case("dynamic matmul, no zero point", "DynamicQuantizeMatMul", [a, w8(8, 5), scalar(0.02)])
    case("to float", "MatMulIntegerToFloat", [u8(2, 3, 8), b, scalar(0.1), scalar(0.02), scalar(100, np.uint8), scalar(120, np.uint8)])
    case("to float, by column, bias", "MatMulIntegerToFloat",
         [u8(3, 8), w8(8, 5), scalar(0.1), np.abs(f(5)) + 0.01, scalar(100, np.uint8), np.zeros(5, np.int8), f(5)])
    case("to float, signed", "MatMulIntegerToFloat", [i8(3, 8), i8(8, 5), scalar(0.1), scalar(0.02)])
    for name, make, zero in (("uint8", u8, np.uint8), ("int8", i8, np.int8)):
        z = lambda value: scalar(value if zero == np.uint8 else value - 128, zero)
        for op in ("QLinearAdd", "QLinearMul"):
            case(f"{op}, {name}", op, [make(2, 3, 4), scalar(0.05), z(110), make(2, 3, 4), scalar(0.03), z(130), scalar(0.07), z(125)])
            case(f"{op}, {name}, broadcast", op, [make(2, 1, 4), scalar(0.05), z(110), make(3, 1), scalar(0.03), z(130), scalar(0.07), z(125)])
        case(f"QLinearSigmoid, {name}", "QLinearSigmoid", [make(3, 7), scalar(0.05), z(110), scalar(1 / 256), z(0)])
        case(f"QLinearLeakyRelu, {name}", "QLinearLeakyRelu", [make(3, 7), scalar(0.05), z(110), scalar(0.03), z(90)], alpha=0.2)
        case(f"QLinearSoftmax, {name}", "QLinearSoftmax", [make(3, 7), scalar(0.05), z(110), scalar(1 / 256), z(0)], opset=13, axis=-1)
        case(f"QLinearSoftmax, {name}, flattened", "QLinearSoftmax", [make(3, 2, 4), scalar(0.05), z(110), scalar(1 / 256), z(0)], opset=11, axis=1)
        case(f"QLinearGlobalAveragePool, {name}", "QLinearGlobalAveragePool", [make(2, 3, 4, 5), scalar(0.05), z(110), scalar(0.04), z(120)], channels_last=0)
        case(f"QLinearAveragePool, {name}", "QLinearAveragePool", [make(1, 2, 5, 5), scalar(0.05), z(110), scalar(0.04), z(120)],
             kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
        case(f"QLinearAveragePool, {name}, pads counted", "QLinearAveragePool", [make(1, 2, 5, 5), scalar(0.05), z(110), scalar(0.04), z(120)],
             kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
        case(f"QLinearWhere, {name}", "QLinearWhere", [random.integers(0, 2, (2, 1, 4)).astype(bool), make(3, 1), scalar(0.05), z(110), make(2, 3, 4),
                                                       scalar(0.03), z(130), scalar(0.06), z(120)])
        case(f"QLinearConcat, {name}", "QLinearConcat", [scalar(0.06), z(120), make(2, 3), scalar(0.05), z(110), make(2, 2), scalar(0.06), z(120)], axis=1)
        case(f"QGemm, {name}", "QGemm", [make(3, 4), scalar(0.05), z(110), make(5, 4), scalar(0.03), z(130), i32(random.integers(-900, 900, 5)), scalar(0.2), z(100)],
             transB=1, alpha=1.0)
    case("QLinearAveragePool, channels last", "QLinearAveragePool", [u8(1, 5, 5, 2), scalar(0.05), scalar(110, np.uint8), scalar(0.04), scalar(120, np.uint8)],
         kernel_shape=[2, 2], channels_last=1)
    case("QLinearGlobalAveragePool, channels last", "QLinearGlobalAveragePool",
         [u8(2, 4, 5, 3), scalar(0.05), scalar(110, np.uint8), scalar(0.04), scalar(120, np.uint8)], channels_last=1)
    case("QGemm, float", "QGemm", [u8(3, 4), scalar(0.05), scalar(110, np.uint8), w8(4, 5), np.abs(f(5)) + 0.01, np.zeros(5, np.int8), i32(random.integers(-900, 900, 5))])
    case("QGemm, transposed", "QGemm", [u8(4, 3), scalar(0.05), scalar(110, np.uint8), w8(4, 5), scalar(0.03), scalar(0, np.int8), None, scalar(0.2), scalar(100, np.uint8)],
         transA=1, alpha=0.5)
    four_bits = u8(4, 3, 16)
    for name, zeros in (("", [u8(4, 3, 1)]), (", no zero point", [])):
        case(f"gather blocks, 4 bits{name}", "GatherBlockQuantized", [four_bits, i64([[1, -1], [0, 3]]), np.abs(f(4, 3, 2)) * 0.1, *zeros],
             gather_axis=0, quantize_axis=2, bits=4, block_size=16)
    data8 = u8(4, 3, 32)
    case("gather blocks, 8 bits", "GatherBlockQuantized", [data8, i64([2, 0]), np.abs(f(4, 3, 2)) * 0.1, u8(4, 3, 2)], gather_axis=0, block_size=16, quantize_axis=2, bits=8)
    four = helper.make_tensor("data", TensorProto.UINT4, [5, 32], random.integers(0, 16, 5 * 32).tolist())
    zeros = helper.make_tensor("zeros", TensorProto.UINT4, [5, 2], random.integers(0, 16, 10).tolist())
    case("gather blocks, uint4", "GatherBlockQuantized", [four, i32([4, 1, 1]), np.abs(f(5, 2)) * 0.1, zeros], gather_axis=0, block_size=16, quantize_axis=1)
    signed = helper.make_tensor("data", TensorProto.INT4, [32, 5], random.integers(-8, 8, 5 * 32).tolist())
    case("gather blocks, int4, other axes", "GatherBlockQuantized", [signed, i32([[4], [1]]), np.abs(f(2, 5)) * 0.1], gather_axis=1, block_size=16, quantize_axis=0)

    hidden, wide, steps = 3, 4, 5
    for name, make, zero in (("uint8", u8, np.uint8), ("int8", w8, np.int8)):
        for direction, count in (("forward", 1), ("bidirectional", 2)):
            inputs = [f(steps, 2, wide), make(count, wide, 4 * hidden), make(count, hidden, 4 * hidden), f(count, 8 * hidden, scale=0.3), None,
                      f(count, 2, hidden), f(count, 2, hidden), None, np.full(count, 0.01, np.float32),
                      np.full(count, 128 if zero == np.uint8 else 0, zero), np.full(count, 0.012, np.float32),
                      np.full(count, 130 if zero == np.uint8 else 0, zero)]
            case(f"dynamic lstm, {name}, {direction}", "DynamicQuantizeLSTM", inputs, ("y", "y_h", "y_c"), hidden_size=hidden, direction=direction)
    case("dynamic lstm, by column, lengths", "DynamicQuantizeLSTM",
         [f(steps, 2, wide), w8(1, wide, 12), w8(1, hidden, 12), None, i32([3, 5]), None, None, f(1, 9, scale=0.2), np.abs(f(1, 12, scale=0.01)) + 0.005,
          np.zeros((1, 12), np.int8), np.abs(f(1, 12, scale=0.01)) + 0.005, np.zeros((1, 12), np.int8)], ("y", "y_h", "y_c"), hidden_size=hidden)


def tensor(value, name):
    proto = onnx.TensorProto()
    proto.CopyFrom(value) if isinstance(value, onnx.TensorProto) else proto.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape)))
    proto.name = name
    return proto


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", default=str(pathlib.Path(__file__).with_name("cases.onnx")))
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    for make in (activations, normalizations, products, attention, quantized):
        make()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    nodes, initializers, outputs = [], [], []
    for name, op, inputs, results, domain, attributes in CASES:
        if arguments.only not in name:
            continue
        given = [tensor(x, f"{name}/{i}") for i, x in enumerate(inputs) if x is not None]
        node = helper.make_node(op, ["" if x is None else f"{name}/{i}" for i, x in enumerate(inputs)],
                                [r and f"{name}/{r}" for r in results], name, domain=domain, **attributes)
        made = [r for r in node.output if r]
        graph = helper.make_graph([node], "case", [], [helper.make_tensor_value_info(r, TensorProto.FLOAT, None) if r.endswith("/qk") else onnx.ValueInfoProto(name=r) for r in made], given)
        model = helper.make_model(graph, opset_imports=OPSETS, ir_version=10)
        try:
            session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            values = session.run(made, {})
        except Exception as error:  # noqa: BLE001: which cases the runtime refuses is printed, and they are left out
            print(f"{name}: {str(error).splitlines()[0][:200]}")
            continue
        if name == "grouped, shorter sequences":  # what comes behind a sequence's end is anything
            for i, end in enumerate(inputs[5]):
                values[0][i, end + 1:] = np.nan
                values[1][i, :, end + 1:] = values[2][i, :, end + 1:] = np.nan
        if name == "grouped, decode, shorter sequences":
            for i, end in enumerate(inputs[5]):
                values[1][i, :, end + 1:] = values[2][i, :, end + 1:] = np.nan
        nodes.append(node)
        initializers += given + [tensor(np.asarray(v), r + "/expected") for r, v in zip(made, values)]
        outputs += [helper.make_tensor_value_info(r, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for r, v in zip(made, values)]
    graph = helper.make_graph(nodes, "cases", [], outputs, initializers)
    onnx.save(helper.make_model(graph, opset_imports=OPSETS, ir_version=10), arguments.output)
    print(len(nodes), "cases")


if __name__ == "__main__":
    main()
