"""A step of ``nbgrader autograde``: a test cell earns points only if its test said that it passed.

nbgrader gives full points to a test cell without an error. This step, which runs in the grader's
process after the notebook was executed, makes an error of a cell that neither failed nor said so.
``nbgrader_config.py`` puts it there.
"""

from nbformat import NotebookNode, v4
from nbgrader.preprocessors import NbGraderPreprocessor


class BelieveVerdicts(NbGraderPreprocessor):
    """Turn a test cell without the line ``passed: ...`` into one with an error."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict, index: int
    ) -> tuple[NotebookNode, dict]:
        """Look at one cell."""
        about = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and about.get("grade") and not about.get("solution"):
            question = about["grade_id"].removeprefix("test_")
            if not passed(cell, question) and not failed(cell):
                why = "The test did not say that it ran to its end, so it earns nothing."
                cell.outputs.append(
                    v4.new_output("error", ename="NoVerdict", evalue=why, traceback=[why])
                )
        return cell, resources


def passed(cell: NotebookNode, question: str) -> bool:
    """Whether the cell's output holds the line with which a test ends."""
    text = "".join(output.get("text", "") for output in cell.outputs)
    lines = [line for line in text.splitlines() if line.startswith("passed: ")]
    return any(line.rpartition(".")[2] == question for line in lines)


def failed(cell: NotebookNode) -> bool:
    """Whether the cell ended with an error."""
    return any(output.output_type == "error" for output in cell.outputs)
