"""Quantizes models with hone, and asks ONNX Runtime what became of them. Not run by ctest: it wants Python with numpy, onnx
and onnxruntime, and models that are not in this repository.

  against_ort.py HONE census MODEL...            static on random data, and dynamic where there are products: the integer
                                                 kernels in ONNX Runtime's optimized graph, and weights that it would
                                                 dequantize in every run
  against_ort.py HONE images MODEL TRAIN TEST    .npz files with x (uint8, NHWC) and y: accuracy of float and int8 in ONNX
                                                 Runtime; time and memory of calibrating on 512 images beside
                                                 onnxruntime.quantization's, in turn
"""

import collections
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime

MEAN = numpy.array([0.485, 0.456, 0.406], numpy.float32)
STD = numpy.array([0.229, 0.224, 0.225], numpy.float32)
IMAGES = 512


def session(path, optimized=None):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if optimized:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def census(path, folder):
    """Operators of the optimized graph, and how many constants it dequantizes in every run."""
    session(path, folder / "optimized.onnx")
    graph = onnx.load(folder / "optimized.onnx").graph
    constants = {tensor.name for tensor in graph.initializer}
    operators = collections.Counter(node.op_type for node in graph.node)
    left = sum(node.op_type == "DequantizeLinear" and node.input[0] in constants for node in graph.node)
    return operators, left


def show(operators):
    names = [name for name in operators
             if name.startswith(("Q", "MatMul", "DynamicQ", "Conv", "Gemm", "Fused", "Dequantize", "Quantize"))]
    return "  ".join(f"{name} {operators[name]}" for name in sorted(names))


def random_inputs(model, rows=8):
    generator = numpy.random.default_rng(1)
    arrays = {}
    initialized = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name in initialized:
            continue
        dims = [d.dim_value if d.HasField("dim_value") else 0 for d in value.type.tensor_type.shape.dim]
        dims = [rows] + [size if size > 0 else 32 for size in dims[1:]]
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            arrays[value.name] = generator.standard_normal(dims).astype(numpy.float32)
        else:
            arrays[value.name] = numpy.ones(dims, onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    return arrays


def run_census(hone, models, folder):
    for path in models:
        arrays = random_inputs(onnx.load(path))
        numpy.savez(folder / "data.npz", **arrays)
        for mode in "static", "dynamic":
            out = folder / f"{mode}.onnx"
            command = [hone, "quantize", path, "-o", out, "--mode", mode, "--quiet"]
            done = subprocess.run(command + (["--data", folder / "data.npz"] if mode == "static" else []), capture_output=True, text=True)
            name = pathlib.Path(path).stem
            if done.returncode:
                print(f"{name:16} {mode:8} exit {done.returncode}: {done.stderr.strip()[:160]}")
                continue
            operators, left = census(out, folder)
            print(f"{name:16} {mode:8} {show(operators)}; constants dequantized in every run: {left}")


def measured(command):
    """User and system seconds, and peak resident MB, of a command."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def normalized(images):
    return ((images.astype(numpy.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2)


def accuracy(path, images, labels):
    ort = session(path)
    name = ort.get_inputs()[0].name
    answers = [ort.run(None, {name: normalized(images[i:i + 100])})[0].argmax(1) for i in range(0, len(images), 100)]
    return 100 * (numpy.concatenate(answers) == labels).mean()


def calibrate_with_ort(model, train, out):
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

    images = normalized(numpy.load(train)["x"][:IMAGES])
    name = onnx.load(model).graph.input[0].name

    class Reader(CalibrationDataReader):
        batches = iter(range(0, IMAGES, 16))

        def get_next(self):
            start = next(self.batches, None)
            return None if start is None else {name: images[start:start + 16]}

    quantize_static(model, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax)


def run_images(hone, model, train, test, folder):
    command = [hone, "quantize", model, "-o", folder / "int8.onnx", "--mode", "static", "--data", train, "--label", "y",
               "--rows", f"0:{IMAGES}", "--normalize", "imagenet layout=nhwc-nchw", "--quiet"]
    peer = [sys.executable, __file__, hone, "calibrate-with-ort", model, train, folder / "peer.onnx"]
    idle = [sys.executable, "-c", "import numpy, onnx, onnxruntime.quantization"]
    rounds = [(measured(command), measured(peer), measured(idle)) for _ in range(3)]
    for (seconds, memory), (peer_seconds, peer_memory), (start, _) in rounds:
        print(f"calibrate on {IMAGES}: hone {seconds:.2f} s CPU, {memory:.0f} MB; onnxruntime.quantization {peer_seconds:.2f} s "
              f"(importing it {start:.2f} s), {peer_memory:.0f} MB")
    operators, left = census(folder / "int8.onnx", folder)
    convolutions = sum(node.op_type == "Conv" for node in onnx.load(model).graph.node)
    print(f"{convolutions} Conv -> {show(operators)}; constants dequantized in every run: {left}")
    data = numpy.load(test)
    before, after = (accuracy(path, data["x"], data["y"]) for path in (model, folder / "int8.onnx"))
    print(f"accuracy in ONNX Runtime on {len(data['y'])}: float {before:.2f} %, int8 {after:.2f} %, "
          f"peer's int8 {accuracy(folder / 'peer.onnx', data['x'], data['y']):.2f} %")


def main():
    hone, what, *files = sys.argv[1:]
    if what == "calibrate-with-ort":
        return calibrate_with_ort(*files)
    with tempfile.TemporaryDirectory() as name:
        if what == "census":
            run_census(hone, files, pathlib.Path(name))
        else:
            run_images(hone, *files, pathlib.Path(name))


main()
