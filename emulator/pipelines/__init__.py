"""The use cases: bytes in, results out. What a worker process runs.

Workers import the modules of the pipelines, and with them the face core. Everybody else imports
`options`: what a pipeline is asked, what it answers, and its name.
"""
