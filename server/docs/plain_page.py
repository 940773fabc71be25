#!/usr/bin/env python3
"""plain_page.py OPENAPI: prints the description of the interface as one HTML page that needs no JavaScript.

It knows as much of OpenAPI as server/openapi.json uses, and stops at what it does not know, so that nothing is left out
in silence. The page has no inline style and no script: its one other file is /docs/plain.css.
"""

import html
import json
import re
import sys

METHODS = ("get", "head", "post")
KNOWN_OPERATION = {
    "operationId",
    "tags",
    "summary",
    "description",
    "parameters",
    "requestBody",
    "responses",
    "security",
}
KNOWN_RESPONSE = {"description", "headers", "content"}
KNOWN_SCHEMA = {
    "type",
    "description",
    "properties",
    "required",
    "items",
    "oneOf",
    "discriminator",
    "enum",
    "const",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "minItems",
    "maxItems",
    "pattern",
    "default",
    "examples",
    "contentMediaType",
    "contentSchema",
    "$ref",
}


def know(what, thing, known):
    unknown = set(thing) - known
    if unknown:
        sys.exit(f"plain_page.py: {what} has {', '.join(sorted(unknown))}, which the page would not show")


def inline(text):
    """The little Markdown that descriptions use: `code`, **strong**, *emphasis*."""
    pieces = []
    for i, piece in enumerate(text.split("`")):
        piece = html.escape(piece)
        if i % 2:
            pieces.append(f"<code>{piece}</code>")
        else:
            piece = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", piece)
            pieces.append(re.sub(r"\*(.+?)\*", r"<em>\1</em>", piece))
    return "".join(pieces)


def paragraphs(text):
    return "".join(f"<p>{inline(part)}</p>\n" for part in text.split("\n\n") if part)


def as_json(value):
    return html.escape(json.dumps(value, indent=2, ensure_ascii=False))


def name_of(ref):
    return ref.rsplit("/", 1)[1]


