"""With AUTH_REQUIRED=true the demo pages sign in as a guest by themselves."""

from window import page


def test_two_windows_play_where_tokens_are_needed(make_stack, windows):
    stack = make_stack(AUTH_REQUIRED=True, BROADCASTERS=1)
    one = windows(page(stack.base_url))
    one.click("#create")
    one.until(lambda s: s["view"] == "game" and s["status"] == "pending", say="the new game")
    two = windows(one.driver.current_url)
    one.until_live()
    two.until_live()
    one.click("#primary")
    two.until(lambda s: s["status"] == "running", 5, "the start in the other window")
    two.click("#white .press")
    one.until(lambda s: s["black"]["active"], 5, "the press of the other window")
