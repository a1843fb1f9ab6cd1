#!/usr/bin/env python3
"""Export many small architectures with random weights by both PyTorch exporters: FOLDER/NAME_{torchscript,dynamo}.onnx.

    export_small_models.py FOLDER [NAME...]

Run with a Python that has torch, torchvision, transformers and onnxscript. NAME.inputs.npz beside each model holds one set
of inputs, for nodes.py. Sizes are fixed. What an exporter can't follow is reported and left out: a model that is no file tests
nobody. Those of export_models.py, which have the depth of the real ones, are not among them.
"""
import os

import numpy as np
import torch
import torchvision
import transformers
from torch import nn

from export_models import export_all

SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 500}
SEQUENCE = {"d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
            "decoder_attention_heads": 4, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "vocab_size": 500}
VISION = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128, "image_size": 64}


class Named(nn.Module):
    """A model of transformers that takes plain tensors by position and gives some of its outputs."""

    def __init__(self, model, inputs, outputs, **options):
        super().__init__()
        self.model, self.inputs, self.outputs, self.options = model, inputs, outputs, options

    def forward(self, *tensors):
        found = self.model(**dict(zip(self.inputs, tensors)), **self.options)
        return tuple(found[name] for name in self.outputs)


def tokens(batch=2, length=16):
    return torch.randint(5, 500, (batch, length))


def image(size=64, channels=3):
    return torch.randn(1, channels, size, size)


def made(name, **options):
    """The model of transformers, with the configuration that goes with it."""
    model = getattr(transformers, name)
    return model(model.config_class(**options))


def encoder(name, **options):
    def make():
        ids, mask = tokens(), torch.ones(2, 16, dtype=torch.long)
        mask[1, 10:] = 0
        return Named(made(name, **{**SMALL, **options}), ["input_ids", "attention_mask"], ["last_hidden_state"]), (ids, mask)
    return make


def decoder(name, **options):
    def make():
        ids = tokens(1, 12)
        model = made(name, **{**SMALL, **options})
        return Named(model, ["input_ids", "attention_mask"], ["logits"], use_cache=False), (ids, torch.ones_like(ids))
    return make


def translator(name, output, **options):
    def make():
        names = ["input_ids", "attention_mask", "decoder_input_ids"]
        return (Named(made(name, **options), names, [output], use_cache=False),
                (tokens(), torch.ones(2, 16, dtype=torch.long), tokens(2, 7)))
    return make


def of_images(name, size=64, output="last_hidden_state", **options):
    return lambda: (Named(made(name, **options), ["pixel_values"], [output]), (image(size),))


def vision(name, size=64, **options):
    return lambda: (getattr(torchvision.models, name)(weights=None, **options), (image(size),))


def whisper():
    model = made("WhisperModel", **SEQUENCE, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
                 max_source_positions=100, num_mel_bins=40)
    return (Named(model, ["input_features", "decoder_input_ids"], ["last_hidden_state"], use_cache=False),
            (torch.randn(1, 40, 200), tokens(1, 7)))


def clip():
    model = made("CLIPModel", text_config={**SMALL, "max_position_embeddings": 32, "eos_token_id": 2},
                 vision_config={**VISION, "patch_size": 16}, projection_dim=32)
    return (Named(model, ["input_ids", "pixel_values", "attention_mask"], ["logits_per_image", "text_embeds"]),
            (tokens(), image(), torch.ones(2, 16, dtype=torch.long)))


