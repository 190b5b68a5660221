"""The passwords of a cluster's own servers, which are read like any others and are in no folder."""

from leadline.runtime.settings import read_secret
from leadline.views.cluster_servers import password_files


def test_passwords_are_read_again_and_again_and_are_gone_with_the_question():
    with password_files({"data": {"reader": "c2VjcmV0", "ingestion": "b3RoZXI="}}) as found:
        assert [read_secret(found["reader"]) for _ in range(2)] == ["secret", "secret"]
        assert read_secret(found["ingestion"]) == "other"
        assert not found["reader"].resolve().exists()
    assert not found["reader"].exists()
