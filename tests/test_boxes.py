"""Tables of boxes, whoever wrote them: the same boxes, or one sentence with the file and the line."""

import csv
import io
import re
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import made_slices

from helpers.data import FastMRI, boxes, fastmri
from helpers.data.slice import Box
from helpers.errors import BadInput

SHAPES = {"knee 1": (40, 30), "knee,2": (64, 64)}
HEADER = ",".join(boxes.FASTMRI_PLUS)
DRAWN = settings(max_examples=100, deadline=None, derandomize=True, database=None)


ANY = st.text(st.characters(codec="utf8", exclude_categories=("Cs", "Cc"))).map(str.strip)


@st.composite
def drawn_boxes(draw, labels=ANY):
    found = {}
    for name in draw(st.sets(st.sampled_from(sorted(SHAPES)))):
        height, width = SHAPES[name]
        for number in draw(st.sets(st.integers(0, 50), max_size=3)):
            count = draw(st.integers(1, 3))
            drawn = []
            for _ in range(count):
                x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
                box_width, box_height = draw(st.integers(1, width - x)), draw(st.integers(1, height - y))
                drawn.append(Box(x, y, box_width, box_height, draw(labels)))
            found[name, number] = tuple(drawn)
    return found


@st.composite
def dialects(draw):
    """How a program writes a table: a function of header and rows that returns bytes, and one of a number."""
    delimiter = draw(st.sampled_from(",;\t| "))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    loose = delimiter != " " and end != "\r"  # else csv would not quote all that it must
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])) if loose else csv.QUOTE_ALL
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be"]))
    first, index, blank = (
        draw(st.sampled_from(each)) for each in (["", "sep"], ["", "named", "R"], ["", "all", "end"])
    )
    spell = draw(st.sampled_from([str, str.upper, str.title, " {} ".format, "\u00a0{}".format]))
    note, empty = draw(st.booleans()), draw(st.integers(0, 2))
    mark = draw(st.sampled_from(".,")) if delimiter != "," else "."
    forms = ["{}", "{}.0", " {} ", "{}e0", "+{}", "{}.", "{}0e-1"]

    def number(value):
        return draw(st.sampled_from(forms)).format(value).replace(".", mark)

    def written(header, rows):
        order = draw(st.permutations(range(len(header))))
        table = [[spell(header[place]) for place in order], *([row[place] for place in order] for row in rows)]
        for count, row in enumerate(table):
            row[:0] = [str(count) if count else ""] if index == "named" else []
            row[:0] = [str(count)] if index == "R" and count else []
            row += ["note" if count == 0 else "seen"] * note + [""] * (empty if index != "R" else 0)
        text = io.StringIO()
        if first and delimiter != " ":
            text.write(f"sep={delimiter}{end}")
        for row in table:
            csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end).writerow(row)
            text.write(end if blank == "all" else "")
        if blank == "end" and delimiter != " ":
            text.write(end + delimiter * (len(row) - 1) + end)
        return text.getvalue().encode(encoding)

    return written, number


LABELS = st.text("aZ9 ,;|'\"/äßé-", max_size=12).map(str.strip)


def as_fastmri_plus(found, number=str, name=str):
    """The rows of boxes as fastMRI+ has them, with a finding of a whole study and one of another file."""
    rows = [["knee,2", "", "Yes", "", "NA", "", "nan", "Normal"], ["other", "1", "No", "5", "6", "1", "1", "Mass"]]
    for (volume, item), each in found.items():
        for box in each:
            values = item, box.x, SHAPES[volume][0] - box.y - box.height, box.width, box.height
            where, *corner = map(number, values)
            rows.append([name(volume), where, "No", *corner, box.label])
    return rows


@DRAWN
@given(drawn_boxes(LABELS), dialects(), st.sampled_from(["{}", "{}.h5", "/data/knee/{}.h5", "C:\\scans\\{}.H5"]))
def test_what_any_program_writes_is_read(tmp_path_factory, found, dialect, name):
    """Delimiter, quotes, encoding, index, columns, line ends, blanks, form of numbers: the same boxes."""
    written, number = dialect
    path = tmp_path_factory.mktemp("boxes") / "boxes.csv"
    rows = as_fastmri_plus(found, number, name.format)
    content = written(boxes.FASTMRI_PLUS, rows)
    path.write_bytes(content)
    assert boxes.beside(path.with_name("knee 1.h5")) == [path]
    assert boxes.read_csv(path, SHAPES) == found
    assert path.read_bytes() == content


