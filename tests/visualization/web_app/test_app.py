"""The page in headless Chromium with onnxruntime-web, where both are installed."""

import base64
import csv
import io

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import Preprocessing
from scratchnet.data.palette import PALETTE
from scratchnet.inference import Segmenter
from scratchnet.visualization.web_app import web_page, web_settings
from tests.browser import opened
from tests.interop.onnx_cases import CLASSES, DATASET, network
from tests.node import runtime

FINISHED = "['done', 'error'].includes(document.documentElement.dataset.state)"


def picture(height, width, seed=3):
    """Smooth blobs, which make regions."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def balanced(name, preprocessing=DATASET, **options):
    """A network that finds both classes about equally often."""
    net = network(name, (64, 64), preprocessing, **options)
    image = picture(96, 136)
    last = [value for name, value in net.parameters().items() if name.endswith(".bias")][-1].value
    p = Segmenter(net, preprocessing).probabilities(image[None])[0]
    last[1] -= np.median(np.log(p[..., 1] / p[..., 0]))
    return net


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser for all tests, and the runtime."""
    pytest.importorskip("onnx")
    found, folder = runtime(), tmp_path_factory.mktemp("browser")
    (folder / "empty.html").write_text("")
    with opened(folder / "empty.html", folder) as page:
        yield page, found


def start(browser, path, net, preprocessing=DATASET):
    """Write the page of a network and open it."""
    from scratchnet.interop.onnx_export import export_onnx

    size = net.fixed_size or (64, 80)
    model = export_onnx(net, preprocessing, CLASSES, "net", size).model.SerializeToString()
    settings = web_settings(net, preprocessing, CLASSES)
    page, found = browser
    path.write_text(
        web_page("net", dict(zip(CLASSES, PALETTE.tolist(), strict=False)), settings, model, found), "utf-8"
    )
    page.open(path.as_uri())
    page.messages.clear()
    return page


def segment(page, path):
    """Choose a file in the page's input; return the status line when it is done."""
    page.wait("document.documentElement?.dataset.state")
    page.ask("document.documentElement.dataset.state = ''")
    page.choose("#file", path)
    page.wait(FINISHED)
    return page.ask("byId('status').textContent")


def mask_of(page, shape):
    text = page.ask("btoa(Array.from(result.mask, (label) => String.fromCharCode(label)).join(''))")
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)


def saved(page, button):
    """Press a button and return the name and the bytes of the file that the browser would save."""
    page.ask("globalThis.downloads = []; download = (name, content) => downloads.push([name, content])")
    page.ask(f"byId('{button}').click()")
    page.wait("downloads.length")
    content = page.ask(
        "new Response(new Blob([downloads[0][1]])).arrayBuffer().then((all) => [...new Uint8Array(all)])"
    )
    return page.ask("downloads[0][0]"), bytes(content)


def assert_agree(found, expected):
    """Masks are equal, except where rounding decides between two maxima or two classes."""
    assert 0.2 < expected.mean() < 0.8
    assert np.mean(found != expected) <= 0.002


def test_an_image_from_file_to_table(browser, tmp_path):
    ndimage = pytest.importorskip("scipy.ndimage")
    net, image = balanced("segnet-basic", width=1 / 8), picture(96, 136)
    page = start(browser, tmp_path / "page.html", net)
    Image.fromarray(image).save(tmp_path / "a photo.png")
    (tmp_path / "notes.png").write_text("no image")
    assert segment(page, tmp_path / "a photo.png").startswith("a photo.png: 96×136 pixels in ")
    mask = mask_of(page, image.shape[:2])
    assert_agree(mask, Segmenter(net, DATASET).segment(image))
    regions, count = ndimage.label(mask == 1)
    shown = page.ask("[...document.querySelectorAll('#classes td')].map((cell) => cell.textContent)")
    assert shown[3:4] == [str(count)]
    assert shown[5] == f"{100 * mask.mean():.0f} %"
    name, content = saved(page, "csv")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
    assert name == "a photo-objects.csv"
    assert sorted(int(row["area_px"]) for row in rows) == sorted(np.bincount(regions.ravel())[1:])
    assert {row["image"] for row in rows} == {"a photo.png"}
    name, content = saved(page, "png")
    assert name == "a photo.png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), mask)
    page.ask("byId('smallest').value = 50; byId('smallest').dispatchEvent(new Event('input'))")
    large = int((np.bincount(regions.ravel())[1:] >= 50).sum())
    assert f"thing: {large} object" in page.ask("byId('mask').getAttribute('aria-label')")
    assert "notes.png: this browser cannot read it as an image" in segment(page, tmp_path / "notes.png")
    assert page.ask("byId('results').disabled")
    assert page.messages == []  # no request and no script was refused


