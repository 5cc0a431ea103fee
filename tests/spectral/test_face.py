"""What the package offers, and that nothing is imported before it is asked for."""

import subprocess
import sys

import pytest
from fullspectrum import spectral


def test_every_public_name_is_found_and_listed():
    assert all(getattr(spectral, name).__name__ == name for name in spectral.__all__)
    assert set(spectral.__all__) <= set(dir(spectral))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"fullspectrum\.spectral' has no attribute 'full_spectra'"):
        _ = spectral.full_spectra


def test_the_package_imports_no_library_and_the_objectives_no_torch():
    code = (
        "import sys, fullspectrum.spectral; assert 'numpy' not in sys.modules; "
        "import fullspectrum.spectral.objectives; assert not {'torch', 'pandas', 'pytest'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
