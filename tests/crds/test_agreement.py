"""A cluster and a laptop agree on a manifest in which anything was changed."""

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from leadline.model.manifest.specs import parse_manifest
from tests.crds.api import Api
from tests.fuzz.manifests import ACCOUNT, STRATEGY
from tests.fuzz.values import change, copied

pytestmark = pytest.mark.integration
CASES = 300


def test_what_a_laptop_takes_a_cluster_takes_whatever_was_changed(api: Api):
    taken = []

    @seed(8)
    @settings(max_examples=CASES, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def tries(data: st.DataObject) -> None:
        document = copied(data.draw(st.sampled_from((STRATEGY, ACCOUNT))))
        notes = {"labels": {"team": "a"}, "annotations": {"note": "the first one"}}
        document["metadata"] |= {"namespace": "default", **notes}
        of_it = data.draw(st.sampled_from((document["spec"], document["metadata"]["labels"])), "part")
        change(data, data.draw(st.sampled_from((of_it, document["metadata"]["annotations"])), "or"))
        found = parse_manifest(document)
        if isinstance(found, list):
            return
        taken.append(document)
        assert api.refusal(document) == []

    tries()
    assert len(taken) > CASES / 20
