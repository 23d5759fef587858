"""Spectra, t-SNE and UMAP of handwritten digits by corelay, SciPy, scikit-learn and umap-learn, for lib/manifold/testdata.

    python bench/oracles/manifold.py lib/manifold/testdata/digits.npz
"""
import sys

import numpy as np
import scipy.linalg
from corelay.processor.affinity import SparseKNN
from corelay.processor.distance import SciPyPDist
from corelay.processor.embedding import EigenDecomposition
from corelay.processor.laplacian import SymmetricNormalLaplacian
from scipy.spatial.distance import pdist, squareform
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE, trustworthiness
from sklearn.manifold._t_sne import _joint_probabilities
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors
from umap.umap_ import find_ab_params, fuzzy_simplicial_set
from umap import UMAP

x, labels = load_digits(return_X_y=True)
# A little noise, so that no two distances are equal: which of equally near points is a neighbour would be anybody's choice.
x = (x[:300] + np.random.default_rng(2).normal(size=(300, 64)) * 0.05).astype(np.float32)
labels = labels[:300]
golden = {"points": x, "labels": labels.astype(np.int64)}
wide = x.astype(np.float64)

# corelay's chain up to the Laplacian (it calls D^-1/2 A D^-1/2 so), and its largest eigenvalues.
affinity = SparseKNN(n_neighbors=10)(SciPyPDist(metric="euclidean")(wide))
matrix = SymmetricNormalLaplacian()(affinity)
golden["corelay_la"] = np.asarray(EigenDecomposition(n_eigval=32, which="LA")(matrix)[0])
values, vectors = scipy.linalg.eigh(matrix.toarray())
golden["eigenvalues"] = 1 - values[::-1]
golden["eigenvectors"] = vectors[:, ::-1][:, :8]

# t-SNE: the probabilities, and the layout a few iterations from a start; then how good the end is.
p = squareform(_joint_probabilities(squareform(pdist(wide, "sqeuclidean")).astype(np.float32), 30, 0))
golden["joint"] = p[:20].astype(np.float32)
start = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32) * 1e-2
golden["start"] = start


# scikit-learn takes no fewer than 250 iterations, so its own descent is called.
from sklearn.manifold import _t_sne

params, divergence, _ = _t_sne._gradient_descent(
    _t_sne._kl_divergence, start.ravel().copy(), it=0, max_iter=15, momentum=0.5, learning_rate=50.0,
    args=[squareform(p) * 12, 1, 300, 2], kwargs={"compute_error": True}, n_iter_check=50, n_iter_without_progress=1000)
golden["after15"] = params.reshape(300, 2)
full = TSNE(method="exact", perplexity=30, random_state=0)
y = full.fit_transform(x)
golden["divergence"] = np.array([full.kl_divergence_, trustworthiness(x, y, n_neighbors=10)])

# UMAP: its graph and curve.
near = NearestNeighbors(n_neighbors=15).fit(x).kneighbors(x)  # exact: umap-learn's own search is not
near[0][:, 0] = 0  # rounding makes some points lie 1e-6 from themselves, which umap-learn would take for the nearest at another place
graph = fuzzy_simplicial_set(x, 15, np.random.RandomState(0), "euclidean", knn_indices=near[1], knn_dists=near[0].astype(np.float32))[0].toarray()
golden["fuzzy"] = graph[:40].astype(np.float64)
golden["curve"] = np.array([find_ab_params(1.0, d) for d in (0.1, 0.5)]).ravel()
# How good its layouts are, and how far they reach: the root of the mean squared distance from the middle, and the median distance of the nearest point.
ends = []
for seed in range(5):
    y = UMAP(random_state=seed).fit_transform(x).astype(np.float64)
    nearest = np.sort(squareform(pdist(y)), 1)[:, 1]
    ends.append((trustworthiness(x, y, n_neighbors=10), np.sqrt(y.var(0).sum()), np.median(nearest)))
golden["umap"] = np.median(ends, 0)
print("UMAP ends at", ends)

# Agreement of clusterings, by chance and not.
rng = np.random.default_rng(1)
a, b = rng.integers(0, 4, (5, 60)), rng.integers(0, 3, (5, 60))
b[3:] = np.where(rng.random((2, 60)) < 0.8, a[3:] % 3, b[3:])
golden["clusters_a"], golden["clusters_b"] = a, b
golden["adjusted_rand"] = np.array([adjusted_rand_score(u, v) for u, v in zip(a, b)])
np.savez_compressed(sys.argv[1], **golden)
for k, v in golden.items():
    print(k, v.shape, v.ravel()[:6])
