from __future__ import annotations

import base64
import json
import random
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from irn_video.codecs.bitstream import card as card_module
from irn_video.codecs.bitstream.card import (
    MAX_COMMENT,
    StreamCard,
    digest_of,
    is_digest_of,
    parse_payload,
    tag_payload,
    version_of,
)
from irn_video.codecs.bitstream.sei import CARD_UUID, find_payloads, sei_nal
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadCard, MissingFile, UnreadableVideo
from irn_video.codecs.picture import ColorSpec
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.reader import VideoReader


def test_round_trip(tools: Any) -> None:
    for card in (
        tools.card(),
        tools.card(crf=None, bitrate=800_000, comment='"\u00fc\n🎬', frames=None, model_sha256=""),
    ):
        assert StreamCard.from_json(card.to_json()) == card
        assert parse_payload(card.to_payload()) == card
        assert parse_payload(tag_payload(card.to_tag()) or b"") == card


def test_a_start_makes_another_version(tools: Any) -> None:
    """A card without one is what it was, so that older programs read it."""
    assert "start" not in json.loads(tools.card().to_json())
    assert json.loads(tools.card().to_json())["version"] == 2
    card = tools.card(start=12.5, version=version_of(12.5))
    assert json.loads(card.to_json())["version"] == 3
    assert parse_payload(card.to_payload()) == parse_payload(tag_payload(card.to_tag()) or b"") == card


def test_the_same_card_is_the_same_text(tools: Any) -> None:
    assert tools.card().to_json() == tools.card().to_json()
    assert tools.card().to_json().isascii()


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {"scale": 0},
            {"scale": 17},
            {"scale": 2.0},
            {"scale": True},
            *({"scale": other} for other in (1.25, 2.5, -1.5, 1.5000001, "1.5", float("nan"), float("inf"), 0.5, None)),
            {"width": 0},
            {"width": 10**9},
            {"height": "96"},
        ),
        *({"pad_right": -1}, {"pad_bottom": 10**6}, {"layout": "yuv999"}, {"bit_depth": 7}, {"crf": float("nan")}),
        *({"crf": -1}, {"bitrate": 0}, {"lossless": 1}, {"latent_std": float("inf")}, {"latent_std": -1}, {"seed": -1}),
        *({"seed": 2**64}, {"source_name": "../../etc/passwd"}, {"source_name": "a\\b"}, {"source_name": ".."}),
        *({"source_bytes": -1}, {"source_sha256": "xyz"}, {"frames": -1}, {"comment": "x" * (MAX_COMMENT + 1)}),
        *({"comment": 5}, {"model": None}, {"model": "x" * 1000}, {"color": None}, {"color": ColorSpec(matrix=-1)}),
        *(
            {"color": ColorSpec(full_range=1)},
            {"version": 3},
            {"version": 4},
            {"version": 5},
            {"look": "real"},
            {"look": "real", "version": 3},
            {"look": "real", "version": 1},
            {"look": "a\nb", "version": 4},
            {"look": "x" * 60, "version": 4},
            {"start": 1.5, "version": 1},
            {"start": 1.5},
            {"start": -1.0, "version": 3},
        ),
    ],
)
def test_senseless_fields(tools: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(BadCard) as caught:
        tools.card(**changes)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("scale", "text"), [*((n, str(n)) for n in range(1, 17)), (1.5, "1.5")])
def test_scales(tools: Any, scale: float, text: str) -> None:
    """Whole ones are written as they always were; three halves as they are."""
    card = tools.card(scale=scale)
    assert f',"scale":{text},' in card.to_json()
    for read in (StreamCard.from_json(card.to_json()), parse_payload(card.to_payload())):
        assert read == card
        assert type(read.scale) is type(scale)


def test_sizes_of_lr_pictures(tools: Any) -> None:
    card = tools.card(scale=1.5, width=1921, height=1080, pad_right=5, pad_bottom=0)
    assert card.lr_size == (720, 1284)


@pytest.mark.parametrize("version", [0, 5, 99, "1", None, True, [1]])
def test_other_versions_say_which(tools: Any, version: object) -> None:
    values = json.loads(tools.card().to_json()) | {"version": version, "something": "new"}
    with pytest.raises(BadCard, match=r"version.*a newer irn-video is needed") as caught:
        StreamCard.from_json(json.dumps(values))
    assert repr(version) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", "7", "{", '"card"', "{}", '{"version": 1}', "[" * 30000, "NaN", '{"version": NaN}'),
        *(" " * 70000, b"\xff\xfe{}", b"\x00"),
    ],
)
def test_anything_else(text: str | bytes) -> None:
    with pytest.raises(BadCard):
        StreamCard.from_json(text)


