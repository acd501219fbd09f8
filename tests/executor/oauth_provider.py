"""An OAuth 2 and OpenID Connect provider, made with Authlib, with an API that only its tokens open."""

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin
from authlib.oauth2.rfc6749.errors import InvalidGrantError
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    BaseGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
    ResourceOwnerPasswordCredentialsGrant,
    TokenEndpointMixin,
)
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from flask import Flask, jsonify, request
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

METHODS = ["client_secret_basic", "client_secret_post", "client_assertion_jwt", "none"]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
USERS = {"ada": "hush-hush"}
SIGNING = RSAKey.generate_key(2048, {"kid": "provider"})
CLIENT_KEYS = {"rsa": RSAKey.generate_key(2048), "ec": ECKey.generate_key("P-256")}
SECRET = "client-secret-of-thirty-two-bytes+/="


@dataclass
class Client(ClientMixin):
    id: str
    methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post")
    scopes: frozenset[str] = frozenset({"read", "write"})

    def get_client_id(self):
        return self.id

    def get_allowed_scope(self, scope):
        asked = set((scope or "").split())
        return " ".join(sorted(asked)) if asked <= self.scopes else None

    def check_client_secret(self, client_secret):
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method, endpoint):
        return method in self.methods

    def check_grant_type(self, grant_type):
        return True

    def check_redirect_uri(self, redirect_uri):
        return True


@dataclass
class Issued(TokenMixin):
    client: Client
    user: str | None
    grant: str
    data: dict[str, Any]
    at: float = field(default_factory=time.time)
    revoked: bool = False

    def check_client(self, client):
        return client.id == self.client.id

    def get_scope(self):
        return self.data.get("scope", "")

    def is_expired(self):
        return time.time() > self.at + self.data["expires_in"]

    def is_revoked(self):
        return self.revoked

    def get_user(self):
        return self.user

    def get_client(self):
        return self.client


class Assertion(JWTBearerClientAssertion):
    def __init__(self, provider):
        super().__init__()
        self.provider = provider
        self.seen: set[str] = set()

    def get_audiences(self):
        return [f"{self.provider.url}/oauth2/token"]

    def validate_jti(self, claims, jti):
        new = jti not in self.seen
        self.seen.add(jti)
        return new

    def resolve_client_public_key(self, client):
        return OctKey.import_key(SECRET) if client.id == "shared" else CLIENT_KEYS[client.id]


class Provider:
    """What a test sets, and what it sees."""

    def __init__(self) -> None:
        self.url = ""
        self.lifetime = 3600
        self.with_refresh = False
        self.issuer = ""
        self.delay = 0.0
        self.asked = 0
        """The requests for a token that have arrived."""
        self.answers = threading.Event()
        """They wait for it."""
        self.answers.set()
        self.answer: Any = None
        """An answer instead of a token: (body, status, headers)."""
        self.issued: list[Issued] = []
        self.forms: list[dict[str, list[str]]] = []
        self.headers: list[dict[str, str]] = []
        self.discoveries = 0
        self.codes = {"the-code": "ada"}
        self.clients = {
            each.id: each
            for each in (
                Client("app"),
                Client("public", methods=("none",)),
                Client("shared", methods=("client_assertion_jwt",)),
                Client("rsa", methods=("client_assertion_jwt",)),
                Client("ec", methods=("client_assertion_jwt",)),
            )
        }

    def reset(self) -> None:
        url = self.url
        self.__init__()
        self.url = self.issuer = url

    def access_token(self, client, grant_type, user, scope) -> str:
        claims = {"iss": self.issuer, "sub": user or client.id, "n": len(self.issued), "scope": scope}
        claims["exp"] = int(time.time()) + self.lifetime
        return jwt.encode({"alg": "RS256", "kid": SIGNING.kid}, claims, SIGNING)

    def revoke_all(self) -> None:
        for each in self.issued:
            each.revoked = True


