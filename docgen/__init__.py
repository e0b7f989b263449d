"""Generator of the reference parts of the documentation: ``python -m docgen`` writes them into the pages.

Each part is between two comments, such as ``<!-- BEGIN settings -->`` and ``<!-- END settings -->``. An
argument can follow the name of the part: ``<!-- BEGIN errors metahuman -->``.
"""
