"""A small OpenID Connect provider of real HTTP: discovery, authorisation with PKCE, token, keys, userinfo."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID = "senolens"
CLIENT_SECRET = "a secret of the test"
KID = "key-1"


class Provider:
    """The provider, and who "signs in" there next.

    Attributes:
        claims: what its ID token and userinfo say about the person.
        spoil: changes an ID token's claims before it is signed.
        key: what it signs with; ``other_key`` is one that it does not publish.
        issuer: who it says that it is, where that is not its address.
        moved: paths that lead elsewhere on.
    """

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.other_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.claims: dict[str, Any] = {}
        self.spoil: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.signing_key: Any = self.key
        self.algorithm = "RS256"
        self.issuer = ""
        self.moved: set[str] = set()
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[dict[str, str]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                """Keep the tests' output for the tests."""

            def do_GET(self) -> None:  # noqa: N802  the library's name
                path, query = urlsplit(self.path).path, dict(parse_qs(urlsplit(self.path).query))
                if path in provider.moved:
                    self._redirect(f"{provider.url}/elsewhere{path}")
                elif path == "/authorize":
                    self._redirect(provider.authorize({name: value[0] for name, value in query.items()}))
                else:
                    self._json(provider.document(path, self.headers.get("Authorization", "")))

            def do_POST(self) -> None:  # noqa: N802  the library's name
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fields = {name: value[0] for name, value in parse_qs(body).items()}
                self._json(provider.token(fields))

            def _redirect(self, address: str) -> None:
                self.send_response(302)
                self.send_header("Location", address)
                self.end_headers()

            def _json(self, answer: tuple[int, Any]) -> None:
                body = json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def signs_in(self, *, sub: str, email: str, verified: Any = True, **more: Any) -> None:
        """Who is at the provider's own sign-in page next."""
        self.claims = {"sub": sub, "email": email, "email_verified": verified, **more}

    def document(self, path: str, authorization: str) -> tuple[int, Any]:
        path = path.removeprefix("/elsewhere")
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer or self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        if path == "/keys":
            public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            return 200, {"keys": [{**public, "kid": KID, "alg": "RS256", "use": "sig"}]}
        if path == "/userinfo" and authorization == "Bearer access":
            return 200, {**self.claims, **self.userinfo}
        return 404, {}

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser is sent back to: with a code that works once."""
        self.asked.append(asked)
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, fields: dict[str, str]) -> tuple[int, Any]:
        asked = self.codes.pop(fields.get("code", ""), None)
        if asked is None or fields.get("client_secret") != CLIENT_SECRET:
            return 400, {"error": "invalid_grant"}
        verifier = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(verifier).decode().rstrip("=") != asked.get("code_challenge"):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer or self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 60}
        claims |= {**self.claims, **self.spoil}
        key = self.signing_key
        signed = jwt.encode(claims, key, algorithm=self.algorithm, headers={"kid": KID})
        return 200, {"access_token": "access", "token_type": "Bearer", "expires_in": 60, "id_token": signed}
