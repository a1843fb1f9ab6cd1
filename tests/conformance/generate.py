"""Writes the backend test cases that come with onnx as folders that tests/conformance/runner.cpp reads."""

import argparse
import json
import os
import shutil
import sys

import numpy as np
import onnx
import onnx.backend.test.cmd_tools as tools
from onnx.backend.test.case.model import collect_testcases
from onnx.backend.test.loader import load_node_model_tests


class One:
    """cmd_tools writes all cases or none: give it one at a time, so that one failure does not stop the rest."""

    def __init__(self, case):
        self.case = case

    def collect_testcases(self):
        return [self.case]


def generate(cases, folder):
    failed = []
    for case in cases:
        if case.kind == "real":
            continue
        tools.model_test = One(case)
        try:
            tools.generate_data(argparse.Namespace(output=folder))
        except Exception as error:  # noqa: BLE001
            failed.append((case.name, error))
    for name, error in failed:
        print(f"{name}: {error!r}", file=sys.stderr)
    for kind in {case.kind for case in cases if case.kind != "real"}:
        tolerances = {c.name: {"rtol": c.rtol, "atol": c.atol} for c in cases if c.kind == kind}
        with open(os.path.join(folder, kind, "tolerances.json"), "w") as file:
            json.dump(tolerances, file, indent=0)


def copy_light(source, folder):
    """Real architectures without their weights, with the inputs that onnx's own runner makes for them."""
    for name in sorted(os.listdir(source)):
        if not name.endswith(".onnx"):
            continue
        stem = name[: -len(".onnx")]
        case = os.path.join(folder, stem)
        data = os.path.join(case, "test_data_set_0")
        os.makedirs(data)
        shutil.copy(os.path.join(source, name), os.path.join(case, "model.onnx"))
        model = onnx.load(os.path.join(source, name))
        weights = {w.name for w in model.graph.initializer}
        inputs = [i for i in model.graph.input if i.name not in weights]
        for index, value in enumerate(inputs):
            shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
            count = int(np.prod(shape))
            array = (np.arange(count) / count).astype(np.float32).reshape(shape)
            with open(os.path.join(data, f"input_{index}.pb"), "wb") as file:
                file.write(onnx.numpy_helper.from_array(array).SerializeToString())
        for index in range(len(model.graph.output)):
            shutil.copy(os.path.join(source, f"{stem}_output_{index}.pb"), os.path.join(data, f"output_{index}.pb"))


def main():
    folder = sys.argv[1]
    generate(load_node_model_tests(), folder)
    generate(collect_testcases(), folder)
    data = os.path.join(os.path.dirname(tools.__file__), "data")
    for suite in ("pytorch-converted", "pytorch-operator"):
        shutil.copytree(os.path.join(data, suite), os.path.join(folder, suite))
    copy_light(os.path.join(data, "light"), os.path.join(folder, "light"))


main()
