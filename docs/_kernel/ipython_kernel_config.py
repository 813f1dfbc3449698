"""How a page's kernel behaves. Part of the key of the execution cache."""

c = get_config()  # noqa: F821

# An error shows its message, not the paths of the machine that built the page.
c.InteractiveShell.xmode = "Minimal"
c.InteractiveShell.colors = "nocolor"

# A bare jaxpr at the end of a cell prints in colours whatever JAX is told. A page needs the text.
c.InteractiveShellApp.exec_lines = [
    "_plain = get_ipython().display_formatter.formatters['text/plain']",
    "_show = lambda value, printer, cycle: printer.text(str(value))",
    "_plain.for_type_by_name('jax._src.core', 'Jaxpr', _show)",
    "_plain.for_type_by_name('jax._src.core', 'ClosedJaxpr', _show)",
    "_plain.for_type_by_name('jax._src.core', 'JaxprEqn', _show)",
    "del _plain, _show",
]

# Nobody asks a page's kernel what was typed before, and a database would be written for it.
c.HistoryManager.enabled = False

# Every kernel would warn that its socket on this machine is not encrypted.
c.IPKernelApp.log_level = "ERROR"

# Figures are drawings: sharp at any size, and the page gives them its colours.
c.InlineBackend.figure_formats = ["svg"]
c.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Date": None}}
