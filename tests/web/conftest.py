"""The page at / in a real browser."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.live import Live, flask, serving

CHROMIUM = (
    shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
)
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A service whose access tokens are short-lived."""
    folder = seeded(tmp_path_factory)
    with serving(folder, workers=2, ACCESS_TOKEN_SECONDS="4", REFRESH_RETRY_SECONDS="60") as live:
        yield live


@pytest.fixture(scope="session")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A service whose retry window is short."""
    with serving(seeded(tmp_path_factory), workers=2, REFRESH_RETRY_SECONDS="1") as live:
        yield live


def seeded(folders: pytest.TempPathFactory) -> Path:
    """A folder whose database has the demo users."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("Chromium and chromedriver are not installed")
    folder = folders.mktemp("page")
    assert flask(folder, "db", "seed")[0] == 0
    return folder


class Browser:
    """Somebody who looks at the page."""

    def __init__(self, driver: webdriver.Chrome, live: Live) -> None:
        self.driver = driver
        # The page may draw its list again in between.
        stale = [StaleElementReferenceException]
        self.wait = WebDriverWait(self.driver, 15, ignored_exceptions=stale)
        self.url = live.url
        self.driver.get(live.url)

    def __getitem__(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def press(self, text: str) -> None:
        def pressed(driver: Any) -> bool:
            button = driver.find_element(
                By.XPATH, f"//button[normalize-space()='{text}' or @aria-label='{text}']"
            )
            driver.execute_script("arguments[0].scrollIntoView({ block: 'nearest' })", button)
            button.click()
            return True

        self.wait.until(pressed)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def sees(self, text: str, where: str = "said") -> None:
        def there(_: Any) -> bool:
            return text in self[where].text

        self.wait.until(there, f"no {text!r} in {self[where].text!r}")

    def sign_in(self) -> None:
        self.press("Fill in the demo user")
        self["password"].send_keys(Keys.ENTER)
        self.sees("Hello Anna")
        self.sees("this one", "devices")

    def refresh(self, counter: int) -> None:
        self.press("Refresh")
        self.sees(f"The counter is {counter}.")

    def lose_an_answer(self) -> None:
        """And let the retry window go by."""
        self.press("Refresh and lose the answer")
        self.sees("was lost")
        self.wait.until(lambda _: int(self["lost-for"].text or 0) >= 2)


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    options.add_argument("--headless=new")
    options.add_argument("--no-sandbox")
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One for all, which forgets each of them."""
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def browser(page: Live, driver: webdriver.Chrome) -> Iterator[Browser]:
    yield from looking_at(page, driver)


@pytest.fixture
def later(impatient: Live, driver: webdriver.Chrome) -> Iterator[Browser]:
    """Somebody for whom the retry window is soon over."""
    yield from looking_at(impatient, driver)


def looking_at(live: Live, driver: webdriver.Chrome) -> Iterator[Browser]:
    try:
        yield Browser(driver, live)
        lines: list[dict[str, str]] = driver.get_log("browser")  # type: ignore[no-untyped-call]
        messages = [line["message"] for line in lines]
        # It lists answers that are errors, too.
        assert [text for text in messages if "Failed to load resource" not in text] == []
    finally:
        first, *others = driver.window_handles
        for other in others:
            driver.switch_to.window(other)
            driver.close()
        driver.switch_to.window(first)
        everything = {"origin": live.url, "storageTypes": "all"}
        driver.execute_cdp_cmd("Storage.clearDataForOrigin", everything)
        driver.get("about:blank")
