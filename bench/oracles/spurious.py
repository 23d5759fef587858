"""Class-wise neural PCA, SpuFix and spuriosity rankings by their authors' code, for lib/spurious/testdata.

    python bench/oracles/spurious.py cifar500.npz resnet20.safetensors SPURIOUS_IMAGENET SPURIOSITY_RANKINGS lib/spurious/testdata/resnet20.npz

where bench/oracles/dump wrote the images (cifar10 test.zip 20 500), and the folders are checkouts of YanNeu/spurious_imagenet and
mmoayeri/spuriosity-rankings. Their functions run as they are, without their imports and on the CPU.
"""
import ast
import sys
import types

import numpy as np
import torch
from captum import attr as cattr
from scipy.stats import bootstrap
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

import torch_models

image_file, weight_file, imagenet, rankings, out = sys.argv[1:]
torch.set_num_threads(1)


def functions(path, *names):
    """The named functions and classes of a file."""
    tree = ast.parse(open(path).read())
    kept = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name in names]
    space = {"np": np, "torch": torch, "cattr": cattr, "ABC": object, "tqdm": lambda x: x}
    exec(compile(ast.Module(kept, []), path, "exec"), space)
    return types.SimpleNamespace(**{n: space[n] for n in names})


torch.Tensor.cuda = lambda self: self
torch.nn.Module.cuda = lambda self: self

x, labels = torch_models.images(image_file)
model = torch_models.cifar_resnet(weight_file)
net = model.net if hasattr(model, "net") else model
seen = []
head = net.linear
handle = head.register_forward_hook(lambda m, i, o: seen.append(i[0].detach()))
with torch.no_grad():
    for i in range(0, len(x), 100):
        model(x[i : i + 100])
handle.remove()
features = torch.cat(seen)
labels = np.array(labels)
golden = {"features": features.numpy(), "labels": labels.astype(np.int64), "weights": head.weight.detach().numpy(), "bias": head.bias.detach().numpy()}

# Class-wise neural PCA, in double precision.
pca = functions(f"{imagenet}/neural_pca/pca.py", "compute_pca")
double = features.double()
head = head.double()
W = head.weight.detach()
components = {}
for k in (3, 8):
    psi = (double[labels == k] * W[k]).numpy()
    values, vectors, mean = pca.compute_pca(psi.T)
    components[k] = (values, vectors, mean)
    l = len(psi) - 1
    golden[f"variances_{k}"] = values[:l]
    # How the authors turn projections into alpha: neural_pca/activation_space.py.
    golden[f"alphas_{k}"] = ((psi - mean) @ vectors * vectors.sum(0))[:, :l]

# SpuFix, with one direction for a class and with two that are not orthogonal, matched to the alpha of components.
match = functions(f"{imagenet}/spufix/matching_directions.py", "max_cov")
wrapper = functions(f"{imagenet}/spufix/spufix_wrapper.py", "SpuFixWrapper", "non_orth_basis_proj")
classes = [3, 8]
directions, means = {}, []
for k, chosen in ((3, [0]), (8, [0, 2])):
    psi = double[labels == k] * W[k]
    mean = torch.from_numpy(components[k][2])
    means.append(mean[None])
    # Squares of alpha, so that the directions are no eigenvectors.
    a = torch.from_numpy(golden[f"alphas_{k}"][:, chosen]) ** 2
    found = [match.max_cov(a[:, i], psi, mean)[0] for i in range(len(chosen))]
    directions[k] = torch.stack(found)
    golden[f"directions_{k}"] = directions[k].numpy()
fixed = wrapper.SpuFixWrapper(torch.nn.Sequential(head), classes, torch.cat(means), directions, head, "cpu")
with torch.no_grad():
    golden["spufix"] = fixed(double).numpy()

# Spuriosity rankings.
ranking = functions(f"{rankings}/spuriosity_rankings.py", "find_important_ftrs", "measure_bias", "sort_data", "fit_head", "Accuracy", "EvalFn", "basic_accuracy", "SpuriousGap")
single = features.numpy().astype(np.float64)
most, predictions = ranking.find_important_ftrs(single, labels, head)
golden["important"] = np.stack([most[k] for k in range(10)]).astype(np.int64)
golden["bias_3"] = np.array([ranking.measure_bias(3, j, single, labels, predictions, 15)[0] for j in range(64)])
low, high = ranking.sort_data({"train": single, "val": single}, {"train": labels, "val": labels}, {3: [5, 9, 20], 8: [1]})
golden["ranking_3"], golden["ranking_8"] = low["train"][3].astype(np.int64), low["train"][8].astype(np.int64)

