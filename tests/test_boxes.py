import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import boxes
from helpers.data.slice import Box
from helpers.errors import BadInput

SHAPES = {"knee 1": (40, 30), "knee,2": (64, 64)}


@st.composite
def drawn_boxes(draw):
    found = {}
    for name in draw(st.sets(st.sampled_from(sorted(SHAPES)))):
        height, width = SHAPES[name]
        for number in draw(st.sets(st.integers(0, 50), max_size=3)):
            count = draw(st.integers(1, 3))
            drawn = []
            for _ in range(count):
                x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
                box_width, box_height = draw(st.integers(1, width - x)), draw(st.integers(1, height - y))
                label = draw(st.text(st.characters(codec="utf8", exclude_categories=("Cs", "Cc"))).map(str.strip))
                drawn.append(Box(x, y, box_width, box_height, label))
            found[name, number] = tuple(drawn)
    return found


@settings(max_examples=50, deadline=None, derandomize=True)
@given(drawn_boxes())
def test_what_is_written_is_read_back(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("boxes") / "boxes.csv"
    boxes.write_csv(path, found, SHAPES)
    assert boxes.read_csv(path, SHAPES) == found


def test_fastmri_plus_is_flipped_and_counts_from_zero(tmp_path):
    """A row as in knee.csv: rows 173-182 of the image flipped up/down are rows 137-146 of the target."""
    path = tmp_path / "knee.csv"
    path.write_text(
        "file,slice,study_level,x,y,width,height,label\n"
        "file1000001,14,No,90,173,35,10,Cartilage - Partial Thickness loss/defect\n"
        "file1000002,9,No,86,51,169,99,Joint Effusion \n"
        "file1000001,0,Yes,,,,,Normal for age\n"
    )
    expected = Box(x=90, y=320 - 173 - 10, width=35, height=10, label="Cartilage - Partial Thickness loss/defect")
    assert boxes.read_csv(path, {"file1000001": (320, 320)}) == {("file1000001", 14): (expected,)}


def test_older_boxes_are_flipped_and_count_from_one(tmp_path):
    """Two rows as in Cheng et al.: xmin xmax ymin ymax, two boxes in one field over two lines."""
    path = tmp_path / "singlecoil_bb_val.csv"
    path.write_text(
        "filename,slice,numBBs,labels,coords\n"
        "file1000196,26,1,['Med_Men'],[[176.88335 234.66667 193.80656 210.94229]]\n"
        "file1002515,18,2,['BML_Med_Tib' 'BML_Med_Fem'],\"[[190.03404 242.63678 192.87671 236.31382]\n"
        ' [161.74014 247.41886 141.46949 186.89913]]"\n'
    )
    found = boxes.read_csv(path, {"file1000196": (320, 320), "file1002515": (320, 320)})
    assert found["file1000196", 25] == (Box(176, 320 - 211, 235 - 176, 211 - 193, "Med_Men"),)
    assert [box.label for box in found["file1002515", 17]] == ["BML_Med_Tib", "BML_Med_Fem"]
    assert len(found) == 2


def test_boxes_are_clipped_to_the_image(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text(",".join(boxes.FASTMRI_PLUS) + "\na,0,No,-3,-2,10,10,edge\na,0,No,50,0,5,5,outside\n")
    assert boxes.read_csv(path, {"a": (20, 30)}) == {("a", 0): (Box(0, 12, 7, 8, "edge"),)}


def test_rows_of_other_files_stay_in_the_table(tmp_path):
    path = tmp_path / "boxes.csv"
    first, second = ({(name, 0): (Box(1, 2, 3, 4, name),)} for name in SHAPES)
    boxes.write_csv(path, first, {"knee 1": (40, 30)})
    boxes.write_csv(path, second, {"knee,2": (64, 64)})
    boxes.write_csv(path, second, {"knee,2": (64, 64)})
    assert boxes.read_csv(path, SHAPES) == first | second


@pytest.mark.parametrize(
    "rows",
    ["a,0,No,1,2,3", "a,zero,No,1,2,3,4,label", "a,0,No,1,,3,4,label", "a,0,No,inf,1,2,3,label"],
)
def test_a_damaged_row_is_named(tmp_path, rows):
    path = tmp_path / "boxes.csv"
    path.write_text(",".join(boxes.FASTMRI_PLUS) + f"\n{rows}\n")
    with pytest.raises(BadInput, match="boxes.csv, row 2"):
        boxes.read_csv(path, {"a": (20, 30)})


def test_other_tables_are_no_boxes(tmp_path):
    (tmp_path / "fastmri-a.csv").write_text("file,slice\na,1\n")
    with pytest.raises(BadInput, match="no table of boxes"):
        boxes.read_csv(tmp_path / "fastmri-a.csv", {})
    assert boxes.beside(tmp_path / "a.h5") == []
