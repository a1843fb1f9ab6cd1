"""Trains the networks of examples/ with PyTorch and writes their losses, step by step, to oracle.json.

Run with torch and numpy installed: python tests/train/make_oracle.py. Written with torch 2.14. Weights come from a
formula, rows in the order that hone draws: both are written here a second time on purpose.
"""

import csv
import gzip
import json
import math
import pathlib

import numpy
import torch

here = pathlib.Path(__file__).parent
ROWS, BATCH, STEPS, SEED = 400, 32, 100, 5
EPOCH = math.ceil(ROWS / BATCH)  # steps an epoch


def philox(key, high, low):
    mask = 0xFFFFFFFF
    c = [low & mask, low >> 32, high & mask, high >> 32]
    k = [key & mask, key >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & mask, (a >> 32) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def shuffled(count, seed, epoch):
    numbers = []

    def bits64():
        if not numbers:
            c = philox(seed, (0x73687566 << 32) + epoch, bits64.block)
            bits64.block += 1
            numbers.extend([c[0] << 32 | c[1], c[2] << 32 | c[3]])
        return numbers.pop(0)

    bits64.block = 0
    order = list(range(count))
    for i in range(count, 1, -1):
        while True:
            drawn = bits64()
            if drawn >= (2**64 - i) % i:
                break
        j = drawn % i
        order[i - 1], order[j] = order[j], order[i - 1]
    return order


def fill(parameter, index):
    """Numbers of a linear congruential generator, uniform within 1/sqrt(fan in)."""
    state, count = 12345 + index, parameter.numel()
    bound = 1 / math.sqrt(parameter[0].numel() if parameter.dim() > 1 else 100)
    values = numpy.empty(count, numpy.float32)
    for i in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values[i] = (2 * (state >> 8) / 2**24 - 1) * bound
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values.reshape(parameter.shape)))


def mlp():
    return torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 128), torch.nn.ReLU(),
                               torch.nn.Linear(128, 10))


def cnn():
    nn = torch.nn
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10))


def train(x, y, make_optimizer, network=mlp, schedule=None, l1=0.0, clip=0.0, **loss):
    torch.manual_seed(0)
    net = network()
    index = 0
    for name, parameter in net.named_parameters():
        scale = network is cnn and parameter.dim() == 1 and name.endswith("weight")
        if scale:  # of a BatchNormalization: 1, its bias 0
            continue
        if network is cnn and parameter.dim() == 1 and not name.startswith("10"):
            continue
        fill(parameter, index)
        index += 1
    matrices = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() == 1]
    optimizer = make_optimizer(matrices, others)
    scheduler = schedule(optimizer) if schedule else None
    losses = []
    for step in range(STEPS):
        epoch, batch = divmod(step, EPOCH)
        rows = shuffled(ROWS, SEED, epoch)[batch * BATCH:(batch + 1) * BATCH]
        value = torch.nn.functional.cross_entropy(net(x[rows]), y[rows], **loss)
        optimizer.zero_grad()
        penalty = l1 * sum(p.abs().sum() for p in matrices) if l1 else 0.0
        (value + penalty).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        losses.append(value.item())
        if scheduler:
            scheduler.step()
    return {"losses": [float(f"{v:.7g}") for v in losses],
            "norms": [float(f"{p.double().norm().item():.8g}") for p in net.parameters()]}


def main():
    torch.set_num_threads(1)
    with gzip.open(here / "../../examples/digits/digits.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))[:ROWS]
    y = torch.tensor([int(row["digit"]) for row in rows])
    pixels = [name for name in rows[0] if name != "digit"]
    x = torch.tensor([[float(row[name]) for name in pixels] for row in rows]) / 16
    optim, rates = torch.optim, torch.optim.lr_scheduler

    def both(make, decay=0.0, **options):  # regularization leaves biases alone
        return lambda matrices, others: make([{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0}],
                                             **options)

    cases = {
        "sgd": dict(make_optimizer=both(optim.SGD, lr=0.1)),
        "momentum": dict(make_optimizer=both(optim.SGD, lr=0.05, momentum=0.9)),
        "nesterov": dict(make_optimizer=both(optim.SGD, lr=0.05, momentum=0.9, nesterov=True)),
        "adam": dict(make_optimizer=both(optim.Adam, lr=1e-3)),
        "adam-l2": dict(make_optimizer=both(optim.Adam, decay=0.01, lr=1e-3)),
        "adamw": dict(make_optimizer=both(optim.AdamW, decay=0.1, lr=1e-3)),
        "rmsprop": dict(make_optimizer=both(optim.RMSprop, lr=1e-3)),
        "adagrad": dict(make_optimizer=both(optim.Adagrad, lr=1e-2, eps=1e-8)),
        "sgd-l1": dict(make_optimizer=both(optim.SGD, lr=0.1), l1=1e-3),
        "clip-norm": dict(make_optimizer=both(optim.SGD, lr=0.1), clip=0.5),
        "smoothing": dict(make_optimizer=both(optim.Adam, lr=1e-3), label_smoothing=0.1),
        "class-weights": dict(make_optimizer=both(optim.Adam, lr=1e-3),
                              weight=torch.tensor([1.0, 2, 3, 4, 5, 5, 4, 3, 2, 1])),
        "cosine": dict(make_optimizer=both(optim.SGD, lr=0.1),
                       schedule=lambda o: rates.CosineAnnealingLR(o, 8 * EPOCH)),
        "step": dict(make_optimizer=both(optim.SGD, lr=0.1), schedule=lambda o: rates.StepLR(o, 2 * EPOCH, gamma=0.5)),
        "multistep": dict(make_optimizer=both(optim.SGD, lr=0.1),
                          schedule=lambda o: rates.MultiStepLR(o, [2 * EPOCH, 5 * EPOCH], gamma=0.2)),
        "exponential": dict(make_optimizer=both(optim.SGD, lr=0.1),
                            schedule=lambda o: rates.LambdaLR(o, lambda step: 0.9 ** (step // EPOCH))),
        "polynomial": dict(make_optimizer=both(optim.SGD, lr=0.1),
                           schedule=lambda o: rates.PolynomialLR(o, 8 * EPOCH, power=2)),
        "cnn": dict(make_optimizer=both(optim.SGD, lr=0.05, momentum=0.9), network=cnn),
    }
    result = {name: train(x, y, **options) for name, options in cases.items()}
    lines = [f" {json.dumps(name)}: {json.dumps(case)}" for name, case in result.items()]
    (here / "oracle.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
