#!/usr/bin/env python3
"""Writes oracle.json: what scikit-learn makes of small data, with the data.

usage: make_oracle.py > oracle.json   (needs numpy, scipy and scikit-learn; the result is checked in)
"""
import json
import warnings
import numpy as np
import sklearn.metrics as m
from scipy import special, stats

warnings.simplefilter("ignore")
rng = np.random.default_rng(7)
f32 = np.float32
out = {}


def numbers(a):
    return [float(x) for x in np.asarray(a).ravel()]


# Classification with 4 classes of which one never occurs, ties in the scores, imbalance.
n, c = 120, 5
truth = rng.choice([0, 1, 2, 4], size=n, p=[0.5, 0.3, 0.15, 0.05])
logits = (rng.normal(size=(n, c)) + 1.5 * np.eye(c)[truth]).astype(f32)
logits[::10] = np.round(logits[::10])
p32 = special.softmax(logits.astype(f32), axis=1).astype(f32)
answer = logits.argmax(1)
labels = list(range(c))
each = {}
for average in ("micro", "macro", "weighted"):
    pr, rc, f1, _ = m.precision_recall_fscore_support(truth, answer, average=average, zero_division=0)
    each[average] = [pr, rc, f1]
per_class = m.precision_recall_fscore_support(truth, answer, labels=labels, zero_division=0)
present = sorted(set(truth))
out["multiclass"] = {
    "classes": c, "truth": truth.tolist(), "logits": numbers(logits), "probabilities": numbers(p32),
    "accuracy": m.accuracy_score(truth, answer), "balanced_accuracy": m.balanced_accuracy_score(truth, answer),
    "mcc": m.matthews_corrcoef(truth, answer), "averages": each,
    "per_class": [numbers(per_class[i]) for i in range(3)],
    "loss": m.log_loss(truth, p32, labels=labels),
    "brier": m.brier_score_loss(truth, p32, labels=labels),
    "top": [m.top_k_accuracy_score(truth, logits, k=k, labels=labels) for k in (1, 2, 3, 4)],
    "auc_macro": float(np.mean([m.roc_auc_score(truth == k, p32[:, k]) for k in present])),
    "auc_weighted": float(np.average([m.roc_auc_score(truth == k, p32[:, k]) for k in present],
                                     weights=[(truth == k).sum() for k in present])),
    "average_precision_macro": float(np.mean([m.average_precision_score(truth == k, p32[:, k]) for k in present])),
    "confusion": m.confusion_matrix(truth, answer, labels=labels).tolist(),
}

# Binary, one column; many ties.
n = 90
truth = (rng.random(n) < 0.3).astype(int)
score = np.round(np.clip(0.3 * truth + rng.random(n) * 0.8, 0, 1), 1).astype(f32)
score[:3] = [0, 1, 0.5]
answer = (score > 0.5).astype(int)
out["binary"] = {
    "truth": truth.tolist(), "probabilities": numbers(score),
    "accuracy": m.accuracy_score(truth, answer), "precision": m.precision_score(truth, answer),
    "recall": m.recall_score(truth, answer), "f1": m.f1_score(truth, answer), "mcc": m.matthews_corrcoef(truth, answer),
    "auc": m.roc_auc_score(truth, score), "average_precision": m.average_precision_score(truth, score),
    "loss": m.log_loss(truth, score, labels=[0, 1]), "brier": m.brier_score_loss(truth, score),
    "recall_0": m.recall_score(truth, answer, pos_label=0),
    "average_precision_0": m.average_precision_score(truth, -score, pos_label=0),
}

# Regression with two columns.
target = rng.normal(size=(40, 2)).astype(f32)
prediction = (target + 0.3 * rng.normal(size=(40, 2))).astype(f32)
out["regression"] = {
    "target": numbers(target), "prediction": numbers(prediction),
    "mse": m.mean_squared_error(target, prediction), "rmse": m.root_mean_squared_error(target, prediction),
    "mae": m.mean_absolute_error(target, prediction), "r2": m.r2_score(target, prediction),
    "max_error": float(np.abs(target.astype(float) - prediction).max()),
}

# Statistics.
out["wilson"] = [[x, k, list(map(float, stats.binomtest(x, k).proportion_ci(0.95, "wilson")))]
                 for x, k in ((0, 10), (10, 10), (7, 10), (950, 1000), (1, 100000))]
out["normal"] = [[p, float(stats.norm.ppf(p))] for p in (0.025, 0.5, 0.95, 0.975, 0.999, 1e-6)]


def mid(b, c):
    n = b + c
    return float(min(1, 2 * stats.binom.cdf(min(b, c), n, 0.5) - stats.binom.pmf(min(b, c), n, 0.5))) if b != c else \
        float(1 - 0.5 * stats.binom.pmf(b, n, 0.5))


out["mcnemar"] = [[b, c, float(min(1, 2 * stats.binom.cdf(min(b, c), b + c, 0.5))), mid(b, c)]
                  for b, c in ((0, 1), (1, 5), (10, 10), (3, 20), (400, 500))]
data = rng.normal(size=13)
out["quantile"] = {"values": sorted(numbers(data)), "shares": [0, 0.1, 0.5, 0.9, 0.99, 1],
                   "results": numbers(np.quantile(data, [0, 0.1, 0.5, 0.9, 0.99, 1]))}
print(json.dumps(out, indent=None, separators=(",", ":")).replace('],"', '],\n"').replace('},"', '},\n"'))
