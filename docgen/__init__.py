"""The generated parts of the documentation: ``python -m docgen`` writes them into the pages in docs/.

A part stands between two comments, ``<!-- BEGIN settings -->`` and ``<!-- END settings -->``. The name may
be followed by an argument, such as a vendor: ``<!-- BEGIN errors metahuman -->``.
"""