def application(provider: Provider) -> Flask:
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # plain HTTP on the loopback address
    app = Flask("provider")
    lock = threading.Lock()

    def save(token, request):
        provider.issued.append(Issued(request.client, request.user, request.payload.grant_type, token))

    def client(id_):
        return provider.clients.get(id_)  # a test replaces the clients

    server = AuthorizationServer(app, client, save)
    app.config["OAUTH2_ACCESS_TOKEN_GENERATOR"] = provider.access_token
    app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
    server.load_config(app.config)
    default = server._token_generators["default"]

    def generate(grant_type, client, user=None, scope=None, expires_in=None, include_refresh_token=True):
        refresh = provider.with_refresh
        return default(grant_type, client, user, scope, provider.lifetime, refresh)

    server.register_token_generator("default", generate)
    server.register_client_auth_method("client_assertion_jwt", Assertion(provider))

    class Credentials(ClientCredentialsGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    class Password(ResourceOwnerPasswordCredentialsGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS

        def authenticate_user(self, username, password):
            return username if USERS.get(username) == password else None

    class Refresh(RefreshTokenGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS
        INCLUDE_NEW_REFRESH_TOKEN = True

        def authenticate_refresh_token(self, refresh_token):
            live = [each for each in provider.issued if each.data.get("refresh_token") == refresh_token]
            return live[0] if live and not live[0].revoked else None

        def authenticate_user(self, refresh_token):
            return refresh_token.user or "no-user"

        def revoke_old_credential(self, refresh_token):
            refresh_token.revoked = True

    @dataclass
    class Code:
        user: str

        def get_redirect_uri(self):
            return ""

        def get_scope(self):
            return ""

    class AuthorizationCode(AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS

        def query_authorization_code(self, code, client):
            return Code(provider.codes[code]) if code in provider.codes else None

        def delete_authorization_code(self, authorization_code):
            provider.codes.clear()

        def authenticate_user(self, authorization_code):
            return authorization_code.user

    class Exchange(BaseGrant, TokenEndpointMixin):
        GRANT_TYPE = EXCHANGE
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS

        def validate_token_request(self):
            self.request.client = self.authenticate_token_endpoint_client()
            form = self.request.form
            live = [each for each in provider.issued if each.data["access_token"] == form["subject_token"]]
            if not live or form["subject_token_type"] != "urn:ietf:params:oauth:token-type:access_token":
                raise InvalidGrantError("the subject token is unknown")
            self.request.user = live[0].user

        def create_token_response(self):
            token = self.generate_token(user=self.request.user, scope=self.request.payload.scope)
            self.save_token(token)
            issued = "urn:ietf:params:oauth:token-type:access_token"
            return 200, {**token, "issued_token_type": issued}, self.TOKEN_RESPONSE_HEADER

    for grant in (Credentials, Password, Refresh, AuthorizationCode, Exchange):
        server.register_grant(grant)

    @app.post("/oauth2/token")
    @app.post("/other/token")
    def token():
        forms, headers = provider.forms, provider.headers  # of the test that has sent the request
        provider.asked += 1
        provider.answers.wait(60)
        time.sleep(provider.delay)
        with lock:
            forms.append(request.form.to_dict(flat=False))
            headers.append(dict(request.headers))
            if provider.answer is not None:
                return provider.answer
            return server.create_token_response()

    @app.get("/realm/.well-known/openid-configuration")
    def discovery():
        provider.discoveries += 1
        return jsonify(issuer=provider.issuer, token_endpoint=f"{provider.url}/other/token")

    @app.get("/keys")
    def keys():
        return jsonify(KeySet([SIGNING]).as_dict(private=False))

    class Validator(BearerTokenValidator):
        def authenticate_token(self, token_string):
            found = [each for each in provider.issued if each.data["access_token"] == token_string]
            return found[0] if found else None

    protect = ResourceProtector()
    protect.register_token_validator(Validator())

    @app.route("/api", methods=["GET", "POST"])
    @protect()
    def api():
        claims = jwt.decode(request.headers["Authorization"].split()[1], SIGNING, algorithms=["RS256"]).claims
        return jsonify(user=claims["sub"], scope=claims["scope"])

    @app.get("/echo")
    @protect()
    def echo():
        return jsonify(dict(request.headers))

    return app
