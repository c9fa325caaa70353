"""fastMRI's published weights, served by a local server that breaks off, resumes, and changes its mind."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from fastmri import models

from helpers import networks
from helpers.errors import BadInput
from helpers.networks import fastmri_weights

TINY = {
    "network": "varnet",
    "cascades": 2,
    "channels": 2,
    "pools": 2,
    "sensitivity_channels": 2,
    "sensitivity_pools": 2,
}
NAME = "fastmri:varnet-knee"


class Host:
    """A server of one file: it may stop after some bytes, ignore ranges, or have another file the next time."""

    def __init__(self):
        self.body, self.tag, self.stop_after, self.ranges, self.status = b"", '"one"', None, True, 200
        self.asked = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                host.asked.append(self.headers.get("Range"))
                host.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/state.pt"

    def answer(self, request):
        first, status = 0, self.status
        if self.ranges and request.headers.get("Range") and request.headers.get("If-Range") == self.tag:
            first, status = int(request.headers["Range"].removeprefix("bytes=").rstrip("-")), 206
            if first >= len(self.body):
                request.send_error(416)
                return
        request.send_response(status)
        request.send_header("Content-Length", str(len(self.body) - first))
        request.send_header("ETag", self.tag)
        request.end_headers()
        body = self.body[first:]
        request.wfile.write(body if self.stop_after is None else body[: self.stop_after])
        request.close_connection = True


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A server with a state dict of the published form, in small, and an empty cache."""
    monkeypatch.setenv("HELPERS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    torch.manual_seed(0)
    torch.save(networks.build(TINY).state_dict(), tmp_path / "state.pt")
    host = Host()
    host.body = (tmp_path / "state.pt").read_bytes()
    yield host
    host.server.shutdown()
    host.server.server_close()


def load(host):
    return fastmri_weights.load(NAME, published={NAME: (host.url, TINY)})


def test_fetched_once_and_loaded_with_a_warning(host, capsys):
    network = load(host)
    assert "validation" in capsys.readouterr().err
    torch.manual_seed(0)
    for key, value in networks.build(TINY).state_dict().items():
        assert torch.equal(network.state_dict()[key], value)
    assert not any(each.requires_grad for each in network.parameters())
    load(host)
    assert host.asked == [None]
    assert sorted(path.name for path in fastmri_weights.cache().iterdir()) == ["varnet-knee.pt", "varnet-knee.pt.json"]


def test_a_broken_transfer_is_resumed_where_it_broke(host):
    host.stop_after = fastmri_weights.PIECE + 1000  # whole pieces are kept
    for _ in range(2):
        with pytest.raises(BadInput, match="cannot be fetched .* what has come is kept"):
            load(host)
    host.stop_after = None
    load(host)
    assert host.asked == [None, f"bytes={fastmri_weights.PIECE}-", f"bytes={2 * fastmri_weights.PIECE}-"]
    assert (fastmri_weights.cache() / "varnet-knee.pt").read_bytes() == host.body


@pytest.mark.parametrize("change", ["tag", "ranges"])
def test_a_file_that_changed_is_fetched_anew(host, change):
    host.stop_after = fastmri_weights.PIECE + 1000
    with pytest.raises(BadInput):
        load(host)
    host.stop_after = None
    if change == "tag":
        host.tag = '"two"'
    else:
        host.ranges = False
    load(host)
    assert (fastmri_weights.cache() / "varnet-knee.pt").read_bytes() == host.body


def test_a_kept_part_that_is_whole_already(host):
    fastmri_weights.cache().mkdir(parents=True)
    (fastmri_weights.cache() / "varnet-knee.pt.partial").write_bytes(host.body)
    (fastmri_weights.cache() / "varnet-knee.pt.partial.tag").write_text(host.tag)
    load(host)
    assert host.asked == [f"bytes={len(host.body)}-", None]


def test_offline_is_one_sentence(host):
    host.server.shutdown()
    host.server.server_close()
    with pytest.raises(BadInput, match="check the network"):
        load(host)


def test_what_the_server_refuses(host):
    host.status = 404
    with pytest.raises(BadInput, match="cannot be fetched .HTTPError"):
        load(host)
    assert not (fastmri_weights.cache() / "varnet-knee.pt").exists()


def test_later_damage_is_seen(host):
    load(host)
    path = fastmri_weights.cache() / "varnet-knee.pt"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BadInput, match="has changed since"):
        load(host)


@pytest.mark.parametrize("stored", [{"other": torch.zeros(1)}, [1, 2], {"key": 1}])
def test_another_file_is_one_sentence(host, tmp_path, stored):
    torch.save(stored, tmp_path / "state.pt")
    host.body = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(BadInput, match="another architecture|something else"):
        load(host)


class Harmful:
    """What a pickle may hide."""

    def __reduce__(self):
        return print, ("this must never run",)


def test_nothing_is_unpickled_that_can_run(host, tmp_path, capsys):
    torch.save({"a": Harmful()}, tmp_path / "state.pt")
    host.body = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(BadInput, match="cannot be read safely|no weights that can be read safely"):
        load(host)
    assert "never run" not in capsys.readouterr().out


def test_unknown_names():
    with pytest.raises(BadInput, match="fastmri:unet-brain"):
        fastmri_weights.load("fastmri:unet-spine")


def test_published_state_dicts_fit_by_name_and_shape():
    """fastMRI's own classes, as its scripts build them; the U-Net of 256 channels, which takes 2 GB, in small."""
    for name, published in (("fastmri:varnet-knee", models.VarNet()), ("fastmri:unet-brain", None)):
        architecture = fastmri_weights.PUBLISHED[name][1]
        if published is None:
            architecture, published = architecture | {"channels": 4}, models.Unet(1, 1, chans=4, num_pool_layers=4)
        ours = networks.build(architecture).state_dict()
        assert {key: value.shape for key, value in ours.items()} == {
            key: value.shape for key, value in published.state_dict().items()
        }
