"""Secrets that Azure answers with, and the lines in which they could appear."""

from __future__ import annotations

import logging
from urllib.parse import quote

import pytest

from airflow_provider_azureml.provider.masking import forms, keep_signatures_out_of_urllib3s_lines, secrets_in

SIGNATURE = "ab+cd/efgh1234="
SAS = f"sv=2021-08-06&se=2026-01-01&sig={quote(SIGNATURE, safe='')}&sp=rl"


@pytest.mark.parametrize(
    ("answer", "secrets"),
    [
        ({"secretsType": "Sas", "sasToken": SAS}, [SIGNATURE]),
        ({"secretsType": "Sas", "sasToken": f"?{SAS}"}, [SIGNATURE]),
        ({"secretsType": "AccountKey", "key": "bm90IGEga2V5+/=="}, ["bm90IGEga2V5+/=="]),
        ({"primaryKey": "k" * 32, "secondaryKey": "l" * 32}, ["k" * 32, "l" * 32]),
        ({"accessToken": "e30.e30.xyz", "expiryTimeUtc": 0}, ["e30.e30.xyz"]),
        ({"blobReferenceForConsumption": {"credential": {"sasUri": f"https://a.blob.x/c?{SAS}"}}}, [SIGNATURE]),
        ([{"credential": {"sasUri": f"https://a.blob.x/c?{SAS}"}}], [SIGNATURE]),
        ({"value": [{"name": "model", "properties": {"key": ""}}]}, []),
        (None, []),
        ("sig=text", []),
    ],
)
def test_secrets_are_found_where_azure_puts_them(answer, secrets):
    assert list(secrets_in(answer)) == secrets


def test_a_secret_is_known_in_each_way_that_a_url_may_show_it():
    known = forms(SIGNATURE)
    assert {SIGNATURE, "ab%2Bcd%2Fefgh1234%3D", "ab%2bcd%2fefgh1234%3d", "ab%2Bcd/efgh1234="} <= set(known)


def test_urllib3s_lines_show_no_signature(caplog):
    keep_signatures_out_of_urllib3s_lines()
    caplog.set_level(logging.DEBUG)
    log = logging.getLogger("urllib3.connectionpool")
    log.debug('%s://%s:%s "%s %s %s" %s %s', "https", "a.blob.x", 443, "PUT", f"/c/b?{SAS}", "HTTP/1.1", 201, 0)
    assert "sig=***&sp=rl" in caplog.text
    assert "efgh1234" not in caplog.text
