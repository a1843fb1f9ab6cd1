#!/usr/bin/env python3
"""Time and memory of `hone convert` as a whole command, against a synced copy and three peers, as a Markdown table.

    convert.py --hone build/release/bin/hone [--rounds N] [--peers] [--folder DIR] [--timeout S] [CASE...]

Makes its models: two (nodes), bert (438 MB), llama (1 GB), wide (200,000 nodes that can't fold), huge (10 GB of external
data, run in an address space of 512 MB). Every round runs all commands in turn, so that a noisy machine disturbs all
alike; shown are the medians of the clock, of CPU time (user and system), and the largest resident set. `copy` is
`dd bs=4M conv=fsync`. With --peers, needs a Python with onnxsim, onnxslim and onnxruntime. A peer that fails or passes
--timeout seconds shows as "-". onnx and numpy are needed in any case.
"""
import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

from nodes import PEERS

ADDRESS_SPACE = 512 << 20  # of the case huge


def import_onnx():
    """In the process that makes a model only: what this one holds would count as memory of the commands it starts."""
    global np, TensorProto, helper, numpy_helper, onnx
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper


def save(path, nodes, inputs, outputs, initializers):
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def two(path):
    value = helper.make_tensor_value_info
    save(path, [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])],
         [value("x", TensorProto.FLOAT, [1, 4])], [value("y", TensorProto.FLOAT, [1, 4])], [])


