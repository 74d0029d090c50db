"""nbgrader's configuration of a course folder; ``gen_course.build.assignments`` copies it there."""

from nbgrader.converters.autograde import Autograde
from nbgrader.preprocessors import Execute

from gen_course.homework.believe import BelieveVerdicts

c = get_config()

c.CourseDirectory.course_id = "generative-models"
c.Execute.timeout = 180  # seconds a cell; every cell of the masters takes less than 20
c.Execute.startup_timeout = 120
steps = Autograde.autograde_preprocessors.default()
steps.insert(steps.index(Execute) + 1, BelieveVerdicts)
c.Autograde.autograde_preprocessors = steps
