"""Authentication of requests (dsl-reference.md, "Authentication"; inventory K), for every call over HTTP.

`Authentication.credentials(policy)` returns the `Credentials` of an evaluated policy for the requests of one
call. The client of the call sends each request with `Credentials.header`. After a response with status 401 it
asks `Credentials.renewed` for another value of the header, and sends the request again if there is one.
`http/client.py` does both for requests that it sends.
"""
