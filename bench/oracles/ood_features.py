"""Out-of-distribution detectors that look at features or gradients, by pytorch-ood, for lib/ood.

    python bench/oracles/ood_features.py lib/ood/testdata/features.npz

Wanted: pip install torch scikit-learn pytorch-ood==0.4.0
"""
import sys

import numpy as np
import torch
from pytorch_ood.detector import KNN, ODIN, EnergyBased, Mahalanobis, MahalanobisODIN, ReAct, ViM

torch.set_default_dtype(torch.float64)


def main(out):
    rng = np.random.default_rng(23)
    golden = {}

    def draw(name, *shape, scale=1.0, shift=0.0):
        """Values that single precision holds, so that both sides begin with the same ones."""
        golden[name] = (scale * rng.normal(size=shape) + shift).astype(np.float32)
        return torch.tensor(golden[name].astype(np.float64))

    # Features as they are: 16 of 5 classes, the last of which no image has; two features are always 0.
    d, k, n = 16, 6, 120
    centres = draw("centres", k, d, scale=1.5, shift=1.0)
    labels = torch.tensor(rng.integers(0, k - 1, n))
    golden["labels"] = labels.numpy()
    mix = draw("mix", d, d, scale=0.4)
    alive = torch.ones(d)
    alive[[3, 11]] = 0
    known = ((centres[labels] + torch.tensor(rng.normal(size=(n, d))) @ mix).clip(min=0) * alive).float().double()
    asked = torch.cat([known[:4], (centres[:1] + 2 * torch.tensor(rng.normal(size=(40, d)))).clip(min=0) * alive]).float().double()
    asked[4] = 0  # nothing at all
    golden["known"], golden["asked"] = known.float().numpy(), asked.float().numpy()
    w, b = draw("w", k, d, scale=0.5), draw("b", k)

    def head(x):
        return x @ w.T + b

    golden["mahalanobis"] = Mahalanobis(None).fit_features(known, labels).predict_features(asked).numpy()
    golden["knn"] = KNN(None, k=7).fit_features(known, labels).predict_features(asked).numpy()
    golden["knn_raw"] = KNN(None, k=7, normalize=False).fit_features(known, labels).predict_features(asked).numpy()
    for percentile in (0.9, 0.65):
        react = ReAct(None, head, percentile=percentile).fit_feature_maps(known, labels)
        golden[f"react{percentile:.2f}"] = react.predict_feature_maps(asked).numpy()
        golden[f"react{percentile:.2f}_threshold"] = np.array([react.threshold])
    # pytorch-ood computes ViM in single precision whatever it is given; here it is asked for double.
    single, torch.Tensor.float = torch.Tensor.float, torch.Tensor.double
    for dims in (4, 8):
        vim = ViM(None, d=dims, w=w, b=b).fit_features(known, labels)
        golden[f"vim{dims}"] = vim.predict_features(asked).numpy()
        golden[f"vim{dims}_alpha"] = np.array([vim.alpha])
    torch.Tensor.float = single

    # A network, for detectors that change the image: normalisation, a hidden layer, the last layer.
    h, wide, c, hidden = 4, 5, 3, 12
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.25, 0.2, 0.3])
    w1, b1 = draw("net_w1", hidden, h * wide * c, scale=0.15), draw("net_b1", hidden, scale=0.1)
    w2, b2 = draw("net_w2", k - 1, hidden, scale=0.6), draw("net_b2", k - 1)

    def encoder(x):  # [N, C, H, W], normalised
        return torch.tanh(x.permute(0, 2, 3, 1).flatten(1) @ w1.T + b1)

    def net(x):
        return encoder(x) @ w2.T + b2

    def images(name, count, low, high):
        golden[name] = rng.uniform(low, high, size=(count, h, wide, c)).astype(np.float32)
        x = torch.tensor(golden[name].astype(np.float64)).permute(0, 3, 1, 2)
        return (x - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)

    seen, given = images("net_known", n, 0.2, 0.8), images("net_asked", 30, 0, 1)
    for name, settings in {"odin": {}, "odin_strong": {"eps": 0.02, "temperature": 10.0}, "odin_still": {"eps": 0.0, "temperature": 2.0}}.items():
        golden[name] = ODIN(net, norm_std=std.tolist(), **settings).predict(given).detach().numpy()
    golden["energy_of_net"] = EnergyBased.score(net(given)).numpy()
    for name, eps in {"mahalanobis_odin": 0.01, "mahalanobis_still": 0.0}.items():
        detector = MahalanobisODIN(encoder, eps=eps, norm_std=std.tolist()).fit_features(encoder(seen), labels)
        golden[name] = detector.predict(given).detach().numpy()
    np.savez_compressed(out, **golden)
    for name, v in golden.items():
        print(name, v.shape, np.asarray(v).ravel()[:5])


main(*sys.argv[1:])
