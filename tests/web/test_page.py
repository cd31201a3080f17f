"""The page at / in a real browser: the two tokens, and what becomes of them."""

import re

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.conftest import MakeApp
from tests.web.conftest import Browser


@pytest.mark.parametrize("docs", ["true", "false"])
def test_the_page_needs_no_inline_code_and_no_other_server(make_app: MakeApp, docs: str) -> None:
    answer = make_app(DOCS_ENABLED=docs).test_client().get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search('(src|href)="(http|//)', answer.text)
    assert ("swagger" in answer.text) is (docs == "true")


def test_one_click_shows_the_demo_users_tokens(browser: Browser) -> None:
    assert not browser["claims"].is_displayed()
    browser.sign_in()
    claims = browser["claims"].text
    for name in ("alg", "HS256", "iss", "tasks-api", "sub", "sid", "exp"):
        assert name in claims
    assert browser["parts"].text.split()[1] in claims  # the session's id
    browser.refresh(1)
    assert browser["counter"].text == "1"
    assert 0 < int(browser["left"].text) <= 4


def test_a_refused_access_token_is_refreshed_once(browser: Browser) -> None:
    browser.sign_in()
    browser.driver.execute_script("tokens.accessToken += '?'")
    browser["name"].send_keys("After it was invalid", Keys.ENTER)
    browser.sees("After it was invalid", "tasks")
    browser.sees("0", "left")
    browser["name"].send_keys("After it expired", Keys.ENTER)
    browser.sees("After it expired", "tasks")
    assert browser["counter"].text == "2"


def test_a_thief_with_a_copy_is_let_in_like_its_owner(browser: Browser) -> None:
    browser.sign_in()
    browser.refresh(1)
    assert browser["fate"].text == "unused"
    browser.press("Steal a copy")
    browser.press("Use as the thief")
    browser.sees("The service let the thief in")
    assert browser["fate"].text == "used"


def test_within_the_window_the_last_token_is_answered_again_and_an_older_one_is_late(
    browser: Browser,
) -> None:
    browser.sign_in()
    browser.refresh(1)
    browser.press("Send the refresh token with counter 0 again")
    browser.sees("The same answer came again: counter 1.")
    browser.refresh(2)
    browser.press("Send the refresh token with counter 0 again")
    browser.sees("refused it as a late request and ended nothing.")
    browser.refresh(3)


@pytest.mark.parametrize(
    "act", ["Use the access token", "Refresh as the thief", "Use as the thief"]
)
def test_a_lost_answer_ends_no_session_until_a_thief_uses_it(later: Browser, act: str) -> None:
    later.sign_in()
    later.lose_an_answer()
    later.wait_out_the_window()
    later.press("Refresh")
    later.sees("You are still signed in. A new answer came: counter 2.")
    assert later["loot"].text == "the lost answer: counter 1, void"
    later.wait_out_the_window()
    later.press(act)
    if "thief" in act:
        later.sees("Signed out. The thief sent counter 1, the answer that was presumed lost.")
        assert later.driver.switch_to.active_element == later["email"]
    else:
        later.sees("The service let you in")


def test_a_thief_is_found_when_the_victim_refreshes_after_the_window(later: Browser) -> None:
    later.sign_in()
    later.lose_an_answer()
    later.press("Refresh as the thief")
    later.sees("The thief got the answer with counter 2. You hold counter 0, used.")
    later.wait_out_the_window()
    later.press("Refresh")
    later.sees("Signed out. You sent counter 0, which was exchanged before.")


def test_a_device_that_is_signed_out_leaves_the_list(browser: Browser) -> None:
    browser.sign_in()
    before = len(browser.all("#devices tr"))
    browser.press("Sign in on another device")
    browser.wait.until(lambda _: len(browser.all("#devices tr")) == before + 1)
    scrolled = browser.driver.execute_script("return scrollY")
    assert 0 < scrolled <= browser["said"].rect["y"]  # the message stays in sight
    other = next(row for row in browser.all("#devices tr") if "this one" not in row.text)
    other.find_element(By.TAG_NAME, "button").click()
    browser.sees("That device is signed out")
    browser.wait.until(lambda _: len(browser.all("#devices tr")) == before)


def test_tasks_are_added_completed_deleted_and_shown_as_text(browser: Browser) -> None:
    task = "<img src=x onerror=alert(1)>"
    browser.sign_in()
    browser["name"].send_keys(task, Keys.ENTER)
    browser.sees(task, "tasks")
    browser.all("#tasks input")[-1].click()
    browser.wait.until(lambda _: browser.all("label.done")[-1].text == task)
    browser.press(f"Delete {task}")
    browser.wait.until(lambda _: task not in browser["tasks"].text)


@pytest.mark.parametrize("signed_in", [False, True])
def test_every_control_has_a_name_and_is_reached_by_keyboard(
    browser: Browser, signed_in: bool
) -> None:
    if signed_in:
        browser.sign_in()
        browser.press("Steal a copy")
    else:
        browser.all("summary")[0].click()
    controls = [each for each in browser.all("button, input, a") if each.is_displayed()]
    assert all(each.accessible_name for each in controls)
    reached = set()
    for _ in range(len(controls) + 5):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(browser.driver.switch_to.active_element)
    assert reached >= set(controls)
