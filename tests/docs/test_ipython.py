"""`%load_ext vmapguide` and `%%explain`, in a kernel as notebooks have it."""

import textwrap
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient


CELLS = {
    "load": "import jax, jax.numpy as jnp\n%load_ext vmapguide",
    "explain": """
        %%explain
        from jax import vmap, lax
        def branching(x):
            return lax.cond(x.sum() > 0, lambda x: jnp.exp(x) @ x, jnp.sum, x)
        print("printed")
        mapped = jax.vmap(branching)
        mapped(jnp.ones((3, 500))).shape
    """,
    "after": "print(vmap is jax.vmap, mapped(jnp.ones((5, 500))).shape, branching.__name__)",
    "nothing": "%%explain\nx = 3",
    "error": "%%explain\njax.vmap(jnp.sin)(jnp.ones(2))\n1 / 0",
    "syntax": "%%explain\nx = = 3",
    "other": "%%explain\njnp.vectorize(jnp.dot, signature='(i),(i)->()')(jnp.ones((4, 2)), jnp.ones(2));",
    "kept": "result = get_ipython().run_cell_magic('explain', '', 'jax.vmap(jnp.sin)(jnp.ones(2));')\n"
    "print(len(result.records), result.findings)",
}


@pytest.fixture(scope="module", name="outputs")
def _outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Return what the cells have printed, shown and raised."""
    new: Any = nbformat.v4
    cells = [new.new_code_cell(textwrap.dedent(text).strip()) for text in CELLS.values()]
    notebook = new.new_notebook(cells=cells)
    folder: Path = tmp_path_factory.mktemp("notebook")
    resources = {"metadata": {"path": str(folder)}}
    options: dict[str, Any] = {"allow_errors": True, "resources": resources}
    NotebookClient(notebook, timeout=120, kernel_name="python3", **options).execute()
    return dict(zip(CELLS, (cell.outputs for cell in notebook.cells), strict=True))


def test_x(outputs) -> None:
    for k, v in outputs.items():
        print(k)
        for o in v:
            print("   ", str(o)[:300] if o.output_type != "error" else o)
    assert 0
