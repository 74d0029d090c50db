"""nbgrader's configuration of a course folder; ``gen_course.build.assignments`` copies it there."""

from nbgrader.converters.autograde import Autograde
from nbgrader.preprocessors import Execute

from gen_course.homework.believe import BelieveVerdicts, SealTests

c = get_config()

c.CourseDirectory.course_id = "generative-models"
c.Execute.timeout = 180  # seconds a cell; every cell of the masters takes less than 20
c.Execute.startup_timeout = 120
steps = Autograde.autograde_preprocessors.default()
at = steps.index(Execute)
steps[at : at + 1] = [SealTests, Execute, BelieveVerdicts]
c.Autograde.autograde_preprocessors = steps