def test_missing_and_unknown_fields(tools: Any) -> None:
    values = json.loads(tools.card().to_json())
    for broken in (values | {"extra": 1}, {k: v for k, v in values.items() if k != "seed"}, values | {"color": {}}):
        with pytest.raises(BadCard):
            StreamCard.from_json(json.dumps(broken))


@settings(max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(), lambda s: st.lists(s), max_leaves=3
    ),
    st.data(),
)
def test_any_value_in_any_field_is_a_card_or_a_bad_card(tools: Any, value: Any, data: st.DataObject) -> None:
    values = json.loads(tools.card().to_json())
    values[data.draw(st.sampled_from(sorted(values)))] = value
    try:
        card = StreamCard.from_json(json.dumps(values))
    except BadCard:
        return
    assert StreamCard.from_json(card.to_json()) == card


@given(st.binary(max_size=300))
def test_any_payload(payload: bytes) -> None:
    with pytest.raises(BadCard):
        parse_payload(payload)


def test_long_payloads_are_refused_unparsed() -> None:
    with pytest.raises(BadCard, match="too long"):
        parse_payload(b"A" * 70000)


def test_other_comments_are_no_cards() -> None:
    assert tag_payload(None) is None
    assert tag_payload("a nice film") is None


def test_long_comments_travel_in_the_tag_alone(tools: Any) -> None:
    card = tools.card(comment="x" * 1000)
    assert parse_payload(card.to_payload()) == replace(card, comment=None)
    assert parse_payload(tag_payload(card.to_tag()) or b"") == card


