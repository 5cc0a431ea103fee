from fullspectrum.models.errors import InputError, first_line, nearest


def test_input_errors_are_value_errors():
    assert issubclass(InputError, ValueError)


def test_the_nearest_known_name_is_suggested_and_a_distant_one_is_not():
    assert nearest("resnet21", ["digits_cnn", "resnet20"]) == ', did you mean "resnet20"?'
    assert nearest("zzz", ["digits_cnn", "resnet20"]) == ""


def test_only_the_first_line_of_an_exception_is_told():
    assert first_line(RuntimeError("one\ntwo")) == "RuntimeError: one"
    assert first_line(EOFError()) == "EOFError"
