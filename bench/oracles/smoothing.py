"""Steps of gradient descent on smoothed labels by optax, for lib/learn/testdata/smoothing.npz.

    python bench/oracles/smoothing.py lib/learn/testdata/smoothing.npz

needs optax 0.2.8 and jax 0.10.2. A linear classifier whose weights and images are sines as in the test takes six steps on one batch, in single precision.
"""
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax


def sines(scale, start, *dims):
    n = int(np.prod(dims))
    return (scale * np.sin(12.9898 * (np.arange(n) + start))).astype(np.float32).reshape(dims)


x = (0.5 + 0.5 * np.sin(78.233 * np.arange(8 * 6))).astype(np.float32).reshape(8, 6)
y = jax.nn.one_hot(np.arange(8) % 4, 4)
golden = {}
for name, share in {"none": 0.0, "tenth": 0.1, "most": 0.7}.items():
    weights = {"weight": jnp.array(sines(1, 0, 4, 6)), "bias": jnp.array(sines(0.1, 1000, 4))}
    sgd = optax.sgd(0.5)
    state = sgd.init(weights)
    losses = []

    def loss(w):
        return optax.softmax_cross_entropy(x @ w["weight"].T + w["bias"], optax.smooth_labels(y, share)).mean()

    for _ in range(6):
        value, gradient = jax.value_and_grad(loss)(weights)
        change, state = sgd.update(gradient, state)
        weights = optax.apply_updates(weights, change)
        losses.append(float(value))
    golden[name + "_loss"] = np.array(losses)
    for key, value in weights.items():
        golden[f"{name}_{key}"] = np.asarray(value, dtype=np.float64).ravel()
np.savez_compressed(sys.argv[1], **golden)
print({k: v[:3] for k, v in golden.items()})