@DRAWN
@given(drawn_boxes(st.text("aZ_9 ,;é", max_size=9)), dialects())
def test_older_boxes_are_read_whoever_writes_them(tmp_path_factory, found, dialect):
    written, number = dialect
    path = tmp_path_factory.mktemp("boxes") / "boxes.TSV"
    rows = [["other", "1", "0", "[]", "[]"]]
    for (volume, item), each in found.items():
        rows_of_image = SHAPES[volume][0]
        corners = [
            (box.x + 0.25, box.x + box.width - 0.25, rows_of_image - box.y - box.height, rows_of_image - box.y)
            for box in each
        ]
        labels = " ".join(f"'{box.label}'" for box in each)
        coords = "\n ".join(f"[{' '.join(map(str, corner))}]" for corner in corners)
        rows.append([f"{volume}.h5", number(item + 1), str(len(each)), f"[{labels}]", f"[{coords}]"])
    path.write_bytes(written(boxes.CHENG, rows))
    assert boxes.read_csv(path, SHAPES) == found


@DRAWN
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


TEAR = {("a", 4): (Box(x=2, y=20 - 3 - 6, width=5, height=6, label="Tear; läng, 'alt'"),)}
FILES = {  # as each program writes the box above, after a finding of a whole study
    "Excel in Germany": "file;slice;study_level;x;y;width;height;label;;\r\na;0;Yes;;;;;Normal;;\r\n"
    "a;4;No;2,0;3,5;5;6;\"Tear; läng, 'alt'\";;\r\n;;;;;;;;;\r\n",
    "Excel's sep": "sep=;\r\nfile;slice;study_level;x;y;width;height;label\r\na;4;No;2;3;5;6;\"Tear; läng, 'alt'\"\r\n",
    "write.csv of R": '"","file","slice","study_level","x","y","width","height","label"\n'
    '"1","a",0,"Yes",NA,NA,NA,NA,"Normal"\n"2","a",4,"No",2,3,5,6,"Tear; läng, \'alt\'"\n',
    "write.table of R": '"file" "slice" "study_level" "x" "y" "width" "height" "label"\n'
    '"1" "a" 0 "Yes" NA NA NA NA "Normal"\n"2" "a" 4 "No" 2 3 5 6 "Tear; läng, \'alt\'"\n',
    "a hand": "Boxes of 2024\n\n File ,Slice,Study Level, X,Y,Width,Height,Label\n\n"
    "scans/a.h5, 4.0 ,no,2e0, 3 ,5.0,6., \"Tear; läng, 'alt'\"\n",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("program", FILES)
def test_tables_as_programs_write_them(tmp_path, program, encoding):
    path = tmp_path / "boxes.csv"
    path.write_bytes(FILES[program].encode(encoding))
    assert boxes.beside(tmp_path / "a.h5") == [path]
    assert boxes.read_csv(path, {"a": (20, 30)}) == TEAR


@pytest.mark.parametrize(
    "options",
    [{}, {"index": False}, {"sep": ";", "decimal": ","}, {"sep": "\t", "encoding": "utf-16"}, {"na_rep": "NaN"}]
    + [{"index_label": "id", "quoting": csv.QUOTE_NONNUMERIC, "encoding": "cp1252", "lineterminator": "\r\n"}],
)
def test_tables_as_pandas_writes_them(tmp_path, options):
    """With a whole-study finding pandas makes floats of all numbers."""
    path = tmp_path / "boxes.csv"
    rows = [["a.h5", 0, "Yes", None, None, None, None, "Normal"], ["a.h5", 4, "No", 2, 3, 5, 6, TEAR["a", 4][0].label]]
    pd.DataFrame(rows, columns=boxes.FASTMRI_PLUS).astype({"slice": float})[::-1].to_csv(path, **options)
    assert boxes.read_csv(path, {"a": (20, 30)}) == TEAR


def refusal(path, shapes=SHAPES) -> str:
    """The sentence with which a table is refused, which leaves it as it was."""
    before = path.read_bytes()
    with pytest.raises(BadInput) as refused:
        boxes.read_csv(path, shapes)
    words = str(refused.value)
    assert words.startswith(str(path)) and words.count(". ") == 0 and path.read_bytes() == before
    return words


BAD = ["", "x", "nan", "NA", "inf", "1e999", "1_0", "0x1", "--1", "1 0", "1.2.3", "1,2.3", "1-2", "²"]


@DRAWN
@given(st.data(), drawn_boxes(LABELS), dialects(), st.sampled_from(boxes.FASTMRI_PLUS[:-1]))
def test_what_cannot_be_read_is_said_with_its_line(tmp_path_factory, data, found, dialect, column):
    """One cell of one row damaged: the sentence counts lines as an editor does, whatever ends them."""
    written, number = dialect
    path = tmp_path_factory.mktemp("boxes") / "boxes.csv"
    rows = as_fastmri_plus(found, number)
    bad = {"file": ["", "NA"], "study_level": ["Perhaps", "5"], "slice": [*BAD, "1.5", "-1"]}.get(column, BAD)
    row = ["knee 1", "1", "No", "2", "3", "4", "5", "Mark"]
    row[boxes.FASTMRI_PLUS.index(column)] = data.draw(st.sampled_from(bad))
    rows.insert(data.draw(st.integers(0, len(rows))), row)
    content = written(boxes.FASTMRI_PLUS, rows)
    path.write_bytes(content)
    text = boxes._text(content)
    line = 1 + len(re.findall("\r\n|\r|\n", text[: text.index("Mark")]))
    assert re.search(rf", row {line}: .*; mend or remove line {line}$", refusal(path))


@DRAWN
@given(st.data(), drawn_boxes(LABELS), dialects())
def test_a_table_cut_or_changed_anywhere_is_read_or_refused(tmp_path_factory, data, found, dialect):
    """Cut: what is read was there, but for the row that is cut. Bytes changed: boxes or one sentence, nothing else."""
    written, number = dialect
    path = tmp_path_factory.mktemp("boxes") / "boxes.csv"
    content = written(boxes.FASTMRI_PLUS, as_fastmri_plus(found, number))
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    try:
        read = boxes.read_csv(path, SHAPES)
    except BadInput:
        refusal(path)
    else:
        assert sum(box not in found.get(key, ()) for key, each in read.items() for box in each) <= 1
    changed = bytearray(content)
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)
    ):
        changed[place] = byte
    path.write_bytes(changed)
    try:
        read = boxes.read_csv(path, SHAPES)
    except BadInput:
        refusal(path)
    else:
        assert all(box.width > 0 and box.height > 0 for each in read.values() for box in each)
    assert path.read_bytes() == changed