# -- in files ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["h264", "h265"])
def carrier(request: pytest.FixtureRequest, tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An LR stream in MP4 with a keyframe at least every five pictures."""
    path: Path = tmp_path_factory.mktemp("card") / "lr.mp4"
    tools.write(
        path, tools.draw(30), EncoderSettings(codec=request.param, keyint=5, preset="ultrafast"), card=tools.card()
    )
    return path


def remux(tools: Any, source: Path, target: Path, *options: object) -> Path:
    tools.ffmpeg(*options, "-i", source, "-map", 0, "-c", "copy", target)
    return target


def without_tag(path: Path) -> None:
    with av.open(str(path)) as container:
        assert not any(key.lower() == "comment" for key in container.metadata)


def test_the_message_is_small_and_damage_is_found(tools: Any) -> None:
    card = tools.card(model_sha256="0123456789abcdef", source_sha256="fedcba9876543210")
    payload = card.to_payload()
    assert len(payload) < 120
    assert 0 not in payload
    assert parse_payload(payload) == card
    head, content = payload[:2], payload[2:]
    for broken in (content[:-5], b"", content[9:], content[:1] + b"\xff" * 40):
        with pytest.raises(BadCard):
            parse_payload(head + broken)
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = bomb.compress(b" " * 10**7) + bomb.flush()
    with pytest.raises(BadCard, match="too long"):
        parse_payload(head + bytes(byte ^ head[1] for byte in packed))


def test_messages_of_version_1_are_read(tools: Any) -> None:
    """Base64 of deflated JSON with whole digests."""
    card = tools.card(version=1, model_sha256="ab" * 32, source_sha256="cd" * 32)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, card_module._DICTIONARY)
    content = b"\x01" + deflate.compress(card.to_json().encode()) + deflate.flush()
    payload = base64.b64encode(content)
    assert parse_payload(payload) == card
    assert find_payloads(sei_nal(payload, "h264")) == [payload]


def test_a_message_in_which_every_byte_occurs_is_base64(tools: Any) -> None:
    rng = random.Random(2)
    words = "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(500))
    card = tools.card(comment=words[:250], source_name=words[250:])
    payload = card.to_payload()
    assert 0 not in payload
    assert parse_payload(payload) == card
    assert base64.b64decode(payload, validate=True)[:1] == b"\x01"


def test_digests() -> None:
    whole = "0123456789abcdef" * 4
    assert digest_of(whole) == "0123456789abcdef"
    assert is_digest_of(digest_of(whole), whole)
    assert is_digest_of(whole, whole)
    assert is_digest_of("", "")
    assert not is_digest_of("", whole)
    assert not is_digest_of("1" * 16, whole)
    assert not is_digest_of(whole, "")


@pytest.mark.parametrize(
    "settings_", [{"codec": "h264"}, {"codec": "h265"}, {"codec": "av1"}, {"codec": "ffv1"}, {"lossless": True}]
)
def test_every_codec_carries_a_card(tools: Any, tmp_path: Path, settings_: dict[str, Any]) -> None:
    path = tmp_path / "x.mkv"
    tools.write(path, tools.draw(3, 64, 64), EncoderSettings(**settings_), card=tools.card())
    assert find_card(path) == tools.card()
    with VideoReader(path) as reader:
        assert reader.card == tools.card()
        assert reader.card_payload is not None
        assert parse_payload(reader.card_payload) == tools.card()


def test_remuxing(tools: Any, carrier: Path, tmp_path: Path) -> None:
    assert find_card(remux(tools, carrier, tmp_path / "x.mkv")) == tools.card()
    ts = remux(tools, carrier, tmp_path / "x.ts")
    without_tag(ts)
    assert find_card(ts) == tools.card()
    back = remux(tools, ts, tmp_path / "back.mp4")
    without_tag(back)
    assert find_card(back) == tools.card()


def test_cutting_at_a_keyframe(tools: Any, carrier: Path, tmp_path: Path) -> None:
    ts = remux(tools, carrier, tmp_path / "x.ts")
    for source in (carrier, ts):
        cut = tmp_path / "cut.ts"
        tools.ffmpeg("-ss", "0.6", "-i", source, "-c", "copy", "-map_metadata", -1, cut)
        without_tag(cut)
        assert find_card(cut) == tools.card()
        assert 0 < len(tools.read(cut)) < 30


def test_joining_late_in_the_middle_of_a_group(tools: Any, carrier: Path, tmp_path: Path) -> None:
    ts = remux(tools, carrier, tmp_path / "x.ts").read_bytes()
    packets = len(ts) // 188
    late = tmp_path / "late.ts"
    late.write_bytes(ts[: 188 * 3] + ts[packets // 3 * 188 :])
    assert find_card(late) == tools.card()


def test_fragmented_mp4(tools: Any, carrier: Path, tmp_path: Path) -> None:
    fragmented = tmp_path / "fragmented.mp4"
    tools.ffmpeg(
        *("-i", carrier, "-c", "copy", "-map_metadata", -1, "-movflags", "frag_keyframe+empty_moov", fragmented),
    )
    without_tag(fragmented)
    assert find_card(fragmented) == tools.card()


def test_every_keyframe_has_it(carrier: Path) -> None:
    with av.open(str(carrier)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keys = [packet for packet in packets if packet.is_keyframe]
    assert len(keys) >= 6
    for packet in packets:
        assert (CARD_UUID.bytes in bytes(packet)) is packet.is_keyframe


def test_the_decoder_sees_it_as_user_data(tools: Any, carrier: Path) -> None:
    with av.open(str(carrier)) as container:
        found = [bytes(s) for f in container.decode(video=0) for s in f.side_data if s.type.name == "SEI_UNREGISTERED"]  # type: ignore[attr-defined]
    assert CARD_UUID.bytes + tools.card().to_payload() in found


def test_the_pictures_are_the_same_without_it(tools: Any, tmp_path: Path) -> None:
    pictures = tools.draw(10)
    tools.write(tmp_path / "with.mp4", pictures, card=tools.card())
    tools.write(tmp_path / "without.mp4", pictures)
    assert tools.same(tools.read(tmp_path / "with.mp4"), tools.read(tmp_path / "without.mp4"))


def test_sei_goes_before_the_tag(tools: Any, carrier: Path, tmp_path: Path) -> None:
    other = tools.card(seed=99).to_tag()
    tagged = tmp_path / "tagged.mp4"
    tools.ffmpeg("-i", carrier, "-c", "copy", "-metadata", f"comment={other}", tagged)
    assert find_card(tagged) == tools.card()


def test_no_card(mp4: Path, tools: Any, tmp_path: Path) -> None:
    assert find_card(mp4) is None
    commented = tmp_path / "x.mp4"
    tools.ffmpeg("-i", mp4, "-c", "copy", "-metadata", "comment=a nice film", commented)
    assert find_card(commented) is None
    with VideoReader(commented) as reader:
        assert reader.card_payload is None
        assert reader.card is None


def test_bad_cards_in_files(tools: Any, mp4: Path, tmp_path: Path) -> None:
    newer = json.loads(tools.card().to_json()) | {"version": 5}
    payload = base64.b64encode(json.dumps(newer).encode()).decode()
    for index, (text, words) in enumerate(((payload, "version 5"), ("%%%", "not base64"), ("e30=", "version None"))):
        path = tmp_path / f"{index}.mp4"
        tools.ffmpeg("-i", mp4, "-c", "copy", "-metadata", f"comment=irn-video card {text}", path)
        with pytest.raises(BadCard, match=words) as caught:
            find_card(path)
        assert str(path) in str(caught.value)


def test_a_damaged_message_falls_back_on_the_next(tools: Any, carrier: Path, tmp_path: Path) -> None:
    data = bytearray(carrier.read_bytes())
    at = data.index(CARD_UUID.bytes) + 40
    data[at : at + 4] = b"AAAA"
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    assert find_card(broken) == tools.card()


def test_files_that_are_none(tools: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        find_card(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    with pytest.raises(UnreadableVideo):
        find_card(tmp_path / "text.mp4")
