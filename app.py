"""The app: `python app.py [--share] [--data-dir DIR] [--port N]`, then open the address that it prints."""

import argparse
from dataclasses import replace
from importlib import import_module

from ftspace.errors import ConfigError
from ftspace.keeping import Keeper
from ftspace.runs import RunStore
from ftspace.settings import give_up_hub_token, own_gradio_folder, read_settings
from ftspace.streams import guard


def main() -> None:
    """Reads the settings, refuses to be open to others without a password or a sign-in, and serves the page."""
    parser = argparse.ArgumentParser(description="Fine-tune a model and see whether it got better, in a browser.")
    parser.add_argument("--share", action="store_true", help="make a public link; needs FTSPACE_PASSWORD")
    parser.add_argument("--data-dir", help="where runs lie (default: FTSPACE_DATA, else data/ beside this file)")
    parser.add_argument("--port", type=int, help="port to listen on (default: FTSPACE_PORT, else 7860)")
    args = parser.parse_args()
    guard()
    try:
        settings = read_settings(args.data_dir)
    except ConfigError as error:
        parser.error(str(error))
    settings = replace(settings, port=args.port or settings.port)
    if refused := settings.why_not_open(share=args.share):
        parser.error(refused)
    if settings.sign_in:
        give_up_hub_token()
    own_gradio_folder()
    if settings.zero_gpu:
        import_module("ftspace.ui.leases")  # its package must come before all that imports torch
    if settings.keep:
        keeper = Keeper(RunStore(settings.runs_dir), settings.keep)
        keeper.bring_back()
        keeper.start()
    from ftspace.ui.app import build_app, launch

    try:
        launch(build_app(settings), settings, share=args.share)
    except OSError as error:
        parser.error(f"{settings.host}:{settings.port} cannot be listened on; name another port with --port ({error})")


if __name__ == "__main__":
    main()
