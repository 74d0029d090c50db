"""A stamp changes with the code and with nothing else; a report for other code is refused."""

import ast
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gen_course.build import stamps

CODE = '''"""What it is for."""

import math  # the only one

TEXT = """# "no comment

"""


class Circle:
    """A circle."""

    radius: float = 1.0
    """In metres."""

    def area(self, scale="it's \\" # no comment"):
        """The area."""
        # no unit
        print(
            "one"  # or two

            f"{scale!r}"
        )
        return math.pi * self.radius**2

    unit = "m"
    """Of the radius."""


async def follow(): """Nothing yet."""
'''
CHAPTER = """# %% [markdown]
# # 09 · A chapter
#
# What it is about.

# %% tags=["setup"]
import math

# %% [markdown]
# ## Idea
#
# Words.

# %%
print(math.pi)  # all of it
"""


@pytest.fixture(scope="module")
def of(tmp_path_factory):
    """The digest of one file with this content."""
    root = tmp_path_factory.mktemp("root")

    def made(content: str | bytes, name: str = "a.py") -> str:
        file = root / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return stamps.digest([file], root)

    return made


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""What it is for."""\n', ""),
        ("What it is for.", "What it is for,\n\nin three lines. 한국어"),
        ("A circle.", "A disc."),
        ("In metres.", "In feet."),
        ("Of the radius.", "Of the radius and other lengths."),
        ('        """The area."""\n', '        r"""The "area".\n# ..."""  # squared\n'),
        ("Nothing yet.", "No-one yet."),
        ("  # the only one", ""),
        ("# no unit", "# it's in m²"),
        ("        # no unit\n", '\n    # no unit, """ or \'\n\n'),
        ("# or two\n\n", "\n"),
        ("import math", "\n\n#!\nimport math"),
        ("self.radius**2\n", "self.radius**2   \n\n\n\t\n"),
    ],
)
def test_words_that_do_nothing_keep_the_digest(of, old, new):
    assert of(changed(CODE, old, new)) == of(CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("**2", "**3"),
        ("1.0", "2.0"),
        (' # no comment"', ' # none"'),
        ('# "no comment\n\n', '# "no comment\n'),
        ('# "no comment\n\n', '# "any comment\n\n'),
        ('"one"', '"two"'),
        ("!r", "!s"),
        ("class Circle", "class Disc"),
        ("async def follow", "async def lead"),
        ("async def follow", "def follow"),
        ("        return", "    return"),
        ("        return", "        # return"),
        ("    radius: float = 1.0", "    # radius: float = 1.0"),
    ],
)
def test_code_changes_the_digest(of, old, new):
    assert of(changed(CODE, old, new)) != of(CODE)


def test_a_name_a_file_more_and_the_order_of_lines_change_the_digest(of, tmp_path):
    assert of(CODE, "b.py") != of(CODE)
    assert of("a = 1\nb = 2\n") != of("b = 2\na = 1\n")
    assert of("1\n") != of("2\n")
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("a = 1\n")
    two.write_text("")
    assert stamps.digest([one, two], tmp_path) != stamps.digest([one], tmp_path)
    before = stamps.digest([one, two], tmp_path)
    one.write_text("")
    two.write_text("a = 1\n")
    assert stamps.digest([one, two], tmp_path) != before


@given(st.permutations(["a.py", "b.py", "c/a.py", "c-a.toml"]), st.integers(0, 2))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_are_listed_in_any_order_and_as_often_as_you_like(tmp_path, names, again):
    (tmp_path / "c").mkdir(exist_ok=True)
    for name in names:
        (tmp_path / name).write_text(f"name = {name!r}\n")
    files = [tmp_path / name for name in names]
    expected = stamps.digest(sorted(files), tmp_path)
    assert stamps.digest(iter(files + files[:again]), tmp_path) == expected


