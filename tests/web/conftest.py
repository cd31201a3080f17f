"""The page at / in a real browser."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import CHROMIUM, DRIVER, chromium
from tests.live import Live, flask, serving


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A service with the demo users, whose access tokens are short-lived."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("Chromium and chromedriver are not installed")
    folder = tmp_path_factory.mktemp("page")
    assert flask(folder, "db", "seed")[0] == 0
    with serving(folder, workers=2, ACCESS_TOKEN_SECONDS="4", MAX_SESSIONS="100") as live:
        yield live


@pytest.fixture(scope="session")
def impatient(page: Live) -> Iterator[Live]:
    """A service whose retry window is short, on the same database."""
    with serving(page.instance, workers=2, REFRESH_RETRY_SECONDS="1", MAX_SESSIONS="100") as live:
        yield live


class Browser:
    """A browser that shows the page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        # The page may draw a list again while we look at it.
        self.wait = WebDriverWait(driver, 15, 0.1, [StaleElementReferenceException])

    def __getitem__(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def press(self, text: str) -> None:
        button = f"//button[normalize-space()='{text}' or @aria-label='{text}']"

        def pressed(driver: Any) -> bool:
            driver.find_element(By.XPATH, button).send_keys(Keys.ENTER)
            return True

        self.wait.until(pressed)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def sees(self, text: str, where: str = "said") -> None:
        self.wait.until(lambda _: text in self[where].text, f"{where} does not say {text!r}")

    def sign_in(self, *, stay: bool = False) -> None:
        if stay != self["stay"].is_selected():
            self["stay"].click()
        self.press("Sign in as the demo user")
        self.sees("this one", "devices")

    def sign_up(self) -> None:
        self.all("summary")[0].click()
        email = f"{uuid4().hex[:8]}@example.com"
        for name, text in (("first", "Cecilia"), ("last", "C"), ("new-email", email)):
            self[name].send_keys(text)
        self["new-password"].send_keys("correct horse", Keys.ENTER)
        self.wait.until(lambda _: self["my-first"].get_attribute("value") == "Cecilia")

    def refresh(self, counter: int) -> None:
        self.press("Refresh")
        self.sees(f"The counter is {counter}.")

    def lose_an_answer(self) -> None:
        self.press("Refresh and lose the answer")
        self.sees("was lost")

    def wait_out_the_window(self) -> None:
        """Wait until the short retry window is over. The clock of another process cannot be moved."""
        time.sleep(1.2)

    def open_tab(self) -> list[str]:
        """Show the page in a second tab. Return both tabs."""
        address = self.driver.current_url
        self.driver.switch_to.new_window("tab")
        self.driver.get(address)
        return self.driver.window_handles

    def delay_requests(self, milliseconds: int) -> None:
        """Let the requests of this tab leave so much later, unless the page gives them up."""
        self.driver.execute_script(
            """
            const [delay] = arguments, now = fetch;
            window.fetch = (path, options) => new Promise((resolve, reject) => {
              options.signal.onabort = () => reject(options.signal.reason);
              setTimeout(() => resolve(now(path, options)), delay);
            });
            """,
            milliseconds,
        )


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for all tests; each leaves it empty."""
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def browser(page: Live, driver: webdriver.Chrome) -> Iterator[Browser]:
    driver.get(page.url)
    yield Browser(driver)
    log: list[dict[str, str]] = driver.get_log("browser")  # type: ignore[no-untyped-call]
    first, *others = driver.window_handles
    for other in others:
        driver.switch_to.window(other)
        driver.close()
    driver.switch_to.window(first)
    everything = {"origin": driver.execute_script("return origin"), "storageTypes": "all"}
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", everything)
    driver.get("about:blank")
    # Chromium logs each answer that is an error, too.
    assert all("Failed to load resource" in line["message"] for line in log), log


@pytest.fixture
def later(impatient: Live, browser: Browser) -> Browser:
    """A browser for which the retry window is soon over."""
    browser.driver.get(impatient.url)
    return browser
