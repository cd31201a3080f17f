"""The page at /, in a real browser: staying signed in, signing up, changing and deleting an account."""

from uuid import uuid4

import requests
from selenium.webdriver.common.keys import Keys

from tests.live import bearer
from tests.web.conftest import Browser


def test_whoever_ticks_the_box_is_signed_in_again_after_a_reload(browser: Browser) -> None:
    browser["stay"].click()
    browser.sign_in()
    assert browser.driver.execute_script("return document.cookie") == ""
    assert not browser["lose"].is_displayed()
    browser.refresh(1)
    browser.driver.refresh()
    browser.sees("Welcome back, Anna.")
    assert browser["counter"].text == "2"
    browser.press("Steal a copy")
    assert not browser["thief-refresh"].is_displayed()
    browser.press("Sign out")
    browser.sees("Both tokens of the session stopped working.")
    browser.driver.refresh()
    browser.sees("Sign in to begin.")


def test_tabs_share_the_cookie_and_a_sign_out(browser: Browser) -> None:
    browser["stay"].click()
    browser.sign_in()
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.driver.get(browser.url)
    browser.sees("Welcome back, Anna.")
    second = browser.driver.current_window_handle
    for tab in (first, second, first):
        browser.driver.switch_to.window(tab)
        browser.press("Refresh")
        browser.sees("The counter is")
        browser.press("Use the access token")
        browser.sees("You were let in")
    browser.press("Sign out")
    browser.driver.switch_to.window(second)
    browser.sees("Another tab signed out.")


def test_a_session_that_was_ended_elsewhere_asks_again(browser: Browser) -> None:
    browser["stay"].click()
    browser.sign_in()
    body = {"email": "anna@example.com", "password": "Tasks-demo-2026"}
    token = requests.post(f"{browser.url}/api/users/login", json=body, timeout=30).json()
    headers = bearer(token["accessToken"])
    requests.delete(f"{browser.url}/api/users/sessions", headers=headers, timeout=30)
    browser.driver.refresh()
    browser.sees("The refresh token is not valid any more.")
    assert browser["signed-out"].is_displayed()
    browser.driver.refresh()
    browser.sees("Sign in to begin.")


def test_signing_in_and_up_need_no_mouse(browser: Browser) -> None:
    focused = browser.driver.switch_to
    browser["email"].send_keys("anna@example.com", Keys.TAB)
    focused.active_element.send_keys("Tasks-demo-2026", Keys.TAB)
    assert focused.active_element == browser["stay"]
    focused.active_element.send_keys(Keys.SPACE, Keys.TAB)
    assert browser["stay"].is_selected()
    for _ in range(2):  # the two buttons
        focused.active_element.send_keys(Keys.TAB)
    focused.active_element.send_keys(Keys.ENTER, Keys.TAB)
    assert focused.active_element == browser["first"]
    browser["password"].send_keys(Keys.ENTER)
    browser.sees("Hello Anna.")


def sign_up(browser: Browser, password: str) -> None:
    browser.all("summary")[0].click()
    email = f"{uuid4().hex[:8]}@example.com"
    for name, text in (("first", "Cecilia"), ("last", "C"), ("new-email", email)):
        browser[name].send_keys(text)
    browser["new-password"].send_keys(password, Keys.ENTER)


def test_somebody_signs_up(browser: Browser) -> None:
    sign_up(browser, "12345678")
    browser.sees("whoever guesses")
    browser["new-password"].send_keys(" and more of it", Keys.ENTER)
    browser.sees("Hello Cecilia.")


def test_somebody_changes_and_deletes_an_account(browser: Browser) -> None:
    browser["stay"].click()
    sign_up(browser, "correct horse")
    browser.sees("Hello Cecilia.")
    browser.wait.until(lambda _: browser["my-first"].get_attribute("value") == "Cecilia")
    access = browser.driver.execute_script("return tokens.accessToken")
    requests.patch(
        f"{browser.url}/api/users/info",
        json={"lastName": "Elsewhere"},
        headers=bearer(access),
        timeout=30,
    )
    browser["my-first"].send_keys(" Maria", Keys.ENTER)
    browser.sees("Saved.")
    assert browser["my-last"].get_attribute("value") == "Elsewhere"
    browser["my-email"].send_keys(".se", Keys.ENTER)
    browser.sees("A new email needs the current password")
    browser["my-password"].send_keys("correct horse", Keys.ENTER)
    browser.sees("Saved.")
    assert "@example.com.se" in str(browser["my-email"].get_attribute("value"))
    browser.press("Delete my account")
    browser.sees("has to know its password")
    browser["my-password"].send_keys("correct horse")
    browser.press("Delete my account")
    browser.driver.switch_to.alert.dismiss()
    browser.press("Delete my account")
    browser.driver.switch_to.alert.accept()
    browser.sees("Your account is gone")
    browser.driver.refresh()
    browser.sees("Sign in to begin.")
