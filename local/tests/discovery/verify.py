"""Verifies an access token as a foreign service does: with a library, from nothing but the URL of its issuer.

verify.py ISSUER AUDIENCE TOKEN prints the claims; fails if the token is not valid.
"""

import json
import sys
from urllib.request import urlopen

from joserfc import jwt
from joserfc.jwk import KeySet

issuer, audience, token = sys.argv[1:]
with urlopen(issuer + "/.well-known/openid-configuration") as answer:
    metadata = json.load(answer)
assert metadata["issuer"] == issuer, metadata
with urlopen(metadata["jwks_uri"]) as answer:
    keys = KeySet.import_key_set(json.load(answer))
token = jwt.decode(token, keys, algorithms=metadata["id_token_signing_alg_values_supported"])
claims = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer},
    aud={"essential": True, "value": audience},
    exp={"essential": True},
)
claims.validate(token.claims)
print(json.dumps({"header": token.header, "claims": token.claims}))
