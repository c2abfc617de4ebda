"""Tokens for a stack, made by PyJWT and not by what is tested."""

import time

import jwt

SECRET = "the secret of all stacks, 32 characters or more"


def token(sub="user", lifetime=3600, secret=SECRET, **claims):
    """A token of `sub` that ends in `lifetime` seconds; a claim that is None is left out."""
    claims = {"sub": sub, "iat": int(time.time()), "exp": int(time.time()) + lifetime, **claims}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, secret, algorithm="HS256")


def bearer(sub="user", **claims):
    """The request header with it."""
    return {"Authorization": "Bearer " + token(sub, **claims)}
