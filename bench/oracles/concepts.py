"""Concept relevance propagation by zennit-crp, for lib/attrib/lrp/testdata.

    PYTHONPATH=CRP python bench/oracles/concepts.py cifar cifar4.npz resnet20.safetensors lib/attrib/lrp/testdata/resnet20-crp.npz

where CRP is a folder with zennit-crp and the zennit that it needs, which is an older one than lrp.py's, and the images are
those of lrp.py. Heatmaps are [images, conditions, H, W], every second row and column; relevance starts as the logit of the
class "second". All is in double precision.
"""
import sys

import numpy as np
from crp.attribution import CondAttribution
from crp.concepts import ChannelConcept
from zennit.composites import EpsilonPlusFlat

import canonical

kind, image_file, weight_file, out = sys.argv[1:]
net, normalise, images, to_image = canonical.load(kind, image_file, weight_file)
x = normalise(images)
second = net(x).topk(2).indices[:, 1]
conditions = [
    {"layer3.1": [5]},
    {"layer3.1": [5, 40]},
    {"layer3.1": [9], "layer2.2": [3, 4, 20]},
    {"layer3.0.conv1": [7]},
    {"layer3.0.conv1": [7], "layer1.1": [2]},
]
recorded = ["layer1", "layer2.1", "layer3.0.relu1"]
attribution = CondAttribution(net)
golden = {"second": second.numpy().astype(np.int64)}
for parallel in (False, True):
    heatmaps, relevances = [], {name: [] for name in recorded}
    for condition in conditions:
        rows, layers = [], {name: [] for name in recorded}
        for i in range(len(x)):
            one = x[i : i + 1].clone().requires_grad_(True)
            # zennit-crp wants the layers from the last to the first.
            wanted = [dict(condition, y=[int(second[i])])]
            record = [] if condition.keys() & {"layer1.1"} else recorded
            result = attribution(one, wanted, EpsilonPlusFlat(), record_layer=list(record), exclude_parallel=not parallel)
            rows.append(result.heatmap.detach().numpy()[0])
            for name in record:
                layers[name].append(result.relevances[name].detach()[0].sum((1, 2)).numpy())
        heatmaps.append(np.stack(rows))
        for name, values in layers.items():
            if values:
                relevances[name].append(np.stack(values))
    key = "parallel" if parallel else "only"
    golden["heatmaps_" + key] = np.stack(heatmaps, 1)[:, :, ::2, ::2].astype(np.float32)
    for name, values in relevances.items():
        golden[f"{name}_{key}"] = np.stack(values, 1).astype(np.float32)

# The reference samples of a layer's channels, among the four images.
one = x.clone().requires_grad_(True)
result = attribution(one, [{"y": [int(s)]} for s in second], EpsilonPlusFlat(), record_layer=["layer3.1"])
for target in ("sum", "max"):
    for what, values in (("relevance", result.relevances["layer3.1"]), ("activation", result.activations["layer3.1"])):
        order, best, neuron = ChannelConcept().reference_sampling(values.detach(), "layer3.1", target, abs_norm=False)
        golden[f"{what}_{target}_order"] = order.numpy().astype(np.int64)
        golden[f"{what}_{target}_value"] = best.numpy().astype(np.float32)
        golden[f"{what}_{target}_neuron"] = neuron.numpy().astype(np.int64)
np.savez_compressed(out, **golden)
for name, value in golden.items():
    print(name, value.shape, float(np.abs(value).max()))
