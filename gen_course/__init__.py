"""The course: chapters, homework, teaching material, and the programs that build the notebooks.

It stands on the library ``gen_lib``, which knows nothing of it. ``chNN_name`` holds everything of
one chapter, ``common`` what several chapters share, ``build`` what writes the notebooks.
"""