@pytest.mark.parametrize(
    ("name", "options", "preprocessing", "size"),
    [
        ("deconvnet-small", {"width": 4, "size": 48}, DATASET, (72, 104)),
        ("unet", {"width": 1 / 16, "depth": 2}, DATASET, (560, 64)),
        ("unet-same", {"width": 1 / 16, "depth": 2}, Preprocessing("image", resize=(48, 64)), (80, 120)),
    ],
)
def test_tiles_surroundings_and_resizing(name, options, preprocessing, size, browser, tmp_path):
    net, image = balanced(name, preprocessing, **options), picture(*size)
    page = start(browser, tmp_path / "page.html", net, preprocessing)
    Image.fromarray(image).save(tmp_path / "image.png")
    assert "image.png: " in segment(page, tmp_path / "image.png")
    assert_agree(mask_of(page, size), Segmenter(net, preprocessing).segment(image))


def test_another_image_while_the_network_starts(browser, tmp_path):
    """The first one is given up, and the second one is segmented."""
    net, image = balanced("segnet-basic", width=1 / 8), picture(64, 80, seed=4)
    page = start(browser, tmp_path / "page.html", net)
    Image.fromarray(picture(96, 136)).save(tmp_path / "first.png")
    Image.fromarray(image).save(tmp_path / "second.png")
    page.wait("document.documentElement?.dataset.state === 'ready'")
    page.choose("#file", tmp_path / "first.png")
    page.wait("!byId('stop').hidden")
    assert segment(page, tmp_path / "second.png").startswith("second.png: 64×80 pixels in ")
    assert_agree(mask_of(page, image.shape[:2]), Segmenter(net, DATASET).segment(image))
    assert page.ask("byId('stop').hidden")


def test_dropped_files(browser, tmp_path):
    """The first image among several files is taken; without one, a sentence says so and the result stays."""
    page = start(browser, tmp_path / "page.html", balanced("segnet-basic", width=1 / 8))
    drop = """(...files) => {
        const data = new DataTransfer();
        for (const file of files) data.items.add(file);
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    text = 'new File(["hello"], "notes.txt", { type: "text/plain" })'
    page.wait("document.documentElement?.dataset.state === 'ready'")
    page.ask(f"""(async () => {{
        const canvas = new OffscreenCanvas(64, 48);
        canvas.getContext("2d").fillRect(5, 5, 20, 20);
        const image = await canvas.convertToBlob();
        const names = ["a.png", "b.png"].map((name) => new File([image], name, {{ type: "image/png" }}));
        ({drop})({text}, ...names);
    }})()""")
    page.wait(FINISHED)
    assert page.ask("byId('status').textContent").startswith("a.png: 48×64 pixels in ")
    page.ask(f"({drop})({text})")
    assert page.ask("byId('status').textContent").startswith("notes.txt: is not an image; choose a PNG")
    assert not page.ask("byId('results').disabled")


def test_no_camera(browser, tmp_path):
    page = start(browser, tmp_path / "page.html", balanced("segnet-basic", width=1 / 8))
    page.wait("document.documentElement?.dataset.state === 'ready'")
    page.ask("byId('open-camera').click()")
    page.wait("byId('status').textContent.includes('choose a file')")
    assert page.ask("byId('camera').hidden")
