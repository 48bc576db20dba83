"""The house as a whole: what the import contracts do not say."""

from __future__ import annotations

from graphlib import TopologicalSorter

import grimp


def test_no_files_import_each_other_in_a_circle() -> None:
    """Also not for their types alone; a circle raises a CycleError that names it."""
    graph = grimp.build_graph("expkit", cache_dir=None)
    imports = {each: graph.find_modules_directly_imported_by(each) for each in graph.modules}
    assert len(imports) > 300
    TopologicalSorter(imports).prepare()