def wide(path, count=200_000):
    nodes = []
    last = "x"
    for i in range(count // 4):
        nodes += [helper.make_node("Add", [last, "x"], [f"a{i}"]), helper.make_node("Sigmoid", [f"a{i}"], [f"b{i}"]),
                  helper.make_node("Mul", [f"b{i}", f"a{i}"], [f"c{i}"]), helper.make_node("Sub", [f"c{i}", "x"], [f"d{i}"])]
        last = f"d{i}"
    value = helper.make_tensor_value_info
    save(path, nodes, [value("x", TensorProto.FLOAT, ["n", 4])], [value(last, TensorProto.FLOAT, ["n", 4])], [])


def transformer(path, layers, width, inner, vocabulary):
    """An encoder as exporters write it: projections with biases, heads by Reshape and Transpose, LayerNormalization."""
    random = np.random.default_rng(0)
    nodes, initializers = [], []

    def weight(name, *shape):
        initializers.append(numpy_helper.from_array(random.standard_normal(shape, dtype=np.float32) * np.float32(0.02), name))
        return name

    def add(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def linear(x, name, rows, columns):
        product = add("MatMul", [x, weight(name + ".w", rows, columns)], name + ".product")
        return add("Add", [product, weight(name + ".b", columns)], name)

    for name, shape in (("split", [0, 0, -1, 64]), ("join", [0, 0, width])):
        initializers.append(numpy_helper.from_array(np.array(shape, np.int64), name))
    x = add("Gather", [weight("embedding", vocabulary, width), "ids"], "embedded")
    for i in range(layers):
        heads = {}
        for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
            cut = add("Reshape", [linear(x, f"{part}{i}", width, width), "split"], f"{part}{i}.cut")
            heads[part] = add("Transpose", [cut], f"{part}{i}.heads", perm=order)
        scores = add("Softmax", [add("MatMul", [heads["q"], heads["k"]], f"scores{i}")], f"weights{i}", axis=-1)
        mixed = add("Transpose", [add("MatMul", [scores, heads["v"]], f"mixed{i}")], f"turned{i}", perm=[0, 2, 1, 3])
        attended = linear(add("Reshape", [mixed, "join"], f"joined{i}"), f"out{i}", width, width)
        normal = add("LayerNormalization", [add("Add", [attended, x], f"first{i}"), weight(f"g{i}", width), weight(f"h{i}", width)],
                     f"normal{i}", axis=-1)
        up = add("Relu", [linear(normal, f"up{i}", width, inner)], f"active{i}")
        x = add("Add", [linear(up, f"down{i}", inner, width), normal], f"second{i}")
    value = helper.make_tensor_value_info
    save(path, nodes, [value("ids", TensorProto.INT64, ["batch", "length"])],
         [value(x, TensorProto.FLOAT, ["batch", "length", width])], initializers)


def huge(path, layers=40, width=8192):
    """10.7 GB in a file with hardly any blocks on the disk; the weights differ in their first kilobytes."""
    nodes, initializers, size = [], [], width * width * 4
    last = "x"
    for i in range(layers):
        tensor = TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=[width, width],
                             data_location=TensorProto.EXTERNAL)
        for key, text in (("location", "huge.data"), ("offset", str(i * size)), ("length", str(size))):
            tensor.external_data.add(key=key, value=text)
        initializers.append(tensor)
        nodes += [helper.make_node("MatMul", [last, f"w{i}"], [f"m{i}"]), helper.make_node("Identity", [f"m{i}"], [f"y{i}"])]
        last = f"y{i}"
    value = helper.make_tensor_value_info
    save(path, nodes, [value("x", TensorProto.FLOAT, ["n", width])], [value(last, TensorProto.FLOAT, ["n", width])], initializers)
    with open(os.path.join(os.path.dirname(path), "huge.data"), "wb") as file:
        for i in range(layers):
            file.seek(i * size)
            file.write(np.random.default_rng(i).bytes(4096))
        file.truncate(layers * size)


CASES = {
    "two": two,
    "bert": lambda path: transformer(path, 12, 768, 3072, 30522),
    "llama": lambda path: transformer(path, 16, 1024, 2816 * 2, 32000),
    "wide": wide,
    "huge": huge,
}


def run(command, timeout, address_space=None):
    """Seconds, CPU seconds and peak resident bytes of a command, or None where it fails."""
    def limit():
        if address_space:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    start = time.monotonic()
    with open(os.devnull, "wb") as null:
        child = subprocess.Popen(command, stdout=null, stderr=null, preexec_fn=limit)
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - start > timeout:
                child.kill()
                os.wait4(child.pid, 0)
                return None
            time.sleep(0.001)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        return None
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--hone", required=True)
    parser.add_argument("--folder", default="build/benchmarks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        import_onnx()
        return CASES[arguments.cases[0]](arguments.make)
    os.makedirs(arguments.folder, exist_ok=True)
    print("| model | command | seconds | CPU seconds | peak memory | time against a copy |\n|---|---|---|---|---|---|")
    failed = 0
    for case in arguments.cases or CASES:
        model = os.path.join(arguments.folder, case + ".onnx")
        if not os.path.exists(model):
            subprocess.run([sys.executable, __file__, case, "--hone", arguments.hone, "--make", model], check=True)
        out = os.path.join(arguments.folder, "out", "out.onnx")
        commands = {"hone convert": [arguments.hone, "convert", model, "-o", out, "--verify", "never", "--quiet"]}
        if case != "huge":
            commands = {"copy": ["dd", f"if={model}", f"of={out}", "bs=4M", "conv=fsync"]} | commands
            if arguments.peers:
                commands |= {peer: [sys.executable, "-c", code, model, out] for peer, code in PEERS.items()}
        results = {name: [] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                shutil.rmtree(os.path.dirname(out), ignore_errors=True)
                os.makedirs(os.path.dirname(out))
                if results[name] is None:
                    continue
                os.sync()
                found = run(command, arguments.timeout, ADDRESS_SPACE if case == "huge" else None)
                results[name] = results[name] + [found] if found else None
        shutil.rmtree(os.path.dirname(out), ignore_errors=True)
        copy = statistics.median(r[0] for r in results["copy"]) if results.get("copy") else None
        for name, runs in results.items():
            if not runs:
                failed += name == "hone convert"
                print(f"| {case} | {name} | - | - | - | - |", flush=True)
                continue
            seconds, cpu = (statistics.median(r[i] for r in runs) for i in (0, 1))
            ratio = f"{seconds / copy:.2f}" if copy and case in ("bert", "llama") else ""
            print(f"| {case} | {name} | {seconds:.3f} | {cpu:.3f} | {max(r[2] for r in runs) / 1e6:.0f} MB | {ratio} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