def test_a_copy_in_another_folder_has_the_same_digest(tmp_path):
    found = []
    for folder in ("here", "there"):
        (tmp_path / folder / "lib").mkdir(parents=True)
        (tmp_path / folder / "lib" / "a.py").write_text(CODE)
        files = stamps.covered(["lib/*.py"], tmp_path / folder)
        found.append(stamps.digest(files, tmp_path / folder))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("name", "content", "other"),
    [
        ("a.toml", "# words\na = 1\n", "# words\na = 2\n"),
        ("a.json", '{"a": 1}\n', '{"a": 2}\n'),
        ("a.csv", "a,b\n1,2\n", "a,b\n1,3\n"),
        ("a.md", "words\n", "other words\n"),
    ],
)
def test_other_text_counts_as_it_is_but_for_the_ends_of_its_lines(of, name, content, other):
    assert of(content, name) != of(other, name)
    assert of(content, name) == of(content.replace("\n", "\r\n"), name)


@pytest.mark.parametrize("code", [CODE, CHAPTER])
def test_the_ends_of_lines_of_code_do_not_count(of, code):
    assert of(code.replace("\n", "\r\n")) == of(code.replace("\n", "\r")) == of(code)
    assert of(code.removesuffix("\n")) == of(code)


def test_every_byte_of_a_binary_file_counts(of):
    assert of(b"PNG\r\n\0", "a.png") != of(b"PNG\n\0", "a.png")


# Two programs have the same digest exactly if their syntax trees without docstrings are the same.

PIECES = [
    ["x = 1"],
    ["x = 2"],
    ["y = '# x'"],
    ['y = """', "# x", "", "'x'", '"""'],
    ['y = """', "# x", "'x'", '"""'],
    ['y = r"\\"  # "', '"""z"""'],
    ["y = f'{x}#'"],
    ["y = (1,", "     2)"],
    ["def f(a='b'):", "    return a"],
    ["class A: pass"],
]
NOISE = [[], [], [""], ["# x"], ["    # it's"], ["   "], ["'한' '국'"]]
NOISE += [['"""', "Words", "", "# more", '"""']]


@st.composite
def programs(draw) -> str:
    lines = draw(st.sampled_from(NOISE)).copy()
    for piece in draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3)):
        lines += [*piece[:-1], piece[-1] + draw(st.sampled_from(["", "", "  # '", "\t"]))]
        lines += draw(st.sampled_from(NOISE))
    return "\n".join(lines)


def tree(program: str) -> str:
    body = ast.parse(program).body
    is_words = [isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in body]
    return "".join(ast.dump(n) for n, words in zip(body, is_words, strict=True) if not words)


@given(programs(), st.data())
@settings(max_examples=60, deadline=None)
def test_one_digest_means_one_tree_and_the_other_way_round(of, program, data):
    noise = ["\n".join(["", *lines, ""]) for lines in NOISE]
    other = data.draw(programs() | st.sampled_from(noise).map(lambda words: words + program))
    assert (of(program) == of(other)) == (tree(program) == tree(other))


# Percent scripts


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("What it is about.", "What else it is about."),
        ("# Words.\n", "# Words.\n\n# %% [markdown]\n# More words.\n"),
        ("# all of it", "# a part of it"),
        ("import math\n", "import math\n\n\n"),
    ],
)
def test_the_prose_of_a_chapter_keeps_the_digest(of, old, new):
    assert of(changed(CHAPTER, old, new)) == of(CHAPTER)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("math.pi", "math.e"),
        (' tags=["setup"]', ""),
        ("## Idea", "## Train"),
        ("# ## Idea\n#\n# Words.\n\n# %%\n", "# Words.\n\n# %%\n"),
        ("# Words.\n", "# Words.\n\n# %%\nprint(math.e)\n"),
        ("# %%\nprint", "# %% [markdown]\n# print"),
        ("# Words.\n", "Words = 1\n"),
    ],
)
def test_the_cells_of_a_chapter_and_what_orders_them_change_the_digest(of, old, new):
    assert of(changed(CHAPTER, old, new)) != of(CHAPTER)


MAGICS = ["%matplotlib inline", "# %matplotlib inline", "!pip list", "# !pip list", "%%bash"]


