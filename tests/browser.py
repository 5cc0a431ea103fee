"""A headless Chromium of 1,440 × 900, for pages that people look at."""

import json
import subprocess
from pathlib import Path

#: Where the browser is installed, once: it comes from npm, 122 MB.
PLACE = Path(__file__).parent.parent / "build" / "browser"

PACKAGES = ("@sparticuz/chromium@147", "puppeteer-core@24")

#: Opens addresses one after another, writes a picture of each, and prints the text that is in view there.
PROGRAM = """
import chromium from '@sparticuz/chromium';
import puppeteer from 'puppeteer-core';

const inView = () => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getClientRects()[0];
    if (!box || !box.width || box.top < 0 || box.bottom > innerHeight || box.right > innerWidth) continue;
    // What overflows its box is not there at that point; a shade over the text is, and so is the text.
    const there = document.elementsFromPoint(box.x + Math.min(box.width, 8) / 2, box.y + box.height / 2);
    if (there.includes(node.parentElement)) found.push(node.data);
  }
  return found.join(' ').replace(/\\s+/g, ' ');
};

const [folder, ...addresses] = process.argv.slice(2);
const browser = await puppeteer.launch({
  args: chromium.args, executablePath: await chromium.executablePath(), headless: 'shell',
  defaultViewport: { width: 1440, height: 900 },
});
const seen = [];
for (const [number, address] of addresses.entries()) {
  const page = await browser.newPage();
  await page.goto(address, { waitUntil: 'networkidle2', timeout: 120000 });
  // At the first visit of all MLflow opens its assistant beside the page.
  const close = await page.waitForSelector('[aria-label="Close"]', { timeout: 5000 }).catch(() => null);
  if (close) await close.click();
  await new Promise(done => setTimeout(done, 2000));
  await page.screenshot({ path: `${folder}/page-${number}.png` });
  seen.push(await page.evaluate(inView));
}
await browser.close();
console.log(JSON.stringify(seen));
"""


def look(addresses: list[str], folder: Path) -> list[str]:
    """Open pages and return the text that is in view on each; `page-0.png` and so on in `folder` are their pictures."""
    PLACE.mkdir(parents=True, exist_ok=True)
    if not (PLACE / "node_modules" / "puppeteer-core").exists():
        install = ["npm", "install", "--no-audit", "--no-fund", *PACKAGES]
        subprocess.run(install, cwd=PLACE, check=True, capture_output=True, timeout=300)
    (PLACE / "look.mjs").write_text(PROGRAM)
    command = ["node", "look.mjs", str(folder.resolve()), *addresses]
    done = subprocess.run(command, cwd=PLACE, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
