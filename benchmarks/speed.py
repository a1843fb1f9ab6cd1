#!/usr/bin/env python3
"""The engine against ONNX Runtime, as the tables of docs/engine_speed.md: `hone bench --against-ort` on every model of a folder.

    speed.py FOLDER --hone build/release/bin/hone --ort-library libonnxruntime.so [--threads N,N] [--seconds S] [-o FILE]

FOLDER holds NAME.onnx with NAME.inputs.npz (benchmarks/make_models). ppocr_v4_rec and minilm_l3, where they are there, run a
second time on another width at every run. --memory adds the peak memory of one process each, hone's and ONNX Runtime's (for
which this Python needs onnxruntime and numpy). Ratios are ONNX Runtime's median time over hone's: above 1, hone is faster.
"""
import argparse
import glob
import json
import math
import os
import subprocess
import sys

# Lines of text and sentences: another width at every run, none of them twice.
CHANGING = {
    "ppocr_v4_rec": ["--input-shape", "x=1,3,48,w", "--dim", "w=160:480:2", "--runs", "150"],
    "minilm_l3": ["--dim", "batch_size=1", "--dim", "sequence_length=8:128:1", "--runs", "110"],
}

RUN_ORT = """
import sys, numpy, onnxruntime
settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = int(sys.argv[3])
settings.log_severity_level = 3
session = onnxruntime.InferenceSession(sys.argv[1], settings, providers=["CPUExecutionProvider"])
inputs = dict(numpy.load(sys.argv[2]))
for _ in range(3):
    session.run(None, inputs)
"""


def peak_of(command):
    """Peak resident megabytes of a command."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    return usage.ru_maxrss / 1024 if status == 0 else math.nan


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--hone", required=True)
    parser.add_argument("--ort-library", required=True)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=3, help="for each side of each model")
    parser.add_argument("--only", default="")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("-o", "--output")
    options = parser.parse_args()
    counts = [int(each) for each in options.threads.split(",")]

    def bench(path, arguments, threads):
        command = [options.hone, "bench", path, "--against-ort", "--ort-library", options.ort_library, "--json", "--quiet",
                   "--threads", str(threads), "--seconds", str(options.seconds)] + arguments
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    head = ["model"]
    for count in counts:
        plural = "s" if count > 1 else ""
        head += [f"hone, {count} thread{plural}, ms", "ONNX Runtime, ms", "ratio", "interval"]
    head += ["created, ms", "ONNX Runtime, ms"] + (["peak, MB", "ONNX Runtime, MB"] if options.memory else [])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    ratios = {count: [] for count in counts}
    paths = sorted(glob.glob(os.path.join(options.folder, "*.onnx")))
    rows = [(path, os.path.basename(path)[:-5], None) for path in paths]
    rows += [(path, name + ", changing width", CHANGING[name]) for path, name, _ in rows if name in CHANGING]
    for path, name, changing in rows:
        inputs = path[:-5] + ".inputs.npz"
        if not os.path.exists(inputs) or (options.only and name.split(",")[0] not in options.only.split(",")):
            continue
        cells, last = [name], None
        for count in counts:
            result = bench(path, changing or ["--input-npz", inputs], count)
            if not result:
                cells += ["fails"] + [""] * 3
                continue
            last = result
            interval = result["ratio_interval"]
            cells += [f"{result['median_ms']:.3g}", f"{result['against']['median_ms']:.3g}", f"{result['ratio']:.2f}",
                      f"{interval['low']:.2f} to {interval['high']:.2f}"]
            if not changing:
                ratios[count].append(result["ratio"])
        cells += [f"{last['created_ms']:.3g}", f"{last['against']['created_ms']:.3g}"] if last else ["", ""]
        if options.memory and not changing:
            threads = str(counts[-1])
            cells.append(f"{peak_of([options.hone, 'run', path, '--input-npz', inputs, '--threads', threads, '--quiet']):.0f}")
            cells.append(f"{peak_of([sys.executable, '-c', RUN_ORT, path, inputs, threads]):.0f}")
        cells += [""] * (len(head) - len(cells))
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    mean = ["geometric mean"]
    for count in counts:
        logs = [math.log(each) for each in ratios[count]]
        mean += ["", "", f"**{math.exp(sum(logs) / len(logs)):.2f}**" if logs else "", ""]
    lines.append("| " + " | ".join(mean + [""] * (len(head) - len(mean))) + " |")
    text = "\n".join(lines) + "\n"
    if options.output:
        with open(options.output, "w") as file:
            file.write(text)
    else:
        print(text, end="")


main()