@pytest.mark.parametrize(
    "rows, line",
    [
        ('a,0,No,1,2,3,4,"two\nlines"\n\n  \na,1.5,No,1,2,3,4,tear\n', 6),
        ('a,0,No,1,2,3,4,"two\r\nlines"\r\na,0,No,1,2,3,4,"torn\r\na,0,No,1,2,3,4,tear\r\n', 4),
        ("a,0,No,1,2,3,4,tear, left\n", 2),
        ("a,0,No,1,2,3,4,tear\ra,0,No,1,2,3,4\r", 3),
        ("other,0,No,1,2,3,4,tear\nother,0,No,1,2,3\n", 3),
        ("1,a,0,No,1,2,3,4,tear\n2,a,0,No,1,2,,4,tear\n", 3),
        ('a,0,No,1,"2,5",3,4,tear\n', 2),
    ],
)
def test_lines_are_counted_as_an_editor_does(tmp_path, rows, line):
    path = tmp_path / "boxes.csv"
    path.write_bytes(f"{HEADER}\n{rows}".encode())
    assert f"boxes.csv, row {line}: " in refusal(path, {"a": (20, 30)})


@pytest.mark.parametrize(
    "rows, words",
    [
        ("1,0,[],[]", "4 fields instead of 5"),
        ("a,0,1,['b'],[[1 2 3 4]]", "its slice is no whole number from 1 on"),
        ("a,1,2,['b' 'c'],[[1 2 3 4]]", "4 coords for 2 labels"),
        ("a,1,1,,", "its numBBs is 1, but it has no box"),
    ],
)
def test_damaged_rows_of_older_boxes_are_named(tmp_path, rows, words):
    path = tmp_path / "boxes.csv"
    path.write_text(f"{','.join(boxes.CHENG)}\na,1,0,[],[]\n{rows}\n")
    assert f"boxes.csv, row 3: {words}" in refusal(path, {"a": (20, 30)})


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("column", [*boxes.FASTMRI_PLUS, *boxes.CHENG])
def test_a_table_that_lacks_a_column_is_not_passed_over(tmp_path, capsys, column, count):
    """One column is missing: refused. Two: said, since it may be something else."""
    whole = boxes.FASTMRI_PLUS if column in boxes.FASTMRI_PLUS else boxes.CHENG
    after = whole[whole.index(column) + 1 - len(whole)]
    lacking = [each for each in whole if each in (column, after)[:count]]
    columns = [each for each in whole if each not in lacking]
    path = tmp_path / "boxes.csv"
    path.write_text(f"{';'.join(columns)}\n{';'.join('1' * len(columns))}\n")
    if count == 1:
        with pytest.raises(BadInput, match=f"boxes.csv has no column '{column}'"):
            boxes.beside(tmp_path / "a.h5")
        refusal(path)
    else:
        assert boxes.beside(tmp_path / "a.h5") == boxes.beside(tmp_path / "b.h5") == []
        assert said(capsys).count(f"boxes.csv is not read, since it lacks {', '.join(lacking)};") == 1


