"""Coloured passages: everything from the text is escaped, and each token tells its values."""

import numpy as np

from dashboard import coloured_text


def test_coloured_text_escapes_keeps_breaks_and_tells_values():
    text = "<b>\n&é"
    offsets = np.array([[0, 3], [3, 4], [4, 5], [5, 6], [5, 6]])
    html = coloured_text.by_course(text, offsets, np.array([3, 0, -9, 1, 1.0]))
    assert "<b>" not in html and "&lt;b&gt;" in html and "↵" in html and "&amp;" in html
    assert html.count("é") == 1
    assert 'title="token 0: +3.0 SD"' in html and 'title="token 2: -9.0 SD"' in html


def test_change_by_edits_tells_both_values():
    html = coloured_text.by_change(
        "<b>é\n",
        np.array([[0, 3], [3, 4], [4, 5]]),
        np.array([np.nan, 1.0, 2.0]),
        np.array([np.nan, 3.5, np.inf]),
    )
    assert "<b>" not in html and "&lt;b&gt;" in html and "↵" in html
    assert 'title="1.00 to 3.50 nats (+2.50)"' in html and "to not finite" in html
    assert html.count("title=") == 2
