"""What a reader sees of a study in the MLflow UI without scrolling, in a headless Chromium at 1,440 × 900.

    python -m tests.benchmarks.pages STUDY [--home runs] [-o pages]

Serves the record by `fullspectrum ui`, opens the page of the study and the list of its runs, writes a picture of each,
and prints which answers are in view there: which mask is best, whether to trust the score, how to get the mask. The
browser comes from npm (`@sparticuz/chromium`, 122 MB, kept in `build/browser`); node is needed.
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

BROWSER = Path("build/browser")

#: Opens addresses one after another, writes a picture of each, and prints the text that is in view there.
PROGRAM = """
import chromium from '@sparticuz/chromium';
import puppeteer from 'puppeteer-core';

const [folder, ...addresses] = process.argv.slice(2);
const browser = await puppeteer.launch({
  args: chromium.args, executablePath: await chromium.executablePath(), headless: 'shell',
  defaultViewport: { width: 1440, height: 900 },
});
const page = await browser.newPage();
const inView = () => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getClientRects()[0];
    if (!box || !box.width || box.bottom > innerHeight || box.right > innerWidth || box.top < 0) continue;
    const top = document.elementFromPoint(box.x + Math.min(box.width, 8) / 2, box.y + box.height / 2);
    if (top && (top.contains(node.parentElement) || node.parentElement.contains(top))) found.push(node.data);
  }
  return found.join(' ');
};
const seen = [];
for (const [number, address] of addresses.entries()) {
  // The second visit: at the first one MLflow opens its assistant beside the page.
  for (let visit = 0; visit < 2; visit++) {
    await page.goto('about:blank');
    await page.goto(address, { waitUntil: 'networkidle2', timeout: 120000 });
    await new Promise(done => setTimeout(done, 4000));
    const close = await page.$('[aria-label="Close"]');
    if (visit === 0 && close) await close.click();
  }
  await page.screenshot({ path: `${folder}/page-${number}.png` });
  seen.push(await page.evaluate(inView));
}
await browser.close();
console.log(JSON.stringify(seen));
"""

#: What is in view where an answer is.
ANSWERS = {"which mask": "Best mask", "trust the score": "", "get the mask": "fullspectrum export best:"}


def install() -> None:
    """Install the browser, once."""
    BROWSER.mkdir(parents=True, exist_ok=True)
    if not (BROWSER / "node_modules" / "puppeteer-core").exists():
        packages = ["@sparticuz/chromium@147", "puppeteer-core@24"]
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", *packages], cwd=BROWSER, check=True)
    (BROWSER / "pages.mjs").write_text(PROGRAM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--home", default="runs")
    parser.add_argument("--port", type=int, default=5017)
    parser.add_argument("-o", "--output", type=Path, default=Path("pages"))
    given = parser.parse_args()
    install()
    given.output.mkdir(parents=True, exist_ok=True)
    command = ["ui", given.study, "--home", given.home, "--port", str(given.port), "--no-open"]
    start = "import sys; from fullspectrum.search.cli import main; sys.exit(main())"
    server = subprocess.Popen([sys.executable, "-c", start, *command], stdout=subprocess.PIPE, text=True)
    try:
        addresses = [server.stdout.readline().split(": ", 1)[1].strip() for _ in range(2)]
        _wait(f"http://127.0.0.1:{given.port}/")
        node = ["node", "pages.mjs", str(given.output.resolve()), *addresses]
        seen = subprocess.run(node, cwd=BROWSER, check=True, capture_output=True, text=True, timeout=600).stdout
    finally:
        server.terminate()
        server.wait()
    verdict = json.loads((Path(given.home) / given.study / "report" / "audit.json").read_text())["verdict"]
    answers = ANSWERS | {"trust the score": verdict[:60]}
    for address, text in zip(addresses, json.loads(seen), strict=True):
        there = [what for what, words in answers.items() if words in text]
        print(f"{address}: in view: {', '.join(there) or 'none of the answers'}")
    print(f"pictures in {given.output}")


def _wait(address: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise TimeoutError(f"no answer at {address}")


if __name__ == "__main__":
    main()
