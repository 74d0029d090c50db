"""Steps of ``nbgrader autograde``: a test cell earns points only if its test said that it passed.

nbgrader gives full points to a test cell without an error. Before the notebook is executed,
``SealTests`` gives each test cell a number of its own, and has it import the grading anew, whatever
the notebook has put in its place. After that, ``BelieveVerdicts`` makes an error of a cell that
neither failed nor said, with this number, that it passed. Both run in the grader's process;
``nbgrader_config.py`` puts them there. A notebook that reads its own cells while they run could
still forge a verdict: look at a suspicious one.
"""

import re
import secrets

from nbformat import NotebookNode, v4
from nbgrader.preprocessors import NbGraderPreprocessor

ANEW = (
    "import sys  # the grading is imported anew\n"
    "for _ in [n for n in sys.modules if n.startswith('gen_course.homework')]: del sys.modules[_]\n"
)
CALL = re.compile(r"^examine\((.*)\)$", re.MULTILINE)
SEALED = re.compile(r"^examine\((.*), seal=\"(\w+)\"\)$", re.MULTILINE)


class SealTests(NbGraderPreprocessor):
    """Give each test cell the number with which its test must say that it passed."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict, index: int
    ) -> tuple[NotebookNode, dict]:
        """Look at one cell."""
        if _is_test(cell):
            cell.source = sealed(cell.source)
        return cell, resources


class BelieveVerdicts(NbGraderPreprocessor):
    """Turn a test cell without the line ``passed: ...`` into one with an error."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict, index: int
    ) -> tuple[NotebookNode, dict]:
        """Look at one cell, and give it its own source again."""
        if _is_test(cell):
            cell.source, seal = unsealed(cell.source)
            question = cell.metadata.nbgrader["grade_id"].removeprefix("test_")
            if not passed(cell, question, seal) and not failed(cell):
                why = "The test did not say that it ran to its end, so it earns nothing."
                cell.outputs.append(
                    v4.new_output("error", ename="NoVerdict", evalue=why, traceback=[why])
                )
        return cell, resources


def _is_test(cell: NotebookNode) -> bool:
    about = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "code" and bool(about.get("grade")) and not about.get("solution")


def sealed(source: str) -> str:
    """The source of a test cell, with a number in the call of ``examine``.

    >>> unsealed(sealed('examine("hw.question", question)'))[0]
    'examine("hw.question", question)'
    """
    return ANEW + CALL.sub(rf'examine(\1, seal="{secrets.token_hex(8)}")', source)


def unsealed(source: str) -> tuple[str, str]:
    """The source as it was, and the number."""
    found = SEALED.search(source)
    plain = SEALED.sub(r"examine(\1)", source.removeprefix(ANEW))
    return plain, found.group(2) if found else ""


def passed(cell: NotebookNode, question: str, seal: str) -> bool:
    """Whether the cell's output holds the line with which a test ends."""
    text = "".join(output.get("text", "") for output in cell.outputs)
    words = [line.split() for line in text.splitlines() if line.startswith("passed: ")]
    return any(
        len(said) == 3 and said[1].rpartition(".")[2] == question and said[2] == seal
        for said in words
    )


def failed(cell: NotebookNode) -> bool:
    """Whether the cell ended with an error."""
    return any(output.output_type == "error" for output in cell.outputs)
