"""What can be told by looking at a page whether everybody can use it."""

from playwright.sync_api import Page

_CHECKS = r"""() => {
  const faults = [];
  const shown = (element) => element.checkVisibility({ visibilityProperty: true });
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const where = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 120);
  const named = (element) =>
    (element.getAttribute("aria-label") || element.textContent).trim() ||
    element.querySelector("img[alt]:not([alt=''])");

  if (!document.documentElement.lang) faults.push("the page has no language");
  if (!document.title.trim()) faults.push("the page has no title");
  if (all("main").length !== 1) faults.push("there is not one main");
  if (all("h1").length !== 1) faults.push("there is not one h1");

  let level = 0;
  for (const heading of all("h1, h2, h3, h4")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) faults.push(`h${next} after h${level}: ${where(heading)}`);
    level = next;
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) {
    faults.push(`two elements are called ${id}`);
  }
  for (const attribute of ["aria-labelledby", "aria-describedby"]) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      if (!document.getElementById(element.getAttribute(attribute))) {
        faults.push(`${attribute} leads nowhere: ${where(element)}`);
      }
    }
  }
  for (const field of all("input:not([type=hidden]), select, textarea")) {
    if (!field.labels.length && !field.getAttribute("aria-label")) {
      faults.push(`no label: ${where(field)}`);
    }
  }
  for (const element of all("a, button, summary")) {
    if (!named(element)) faults.push(`no name: ${where(element)}`);
  }
  for (const image of all("img:not([alt]), svg:not([aria-hidden]):not([role=img])")) {
    faults.push(`no text: ${where(image)}`);
  }
  for (const table of all("table")) {
    if (!table.caption) faults.push(`no caption: ${where(table)}`);
    for (const cell of table.querySelectorAll("th:not([scope])")) {
      faults.push(`no scope: ${where(cell)}`);
    }
  }
  for (const area of all(".scroll")) {
    if (area.tabIndex !== 0 || !area.getAttribute("aria-label")) {
      faults.push(`cannot be scrolled by keys: ${where(area)}`);
    }
  }
  return faults;
}"""

_CONTRAST = r"""() => {
  const parsed = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below) => ({
    r: top.r * top.a + below.r * (1 - top.a),
    g: top.g * top.a + below.g * (1 - top.a),
    b: top.b * top.a + below.b * (1 - top.a),
    a: 1,
  });
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      const colour = parsed(getComputedStyle(each).backgroundColor);
      if (colour.a) layers.push(colour);
      if (colour.a === 1) break;
    }
    const page = { r: 255, g: 255, b: 255, a: 1 };
    return layers.reduceRight((below, top) => over(top, below), page);
  };
  const ratio = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const faults = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest(".visually-hidden, .skip, script, option")) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const svg = element.closest("svg");
    const ground = behind(svg ? svg.parentElement : element);
    const found = ratio(over(parsed(svg ? style.fill : style.color), ground), ground);
    if (found < (large ? 3 : 4.5)) {
      faults.push(`${found.toFixed(2)}: ${walker.currentNode.data.trim().slice(0, 60)}`);
    }
  }
  return [...new Set(faults)];
}"""


def faults_of(page: Page) -> list[str]:
    """Landmarks, headings, labels, names, tables, and the contrast of texts (WCAG 2.2 AA)."""
    contrast = [f"contrast of {fault}" for fault in page.evaluate(_CONTRAST)]
    return [*page.evaluate(_CHECKS), *contrast]


def overflow_px(page: Page) -> int:
    """How much wider the page is than its window."""
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return int(page.evaluate(width))
