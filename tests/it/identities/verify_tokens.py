"""Checks tokens of service accounts as a third party does: with the OpenID Connect documents and PyJWT."""

import base64
import json
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1

given = json.load(open(sys.argv[1]))
configuration, keys = given["configuration"], given["keys"]

# OpenID Connect Discovery 1.0, section 3: what must be there.
issuer = configuration["issuer"]
assert configuration["jwks_uri"] == issuer + "/openid/v1/jwks", configuration
assert configuration["response_types_supported"] == ["id_token"], configuration
assert configuration["subject_types_supported"] == ["public"], configuration
algorithms = configuration["id_token_signing_alg_values_supported"]
assert algorithms == ["ES256"], configuration

assert len(keys["keys"]) == 2, "the one that signs, and the one that did"
for key in keys["keys"]:
    assert set(key) == {"kty", "use", "alg", "kid", "crv", "x", "y"}, sorted(key)
    assert (key["kty"], key["use"], key["alg"], key["crv"]) == ("EC", "sig", "ES256", "P-256"), key
    assert len(base64.urlsafe_b64decode(key["x"] + "==")) == 32 and "=" not in key["x"], key
key_set = jwt.PyJWKSet.from_dict(keys)
for key in key_set.keys:
    assert isinstance(key.key.curve, SECP256R1)


def verify(token, audience):
    key = key_set[jwt.get_unverified_header(token)["kid"]]
    required = {"require": ["exp", "iat", "nbf", "iss", "aud", "sub", "jti"]}
    return jwt.decode(token, key.key, algorithms=algorithms, audience=audience, issuer=issuer, options=required)


seen = set()
for token in given["good"]:
    claims = verify(token, "vault")
    assert claims["sub"] == given["subject"], claims
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == "robot", claims
    seen.add(jwt.get_unverified_header(token)["kid"])
    for wrong in ("elsewhere", issuer):
        try:
            verify(token, wrong)
        except jwt.InvalidAudienceError:
            continue
        raise SystemExit("a token for somebody else was taken")
    head, body, signature = token.split(".")
    forged = dict(claims, sub="system:serviceaccount:default:other")
    body = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    try:
        verify(".".join([head, body, signature]), "vault")
    except jwt.InvalidSignatureError:
        continue
    raise SystemExit("a forged token was taken")
assert len(seen) == 2, "one token by each key"
assert jwt.get_unverified_header(given["foreign"])["kid"] not in {key.key_id for key in key_set.keys}
print(len(given["good"]), "tokens verified")
