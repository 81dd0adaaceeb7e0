"""Sphinx configuration. `tox -e docs` builds the site without a network; warnings are errors."""

import os
import sys
from pathlib import Path

from ganq_irl import __version__

sys.path.insert(0, str(Path(__file__).parent))
# For the tutorials: one thread, this environment's commands, and figures below their cells.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"

project = "ganq-irl"
author = "The ganq-irl developers"
copyright = "the ganq-irl developers"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "_ext.code_in_docstrings",
    "_ext.generated_pages",
    "_ext.mathml",
    "_ext.result_tables",
]
exclude_patterns = ["_build", "_ext", "_generated/include"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of torch, numpy and SB3, whose sites an offline build cannot ask

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

nb_execution_mode = os.environ.get("DOCS_NOTEBOOKS", "cache")  # "off" for a quick look at the text
suppress_warnings = ["myst-nb.lexer"] if nb_execution_mode == "off" else []
nb_execution_timeout = 900  # seconds a cell; a machine may be busy
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes as fields: members of dataclasses are listed once

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"ganq-irl {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
