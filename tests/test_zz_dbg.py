import sys; sys.path[:0]=['/work/main','/work/main/tests']
from test_prune_page import *
def test_x():
    at = scored(prune_page(FREE.replace("wanda-sp", "random"), prune_fill=True))
    at.session_state["prune_view"] = "Points measured"
    settled(at)
    print([ (t.label) for t in at.tabs], len(at.dataframe), said(at)[-1500:], at.session_state["prune_view"])
    print([(j.kind,j.state,j.error,j.label) for j in manager().recent()])
    assert 0
