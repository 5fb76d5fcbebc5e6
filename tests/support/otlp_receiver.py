"""otlp_receiver.py DIRECTORY [--certificate PEM [--client-ca PEM]]: receives OTLP over HTTP with JSON bodies, as strictly as
the schema allows, and keeps what it was sent. Prints its port, then serves 127.0.0.1 until it is ended.

POST .../v1/metrics and .../v1/traces: a body that is as the schema says is kept as DIRECTORY/metrics-1.json, traces-1.json
and so on, its headers beside it as .headers; it is answered with 200. Anything else is answered with 400 and the reason, and
kept as DIRECTORY/refused-1. More than a collector checks: no unknown field, no value of another type (64-bit integers are
strings, enums numbers), ids of the right length and not zero, spans that end after they begin and whose parent is there or is
the caller's (one root at most), no attribute twice, service.name. --certificate (with its key in the same file) makes it
https; with --client-ca it asks for a certificate and takes no other.

Source: https://github.com/open-telemetry/opentelemetry-proto
"""
import argparse
import json
import pathlib
import re
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

# Message -> field -> type. A list holds its elements' type; a name with a capital letter is a message.
ATTRIBUTES = ["KeyValue"]
SCHEMA = {
    "ExportMetricsServiceRequest": {"resourceMetrics": ["ResourceMetrics"]},
    "ResourceMetrics": {"resource": "Resource", "scopeMetrics": ["ScopeMetrics"], "schemaUrl": "string"},
    "ScopeMetrics": {"scope": "Scope", "metrics": ["Metric"], "schemaUrl": "string"},
    "Metric": {"name": "string", "description": "string", "unit": "string", "gauge": "Gauge", "metadata": ATTRIBUTES},
    "Gauge": {"dataPoints": ["NumberDataPoint"]},
    "NumberDataPoint": {
        "attributes": ATTRIBUTES, "startTimeUnixNano": "uint64", "timeUnixNano": "uint64", "asDouble": "double",
        "asInt": "int64", "flags": "uint32"},
    "ExportTraceServiceRequest": {"resourceSpans": ["ResourceSpans"]},
    "ResourceSpans": {"resource": "Resource", "scopeSpans": ["ScopeSpans"], "schemaUrl": "string"},
    "ScopeSpans": {"scope": "Scope", "spans": ["Span"], "schemaUrl": "string"},
    "Span": {
        "traceId": "id32", "spanId": "id16", "traceState": "string", "parentSpanId": "id16", "flags": "uint32",
        "name": "string", "kind": "enum0-5", "startTimeUnixNano": "uint64", "endTimeUnixNano": "uint64",
        "attributes": ATTRIBUTES, "droppedAttributesCount": "uint32", "events": ["Event"], "droppedEventsCount": "uint32",
        "status": "Status"},
    "Event": {
        "timeUnixNano": "uint64", "name": "string", "attributes": ATTRIBUTES, "droppedAttributesCount": "uint32"},
    "Status": {"message": "string", "code": "enum0-2"},
    "Resource": {"attributes": ATTRIBUTES, "droppedAttributesCount": "uint32"},
    "Scope": {"name": "string", "version": "string", "attributes": ATTRIBUTES, "droppedAttributesCount": "uint32"},
    "KeyValue": {"key": "string", "value": "AnyValue"},
    "AnyValue": {"stringValue": "string", "boolValue": "bool", "intValue": "int64", "doubleValue": "double"},
}
REQUIRED = {
    "ResourceMetrics": ["resource", "scopeMetrics"], "ResourceSpans": ["resource", "scopeSpans"],
    "ScopeMetrics": ["scope", "metrics"], "ScopeSpans": ["scope", "spans"], "Scope": ["name", "version"],
    "Metric": ["name", "gauge"], "Gauge": ["dataPoints"], "NumberDataPoint": ["timeUnixNano"],
    "Span": ["traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano"],
    "Event": ["timeUnixNano", "name"], "KeyValue": ["key", "value"],
    "ExportMetricsServiceRequest": ["resourceMetrics"], "ExportTraceServiceRequest": ["resourceSpans"],
}
ONE_OF = {"NumberDataPoint": ["asDouble", "asInt"], "AnyValue": ["stringValue", "boolValue", "intValue", "doubleValue"]}
YEAR_2020 = 1_577_836_800 * 10**9


class Refused(Exception):
    pass


def need(condition, reason):
    if not condition:
        raise Refused(reason)


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def check_scalar(value, kind, where):
    if kind == "string":
        fits = isinstance(value, str)
    elif kind == "bool":
        fits = isinstance(value, bool)
    elif kind == "double":
        fits = is_integer(value) or isinstance(value, float)
    elif kind == "uint32":
        fits = is_integer(value) and 0 <= value < 2**32
    elif kind in ("int64", "uint64"):
        lowest = 0 if kind == "uint64" else -(2**63)
        fits = isinstance(value, str) and bool(re.fullmatch(r"-?[0-9]+", value))
        fits = fits and lowest <= int(value) < lowest + 2**64
    elif kind.startswith("id"):
        fits = isinstance(value, str) and bool(re.fullmatch(f"[0-9a-f]{{{kind[2:]}}}", value)) and set(value) != {"0"}
    else:  # enumA-B
        lowest, highest = map(int, kind[4:].split("-"))
        fits = is_integer(value) and lowest <= value <= highest
    need(fits, f"{where}: {value!r} is no {kind}")


