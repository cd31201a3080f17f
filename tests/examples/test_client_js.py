"""examples/client.js: in Node, and in a browser's tabs on a page of another origin."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks_api.config import ROOT
from tests.live import PASSWORD, Live, new_user, output_of, serving, wait_for
from tests.web.conftest import CHROMIUM, DRIVER, chromium


@pytest.fixture
def origin() -> Iterator[str]:
    """Where the example's files are served."""
    handler = functools.partial(Quiet, directory=str(ROOT / "examples"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None: ...


@pytest.fixture
def live(tmp_path: Path, origin: str) -> Iterator[Live]:
    with serving(tmp_path, ACCESS_TOKEN_SECONDS="2", CORS_ORIGINS=origin) as live:
        live.url = live.url.replace("127.0.0.1", "localhost")  # the same site
        yield live


def test_it_is_short() -> None:
    assert len((ROOT / "examples" / "client.js").read_text().splitlines()) <= 100


@pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not installed")
def test_it_keeps_its_promises_in_node(live: Live) -> None:
    script = Path(__file__).with_name("client.test.mjs")
    environ = os.environ | {"TASKS_URL": live.url}
    assert "# pass 6" in output_of("node", "--test", str(script), environ=environ)


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium is not installed")
def test_tabs_take_turns_and_sign_out_together(live: Live, origin: str, tmp_path: Path) -> None:
    new_user(live, "anna@example.com")
    with chromium(tmp_path / "profile") as driver:

        def run(script: str) -> object:
            """What a promise of the page's comes to."""
            return driver.execute_async_script(
                f"const done = arguments[0]; (async () => {{ {script} }})().then(done, error => done(String(error)))"
            )

        tabs = []
        for _ in range(2):
            driver.switch_to.new_window("tab")
            driver.get(f"{origin}/client.js")
            tabs.append(driver.current_window_handle)
            run(
                f"const {{ Tasks }} = await import('{origin}/client.js');"
                f"window.tasks = new Tasks('{live.url}', {{ onSignedOut: () => {{ window.told = true; }} }});"
            )
        driver.switch_to.window(tabs[0])
        run(f"await tasks.logIn('anna@example.com', '{PASSWORD}')")
        assert run("return document.cookie") == ""
        many = "return Promise.all([1, 2, 3].map(n => tasks.call('POST', '/api/tasks', { name: `${n}` })))"
        for tab in (*reversed(tabs), *tabs):
            driver.switch_to.window(tab)
            added = run(f"await new Promise(go => setTimeout(go, 2100)); {many}")
            assert isinstance(added, list), added
        run("await tasks.logOut()")
        driver.switch_to.window(tabs[0])
        wait_for(lambda: driver.execute_script("return window.told === true"))
        assert "no session any more" in str(run("return tasks.call('GET', '/api/tasks')"))
