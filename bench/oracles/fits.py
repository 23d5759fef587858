"""Lines through models' accuracies by SciPy, statsmodels and pandas, for lib/stats/testdata/fits.json (made-up models) and lib/shift/testdata/fits.json (the
published ones of Recht et al., Taori et al. and timm).

    python bench/oracles/fits.py DATA lib/stats/testdata/fits.json lib/shift/testdata/fits.json

DATA is the folder of the real data, with cifar10.1, imagenetv2, testbed, timm and label-errors. The bands are drawn as the authors of imagenet-testbed draw
them (plotting/plotter.py: run_bootstrap_linreg), 10,000 times. Besides the packages of the README it takes pandas and statsmodels.
"""
import glob
import json
import os
import re
import sys

import numpy as np
import pandas as pd
import scipy.stats
import statsmodels.api as sm

data, stats_out, shift_out = sys.argv[1:]
TO = {"linear": lambda a: a, "probit": scipy.stats.norm.ppf, "logit": lambda a: np.log(a / (1 - a))}
FROM = {"linear": lambda v: v, "probit": scipy.stats.norm.cdf, "logit": lambda v: 1 / (1 + np.exp(-v))}
DRAWS = 10000


def fit(scale, x, y, grid=()):
    x, y = np.asarray(x, float), np.asarray(y, float)
    if scale != "linear":
        inside = (x > 0) & (x < 1) & (y > 0) & (y < 1)
        x, y = x[inside], y[inside]
    tx, ty = TO[scale](x), TO[scale](y)
    line = scipy.stats.linregress(tx, ty)
    ols = sm.OLS(ty, sm.add_constant(tx)).fit()
    assert np.allclose([line.intercept, line.slope, line.rvalue**2], [*ols.params, ols.rsquared], rtol=1e-9)
    out = {"n": len(x), "slope": line.slope, "intercept": line.intercept, "r2": line.rvalue**2}
    if len(grid):
        rng = np.random.RandomState(720257663)
        coefficients = []
        for _ in range(DRAWS):
            i = rng.choice(len(tx), len(tx))
            coefficients.append(np.linalg.lstsq(np.stack([np.ones(len(i)), tx[i]], 1), ty[i], rcond=None)[0])
        coefficients = np.array(coefficients)
        heights = coefficients @ np.stack([np.ones(len(grid)), TO[scale](np.asarray(grid))])
        out["grid"] = list(grid)
        out["band"] = FROM[scale](np.percentile(heights, [2.5, 97.5], axis=0)).T.tolist()
        out["slope_interval"] = np.percentile(coefficients[:, 1], [2.5, 97.5]).tolist()
        out["intercept_interval"] = np.percentile(coefficients[:, 0], [2.5, 97.5]).tolist()
        out["predicted"] = FROM[scale](line.intercept + line.slope * TO[scale](np.asarray(grid))).tolist()
    return out, lambda v: FROM[scale](line.intercept + line.slope * TO[scale](np.asarray(v, float)))


