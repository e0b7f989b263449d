from docgen.models import FILE, models


def test_the_models_are_what_would_be_generated() -> None:
    assert FILE.read_text() == models(), "run `make docs`"
