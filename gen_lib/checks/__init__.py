"""Did the student's function do what it must? Properties, checked in words.

Every check takes the student's function and either says what it verified, reports that the exercise
is not attempted yet (the stub raises ``NotImplementedError``; Run All goes on), or raises
``Misconception`` with what is wrong and why. A file per chapter: ``start_here`` (00),
``autoencoder`` (01), ``sparse_denoising_masked`` (02), ``vae`` (03), ``gan`` (04),
``cyclegan`` (05), ``diffusion`` and ``guidance`` (06), ``comparison`` (07). ``homework`` holds what
the hidden tests of assignments share.
"""

from gen_lib.checks.base import Misconception, Verdict, exercise

__all__ = ["Misconception", "Verdict", "exercise"]