def said(capsys) -> str:
    """What was printed on standard error; nothing may be printed elsewhere."""
    out, err = capsys.readouterr()
    assert out == ""
    return err


@pytest.mark.parametrize(
    "content",
    ["file,slice\na,1\n", "file1000001\nfile1000002\n", "", "\n\n", "a;b;c\n1;2;3\n", "\0\1\2\3" * 20]
    + ["filename,slice,labels\na,1,tear\n", "x,y\n1,2\n", "method,volume,slice,ssim\ntv,a,1,0.9\n", '"open\n' * 50]
    + ["class,x,y\n1,2,3\n", "file,label\na,tear\n", "participant_id\tage\tsex\nsub-01\t34\tF\n"],
)
def test_tables_of_something_else_are_passed_over_in_silence(tmp_path, capsys, content):
    for ending in (".csv", ".tsv", ".CSV"):
        (tmp_path / f"other{ending}").write_text(content)
    (tmp_path / "folder.csv").mkdir()
    assert boxes.beside(tmp_path / "a.h5") == [] and said(capsys) == ""


@pytest.mark.parametrize("columns", [boxes.FASTMRI_PLUS, boxes.CHENG])
@pytest.mark.parametrize("form", ["'{}'", '="{}"', "{}:"])
def test_columns_that_cannot_be_told_apart_are_refused(tmp_path, columns, form):
    path = tmp_path / "boxes.csv"
    path.write_text(",".join(map(form.format, columns)) + "\na,1,2,3,4\n")
    assert "names the columns of boxes, but not apart" in refusal(path)
    path.write_text(f'"{",".join(columns)}"\n"a,1,2,3,4"\n')
    assert "names the columns of boxes, but not apart" in refusal(path)


