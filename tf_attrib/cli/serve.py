"""The command `tf-attrib serve`."""

import argparse


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to those of `tf-attrib`."""
    command = commands.add_parser(
        "serve",
        help="answer requests for predictions and explanations over HTTP",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serves the SavedModels of a folder, each with its explanation_metadata.json, at\n"
        "/v1/models/NAME:predict and :explain, and at /v1/projects/P/locations/L/endpoints/NAME:predict and :explain.\n"
        "There is no authentication: on any address but loopback put a proxy in front. Needs the extra 'serve'.",
        epilog="examples:\n"
        "  tf-attrib serve models/\n"
        "  curl -H 'Content-Type: application/json' -d '{\"instances\": [[1, 2, 3]]}' localhost:8501/v1/models/price:explain\n",
    )
    option = command.add_argument
    option("folder", metavar="FOLDER", help="of models, each NAME/ or NAME/1/")
    option("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen at (default: 127.0.0.1)")
    option("--port", type=int, default=8501, metavar="N", help="0 for any that is free (default: 8501)")
    option(
        "--tolerance",
        type=float,
        metavar="T",
        help="bring the estimated error below this, instead of configured counts",
    )
    option("--seed", type=int, default=0, metavar="N", help="of random methods (default: 0)")
    option("--details", action="store_true", help="say of each attribution its status, gap and standard errors, too")
    option("--max-mib", type=int, default=16, metavar="N", help="size of a request (default: 16)")
    option("--max-instances", type=int, default=64, metavar="N", help="of a request (default: 64)")
    option("--queue", type=int, default=32, metavar="N", help="requests in hand; further ones get 503 (default: 32)")
    option("--timeout", type=float, default=60.0, metavar="S", help="seconds until a request is given up (default: 60)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Serves until it is interrupted."""
    from ..serving import Limits, serve

    limits = Limits(options.max_mib * 2**20, options.max_instances, options.queue, options.timeout, options.details)
    serve(options.folder, options.host, options.port, limits, options.tolerance, options.seed, _ready)


def _ready(address: str, models) -> None:
    for name, why in models.left_out.items():
        print(f"left out: {name!r}: {why}")
    for name, explainer in models.explainers.items():
        print(f"model {name!r}: {explainer.method!r}")
        for note in explainer.notes:
            print(f"  note: {note}")
    print(f"serving {len(models.explainers)} model(s) at {address}/v1/models; Ctrl-C ends it", flush=True)
