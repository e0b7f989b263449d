from docgen.models import FILE, models


def test_the_models_are_up_to_date() -> None:
    assert FILE.read_text() == models(), "run `make docs`"