def wav2vec2():
    model = made("Wav2Vec2Model", hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
                 conv_dim=(32,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4)
    return Named(model, ["input_values"], ["last_hidden_state"]), (torch.randn(1, 8000),)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()

        def block(before, after):
            return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(4, after), nn.SiLU(),
                                 nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after), nn.LeakyReLU(0.1))
        self.down = nn.ModuleList([block(3, 16), block(16, 32), block(32, 64)])
        self.up = nn.ModuleList([block(64, 32), block(48, 16)])
        self.transposed = nn.ConvTranspose2d(64, 32, 2, 2)
        self.resize = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.norm, self.head = nn.InstanceNorm2d(16, affine=True), nn.Conv2d(16, 2, 1)

    def forward(self, x):
        a = self.norm(self.down[0](x))
        b = self.down[1](nn.functional.max_pool2d(a, 2))
        c = self.down[2](nn.functional.avg_pool2d(b, 2))
        d = self.up[0](torch.cat([self.transposed(c), b], 1))
        return self.head(self.up[1](torch.cat([self.resize(d), a], 1)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(500, 16)
        self.gru = nn.GRU(16, 24, 2, batch_first=True, bidirectional=True)
        self.rnn, self.head = nn.RNN(48, 16, batch_first=True), nn.Linear(16, 5)

    def forward(self, ids):
        y, h = self.rnn(self.gru(self.embedding(ids))[0])
        return self.head(y), h


class Recommender(nn.Module):
    """Dense features and bags of categories, with the products of all pairs."""

    def __init__(self):
        super().__init__()
        self.bags = nn.ModuleList([nn.EmbeddingBag(50, 8, mode="sum") for _ in range(3)])
        self.dense = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 8))
        self.head = nn.Sequential(nn.Linear(14, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())

    def forward(self, dense, categories):
        features = [self.dense(dense)] + [bag(categories[i]) for i, bag in enumerate(self.bags)]
        stacked = torch.stack(features, 1)
        rows, columns = torch.tril_indices(4, 4, -1)
        pairs = torch.bmm(stacked, stacked.transpose(1, 2))[:, rows, columns]
        return self.head(torch.cat([features[0], pairs], 1))


class Detector(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        found = self.model([x])[0]
        return found["boxes"], found["scores"], found["labels"]


def detector(name):
    def make():
        model = getattr(torchvision.models.detection, name)(weights=None, weights_backbone=None, num_classes=5)
        return Detector(model), (torch.rand(3, 320, 320),)
    return make


class Segmenter(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)["out"]


def segmenter(name):
    def make():
        model = getattr(torchvision.models.segmentation, name)(weights=None, weights_backbone=None, num_classes=5)
        return Segmenter(model), (image(96),)
    return make


MODELS = {
    "albert": encoder("AlbertModel", embedding_size=32),
    "deberta": encoder("DebertaV2Model", relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=32,
                       max_position_embeddings=64, type_vocab_size=0),
    "mobilebert": encoder("MobileBertModel", embedding_size=32, intra_bottleneck_size=32, true_hidden_size=32),
    "modernbert": encoder("ModernBertModel", pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1,
                          sep_token_id=2, attn_implementation="eager", reference_compile=False),
    "mpnet": encoder("MPNetModel"),
    "t5": translator("T5ForConditionalGeneration", "logits", d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4,
                     vocab_size=500),
    "bart": translator("BartModel", "last_hidden_state", **SEQUENCE),
    "whisper": whisper,
    "clip": clip,
    "wav2vec2": wav2vec2,
    "mistral": decoder("MistralForCausalLM", num_key_value_heads=2),
    "qwen2": decoder("Qwen2ForCausalLM", num_key_value_heads=2),
    "gemma": decoder("GemmaForCausalLM", num_key_value_heads=2, head_dim=16),
    "phi": decoder("PhiForCausalLM"),
    "opt": decoder("OPTForCausalLM", ffn_dim=128, word_embed_proj_dim=64),
    "bloom": decoder("BloomForCausalLM", n_layer=2, n_head=4),
    "mamba": lambda: (Named(made("MambaForCausalLM", hidden_size=32, num_hidden_layers=2, vocab_size=500, state_size=8),
                            ["input_ids"], ["logits"], use_cache=False), (tokens(1, 6),)),
    "segformer": of_images("SegformerForSemanticSegmentation", output="logits", hidden_sizes=[16, 32, 48, 64],
                           depths=[1, 1, 1, 1], decoder_hidden_size=32, num_attention_heads=[1, 2, 2, 4]),
    "beit": of_images("BeitModel", **VISION, use_relative_position_bias=True),
    "dinov2": of_images("Dinov2Model", 56, **{**VISION, "image_size": 56}, patch_size=14),
    "convnextv2": of_images("ConvNextV2Model", hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 2, 1]),
    "mobilevit": of_images("MobileViTModel", hidden_sizes=[32, 48, 64], neck_hidden_sizes=[8, 16, 24, 32, 40, 48, 64],
                           image_size=64),
    "swinv2": of_images("Swinv2Model", embed_dim=24, depths=[2, 2], num_heads=[2, 4], image_size=64, window_size=4),
    "unet": lambda: (UNet(), (image(32),)),
    "gru": lambda: (Recurrent(), (tokens(2, 9),)),
    "recommender": lambda: (Recommender(), (torch.randn(4, 13), torch.randint(0, 50, (3, 4, 2)))),
    "faster_rcnn": detector("fasterrcnn_mobilenet_v3_large_320_fpn"),
    "ssdlite": detector("ssdlite320_mobilenet_v3_large"),
    "deeplab_v3": segmenter("deeplabv3_mobilenet_v3_large"),
    "lraspp": segmenter("lraspp_mobilenet_v3_large"),
    "raft": lambda: (torchvision.models.optical_flow.raft_small(weights=None), (image(128), image(128))),
    "resnet3d": lambda: (torchvision.models.video.r3d_18(weights=None), (torch.randn(1, 3, 4, 32, 32),)),
    "densenet121": vision("densenet121"),
    "inception_v3": vision("inception_v3", 299, init_weights=False),
    "googlenet": vision("googlenet", init_weights=False),
    "shufflenet": vision("shufflenet_v2_x0_5"),
    "squeezenet": vision("squeezenet1_1"),
    "regnet": vision("regnet_y_400mf"),
    "mnasnet": vision("mnasnet0_5"),
    "maxvit": vision("maxvit_t", 224),
}


def export(name, exporter, folder):
    import onnx
    torch.manual_seed(0)
    model, arguments = MODELS[name]()
    for module in model.eval().modules():  # statistics that a training would leave
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    path = os.path.join(folder, f"{name}_{exporter}.onnx")
    if exporter == "torchscript":
        torch.onnx.export(model, arguments, path, opset_version=17, dynamo=False)
    else:
        torch.onnx.export(model, arguments, path, dynamo=True, external_data=False, verbose=False)
    graph = onnx.load(path).graph
    weights = {tensor.name for tensor in graph.initializer}
    names = [value.name for value in graph.input if value.name not in weights]
    np.savez(path.removesuffix(".onnx") + ".inputs.npz", **dict(zip(names, (each.numpy() for each in arguments))))
    print(path, flush=True)


if __name__ == "__main__":
    export_all(MODELS, export, __doc__)
