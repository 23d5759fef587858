"""Executes a notebook by Jupyter's own client and prints what it showed, as JSON.

    python execute.py NOTEBOOK KERNEL_NAME
"""
import json
import sys

import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
client = NotebookClient(notebook, kernel_name=sys.argv[2], timeout=None, allow_errors=True)
client.execute()
nbformat.validate(notebook)
json.dump([
    {
        "source": cell.source,
        "count": cell.execution_count or 0,
        "errors": ["\n".join(o.traceback) for o in cell.outputs if o.output_type == "error"],
        "mime": sorted({m for o in cell.outputs for m in o.get("data", {})}),
        "text": "".join(o.text for o in cell.outputs if o.output_type == "stream")
        + "".join(o.data.get("text/plain", "") + "\n" for o in cell.outputs if "data" in o),
    }
    for cell in notebook.cells
    if cell.cell_type == "code"
], sys.stdout)
