"""Runs a notebook by nbclient on ipykernel: what loupe's notebook runner must make of the same events.

    python bench/oracles/notebook.py kernel/notebook/testdata/nbclient.ipynb

needs nbclient 0.11, ipykernel 7 and nbformat 5.11. The test in kernel/notebook replays the events of each
cell, by the name in its first line, on an engine of its own.
"""
import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CELLS = [
    ("streams", "import sys\nprint('a', flush=True)\nprint('b', flush=True)\nprint('c', file=sys.stderr, flush=True)\nprint('d', flush=True)\n1 + 1", []),
    ("display", "from IPython.display import *\nh = display({'text/plain': 'one', 'text/html': '<b>one</b>'}, raw=True, display_id='a')\nprint('after', flush=True)", []),
    ("update", "update_display({'text/plain': 'two', 'text/html': '<b>two</b>\\n<i>lines</i>'}, raw=True, display_id='a')", []),
    ("again", "_ = display({'text/plain': 'three'}, raw=True, display_id='a', metadata={'text/plain': {'width': 3}})", []),
    ("clear", "print('gone', flush=True)\nclear_output()\nprint('stays', flush=True)", []),
    ("clear later", "print('gone', flush=True)\nclear_output(wait=True)\nprint('stays', flush=True)", []),
    ("clear never", "print('stays', flush=True)\nclear_output(wait=True)", []),
    ("clear display", "_ = display({'text/plain': 'first'}, raw=True, display_id='b')\nclear_output()\nprint('x', flush=True)\nupdate_display({'text/plain': 'second'}, raw=True, display_id='b')", []),
    ("json", "display({'application/json': {'b': [1, 2.5], 'a': None}, 'text/plain': 'j'}, raw=True)", []),
    ("picture", "display({'image/png': 'iVBORw0KGgo=', 'image/svg+xml': '<svg>\\n</svg>', 'text/plain': 'p'}, raw=True)", []),
    ("expected", "print('before', flush=True)\nraise ValueError('bad')", ["raises-exception"]),
    ("skipped", "print('never', flush=True)", ["skip-execution"]),
    ("", "", []),
    ("fails", "raise KeyError('worse')", []),
    ("unreached", "print('never', flush=True)", []),
]

nb = new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, "kept": {"x": 1.50}})
nb.cells.append(new_markdown_cell("# Title\r\ntext\u2028more"))
for name, source, tags in CELLS:
    cell = new_code_cell(f"# {name}\n{source}" if name else "")
    if tags:
        cell.metadata["tags"] = tags
    nb.cells.append(cell)
for i, cell in enumerate(nb.cells):
    cell["id"] = f"cell-{i}"
try:
    NotebookClient(nb, record_timing=False, kernel_name="python3").execute()
except CellExecutionError:
    pass
for cell in nb.cells:
    outputs = []
    for o in cell.get("outputs", []):
        if o.output_type == "error":
            o.traceback = []  # a language's own
        last = outputs[-1] if outputs else None
        if last and o.output_type == last.output_type == "stream" and o.name == last.name:
            last.text += o.text  # how the text was cut is a matter of time
        else:
            outputs.append(o)
    if cell.cell_type == "code":
        cell.outputs = outputs
nbformat.validate(nb)
nbformat.write(nb, sys.argv[1])