spurious = {k: [int(j) for j in most[k][:2]] for k in (3, 8)}
bottom, top = ranking.sort_data({"train": single, "val": single}, {"train": labels, "val": labels}, spurious)
# Their consolidate_rankings takes the first images of the ascending list of the top 1000, which are not the most spurious ones; the paper's are the last.
ends = [np.concatenate([bottom["val"][k][:15] for k in spurious]), np.concatenate([top["val"][k][-15:] for k in spurious])]
golden["spurious_gap"] = np.array([ranking.SpuriousGap(*ends).metric(head, single, labels)])

# Other models on the same rankings: their biases for the two most important features of each class, and what is said of these.
others = [predictions] + [m.fit(single[::2], labels[::2]).predict(single) for m in (LogisticRegression(C=0.01, max_iter=500), KNeighborsClassifier(1), KNeighborsClassifier(40))]
golden["predictions"] = np.stack(others).astype(np.int64)
pairs = [(k, int(j)) for k in range(10) for j in most[k][:2]]
biases = np.array([[ranking.measure_bias(k, j, single, labels, p, 15)[0] for k, j in pairs] for p in others])
golden["pairs"], golden["biases"], golden["correlations"] = np.array(pairs), biases, np.corrcoef(biases)
golden["spread"] = np.array([biases.mean(0).var(ddof=1) / biases.mean(1).var(ddof=1)])
accuracies = []
for p in others:
    top, bottom = [], []
    for k, j in pairs:
        _, images, order = ranking.measure_bias(k, j, single, labels, p, 15)
        top.append((p[images[order[:15]]] == k).mean())
        bottom.append((p[images[order[-15:]]] == k).mean())
    accuracies.append((np.mean(top), np.mean(bottom)))
accuracies = np.array(accuracies)
slope, intercept = np.polyfit(accuracies[:, 0], accuracies[:, 1], 1)
golden["effective_robustness"] = accuracies[:, 1] - (slope * accuracies[:, 0] + intercept)

# How well each feature tells class 3 from the others.
golden["reliability_auc"] = np.array([roc_auc_score(labels == 3, single[:, j]) for j in range(64)])
golden["reliability_ap"] = np.array([average_precision_score(labels == 3, single[:, j]) for j in range(64)])

# Five epochs of tuning the head on the images that are least spurious, in one batch each, so that shuffling does not matter.
few = np.concatenate([low["train"][3][:20], low["train"][8][:20]])
start = torch.nn.Linear(64, 10)
start.load_state_dict({"weight": torch.from_numpy(golden["weights"]), "bias": torch.from_numpy(golden["bias"])})
tuned_labels = np.concatenate([labels[few], [9]])  # the head has as many outputs as the largest label says
tuned_features = np.concatenate([features.numpy()[few], features.numpy()[labels == 9][:1]])
tuned, _ = ranking.fit_head({"train": tuned_features, "val": tuned_features}, {"train": tuned_labels, "val": tuned_labels}, init_head=start, lr=0.05, epochs=5, batch_size=100)
golden["tuned_weights"], golden["tuned_bias"] = tuned.weight.detach().numpy(), tuned.bias.detach().numpy()

# Scores with ties, for lib/stats.
rng = np.random.default_rng(0)
positive, negative = np.round(rng.normal(1, 1, 60), 1), np.round(rng.normal(0, 1, 90), 1)
truth = np.r_[np.ones(60), np.zeros(90)]
golden["positive"], golden["negative"] = positive, negative
golden["auroc"] = np.array([roc_auc_score(truth, np.r_[positive, negative])])
golden["average_precision"] = np.array([average_precision_score(truth, np.r_[positive, negative])])

interval = bootstrap((positive,), np.mean, n_resamples=50000, method="percentile", rng=np.random.default_rng(0)).confidence_interval
golden["bootstrap"] = np.array([interval.low, interval.high])

np.savez_compressed(out, **golden)
for name, value in golden.items():
    print(name, value.shape, value.dtype)
