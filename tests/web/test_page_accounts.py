"""The page at / in a real browser: the cookie, tabs that share it, and the account."""

import pytest
from selenium.webdriver.common.keys import Keys

from tests.web.conftest import Browser


def test_the_cookie_keeps_a_page_signed_in_after_a_reload(browser: Browser) -> None:
    browser.sign_in(stay=True)
    assert browser.driver.execute_script("return document.cookie") == ""
    browser.press("Steal a copy")
    for button in ("lose", "thief-refresh"):
        assert not browser[button].is_displayed()
    browser.driver.refresh()
    browser.sees("Welcome back, Anna.")
    browser.press("Sign out")
    browser.sees("Both tokens of the session stopped working.")
    browser.driver.refresh()
    browser.sees("Sign in to begin.")


def test_tabs_refresh_one_after_the_other_and_sign_out_together(browser: Browser) -> None:
    browser.sign_in(stay=True)
    first, second = browser.open_tab()
    browser.sees("Welcome back, Anna.")
    browser.delay_requests(1500)
    browser.press("Refresh")
    browser.driver.switch_to.window(first)
    browser.refresh(3)
    browser.driver.switch_to.window(second)
    browser.sees("The counter is 2.")
    browser.press("Sign out")
    browser.driver.switch_to.window(first)
    browser.sees("Another tab signed out.")


def test_the_page_refreshes_in_a_browser_without_locks(browser: Browser) -> None:
    browser.sign_in()
    browser.driver.execute_script("Object.defineProperty(navigator, 'locks', {})")
    browser.refresh(1)


def test_a_refresh_without_an_answer_is_given_up(browser: Browser) -> None:
    browser.sign_in(stay=True)
    first, second = browser.open_tab()
    browser.sees("Welcome back, Anna.")
    browser.delay_requests(600_000)
    browser.driver.execute_script(
        "const timeout = AbortSignal.timeout.bind(AbortSignal);"
        "AbortSignal.timeout = milliseconds => timeout(milliseconds / 10)"
    )
    browser.press("Refresh")
    browser.driver.switch_to.window(first)
    browser.refresh(2)
    browser.driver.switch_to.window(second)
    browser.sees("The service did not answer.")


@pytest.mark.parametrize("act", ["$('refresh').click()", "location.reload()"])
def test_a_page_does_not_take_the_cookie_of_another_user(browser: Browser, act: str) -> None:
    browser.sign_in(stay=True)
    browser.driver.execute_async_script(
        "const body = { email: 'bertil@example.com', password: DEMO.password, cookie: true };"
        "send('POST', 'api/users/login', body).then(arguments[0])"
    )
    browser.driver.execute_script(act)
    browser.sees("Signed out. The refresh token is not valid any more.")
    browser.driver.refresh()
    browser.sees("Sign in to begin.")


def test_a_page_whose_user_changed_in_another_tab_is_signed_out(browser: Browser) -> None:
    first, second = browser.open_tab()
    browser.sign_in(stay=True)
    browser.driver.switch_to.window(first)
    browser["stay"].click()
    browser.sign_up()
    browser.driver.switch_to.window(second)
    browser.sees("Signed out. Another user signed in in another tab.")


def test_the_page_keeps_no_password(browser: Browser) -> None:
    browser.sign_up()
    names = browser.driver.execute_cdp_cmd("Runtime.globalLexicalScopeNames", {})["names"]
    kept = browser.driver.execute_script(
        "const plain = Object.values(window).filter(value => value?.constructor === Object);"
        f"return JSON.stringify([{', '.join(names)}, plain, localStorage, sessionStorage,"
        " Array.from(document.querySelectorAll('input'), input => input.value)])"
    )
    assert "accessToken" in kept
    assert "correct horse" not in kept
    browser["again"].send_keys("correct horse", Keys.ENTER)
    browser.sees("Another session began")


def test_an_account_is_changed_and_deleted(browser: Browser) -> None:
    browser.sign_up()
    browser.driver.execute_async_script(
        "send('PATCH', 'api/users/info', { lastName: 'Elsewhere' }, tokens).then(arguments[0])"
    )
    browser["my-first"].send_keys(" Maria", Keys.ENTER)
    browser.sees("Saved.")
    assert browser["my-last"].get_attribute("value") == "Elsewhere"
    browser["my-email"].send_keys(".se", Keys.ENTER)
    browser.wait.until(lambda _: browser.all("#said.bad"))
    browser["my-password"].send_keys("correct horse", Keys.ENTER)
    browser.sees("A new email ends no session.")
    browser.press("Delete my account")
    browser.sees("Enter the current password")
    browser["my-password"].send_keys("correct horse")
    browser.press("Delete my account")
    browser.driver.switch_to.alert.accept()
    browser.sees("Your account, your tasks and all your sessions are deleted.")
