"""nbgrader's configuration of a course folder; ``gen_course.build.assignments`` copies it there."""

c = get_config()

c.CourseDirectory.course_id = "generative-models"
c.Execute.timeout = 180  # seconds a cell; every cell of the masters takes less than 20
c.Execute.startup_timeout = 120
