"""What a test does to a page, and what it reads off it."""


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def unfold(page):
    """Open everything."""
    for _ in range(6):
        page.keyboard.press("]")
    assert page.locator('.card[aria-expanded="false"]').count() == 0


def phase(page):
    return page.locator("#count").inner_text()


def steps(page):
    return int(page.locator("#step").get_attribute("max"))


def numbers(page, where="#info"):
    """What is shown there, as the page holds it."""
    return page.eval_on_selector_all(
        f"{where} data", "all => all.map(e => e.getAttribute('value'))"
    )


FOLDED = '.card.module[aria-expanded="false"], .card.run[aria-expanded="false"]'


def as_number(text):
    return float({"inf": "inf", "-inf": "-inf", "nan": "nan"}.get(text, text))


SMALLER = ("small", "middle", "large")
