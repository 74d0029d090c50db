"""A multiple-choice quiz that explains every choice, the wrong ones too.

A quiz is a plain file, ``gen_course/chNN_name/quiz.json``: a list of

    {"question": "...", "choices": [{"text": "...", "right": true, "explanation": "..."}, ...]}

The reader's answers are not stored.
"""

import json
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import ipywidgets as widgets

from gen_course.common.live_caption import FRAME, LiveCaption
from gen_course.common.studies import CHAPTERS
from gen_lib import InputError

WIDTH = "860px"
STYLE = """<style>
.gen-quiz .widget-radio-box label { height: auto; white-space: normal; line-height: 1.4;
    margin-bottom: 6px; }
</style>"""


class Choice(NamedTuple):
    """One answer to choose, whether it is right, and why or why not."""

    text: str
    right: bool
    explanation: str


class Question(NamedTuple):
    """A question and its choices, exactly one of them right."""

    question: str
    choices: tuple[Choice, ...]


class Quiz:
    """Show the questions of a chapter, one at a time; displayed as the last line of a cell.

    Args:
        name: name of the chapter, such as ``01_autoencoders``, or the path of a JSON file.

    Raises:
        InputError: there is no such quiz, or its file is not a valid quiz.
    """

    def __init__(self, name: str | Path):
        self.questions = read_quiz(find_quiz(name))
        self.answers: dict[int, int] = {}  # question -> the choice that was checked first
        self.number = 0
        self.question = widgets.HTML()
        self.choices = widgets.RadioButtons(options=[], layout=widgets.Layout(width=WIDTH))
        self.choices.observe(lambda _: self._chosen(), names="index")
        self.check_button = _button("Check", "Check the answer and read why", self.check)
        self.previous_button = _button("Previous", "The question before", lambda: self.go(-1))
        self.next_button = _button("Next", "The next question", lambda: self.go(1))
        self.score = LiveCaption(layout=widgets.Layout(margin="0 0 0 12px"))
        self.explanation = widgets.HTML()
        buttons = [self.check_button, self.previous_button, self.next_button, self.score]
        self.box = widgets.VBox(
            [self.question, self.choices, widgets.HBox(buttons), self.explanation],
            layout=widgets.Layout(width="880px"),
        )
        self.box.add_class("gen-quiz")
        self.box.add_class(FRAME)
        self.go(0)

    @property
    def right(self) -> int:
        """Number of questions that were answered right at the first check."""
        return sum(self.questions[n].choices[i].right for n, i in self.answers.items())

    def go(self, by: int) -> None:
        """Go ``by`` questions forward, or back if negative."""
        self.number = min(max(self.number + by, 0), len(self.questions) - 1)
        question = self.questions[self.number]
        self.question.value = (
            f'{STYLE}<div style="line-height: 1.45; font-size: 15px; max-width: {WIDTH}">'
            f"<b>Question {self.number + 1} of {len(self.questions)}.</b> "
            f"{escape(question.question)}</div>"
        )
        self.choices.options = [choice.text for choice in question.choices]
        self.choices.index = None
        self.previous_button.disabled = self.number == 0
        self.next_button.disabled = self.number == len(self.questions) - 1
        self._chosen()

    def check(self) -> None:
        """Explain every choice; only the first check of a question counts for the score."""
        chosen = self.choices.index
        if chosen is None:
            return
        self.answers.setdefault(self.number, chosen)
        choices = self.questions[self.number].choices
        verdict = "Right." if choices[chosen].right else "Not right."
        rows = "".join(_row(choice, n == chosen) for n, choice in enumerate(choices))
        self.explanation.value = f'<div style="line-height: 1.45; max-width: {WIDTH}">{rows}</div>'
        self.score.text = f"{verdict} {self._score()}"

    def _chosen(self) -> None:
        self.check_button.disabled = self.choices.index is None
        self.explanation.value = ""
        self.score.text = self._score()

    def _score(self) -> str:
        return f"{self.right} of {len(self.answers)} right at the first try."

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget and, for a page without a kernel, the questions with fold-out answers."""
        page = "\n".join(_page(n + 1, question) for n, question in enumerate(self.questions))
        words = {"text/html": page, "text/plain": f"Quiz: {len(self.questions)} questions"}
        return self.box._repr_mimebundle_(**options) | words


def find_quiz(name: str | Path) -> Path:
    """Find the file of a quiz from the name of its chapter or from its path.

    Raises:
        InputError: there is no such quiz.
    """
    is_path = Path(name).suffix == ".json"
    path = Path(name) if is_path else CHAPTERS / f"ch{name}" / "quiz.json"
    if not path.is_file():
        folders = sorted(file.parent.name for file in CHAPTERS.glob("ch*/quiz.json"))
        known = ", ".join(folder.removeprefix("ch") for folder in folders) or "none"
        raise InputError(f"There is no quiz at {path}: choose one of {known}.")
    return path


def read_quiz(path: Path) -> list[Question]:
    """Read the questions of a quiz file.

    Raises:
        InputError: the file is no list of questions, or one of them has not one right choice.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The quiz {path} is no JSON ({error}): repair the file.") from error
    if not isinstance(entries, list) or not entries:
        raise InputError(f"The quiz {path} must be a list of at least one question.")
    return [_question(entry, f"Question {n + 1} of {path}") for n, entry in enumerate(entries)]


def _question(entry: Any, where: str) -> Question:
    try:
        choices = tuple(Choice(c["text"], c["right"], c["explanation"]) for c in entry["choices"])
        question = Question(entry["question"], choices)
    except (KeyError, TypeError) as error:
        raise InputError(
            f'{where} needs "question" and "choices", each choice "text", "right" and '
            f'"explanation" ({error!r}).'
        ) from error
    texts = [question.question, *(text for c in choices for text in (c.text, c.explanation))]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise InputError(f"{where} has a text that is empty or no text.")
    if [c.right for c in choices].count(True) != 1 or not all(
        isinstance(c.right, bool) for c in choices
    ):
        raise InputError(f'{where} must have exactly one choice whose "right" is true.')
    if len({c.text for c in choices}) < max(len(choices), 2):
        raise InputError(f"{where} must have at least two choices, all different.")
    return question


def _page(number: int, question: Question) -> str:
    """A question as HTML, its answer folded."""
    choices = "".join(f"<li>{escape(choice.text)}</li>" for choice in question.choices)
    answer = "".join(_row(choice, chosen=False) for choice in question.choices)
    return (
        f"<p><b>{number}.</b> {escape(question.question)}</p>\n<ul>{choices}</ul>\n"
        f'<details style="margin-bottom: 16px"><summary>Answer</summary>{answer}</details>'
    )


def _row(choice: Choice, chosen: bool) -> str:
    mark = "✓ right" if choice.right else "✗ wrong"
    color = "#00664B" if choice.right else "#A34300"
    whose = " (your answer)" if chosen else ""
    return (
        f'<p style="margin: 6px 0"><b style="color: {color}">{mark}{whose}</b> '
        f"<i>{escape(choice.text)}</i><br>{escape(choice.explanation)}</p>"
    )


def _button(description: str, tooltip: str, action: Any) -> widgets.Button:
    button = widgets.Button(description=description, tooltip=tooltip)
    button.on_click(lambda _: action())
    return button
