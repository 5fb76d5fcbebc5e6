#!/usr/bin/env python3
"""to_json.py [FILE]: the YAML documents of a file, or of standard input, as one JSON array.

A key that occurs twice is an error: YAML parsers take one of the two without a word.
"""
import json
import sys

import yaml


class Strict(yaml.SafeLoader):
    pass


def mapping(loader, node):
    seen = set()
    for key, _ in node.value:
        if key.value in seen:
            raise yaml.YAMLError(f"line {key.start_mark.line + 1}: the key {key.value} is there twice")
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)

with open(sys.argv[1], encoding="utf-8") if len(sys.argv) > 1 else sys.stdin as file:
    documents = [document for document in yaml.load_all(file, Strict) if document is not None]
json.dump(documents, sys.stdout)