def check(value, kind, where):
    if isinstance(kind, list):
        need(isinstance(value, list), f"{where}: not a list")
        for index, element in enumerate(value):
            check(element, kind[0], f"{where}[{index}]")
    elif kind in SCHEMA:
        need(isinstance(value, dict), f"{where}: not an object")
        for field, held in value.items():
            need(field in SCHEMA[kind], f"{where}.{field}: {kind} has no such field here")
            check(held, SCHEMA[kind][field], f"{where}.{field}")
        for field in REQUIRED.get(kind, []):
            need(field in value, f"{where}: {kind} without {field}")
        if kind in ONE_OF:
            need(len([1 for field in ONE_OF[kind] if field in value]) == 1, f"{where}: not exactly one of {ONE_OF[kind]}")
        if "attributes" in value:
            keys = [attribute["key"] for attribute in value["attributes"]]
            need("" not in keys and len(keys) == len(set(keys)), f"{where}: an attribute is empty or there twice: {keys}")
    else:
        check_scalar(value, kind, where)


def check_resource(resource):
    names = [a["value"].get("stringValue") for a in resource["resource"]["attributes"] if a["key"] == "service.name"]
    need(len(names) == 1 and names[0], "no service.name")


def check_metrics(request):
    check(request, "ExportMetricsServiceRequest", "")
    series = set()
    for resource in request["resourceMetrics"]:
        check_resource(resource)
        for metric in [m for scope in resource["scopeMetrics"] for m in scope["metrics"]]:
            need(re.fullmatch("[a-z_]+", metric["name"]), f"a strange name: {metric['name']!r}")
            need(metric["gauge"]["dataPoints"], f"{metric['name']}: no data points")
            for point in metric["gauge"]["dataPoints"]:
                need(int(point["timeUnixNano"]) > YEAR_2020, f"{metric['name']}: an impossible time")
                labels = sorted((a["key"], str(a["value"])) for a in point.get("attributes", []))
                identity = (metric["name"], tuple(labels))
                need(identity not in series, f"a series is there twice: {identity}")
                series.add(identity)


def check_traces(request):
    check(request, "ExportTraceServiceRequest", "")
    for resource in request["resourceSpans"]:
        check_resource(resource)
    spans = [s for r in request["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]]
    need(spans, "no spans")
    ids = {span["spanId"] for span in spans}
    need(len(ids) == len(spans), "a span id is there twice")
    need(len({span["traceId"] for span in spans}) == 1, "more than one trace")
    need(len([1 for span in spans if span.get("parentSpanId") not in ids]) == 1, "not exactly one root")
    for span in spans:
        begin, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        need(YEAR_2020 < begin <= end, f"{span['name']}: ends before it begins, or an impossible time")
        need(span["kind"] != 0, f"{span['name']}: no kind")


def no_duplicates(pairs):
    need(len(pairs) == len({key for key, _ in pairs}), f"a field is there twice: {[key for key, _ in pairs]}")
    return dict(pairs)


def no_constants(text):
    raise Refused(f"{text} is no JSON")


CHECKS = {"metrics": check_metrics, "traces": check_traces}


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock = Lock()
    counts = {"metrics": 0, "traces": 0, "refused": 0}
    directory = pathlib.Path()

    def do_POST(self):  # the name that http.server asks for
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        signal = self.path.split("?")[0].rsplit("/", 1)[-1]
        try:
            need(self.path.split("?")[0].endswith(("/v1/metrics", "/v1/traces")), f"no such path: {self.path}")
            need(self.headers.get("Content-Type") == "application/json", "Content-Type is not application/json")
            request = json.loads(body.decode("utf-8"), object_pairs_hook=no_duplicates, parse_constant=no_constants)
            CHECKS[signal](request)
        except (Refused, ValueError) as error:
            self.keep("refused", f"{error}\n".encode() + body)
            self.answer(400, {"code": 3, "message": str(error)})
            return
        self.keep(signal, body)
        self.answer(200, {"partialSuccess": {}})

    def do_PUT(self):
        self.keep("refused", f"PUT {self.path}\n".encode())
        self.answer(405, {"message": "POST only"})

    def keep(self, what, body):
        with self.lock:
            self.counts[what] += 1
            name = f"{what}-{self.counts[what]}"
        (self.directory / f"{name}.headers").write_text(f"{self.requestline}\n{self.headers}", encoding="utf-8")
        # Renamed, so that a test that waits for the file never reads half of it.
        (self.directory / f".{name}").write_bytes(body)
        (self.directory / f".{name}").rename(self.directory / (name if what == "refused" else f"{name}.json"))

    def answer(self, status, message):
        body = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--certificate")
    parser.add_argument("--client-ca")
    options = parser.parse_args()
    Receiver.directory = options.directory
    options.directory.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
        if options.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(options.client_ca)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
