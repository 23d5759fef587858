"""What cleanvision says of small pictures, and cleanlab of features, for lib/issues.

    python bench/oracles/issues.py IMAGENET_SAMPLE lib/issues/testdata

IMAGENET_SAMPLE is the folder of the sample's images.zip, whose photographs 3 and 400 are made small. It writes the pictures, pictures.npz and
features.npz. Wanted: pip install cleanvision==0.3.7 cleanlab==2.9.0 imagehash==4.3.2 pillow==12.1.0 numpy scipy scikit-learn pandas (Pillow 13 sometimes resizes
along the columns first, which rounds otherwise)
"""
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
from cleanlab.datalab.internal.issue_manager.duplicate import NearDuplicateIssueManager
from cleanlab.datalab.internal.issue_manager.outlier import OutlierIssueManager
from cleanvision import Imagelab
from PIL import Image, ImageFilter


def pictures(sample):
    rng = np.random.default_rng(3)
    photos = zipfile.ZipFile(Path(sample) / "images.zip")
    names = sorted(n for n in photos.namelist() if n.endswith(".jpg"))
    photo, other = (Image.open(io.BytesIO(photos.read(names[i]))).convert("RGB") for i in (3, 400))

    def waves(seed, low=40, high=215, h=96, w=96):
        r = np.random.default_rng(seed)
        y, x = np.mgrid[0:h, 0:w] / 96.0
        planes = [sum(np.sin(2 * np.pi * (a * x + b * y + c)) for a, b, c in r.uniform(-5, 5, (4, 3))) for _ in range(3)]
        v = np.stack(planes, -1)
        v = (v - v.min()) / (v.max() - v.min())
        return Image.fromarray((low + v * (high - low)).round().astype(np.uint8))

    small = photo.resize((96, 72))
    yield "a_photo", small
    yield "b_photo_again", small
    noisy = np.clip(np.asarray(small).astype(int) + rng.integers(-2, 3, (72, 96, 3)), 0, 255).astype(np.uint8)
    yield "c_photo_noisy", Image.fromarray(noisy)
    yield "d_photo_large", photo.resize((128, 96))
    yield "e_other", other.resize((80, 96))
    yield "f_waves", waves(1)
    yield "g_dark", waves(2, 0, 60)
    yield "h_just_dark", waves(3, 10, 90)
    yield "i_light", waves(4, 246, 255)
    yield "j_flat", Image.new("RGB", (96, 96), (30, 120, 200))
    ramp = np.linspace(0, 1, 96)[None, :, None] * np.ones((40, 1, 1))
    yield "k_blurry", Image.fromarray((ramp * [130, 125, 120]).astype(np.uint8)).filter(ImageFilter.GaussianBlur(3))
    yield "l_gray", waves(5).convert("L")
    yield "m_wide", waves(6, h=24, w=96)
    yield "n_tall", waves(7, h=96, w=34)
    yield "o_huge", Image.fromarray(np.kron(np.asarray(waves(8, h=60, w=60)), np.ones((8, 8, 1), np.uint8)))
    yield "p_tiny", waves(9, h=5, w=6)
    yield "q_text", Image.fromarray(np.where(rng.uniform(size=(96, 96, 1)) < 0.03, 0, 255).astype(np.uint8).repeat(3, -1) // np.array([1, 1, 2], np.uint8))
    yield "r_waves_odd", waves(10, h=95, w=97)
    yield "s_noise", Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8))
    yield "t_waves", waves(11, h=90, w=100)


class Datalab:
    """What an issue manager asks of the Datalab that it belongs to."""

    labels = None

    def get_info(self, name):
        return {}


def main(sample, out):
    folder = Path(out) / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, picture in pictures(sample):
        picture.save(folder / f"{name}.png", optimize=True)
        names.append(f"{name}.png")
    lab = Imagelab(data_path=str(folder))
    lab.find_issues(n_jobs=1, verbose=False)
    order = [str((folder / n).absolute()) for n in names]
    golden, sets = {}, {}
    for kind in lab.issue_summary["issue_type"]:
        golden[kind] = lab.issues.loc[order][f"{kind}_score"].to_numpy(np.float64)
        golden[f"is_{kind}"] = lab.issues.loc[order][f"is_{kind}_issue"].to_numpy(np.int64)
        print(kind, golden[kind].round(3), golden[f"is_{kind}"])
        if kind.endswith("duplicates"):
            sets[kind] = sorted(sorted(order.index(i) for i in s) for s in lab.info[kind]["sets"])
    print(sets)
    np.savez_compressed(Path(out) / "pictures.npz", **golden)
    (Path(out) / "pictures.json").write_text(json.dumps({"names": names, "sets": sets}))

    rng = np.random.default_rng(4)
    features = rng.normal(size=(60, 9)) + 3 * rng.normal(size=(3, 9))[rng.integers(0, 3, 60)]
    features[7], features[30] = features[6] * 2, features[6]  # a cosine of 1, and equal ones
    features[41] = features[40] + 0.003 * rng.normal(size=9)
    features[50] = -4 * features[:10].mean(0)  # far from all
    features = features.astype(np.float32)
    golden = {"features": features}
    outliers, near = OutlierIssueManager(Datalab(), k=10), NearDuplicateIssueManager(Datalab(), k=10)
    for name, manager in {"outlier": outliers, "near_duplicate": near}.items():
        manager.find_issues(features=features.astype(np.float64))
        golden[name] = manager.issues[f"{name}_score"].to_numpy(np.float64)
        golden[f"is_{name}"] = manager.issues[f"is_{name}_issue"].to_numpy(np.int64)
        print(name, np.flatnonzero(golden[f"is_{name}"]), golden[name][:5])
    print([sorted(map(int, s)) for s in near.near_duplicate_sets if len(s)])
    np.savez_compressed(Path(out) / "features.npz", **golden)


main(*sys.argv[1:])
