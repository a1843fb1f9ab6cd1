#!/usr/bin/env python3
"""Export architectures with random weights by both PyTorch exporters: FOLDER/NAME_{torchscript,dynamo}.onnx with inputs.

    export_models.py FOLDER [NAME...]

Run with a Python that has torch, torchvision, transformers and onnxscript. NAME.inputs.npz beside each model holds one set
of inputs, for nodes.py and against_ort. Text models have a symbolic batch and length, image models a symbolic batch. All have
the depth of the real ones; gpt2 and llama_l16 are narrow, so that files stay small.
"""
import argparse
import os
import warnings

import numpy as np
import torch

IMAGE = {"x": (1, 3, 224, 224)}


def vision(name, **options):
    import torchvision
    return lambda: (getattr(torchvision.models, name)(weights=None, **options).eval(), IMAGE)


class Bare(torch.nn.Module):
    """A model of transformers that takes and gives plain tensors."""

    def __init__(self, model, output):
        super().__init__()
        self.model, self.output, self.traced = model, output, False

    def forward(self, ids, mask):
        if self.output != "logits":
            return getattr(self.model(input_ids=ids, attention_mask=mask), self.output)
        # transformers makes a causal mask by vmap, which the TorchScript exporter can't follow; one of four dimensions is
        # taken as it is.
        return self.model(input_ids=ids, attention_mask=causal(mask) if self.traced else mask, use_cache=False).logits


def causal(mask):
    """What is added to the scores: 0 for keys of the mask up to the query's own place."""
    places = torch.arange(mask.shape[1])
    seen = (places[None, :] <= places[:, None])[None, None] & mask[:, None, None, :].bool()
    return torch.where(seen, torch.tensor(0.0), torch.tensor(torch.finfo(torch.float32).min))


def text(make, output, vocabulary):
    return lambda: (Bare(make().eval(), output), vocabulary)


def bert():
    from transformers import BertConfig, BertModel
    return BertModel(BertConfig(attn_implementation="eager"))


def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel
    return GPT2LMHeadModel(GPT2Config(n_embd=256, n_head=4, vocab_size=8000, attn_implementation="eager"))


def llama():
    from transformers import LlamaConfig, LlamaForCausalLM
    return LlamaForCausalLM(LlamaConfig(hidden_size=256, intermediate_size=688, num_hidden_layers=16, num_attention_heads=8,
                                        num_key_value_heads=4, vocab_size=8000, attn_implementation="eager"))


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(40, 64, num_layers=2, bidirectional=True, batch_first=True)
        self.head = torch.nn.Linear(128, 12)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


MODELS = {
    "resnet50": vision("resnet50"),
    "mobilenet_v2": vision("mobilenet_v2"),
    "efficientnet_b0": vision("efficientnet_b0"),
    "convnext_tiny": vision("convnext_tiny"),
    "vit_b_16": vision("vit_b_16"),
    "swin_t": vision("swin_t"),
    "bert_base": text(bert, "last_hidden_state", 30522),
    "gpt2": text(gpt2, "logits", 8000),
    "llama_l16": text(llama, "logits", 8000),
    "lstm": lambda: (Recurrent().eval(), {"x": (1, 50, 40)}),
}


def export(name, exporter, folder):
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    model, signature = MODELS[name]()
    if isinstance(signature, dict):
        inputs = {key: random.standard_normal(shape, dtype=np.float32) for key, shape in signature.items()}
        axes = {key: {0: "batch"} for key in inputs}
    else:
        inputs = {"ids": random.integers(0, signature, (2, 16)), "mask": np.ones((2, 16), np.int64)}
        axes = {key: {0: "batch", 1: "length"} for key in inputs}
    # A batch of 1 is taken for a constant by the dynamo exporter.
    arguments = tuple(torch.from_numpy(np.concatenate([value] * 2) if len(value) == 1 else value)
                      for value in inputs.values())
    path = os.path.join(folder, f"{name}_{exporter}.onnx")
    if exporter == "torchscript":
        model.traced = True
        torch.onnx.export(model, arguments, path, input_names=list(inputs), output_names=["y"], dynamic_axes=axes,
                          opset_version=17, dynamo=False)
    else:
        shapes = tuple({axis: torch.export.Dim.DYNAMIC for axis in axes[key]} for key in inputs)
        torch.onnx.export(model, arguments, path, input_names=list(inputs), output_names=["y"], dynamic_shapes=shapes,
                          dynamo=True, external_data=False)
    np.savez(path.removesuffix(".onnx") + ".inputs.npz", **inputs)
    print(path, flush=True)


def export_all(models, export_one, description):
    """The command line: export_one(name, exporter, folder) for those of `models` that it names. How many failed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(models))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    os.makedirs(arguments.folder, exist_ok=True)
    failed = 0
    for name in arguments.names or models:
        for exporter in ("torchscript", "dynamo"):
            try:
                export_one(name, exporter, arguments.folder)
            except Exception as error:  # noqa: BLE001: the exporters raise anything
                failed += 1
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                print(f"{name}, {exporter}: left out, {reason[:200]}", flush=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(1 if export_all(MODELS, export, __doc__) else 0)
