"""The hidden tests of the homework, a module for each assignment and a function for each question.

They stand here, not in the notebooks, so that no name of a student's notebook can change them.
``gen_course.homework.grading.examine`` runs them.
"""