def test_a_table_without_its_header_or_with_two_alike_is_refused(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("a,4,No,2,3,5,6,Tear\n")
    assert "has boxes but no header" in refusal(path)
    path.write_text(f"{HEADER},X\na,4,No,2,3,5,6,Tear,7\n")
    assert "row 1: two columns are called 'x'" in refusal(path)


def test_a_table_that_may_not_be_read_is_said(tmp_path, capsys, monkeypatch):
    """Root may read everything, so the refusal of the system is played."""
    (tmp_path / "boxes.csv").write_text(f"{HEADER}\n")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert boxes.beside(tmp_path / "a.h5") == []
    assert said(capsys).startswith(f"{tmp_path / 'boxes.csv'} may not be read")


def test_boxes_of_no_size_are_none_and_two_alike_are_two(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text(f"{HEADER}\na,4,No,2,3,0,6,b\na,4,No,2,3,5,-1,b\n" + "a,4,No,2,3,5,6,b\n" * 2)
    assert boxes.read_csv(path, {"a": (20, 30)}) == {("a", 4): (Box(2, 11, 5, 6, "b"),) * 2}


def test_volumes_of_one_name_have_the_boxes_of_their_own_folder(tmp_path, capsys):
    """A table above is for both folders; a copy of a table adds nothing; a slice that is not there is said."""
    item = made_slices(count=1)[0]
    for folder, x in ("one", 3), ("two", 9):
        fastmri.write_volume(tmp_path / folder / "made.h5", [item])
        mine = {("made", 0): (replace(item.boxes[0], x=x),), ("made", 7): item.boxes}
        boxes.write_csv(tmp_path / folder / "knee.csv", mine, {"made": (32, 32)})
        (tmp_path / folder / "copy.tsv").write_bytes((tmp_path / folder / "knee.csv").read_bytes().replace(b",", b";"))
    boxes.write_csv(tmp_path / "all.csv", {("made", 0): (replace(item.boxes[0], x=5),)}, {"made": (32, 32)})
    found = FastMRI([tmp_path / "one" / "made.h5", tmp_path / "two" / "made.h5"])
    assert [[box.x for box in each.boxes] for each in found] == [[3, 5], [9, 5]]
    table = tmp_path / "two" / "knee.csv"
    assert f"{table} has boxes on slice 7, counted from 0, of {table.with_name('made.h5')}, which has 1" in said(capsys)


@DRAWN
@given(drawn_boxes(LABELS), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_what_others_wrote_stays_to_the_byte(tmp_path_factory, found, end, closed):
    """Rows of other files, their line ends and blank lines stay; those of the files that are written are replaced."""
    path = tmp_path_factory.mktemp("boxes") / "boxes.csv"
    ours = [f"knee 1,{number},No,1,2,3,4,old" for number in (0, 1)] + ["knees/knee 1.h5,2,No,1,2,3,4,old"]
    others = [HEADER, "o,1.5,,,,,x,'", 'p,1,No,01,2.0,3,4,"a', 'b"', "", "q,1,Yes,,,,,Normal "]
    path.write_bytes(end.join([*others[:2], *ours, *others[2:]]).encode() + end.encode() * closed)
    mine = {key: each for key, each in found.items() if key[0] == "knee 1"}
    boxes.write_csv(path, mine, {"knee 1": SHAPES["knee 1"]})
    assert path.read_bytes().startswith((end.join(others)).encode() + (end if closed else "\r\n").encode())
    assert boxes.read_csv(path, SHAPES) == mine


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER},reader\na,4,No,2,3,5,6,Tear,me\n",
        f"\ufeff{HEADER}\na,4,No,2,3,5,6,Tear\n",
        f"{HEADER}\na,4,No,2,3,5,6,läng\n".encode("latin-1"),
        f"{HEADER}\n1,a,4,No,2,3,5,6,Tear\n",
        f'{HEADER}\na,4,No,2,3,5,6,"Tear\n',
        HEADER.replace(",", ";") + "\na;4;No;2;3;5;6;Tear\n",
        ",".join(boxes.CHENG) + "\na,1,0,[],[]\n",
        "somebody's own,list\n1,2\n",
        "",
    ],
)
def test_a_table_that_would_not_be_whole_is_not_written_to(tmp_path, content):
    path = tmp_path / "knee.csv"
    before = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(before)
    with pytest.raises(BadInput, match="knee.csv"):
        boxes.write_csv(path, {("b", 0): (Box(1, 2, 3, 4, "new"),)}, {"b": (20, 30)})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_two_processes_lose_none_of_each_others_boxes(tmp_path):
    """As where two splits are drawn into one folder at once."""
    code = (
        "import sys\nfrom helpers.data.boxes import write_csv\nfrom helpers.data.slice import Box\n"
        "for number in range(60):\n    name = f'{sys.argv[1]}{number}'\n"
        "    write_csv(sys.argv[2], {(name, 0): (Box(1, 2, 3, 4, 'cyst'),)}, {name: (20, 20)})\n"
    )
    path = tmp_path / "knee.csv"
    both = [subprocess.Popen([sys.executable, "-c", code, name, str(path)]) for name in ("a", "b")]
    assert [each.wait() for each in both] == [0, 0]
    shapes = {f"{name}{number}": (20, 20) for name in ("a", "b") for number in range(60)}
    assert len(boxes.read_csv(path, shapes)) == len(shapes) and list(tmp_path.iterdir()) == [path]
