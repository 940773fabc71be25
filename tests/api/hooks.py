"""For schemathesis: to a JSON schema 2.0 is an integer as good as 2. The contract has integers written as such."""

import schemathesis


def written_as_integers(value):
    if isinstance(value, dict):
        return {name: written_as_integers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [written_as_integers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def map_body(context, body):
    return written_as_integers(body)
