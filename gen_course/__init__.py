"""The course: chapters, homework, teaching material, and the programs that build the notebooks.

It uses the library ``gen_lib``, which does not depend on it. ``chNN_name`` holds everything that
belongs to one chapter, ``common`` the code that several chapters share, and ``build`` the programs
that write the notebooks.
"""