def piecewise(scale, x, y, pivot):
    """The authors' rule: plotting/paper_appendix_gen_eff_robust_corr_table.py."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    below, low = fit(scale, x[x < pivot], y[x < pivot])
    above, high = fit(scale, x[x > pivot], y[x > pivot])
    return {"pivot": pivot, "below": below, "above": above}, lambda v: np.where(np.asarray(v) > pivot, high(v), low(v))


# Made-up models.
rng = np.random.default_rng(3)
x = np.round(np.sort(rng.uniform(0.3, 0.97, 40)), 4)
y = np.round(FROM["logit"](0.9 * TO["logit"](x) - 0.6 + rng.normal(0, 0.12, 40)), 4)
x[0], y[0], x[39], y[39], y[12] = 0, 0.01, 0.99, 1, 0
golden = {"x": x.tolist(), "y": y.tolist(), "fits": {s: fit(s, x, y, [0.35, 0.5, 0.7, 0.9, 0.96])[0] for s in TO}}
golden["piecewise"] = piecewise("logit", x, y, x[12])[0]
json.dump(golden, open(stats_out, "w"), indent=1)

out = {"fits": {}, "points": {}}


def add(name, x, y, grid=()):
    for scale in TO:
        out["fits"][f"{name} {scale}"] = fit(scale, x, y, grid)[0]


# Recht et al.
labels = np.load(f"{data}/label-errors/original_test_labels/cifar10_test_set_original_labels.npy")
new_labels = np.load(f"{data}/cifar10.1/datasets/cifar10.1_v4_labels.npy")
table = {}
for file in sorted(glob.glob(f"{data}/cifar10.1/model_predictions/original_predictions/*.json")):
    name = os.path.basename(file)
    pair = [np.mean(np.array(json.load(open(f))) == l) for f, l in [(file, labels), (file.replace("original_predictions/", "v4_predictions/"), new_labels)]]
    table[name.removesuffix("_predictions.json")] = pair
cifar = np.array(list(table.values()))
add("cifar10.1", cifar[:, 0], cifar[:, 1], [0.85, 0.9, 0.95])
for m in ["vgg16_keras", "wrn_28_10", "shake_shake_26_2x64d_SSI_cutout16"]:
    out["points"]["cifar10.1 " + m] = table[m]
for test_set in ["matched-frequency", "top-images"]:
    t = pd.read_csv(f"{data}/imagenetv2/{test_set}.accuracy.csv", index_col=0)
    z = np.load(f"{data}/imagenetv2/{test_set}.npz")
    v2 = (z["top1"] == z["labels"]).mean(1)
    assert list(t.index) == open(f"{data}/imagenetv2/{test_set}.models.txt").read().split() and np.allclose(v2, t.v2)
    plain = ~t.index.str.contains("fv_|fisher|_fv", case=False)
    add(f"imagenetv2 {test_set}, all", t.val, v2)
    add(f"imagenetv2 {test_set}", t.val[plain], v2[plain], [0.6, 0.7, 0.8])
    drop = 100 * (t.val - v2)[plain]
    out[f"drops {test_set}"] = [drop.mean(), drop.min(), drop.max(), int(plain.sum())]
    for m in ["alexnet", "resnet50", "pnasnet_large_tf"]:
        out["points"][f"imagenetv2 {test_set} {m}"] = [t.val[m], v2[list(t.index).index(m)]]

# Taori et al.
t = pd.read_csv(f"{data}/testbed/robustness_top1s.csv", index_col=0) / 100
kind = pd.read_csv(f"{data}/testbed/model_types.csv", index_col=0)["type"]
name = t.index.str.lower()
baseline = (kind.reindex(t.index) == "STANDARD").values & ~name.str.contains("aws|batch64|subsample")
out["effective"] = {}
for x_axis, y_axis in [
    ("val", "imagenetv2-matched-frequency-format-val"), ("val", "imagenetv2-matched-frequency"), ("val-on-objectnet-classes", "objectnet-1.0-beta"),
    ("val", "imagenet-sketch"), ("val-on-imagenet-r-classes", "imagenet-r"), ("imagenet-vid-robust_pm0", "imagenet-vid-robust_pm10"),
    ("ytbb-robust_pm0", "ytbb-robust_pm10"),
]:
    both = t.loc[baseline, [x_axis, y_axis]].dropna()
    add(f"testbed {y_axis}", both[x_axis], both[y_axis], [0.6, 0.7, 0.8] if y_axis in ("imagenetv2-matched-frequency-format-val", "objectnet-1.0-beta") else ())
    _, beta = fit("logit", both[x_axis], both[y_axis])
    every = t[[x_axis, y_axis]].dropna()
    out["effective"][y_axis] = (100 * (every[y_axis] - beta(every[x_axis]))).to_dict()
both = t.loc[baseline, ["val-on-imagenet-a-classes", "imagenet-a"]].dropna()
pivot = both.iloc[:, 0][both.iloc[:, 1] == 0].iloc[0]
out["imagenet-a"], beta = piecewise("logit", both.iloc[:, 0], both.iloc[:, 1], pivot)
every = t[["val-on-imagenet-a-classes", "imagenet-a"]].dropna()
out["effective"]["imagenet-a"] = (100 * (every.iloc[:, 1] - beta(every.iloc[:, 0]))).to_dict()
shown = both[both.iloc[:, 0] >= 0.75]  # those of the paper's figure
out["imagenet-a, shown"] = piecewise("logit", shown.iloc[:, 0], shown.iloc[:, 1], pivot)[0]

# timm. The groups are told by regular expressions on the tags.
WEB = r"(_|\.)(laion\w|laion2b|openai|clip|webli|jft|ig1b|swag|seer|yfcc100m|m30m|m38m)(_|$)"


def training(model):
    if "." not in model:
        return "unknown"
    name, tag = model.lower().split(".", 1)
    if re.search(WEB, "." + tag) or re.match("eva|beitv2|beit3", name):
        return "web-scale images"
    if re.search(r"in(12|21|22)k", tag):
        return "ImageNet-21k"
    if re.search(r"(^|_)(ssld|usi)(_|$)|goog_distilled", tag) or name.endswith("_ssld"):
        return "taught by a model of more data"
    if re.search(r"(^|_)(adv|ap|am|ram)(_|$)", tag):
        return "ImageNet-1k, robustness intervention"
    return "ImageNet-1k" if "in1k" in tag else "unknown"


def timm(file):
    t = pd.read_csv(f"{data}/timm/results-{file}.csv", thousands=",")
    return t.set_index(t.model + "@" + t.img_size.astype(str)).top1 / 100


out["timm"] = {}
for x_axis, y_axis in [("imagenet", "imagenetv2-matched-frequency"), ("imagenet", "imagenet-real"), ("imagenet-a-clean", "imagenet-a"), ("imagenet-r-clean", "imagenet-r")]:
    both = pd.DataFrame({"x": timm(x_axis), "y": timm(y_axis)}).dropna()
    both["kind"] = [training(m.split("@")[0]) for m in both.index]
    of = both[both.kind == "ImageNet-1k"]
    line, beta = fit("logit", of.x, of.y)
    both["effective"] = 100 * (both.y - beta(both.x))
    line["types"] = {k: [len(g), g.index.str.split("@").str[0].nunique(), g.effective.mean(), g.effective.min(), g.effective.max()] for k, g in both.groupby("kind")}
    line["joined"] = len(both)
    out["timm"][y_axis] = line
both = pd.DataFrame({"x": timm("imagenet-a-clean"), "y": timm("imagenet-a")}).dropna()
both["kind"] = [training(m.split("@")[0]) for m in both.index]
of = both[both.kind == "ImageNet-1k"]
out["timm imagenet-a in pieces"], beta = piecewise("logit", of.x, of.y, timm("imagenet-a-clean")["resnet50.tv_in1k@224"])
both["effective"] = 100 * (both.y - beta(both.x))
out["timm imagenet-a in pieces"]["types"] = {
    k: [len(g), g.index.str.split("@").str[0].nunique(), g.effective.mean(), g.effective.min(), g.effective.max()] for k, g in both.groupby("kind")}
json.dump(out, open(shift_out, "w"), indent=1)