@pytest.mark.parametrize("magic", [*MAGICS, "# %%bash\nls # x", "x = !ls 'a", "x?"])
def test_a_magic_is_code_raw_or_as_jupytext_writes_it(of, magic):
    chapter = changed(CHAPTER, "# %%\n", f"# %%\n{magic}\n")
    assert of(chapter) != of(CHAPTER)
    assert of(chapter) != of(changed(chapter, magic, f"{magic}2"))
    assert of(chapter) == of(chapter.replace("Words", "Other words"))
    assert of(chapter) != of(chapter.replace("math.pi", "math.e"))


def test_of_what_stands_before_the_first_cell_only_code_counts(of):
    head = "# ---\n# jupyter: 1\n# ---\n\n"
    assert of(head + CHAPTER) == of(changed(head, "1", "2") + CHAPTER)
    assert of(head + CHAPTER) != of(f"{head}import torch\n\n{CHAPTER}")


def test_a_module_that_holds_a_percent_script_is_no_percent_script(of):
    module = f'CHAPTER = """\n{CHAPTER}"""\n'
    assert of(module) != of(changed(module, "Words", "Other words"))


# What is covered


def test_covered_finds_files_alone_once_and_in_order(tmp_path):
    expected = [tmp_path / "lib" / name for name in ("a/c.py", "a/d.py", "b.py", "e.py", "f.py")]
    others = ["lib/a/__pycache__/c.py", "lib/.ipynb_checkpoints/b.py", "other.py"]
    for name in [*expected, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert stamps.covered(["lib/**/*.py", "lib/b.py"], tmp_path) == expected
    assert stamps.covered(["lib/**"], tmp_path) == expected


@pytest.mark.parametrize("pattern", ["nothing/*.py", "lib", "lib/__pycache__/*"])
def test_a_pattern_that_matches_no_file_is_refused(tmp_path, pattern):
    (tmp_path / "lib" / "__pycache__").mkdir(parents=True)
    (tmp_path / "lib" / "a.py").touch()
    (tmp_path / "lib" / "__pycache__" / "a.pyc").touch()
    with pytest.raises(ValueError, match=f"nothing of '{pattern[:3]}"):
        stamps.covered(["lib/*.py", pattern], tmp_path)


# Reports

STAMPS = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(st.text(), STAMPS, STAMPS)
@example("words\n\n", "0" * 64, "1" * 64)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_report_keeps_its_text_and_its_last_stamp(tmp_path, text, first, second):
    report = tmp_path / "report.md"
    stamps.write(report, text, first)
    assert stamps.read(report) == first
    content = report.read_bytes().decode()
    assert content == f"{text.rstrip()}\n\n<!-- covers: {first} -->\n"
    stamps.write(report, content, second)
    before = content.removesuffix(f"<!-- covers: {first} -->\n")
    assert report.read_bytes().decode() == f"{before}<!-- covers: {second} -->\n"
    report.write_bytes(report.read_bytes().replace(b"\n", b"\r\n"))
    assert stamps.read(report) == second


@pytest.mark.parametrize("text", ["", "words\n", f"<!-- covers: {'0' * 64} -->\nwords\n"])
def test_a_report_without_a_last_stamp_has_none(tmp_path, text):
    assert stamps.read(tmp_path / "report.md") is None
    (tmp_path / "report.md").write_text(text)
    assert stamps.read(tmp_path / "report.md") is None


def test_a_stale_report_names_the_command_to_run(tmp_path):
    code, report = tmp_path / "a.py", tmp_path / "tests" / "report.md"
    report.parent.mkdir()
    code.write_text(CODE)
    said = r"^tests/report\.md was written for other code: run `make mutants`\.$"

    def check():
        stamps.check(report, ["*.py"], tmp_path, "make mutants")

    with pytest.raises(AssertionError, match=said):
        check()
    stamps.write(report, "All caught.", stamps.digest([code], tmp_path))
    check()
    code.write_text(changed(CODE, "A circle.", "A disc."))
    check()
    code.write_text(changed(CODE, "1.0", "2.0"))
    with pytest.raises(AssertionError, match=said):
        check()
    code.unlink()
    with pytest.raises(ValueError, match="no file matches"):
        check()


def test_a_file_outside_the_root_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not in the subpath"):
        stamps.digest([Path(__file__)], tmp_path)
