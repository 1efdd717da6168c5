"""Searches whose rows are split in time or by groups."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import knotwork as kw
from knotwork.cli import main
from knotwork.data.row_split import split_asked
from knotwork.discovery.few_rows import rows_together
from knotwork.discovery.table import sample_of, table
from knotwork.errors import DataError, TrainingError
from knotwork.expressions import symbol
from knotwork.formulas.constants import Constants, Sample, fitted
from knotwork.formulas.left_out import left_out

pytestmark = pytest.mark.filterwarnings("ignore:The table was prepared")


def visits(rows=150, seed=0):
    """Repeated visits of patients, with a target that follows from the dose."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"patient": [f"P{n}" for n in rng.integers(0, 15, rows)], "dose": rng.uniform(1, 5, rows)})
    return frame, (3 * frame["dose"] + 0.1 * rng.normal(size=rows)).rename("effect")


def parts_of(values, data):
    return [set(np.asarray(values)[rows.numpy()]) for rows in data.row_numbers]


def test_no_patient_is_on_two_sides_and_the_result_says_so(tmp_path):
    frame, y = visits()
    found = kw.discover(frame, y, split="patient", progress=False, time_budget=2)
    train, validation, test = parts_of(frame["patient"], found.data)
    assert not (train & validation or train & test or validation & test)
    words = "rows with the same value of 'patient', which is no input, stay on one side"
    assert found.remarks["The split"] == words and f"the split: {words}" in str(found)
    found.save(tmp_path / "law.json")
    assert kw.Discovery.load(tmp_path / "law.json").remarks["The split"] == words
    assert "stay on one side" in found.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "split" not in kw.discover(frame[["dose"]], y, progress=False, time_budget=0).remarks


def test_a_target_of_labels_and_several_targets_are_split_too():
    frame, y = visits()
    labels = np.where(y > y.median(), "much", "little")
    found = kw.discover(frame, labels, split="patient", progress=False, time_budget=1)
    train, validation, test = parts_of(frame["patient"], found.data)
    assert not (train & test or validation & test) and "patient" in found.remarks["The split"]
    targets = pd.DataFrame({"a": y, "b": 2 * y}).mask(np.arange(len(y))[:, None] == [3, 5])
    every = kw.discover(frame, targets, split="patient", progress=False, time_budget=1)
    for one in every:
        train, validation, test = parts_of(frame["patient"], one.data)
        assert not (train & validation or train & test or validation & test)


def test_the_latest_rows_are_test_rows():
    frame, y = visits()
    when = pd.date_range("2020", periods=len(y))[np.random.default_rng(0).permutation(len(y))]
    data = table(frame[["dose"]], y, None, None, 0, split=split_asked(frame.assign(when=when), "time")[1])
    train, validation, test = ([when[n] for n in rows.tolist()] for rows in data.row_numbers)
    assert max(train) < min(validation) and max(validation) < min(test)


@pytest.mark.parametrize("in_time", [False, True])
def test_few_rows_are_left_out_together_with_their_group(in_time):
    frame, y = visits(40)
    order = np.arange(40)
    split = split_asked(frame, "time" if in_time else "patient")[1]
    data = table(frame[["dose"]], y, None, None, 0, split=split)
    assert data.rows() == (40, 0, 0)
    together = rows_together(data)
    numbers = data.row_numbers[0].numpy()
    if in_time:
        assert np.array_equal(together.numpy(), order[numbers] * 10 // 40)  # blocks of a tenth of the rows
    else:
        labels = frame["patient"].to_numpy()[numbers]
        assert len(set(zip(labels, together.tolist(), strict=True))) == len(set(labels))
    sample = sample_of(data)
    constants = Constants()
    line = fitted(constants.template(constants(1.0) + constants(1.0) * symbol("dose")), sample)
    values = left_out(line, sample)
    x, target = sample.columns["dose"].numpy(), sample.y.numpy()
    for one in together.unique():
        own = (together == one).numpy()
        expected = np.polyval(np.polyfit(x[~own], target[~own], 1), x[own])
        np.testing.assert_allclose(values[own], expected, rtol=1e-6)
    alone = left_out(line, Sample(sample.columns, sample.y))
    assert not torch.allclose(values, alone)


def test_arguments_that_do_not_go_together_are_refused():
    frame, y = visits(30)
    with pytest.raises(TrainingError, match="split= cannot be given with groups="):
        kw.discover(frame, y, groups="patient", split="time", progress=False)
    data = kw.Dataset.from_arrays(frame[["dose"]], y)
    with pytest.raises(DataError, match="split= needs the rows in their order"):
        kw.discover(data, split="time", progress=False)


def test_the_command_splits_by_a_column(tmp_path, capsys, monkeypatch):
    frame, y = visits()
    frame.assign(y=y).to_csv(tmp_path / "visits.csv", index=False)
    command = ["knotwork", "discover", str(tmp_path / "visits.csv"), "--target", "y", "--split", "patient"]
    for options in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", [*command, "--time-budget", "1", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        text = capsys.readouterr().out
        assert not ended.value.code
        if options:
            assert list(json.loads(text)["importance"]) == ["dose"]
        else:
            assert "The split: rows with the same value of 'patient'" in text
