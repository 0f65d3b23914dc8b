"""The body of a request is the form that any server reads."""

from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.api.http.body import encode_form

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["A-1_2.3~", "1\n", ""])


@given(st.dictionaries(TEXT, TEXT))
def test_a_form_is_what_urlencode_writes(parameters: dict[str, str]) -> None:
    assert encode_form(parameters) == urlencode(parameters).encode()
