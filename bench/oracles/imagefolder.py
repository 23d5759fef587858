"""torchvision's ImageFolder on trees of files: classes, samples in their order, or the error.

    python bench/oracles/imagefolder.py lib/data/testdata/imagefolder.json

A file "a -> b" is a link to b; one that ends in "/" is an empty folder.
"""
import json
import os
import sys
import tempfile

from torchvision.datasets import ImageFolder

trees = {
    "nested": ["cat/2020/a.jpg", "cat/b.jpg", "dog/2021/x/c.jpg", "dog/2020/d.jpg"],
    "order in a class": ["c/b/2.png", "c/b/1.png", "c/9.png", "c/a b/3.png", "c/a/4.png", "c/a/x/5.png", "c/a-x/6.png", "c/B/7.png", "d/1.png"],
    "order of classes": ["a/1.png", "a b/1.png", "a.b/1.png", "a-b/1.png", "B/1.png", "b/1.png", "10/1.png", "2/1.png", "é/1.png", "z/1.png", "ß/1.png", "中/1.png", "😀/1.png", "ﬀ/1.png"],
    "order of files": ["c/b.png", "c/B.png", "c/é.png", "c/10.png", "c/9.png", "c/a b.png", "c/a.b.png", "c/_.png", "d/x.png"],
    "endings": ["c/a.JPG", "c/b.Jpeg", "c/d.PNG", "c/e.ppm", "c/f.bmp", "c/g.pgm", "c/h.tif", "c/i.TIFF", "c/j.webp", "c/k.txt", "c/l.jpg.txt", "c/m", "c/Thumbs.db", "c/desktop.ini",
                "c/n.npy", "c/o.x.png", "d/a.png"],
    "loose images": ["a.png", "cat/b.png", "dog/c.png"],
    "an empty class": ["a/1.png", "b/", "c/2.png"],
    "a class of texts": ["a/1.png", "b/notes.txt", "c/2.png"],
    "an empty folder in a class": ["a/1.png", "a/none/", "c/2.png"],
    "links": ["real/1.png", "real/sub/2.png", "cat/3.png", "cat/more -> ../real", "dog -> real", "cat/4.png -> ../real/1.png"],
    "a folder like an image": ["cat/x.jpg/1.png", "dog.png/2.png"],
    "spaces": [" a /1 2.png", "b  c/ 3.png"],
    "one class": ["cat/a.png", "cat/b.png"],
}
found = {}
for name, files in trees.items():
    with tempfile.TemporaryDirectory() as root:
        for f in files:
            path, _, target = f.partition(" -> ")
            os.makedirs(os.path.join(root, path if path.endswith("/") else os.path.dirname(path)), exist_ok=True)
            if target:
                os.symlink(target, os.path.join(root, path))
            elif not path.endswith("/"):
                open(os.path.join(root, path), "w").close()
        found[name] = {"files": files}
        try:
            folder = ImageFolder(root)
            found[name].update(classes=folder.classes, samples=[[os.path.relpath(path, root), label] for path, label in folder.samples])
        except FileNotFoundError as e:
            found[name]["error"] = str(e).split(". Supported")[0]
with open(sys.argv[1], "w") as f:
    json.dump(found, f, indent=1, ensure_ascii=False)
    f.write("\n")