class Page:
    def __init__(self, document):
        self.document = document
        self.out = []

    def resolve(self, thing):
        while "$ref" in thing:
            value = self.document
            for key in thing["$ref"][2:].split("/"):
                value = value[key]
            thing = value
        return thing

    def put(self, text):
        self.out.append(text)

    def operations(self):
        for path, item in self.document["paths"].items():
            know(path, item, set(METHODS))
            for method in METHODS:
                if method in item:
                    know(f"{method} {path}", item[method], KNOWN_OPERATION)
                    yield method, path, item[method]

    # --- schemas ---

    def type_of(self, schema):
        """A schema in a few words."""
        know("a schema", schema, KNOWN_SCHEMA)
        if "$ref" in schema:
            name = name_of(schema["$ref"])
            return f'<a href="#schema-{name}">{name}</a>'
        if "oneOf" in schema:
            return " or ".join(self.type_of(one) for one in schema["oneOf"])
        if "const" in schema:
            return f"<code>{as_json(schema['const'])}</code>"
        if "enum" in schema:
            return " or ".join(f"<code>{as_json(value)}</code>" for value in schema["enum"])
        types = schema.get("type", "any JSON")
        text = " or ".join(types) if isinstance(types, list) else types
        if "items" in schema:
            text += " of " + self.type_of(schema["items"])
        if "contentSchema" in schema:
            text += f", its data {self.type_of(schema['contentSchema'])}"
        return text + self.bounds(schema)

    @staticmethod
    def bounds(schema):
        said = [schema["format"]] if "format" in schema else []
        for low, high, unit in (
            ("minimum", "maximum", ""),
            ("minItems", "maxItems", " items"),
            ("minLength", None, " characters"),
        ):
            if low in schema and high in schema:
                said.append(f"{schema[low]} to {schema[high]}{unit}")
            elif low in schema:
                said.append(f"at least {schema[low]}{unit}")
            elif high in schema:
                said.append(f"at most {schema[high]}{unit}")
        if "pattern" in schema:
            said.append(f"<code>{html.escape(schema['pattern'])}</code>")
        if "default" in schema:
            said.append(f"default <code>{as_json(schema['default'])}</code>")
        return f" <small>({', '.join(said)})</small>" if said else ""

    def fields(self, schema, prefix=""):
        required = schema.get("required", [])
        for name, field in schema.get("properties", {}).items():
            need = "" if name in required else " <small>optional</small>"
            inner = field.get("items", field) if "$ref" not in field else {}
            kind = "array of object" if inner is not field and "properties" in inner else self.type_of(field)
            self.put(
                f"<dt><code>{prefix}{name}</code> {kind}{need}</dt>\n<dd>{inline(field.get('description', ''))}</dd>\n"
            )
            if "properties" in inner:
                self.fields(inner, f"{prefix}{name}{'[]' if inner is not field else ''}.")

    def schema(self, name, schema):
        self.put(
            f'<section class="schema" id="schema-{name}">\n<h3>{name}</h3>\n{paragraphs(schema.get("description", ""))}'
        )
        if "properties" in schema:
            self.put("<dl>\n")
            self.fields(schema)
            self.put("</dl>\n")
        else:
            self.put(f"<p>{self.type_of(schema)}</p>\n")
        self.put("</section>\n")

    # --- operations ---

    def examples(self, content):
        for media, body in content.items():
            know(media, body, {"schema", "examples"})
            self.put(f"<p><code>{media}</code>: {self.type_of(body['schema'])}</p>\n")
            for example in map(self.resolve, body.get("examples", {}).values()):
                value = example["value"]
                shown = as_json(value) if media == "application/json" else html.escape(str(value))
                self.put(f"<details><summary>{inline(example['summary'])}</summary><pre>{shown}</pre></details>\n")

    def parameters(self, operation):
        if operation.get("parameters"):
            self.put("<h4>Parameters</h4>\n<dl>\n")
            for parameter in map(self.resolve, operation["parameters"]):
                need = "" if parameter.get("required") else " <small>optional</small>"
                self.put(
                    f"<dt><code>{parameter['name']}</code> in {parameter['in']}: {self.type_of(parameter['schema'])}"
                    f"{need}</dt>\n<dd>{inline(parameter['description'])}</dd>\n"
                )
            self.put("</dl>\n")

    def answers(self, operation):
        self.put("<h4>Answers</h4>\n")
        for status, answer in operation["responses"].items():
            answer = self.resolve(answer)
            know(f"answer {status}", answer, KNOWN_RESPONSE)
            self.put(
                f'<div class="answer"><p><strong class="s{status[0]}">{status}</strong> '
                f"{inline(answer['description'])}</p>\n"
            )
            names = [f"<code>{name}</code>" for name in answer.get("headers", {})]
            if names:
                self.put(f"<p><small>with {', '.join(names)}</small></p>\n")
            self.examples(answer.get("content", {}))
            self.put("</div>\n")

    def operation(self, method, path, operation):
        open_to_all = operation.get("security") == []
        self.put(
            f'<section class="operation" id="{operation["operationId"]}">\n'
            f'<h3><span class="method {method}">{method.upper()}</span> <code>{html.escape(path)}</code></h3>\n'
            f"<p><strong>{inline(operation['summary'])}</strong>"
            f"{'' if open_to_all else ' <small>needs a token</small>'}</p>\n"
            f"{paragraphs(operation['description'])}"
        )
        self.parameters(operation)
        if "requestBody" in operation:
            body = operation["requestBody"]
            know("a body", body, {"required", "description", "content"})
            self.put(f"<h4>Body</h4>\n{paragraphs(body['description'])}")
            self.examples(body["content"])
        self.answers(operation)
        self.put("</section>\n")

    # --- the whole ---

    def contents(self):
        self.put("<nav>\n<ul>\n")
        for method, path, operation in self.operations():
            if method != "head":
                self.put(
                    f'<li><a href="#{operation["operationId"]}"><span class="method {method}">{method.upper()}</span> '
                    f"<code>{html.escape(path)}</code></a> {inline(operation['summary'])}</li>\n"
                )
        self.put(
            '<li><a href="#errors">Errors</a></li>\n<li><a href="#limits">Limits</a></li>\n'
            '<li><a href="#schemas">Schemas</a></li>\n</ul>\n</nav>\n'
        )

    def errors(self):
        """Each word, with its statuses as the operations have them."""
        statuses = {}
        for _, _, operation in self.operations():
            for status, answer in operation["responses"].items():
                for body in self.resolve(answer).get("content", {}).values():
                    for example in map(self.resolve, body.get("examples", {}).values()):
                        if isinstance(example["value"], dict) and "error" in example["value"]:
                            statuses.setdefault(example["value"]["error"], set()).add(status)
        self.put(
            '<h2 id="errors">Errors</h2>\n<div class="wide"><table>\n'
            "<tr><th>word</th><th>status</th><th>fields</th><th></th></tr>\n"
        )
        for one in self.document["components"]["schemas"]["Error"]["oneOf"]:
            schema, name = self.resolve(one), name_of(one["$ref"])
            word = schema["properties"]["error"]["const"]
            fields = ", ".join(field for field in schema["properties"] if field != "error")
            self.put(
                f'<tr><td><a href="#schema-{name}">{word}</a></td><td>{", ".join(sorted(statuses[word]))}</td>'
                f"<td>{fields}</td><td>{inline(schema['description'])}</td></tr>\n"
            )
        self.put("</table></div>\n")

    def limits(self):
        self.put('<h2 id="limits">Limits</h2>\n<dl>\n')
        for name, value in self.document["info"]["x-talea-limits"].items():
            self.put(f"<dt><code>{name}</code></dt><dd>{html.escape(str(value))}</dd>\n")
        self.put("</dl>\n")

    def write(self):
        info = self.document["info"]
        self.put(
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{html.escape(info['title'])}: HTTP interface</title>\n"
            f'<link rel="icon" href="data:,">\n<link rel="stylesheet" href="/docs/plain.css">\n</head>\n<body>\n'
            f"<h1>{html.escape(info['title'])} <small>{html.escape(info['version'])}</small></h1>\n"
            f"<p>{inline(info['summary'])}. For programs: <a href=\"/openapi.json\">openapi.json</a>.</p>\n"
        )
        self.put(paragraphs(info["description"]))
        self.contents()
        for tag in self.document["tags"]:
            self.put(f"<h2>{tag['name']}</h2>\n{paragraphs(tag['description'])}")
            for method, path, operation in self.operations():
                if operation["tags"] == [tag["name"]]:
                    self.operation(method, path, operation)
        self.errors()
        self.limits()
        self.put('<h2 id="schemas">Schemas</h2>\n')
        for name, schema in self.document["components"]["schemas"].items():
            self.schema(name, schema)
        self.put("</body>\n</html>\n")
        return "".join(self.out)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as f:
        sys.stdout.buffer.write(Page(json.load(f)).write().encode())
