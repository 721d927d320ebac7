"""Rules of the house that no other check holds."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent


def test_no_test_imports_another_test_file():
    files = [file for file in TESTS.rglob("*.py") if file.name.startswith(("test_", "conftest"))]
    names = {file.stem for file in files}
    assert len(files) > 40
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            wrong = [module for module in modules if names & set(module.split("."))]
            assert not wrong, f"{file.relative_to(TESTS)} imports {wrong[0]}; put what both need into tests/support"
