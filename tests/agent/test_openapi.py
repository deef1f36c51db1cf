"""The document is made of the table of routes, and of the types that go over the wire."""

import json

from strew.access.routes import ROUTES, Pass
from strew.agent.openapi import SPOKEN, document


def test_every_route_is_spoken_of_and_nothing_else() -> None:
    assert set(SPOKEN) == {row.op for row in ROUTES}


def test_the_document_has_every_route_with_its_method_and_who_may() -> None:
    paths = document(ROUTES)["paths"]
    operations = {
        operation["operationId"]: (method.upper(), operation)
        for path in paths.values()
        for method, operation in path.items()
    }
    assert set(operations) == {row.op for row in ROUTES}
    for row in ROUTES:
        method, operation = operations[row.op]
        assert method == row.method
        assert bool(operation["security"]) != isinstance(row.admits, Pass)


def test_a_process_speaks_of_its_own_routes_only() -> None:
    own = [row for row in ROUTES if row.op in ("healthz", "publish")]
    paths = document(own)["paths"]
    assert set(paths) == {"/healthz", "/api/v1/names/{name}/{tag}"}
    assert set(paths["/api/v1/names/{name}/{tag}"]) == {"put"}


def test_all_that_is_referred_to_is_there() -> None:
    made = document(ROUTES)
    text = json.dumps(made)
    for part in text.split('"$ref": "#/components/schemas/')[1:]:
        assert part.partition('"')[0] in made["components"]["schemas"]
    assert "\\Z" not in text


def test_what_must_be_given_is_said() -> None:
    made = document(ROUTES)
    take = made["paths"]["/api/v1/uploads/{id}"]["put"]
    parameters = {of["name"]: of for of in take["parameters"]}
    assert parameters["port"]["required"] and parameters["id"]["schema"]["pattern"]
    publish = made["paths"]["/api/v1/names/{name}/{tag}"]["put"]
    schema = publish["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/PublishRequest"}
    assert made["components"]["schemas"]["PublishRequest"]["required"] == ["artifact"]
