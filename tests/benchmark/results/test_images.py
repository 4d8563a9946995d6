"""What results show of images: the row's worst case image by image, figures, losses, classes."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmark import Results, evaluate
from benchmark.attacks.spec import ThreatModel
from benchmark.records.image_files import read_images
from benchmark.results.images import AttackedImages
from tests.benchmark.handmade import make

OPTIONS = {"examples": 12, "eps": {"linf": [0.1], "l2": [1.0]}, "progress": False}


@pytest.fixture(scope="module")
def found() -> Results:
    return evaluate("mnist/logistic", attacks=["fgsm", "bim", "pgd-linf", "pgd-l2"], keep_images=True, **OPTIONS)


def rgb(count: int) -> AttackedImages:
    rng = np.random.default_rng(0)
    clean, adversarial = rng.random((2, count, 3, 8, 8), dtype=np.float32)
    many = [["a" * 9] * count] * 2
    labels = [999] * count  # as wide as a label of a large set
    return AttackedImages(
        ThreatModel("l2", 8 / 255), "cifar10-jpeg/bayesian-3conv3fc", "cifar10-jpeg", list(range(count)),
        clean, adversarial, labels, labels, [1.0] * count, labels, [1.0] * count, *many,
    )  # fmt: skip


def test_images_are_the_worst_case_of_their_row(found: Results) -> None:
    for row in found.entry().rows:
        images = found.images(row.threat.norm, row.threat.eps)
        assert images.examples == list(row.survivors)
        assert images.survives == list(row.survivors.values())
        assert 0 < sum(images.survives) + 1 < len(images)
        frame = found.df[(found.df["eps"] == row.threat.eps) & (found.df["norm"] == row.threat.norm)]
        for place, example in enumerate(images.examples):
            of_image = frame[frame["image"] == example].sort_values(["correct", "log_p"], kind="stable").iloc[0]
            assert images.confidence[place] == of_image["confidence"]
            assert (images.attack[place], images.library[place]) == (of_image["attack"], of_image["library"])
    assert {"bim", "pgd-linf"} & set(found.images("linf", 0.1).attack)


def test_results_without_images_say_how_to_get_them(found: Results) -> None:
    without = Results(found.records)
    for ask in (lambda: without.images("linf", 0.1), lambda: without.losses("bim")):
        with pytest.raises(ValueError, match=r"mnist/logistic.*keep_images=True.*--keep-images"):
            ask()
    some = dict(itertools.islice(found._images.items(), 1))
    with pytest.raises(ValueError, match=r"no images of \d of \d cells"):
        _ = [Results(found.records, images=some).images(norm, eps) for norm, eps in (("linf", 0.1), ("l2", 1.0))]
    with pytest.raises(ValueError, match=r"no images in linf 0\.2: there are results in linf 0\.1, l2 1"):
        found.images("linf", 0.2)


def test_results_that_are_added_keep_their_images(found: Results) -> None:
    other = evaluate("mnist/mlp-50", attacks=["fgsm"], eps=[0.1], examples=5, keep_images=True, progress=False)
    both = found + other
    assert len(both.images("linf", 0.1, "mnist/logistic")) == 12
    assert len(both.images("linf", 0.1, "mnist/mlp-50")) == 5


def test_what_is_saved_is_read_again_as_it_is(found: Results, tmp_path: Path) -> None:
    images = found.images("l2", 1.0)
    images.save(tmp_path / "images.safetensors")
    file = read_images(tmp_path / "images.safetensors")
    assert np.array_equal(file.images, images.adversarial)
    assert file.indices == images.examples
    assert (file.about["model"], file.about["norm"], file.about["eps"]) == ("mnist/logistic", "l2", "1.0")


def cut_off(figure: Figure) -> list[str]:
    """Texts that reach beyond the figure, or into another text."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    boxes = {text: text.get_window_extent(canvas.get_renderer()) for text in texts}
    width, height = canvas.get_width_height()
    found = [
        text.get_text()
        for text, box in boxes.items()
        if not (box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height)
    ]
    return found + [
        f"{a.get_text()} / {b.get_text()}" for a, b in itertools.combinations(texts, 2) if boxes[a].overlaps(boxes[b])
    ]


@pytest.mark.parametrize("count", [1, 11])
def test_no_text_of_the_figure_is_cut_off(found: Results, count: int) -> None:
    for images in (found.images("linf", 0.1), rgb(count)):
        figure = images.figure(count)
        assert cut_off(figure) == []
        assert sum(len(axis.images) for axis in figure.findobj(lambda part: hasattr(part, "imshow"))) == 3 * count
    assert images._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="count must be at least 1, not 0"):
        images.figure(0)


def test_losses_rise_and_are_drawn(found: Results) -> None:
    losses = found.losses("pgd-linf")
    frame = losses.frame
    assert list(frame["library"].unique()) == ["torchattacks", "foolbox", "art"]
    assert frame.groupby("library")["gradient"].agg(list).tolist() == [list(range(1, 21))] * 3
    assert (frame["images"] == 12).all()
    assert ((frame["low"] <= frame["median"]) & (frame["median"] <= frame["high"])).all()
    ends = frame.groupby("library")["mean"].agg(["first", "last"])
    assert (ends["last"] > ends["first"]).all()  # of a linear model every step is uphill
    assert cut_off(losses.figure) == []
    with pytest.raises(KeyError, match="did you mean pgd-linf"):
        found.losses("pgd-lin")
    with pytest.raises(ValueError, match=r"name the eps of fgsm .* there are: 0\.1"):
        found.losses("fgsm", 0.3)


def test_classes_add_up_to_the_row() -> None:
    """Six images of two classes: the second is never right under attack, and once wrong as it is."""
    labels = [3, 3, 3, 7, 7, 7]
    record = make("mnist/a", "fgsm", 0.1, {"art": [True, True, False, False, False, False]}, labels=labels)
    clean = dataclasses.replace(record.clean, correct=[True, True, True, True, True, False])
    frame = Results([dataclasses.replace(record, clean=clean)]).by_class()
    expected = {"class": [3, 7], "images": [3, 3], "clean": [1.0, 2 / 3], "linf 0.1": [2 / 3, 0.0]}
    pd.testing.assert_frame_equal(frame, pd.DataFrame(expected))
