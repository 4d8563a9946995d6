"""The report of one network: its numbers are the rows', it loads nothing, and it can be read by everybody."""

from __future__ import annotations

import base64
import io
import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import binomtest

import benchmark
from benchmark.attacks.spec import ThreatModel, format_eps
from benchmark.papers.robustness_of_bayesian_approach.curves import GRID
from benchmark.records.archive import read_records
from benchmark.records.record import Record
from benchmark.reports.audits import conclusion
from benchmark.reports.network_report import charts, made, report_page
from benchmark.results import Results
from benchmark.results.checks import ALL
from benchmark.results.images import AttackedImages
from benchmark.results.share import Share
from tests.benchmark.handmade import make, walk
from tests.benchmark.reports.html_pages import Element, parsed, table
from tests.benchmark.results.test_checks import N, evidence

ROOT = Path(benchmark.__file__).parents[1]
COMMITTED = ROOT / "leaderboards" / "records" / "mnist"
STYLES = (ROOT / "benchmark" / "reports" / "templates" / "report.css").read_text()
THREATS = "Accuracy in % under each threat model"


def committed(network: str, folder: Path) -> Path:
    """A folder with the committed records of one network alone."""
    (folder / "mnist").mkdir(parents=True)
    for name in (network, f"{network}-adaptive"):
        shutil.copy(COMMITTED / f"{name}.json.xz", folder / "mnist")
    return folder


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A deterministic network, whose robustness in l2 is none."""
    folder = committed("lenet-adversarial", tmp_path_factory.mktemp("records"))
    return Results(read_records(folder).values(), protocol=True)


def random(**stands: list[bool]) -> Results:
    """A network with draws that passes every check, but for what is given; see `test_checks.evidence`."""
    found = evidence(**stands)
    return Results([*found.records, *found.extra, *found.readings])


def small(model: str = "mnist/a") -> list[Record]:
    survivors = {0.1: 18, 0.3: 6}
    return [make(model, "pgd-linf", eps, {"art": [i < n for i in range(20)]}) for eps, n in survivors.items()]


def called(record: Record) -> str | None:
    return None if (adaptive := record.role.adaptive) is None else adaptive.name


def in_words(share: Share) -> str:
    found = binomtest(share.hits, share.count).proportion_ci(method="wilson")
    return f"{100 * share.hits / share.count:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def drawn_interval(drawing: Element) -> list[float]:
    path = drawing.all("path", class_="interval")[0].attributes["d"]
    return [float(number) for number in re.fullmatch(r"M([\d.]+) 0H([\d.]+)", path or "").groups()]  # type: ignore[union-attr]


@pytest.mark.parametrize("draws", ["8 / 64", "1 / 1"])
def test_every_number_of_the_table_is_the_rows_and_so_is_the_drawing(failed: Results, draws: str) -> None:
    results = random() if draws == "8 / 64" else failed
    page, rows = parsed(report_page(results)), results.entry().rows
    cells = table(page, THREATS)
    drawings = page.all("svg", class_="drawn")
    assert len(rows) == 4
    for row, line, drawing in zip(rows, cells, drawings, strict=True):
        norm = row.threat.norm
        threat, worst, _, whitebox, fgsm, bim, pgd, clean, shown_draws = line
        assert threat == f"{norm}, eps {row.threat.eps:g}"
        assert [worst, whitebox, clean] == [in_words(share) for share in (row.worst, row.whitebox, row.clean)]
        assert pgd == in_words(row.attacks[f"pgd-{norm}"])
        assert [fgsm, bim] == [in_words(row.attacks[a]) if norm == "linf" else "–" for a in ("fgsm", "bim")]
        assert shown_draws == draws
        assert drawn_interval(drawing) == pytest.approx([100 * bound for bound in row.worst.interval], abs=0.06)
        assert float(drawing.all("circle")[0].attributes["cx"] or "") == pytest.approx(100 * row.worst.value, abs=0.06)


def test_the_sentence_to_quote_is_the_audits_and_all_else_is_the_records(failed: Results) -> None:
    page, entry = parsed(report_page(failed)), failed.entry()
    assert [p.text for p in page.all("blockquote")[0].all("p")] == conclusion(entry).split("\n\n")
    cost = table(page, "Passes for an image, over all attacks")
    assert [line[2:] for line in cost] == [[f"{passes:,}" for passes in row.passes] for row in entry.rows]
    broken = {line[0]: line[1:-1] for line in table(page, "Images broken beyond the white-box attacks")}
    assert broken["square"] == [str(row.adaptive["square"]) for row in entry.rows]
    cells = {line[0]: int(line[1]) for line in table(page, "Wall time, one cell after the other")}
    assert cells.pop("all") == sum(cells.values()) == len({record.key for record in made.records_of(entry)})
    facts = {term.text: said.text for term, said in zip(page.all("dt"), page.all("dd"), strict=True)}
    assert facts["attacked"] == max(str(r.provenance["finished"]) for r in made.records_of(entry))[:10]
    assert facts["torch"] == str(failed.records[0].provenance["packages"]["torch"])
    assert facts["network, sha256"] == failed.records[0].fingerprints["model"]


def test_what_failed_lies_open_and_what_passed_is_folded(failed: Results) -> None:
    broken = random(square=[i < 20 for i in range(N)])
    for results in (failed, random(), broken):
        page = parsed(report_page(results))
        found = {check.all("span", class_="id")[0].text: check for check in page.all("details", class_="check")}
        assert set(found) == set(ALL)
        for name, verdict in results.entry().verdicts.items():
            assert ("open" in found[name].attributes) is (verdict.status in ("FLAG", "FAIL", "ERROR"))
            assert found[name].all("span", class_=f"badge {verdict.status.lower()}")[0].text.endswith(verdict.status)
            for words in (verdict.title, verdict.evidence, ALL[name].consequence):
                assert " ".join(words.split()) in found[name].text
    opened = [one for one in parsed(report_page(broken)).all("details", class_="check") if "open" in one.attributes]
    assert [one.all("span", class_="id")[0].text for one in opened] == ["V11"]


def test_a_page_loads_nothing_and_has_what_screen_readers_need(failed: Results) -> None:
    for results in (failed, random()):
        text = report_page(results, images=[attacked()])
        page = parsed(text)
        assert not [e.tag for e in page.all("*") if e.tag in ("script", "link", "iframe", "object", "embed", "base")]
        addresses = [e.attributes[name] for e in page.all("*") for name in ("src", "href") if name in e.attributes]
        assert addresses
        assert all(address and address.startswith(("data:image/", "#m")) for address in addresses)
        assert not re.search(r"@import|url\(|https?://|srcset", text)
        assert page.all("html")[0].attributes["lang"] == "en"
        assert [level.tag for level in page.all("h1")] == ["h1"]
        assert all(cell.attributes.get("scope") in ("col", "row") for cell in page.all("th"))
        assert all(image.attributes.get("alt") for image in page.all("img"))
        assert all(one.attributes.get("aria-label") for one in page.all("svg", role="img"))
        identities = [e.attributes["id"] for e in page.all("*") if "id" in e.attributes]
        assert len(identities) == len(set(identities))
        assert {address[1:] for address in addresses if address and address[0] == "#"} <= set(identities)


def test_a_name_is_text_whatever_it_holds() -> None:
    name = "mnist/<script>alert('&amp;')</script>"
    page = parsed(report_page(Results(small(name))))
    assert not page.all("script")
    assert page.all("h1")[0].text == name
    assert page.all("title")[0].text == f"{name}: robustness report"


def test_one_network_among_several_must_be_named(tmp_path: Path) -> None:
    both = Results([*small("mnist/a"), *small("mnist/b")])
    with pytest.raises(ValueError, match="name the network that is meant; there are: mnist/a, mnist/b"):
        both.report(tmp_path / "report.html")
    with pytest.raises(KeyError, match="did you mean mnist/b"):
        both.report(tmp_path / "report.html", "mnist/bb")
    assert not list(tmp_path.iterdir())
    path = both.report(tmp_path / "new" / "report.html", "mnist/b")
    assert parsed(path.read_text()).all("h1")[0].text == "mnist/b"


def test_readings_and_the_ladder_are_shown_of_a_network_with_draws_alone(failed: Results) -> None:
    assert not parsed(report_page(failed)).all("h2", id="draws")
    results = random(fresh_draws=[i < 40 for i in range(N)])
    page, rows = parsed(report_page(results)), results.entry().rows
    shown = table(page, "Surviving images in %")
    assert [line[1] for line in shown] == [in_words(row.readings.headline) for row in rows]
    assert [line[2] for line in shown] == [
        in_words(row.readings.deterministic) for row in rows if row.readings.deterministic
    ]
    climbed = random()
    page = parsed(report_page(climbed))
    assert [line[2:5] for line in table(page, "Surviving images in %, fresh draws at each step")] == [["60.0"] * 3] * 4
    (drawing,) = [one for one in page.all("figure", class_="chart") if "fresh draws" in one.text]
    assert "8 draws" not in drawing.text
    assert {text.text for text in drawing.all("text")} >= {"8", "16", "32"}


def test_long_curves_are_folded_and_drawn() -> None:
    results = Results(walk("mnist/a", 0.2))
    page = parsed(report_page(results))
    assert [line[0] for line in table(page, THREATS)][:2] == ["linf, eps 0.1", "linf, eps 0.3"]
    shown = len(table(page, THREATS)) + len(table(page, "Accuracy in % under further threat models"))
    assert shown == len(results.entry().rows) == 2 * (len(GRID) - 1)
    assert "open" not in page.all("details", class_="further")[0].attributes
    assert len(page.all("figure", class_="chart")) == 2


def test_a_chart_has_its_points_where_the_numbers_are() -> None:
    series = [charts.Series("a", {1.0: Share(10, 10), 2.0: Share(5, 10), 8.0: Share(0, 10)}, 0, band=True)]
    found = charts.chart("A", "draws", series, format_eps, doubling=True)
    (x1, top), (x2, middle), (x8, bottom) = found.lines[0].markers
    assert (top, middle, bottom) == (charts.TOP, (charts.TOP + charts.BOTTOM) / 2, charts.BOTTOM)
    assert (x1, x8) == (charts.LEFT, charts.RIGHT)
    assert x2 - x1 == pytest.approx((x8 - x1) / 3, abs=0.1)  # one doubling of three
    band = [tuple(map(float, corner.split(","))) for corner in found.lines[0].band.split()]
    assert [x for x, _ in band] == [x1, x2, x8, x8, x2, x1]
    assert all(low >= high for (_, low), (_, high) in zip(band[:3], band[:2:-1], strict=True))
    dense = charts.chart("A", "eps", [charts.Series("a", {i / 100: Share(1, 2) for i in range(101)}, 0)], "{:g}".format)
    places = [x for x, _ in dense.across]
    assert min(b - a for a, b in itertools.pairwise(places)) >= charts.APART
    assert {"0", "1"} <= {text for _, text in dense.across}


def attacked(count: int = 8, shape: tuple[int, ...] = (1, 28, 28), eps: float = 0.02) -> AttackedImages:
    """The last two images alone are broken; the first was wrong before."""
    generator = np.random.default_rng(0)
    levels = generator.integers(0, 256, (count, *shape))
    clean = (levels / 255).astype(np.float32)
    moved = (clean + eps * generator.choice([-1, 1], clean.shape)).clip(0, 1).astype(np.float32)
    labels, before, after = [3] * count, [4] + [3] * (count - 1), [4] + [3] * (count - 3) + [5] * 2
    confidence = [0.75] * count
    return AttackedImages(
        ThreatModel("linf", eps), "mnist/a", "mnist", list(range(100, 100 + count)), clean, moved, labels, before,
        confidence, after, [0.5] * count, ["bim"] * count, ["foolbox"] * count, {},
    )  # fmt: skip


def pixels(image: Element) -> NDArray[np.uint8]:
    address = image.attributes["src"] or ""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_attacked_images_are_shown_as_they_are_broken_ones_first(failed: Results) -> None:
    assert "Attacked images" not in report_page(failed)
    kept = attacked()
    page = parsed(report_page(failed, images=[kept]))
    tiles = page.all("figure", class_="tile")
    order = [6, 7, 1, 2, 3, 4]
    for at, tile in zip(order, tiles, strict=True):
        clean, difference, adversarial = (pixels(image).astype(int) for image in tile.all("img"))
        assert (clean == np.rint(255 * kept.clean[at, 0])).all()
        assert (adversarial == np.rint(255 * kept.adversarial[at, 0])).all()
        expected = 255 * (0.5 + 10 * (kept.adversarial[at, 0] - kept.clean[at, 0])).clip(0, 1)
        assert abs(difference - expected).max() <= 0.5 + 1e-3
        assert tile.text.startswith("Label 3: 3 at 75.0 % → " + ("5 at 50.0 %" if at > 5 else "3 at 50.0 %, survives"))
        assert f"image {kept.examples[at]}, bim in foolbox" in tile.text
    assert page.all("h3")[-4].text == "linf, eps 0.02"
    few = parsed(report_page(failed, images=[attacked(3)])).all("figure", class_="tile")
    assert few[-1].text.startswith("Label 3: 4 at 75.0 % → 4 at 50.0 %, wrong as it is")


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 224, 224)])
def test_a_report_with_images_stays_below_400_kilobytes(shape: tuple[int, ...]) -> None:
    """Noise is the worst there is: no photograph needs as much."""
    text = report_page(random(), images=[attacked(8, shape)] * 4)
    assert len(text.encode()) < 400_000
    assert len(parsed(text).all("img")) == 4 * 3 * (3 if shape[1] > 64 else 6)


def test_the_command_that_is_told_makes_the_report_again(failed: Results) -> None:
    count = f"--examples {len({image for record in failed.records for image in record.examples})}"
    told = made.command(failed.entry())
    assert told == f"python -m benchmark.audit mnist/lenet-adversarial {count} --thorough --report report.html"
    few = [record for record in failed.records if called(record) != "fab-t"]
    assert made.command(Results(few, protocol=True).entry()).endswith(f" {count} --report report.html")
    own = made.command(random().entry())
    compile(own, "report", "exec")
    for words in (
        'network, "mnist", family="bayesian"',
        'eps={"linf": [0.1, 0.3], "l2": [1, 2]}',
        'suite="thorough"',  # whose attacks all ran on all images
        "examples=100",
    ):
        assert words in own
    assert (
        "0.15, " in parsed(report_page(Results(walk("mnist/lenet", 0.2)))).all("pre")[0].text
    )  # off the protocol's eps
    by_reference = [make("mnist/my.module:net", "pgd-linf", 0.1, {"art": [True] * 5})]
    assert 'suite="whitebox", examples=5' in made.command(Results(by_reference).entry())


def test_a_report_is_written_without_torch_and_figures(tmp_path: Path) -> None:
    folder = committed("hmc-mlp", tmp_path / "records")
    code = (
        "import sys; from pathlib import Path; from benchmark.records.archive import read_records\n"
        "from benchmark.results import Results\n"
        f"Results(read_records(Path({str(folder)!r})).values()).report({str(tmp_path / 'report.html')!r})\n"
        "print([name for name in ('torch', 'matplotlib', 'art', 'foolbox') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
    page = parsed((tmp_path / "report.html").read_text())
    assert {"100 / 100"} == {line[-1] for line in table(page, THREATS)}


def test_nearest_images_are_drawn_where_they_were_looked_for(failed: Results) -> None:
    page = parsed(report_page(failed))
    figures = [one for one in page.all("figure", class_="chart") if "Nearest images" in one.text]
    assert len(figures) == 2
    for figure, norm in zip(figures, ("linf", "l2"), strict=True):
        of_norm = [row for row in failed.entry().rows if row.threat.norm == norm]
        distances = of_norm[0].distances
        assert distances is not None
        assert f"Nearest images in {norm}: median distance {distances.median:.3g}" in figure.text
        heights = [float(one.attributes["y"] or "") for one in figure.all("svg")[0].all("use")]
        assert heights == sorted(heights)
        started = sum(far > 0 for far in distances.of.values()) / len(distances.of)
        assert heights[0] == pytest.approx(charts.BOTTOM - (charts.BOTTOM - charts.TOP) * started, abs=0.06)
    assert "Nearest images" not in report_page(Results(small()))
