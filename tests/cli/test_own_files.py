"""Own data from the command line, from a file to predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnn_lightning import load
from tests.cli.helpers import measured, one_mistake, only_run, recorded
from tests.conftest import Command

TEXTS = ("--data=TextFiles", "--data.path=my tickets.csv", "--data.text=subject", "--data.label=queue")
SERIES = ("--data=SeriesFiles", "--data.path=prices.csv", "--data.group=id")
SMALL = ("--model.hidden_size=8", "--model.embedding_size=8", "--trainer.max_epochs=2")


@pytest.fixture(autouse=True)
def files(workplace: Path) -> None:
    words = {"bills": "invoice, refund", "logins": "password 密码"}
    rows = [f'"{words[queue]} {i}",{queue}' for i in range(20) for queue in words]
    Path("my tickets.csv").write_text("\n".join(["subject,queue", *rows]), "utf-8")
    random = np.random.default_rng(0)
    steps = [f"{i},{1000 * i + random.normal()},{10**6 + i}" for i in range(40) for _ in range(1 + i % 3)]
    Path("prices.csv").write_text("\n".join(["id,x,label", *steps]), "utf-8")


def test_texts_of_a_table_are_learnt_scored_and_predicted(command: Command) -> None:
    result = command("fit", "--config=bilstm.yaml", *TEXTS, *SMALL)
    assert result.code == 0, result.err
    run = only_run()
    assert run.parent.name == "bilstm-my_tickets"
    assert "32 train / 4 validation / 4 test texts, 2 classes" in result.out
    assert recorded(run)["data"]["init_args"]["text"] == "subject"
    assert measured(command("test")).keys() >= {"test_loss", "test_accuracy"}
    Path("data.yaml").write_text("data: {class_path: TextFiles, init_args: {path: my tickets.csv}}")
    assert f"{run}" in command("test", "--config=data.yaml", "--data.text=subject", "--data.label=queue").out
    Path("new.csv").write_text("id,subject\n1,the password\n2,\n", "utf-8")
    predictions = load(run).predict_text(["the password", ""])
    lines = [
        f"{p.label}  {p.probability:.4f}  {text}" for p, text in zip(predictions, ("the password", ""), strict=True)
    ]
    assert command("predict", "--file=new.csv").out.splitlines() == lines
    baseline = command("baseline", *TEXTS)
    assert "Baselines on my_tickets" in baseline.out
    assert "NB-SVM on words and pairs:  val_accuracy 1.0000" in baseline.out


def test_a_test_file_with_a_new_label_is_refused(command: Command) -> None:
    assert command("fit", *TEXTS, *SMALL).code == 0
    Path("new.csv").write_text("subject,queue\na,bills\n")
    result = command("test", "--data.test_path=new.csv")
    assert "(1 sequence)" in result.out, result.err
    Path("new.csv").write_text("subject,queue\na,bills\nb,login\n")
    one_mistake(
        command("test", "--data.test_path=new.csv"),
        "new.csv, line 3: the label 'login' is none of the model's, which are bills, logins; did you mean 'logins'?",
    )


def test_series_of_a_table_are_learnt_scored_and_predicted(command: Command) -> None:
    result = command("fit", *SERIES, "--data.regression=true", *SMALL[::2])
    assert result.code == 0, result.err
    run = only_run()
    assert run.parent.name == "lstm-prices"
    scored = measured(command("test"))
    assert 0 < scored["test_mae"] < 60
    raw = [np.array([[5000.0], [5001.0]]), np.array([[39_000.0]])]
    model = load(run)
    values = [estimate.value for estimate in model.predict_series(raw)]
    assert all(abs(value - 10**6) < 60 for value in values)
    Path("new.csv").write_text("x,id\n5000,first\n39000,second\n5001,first\n")
    result = command("predict", "--file=new.csv")
    assert result.out.splitlines() == [f"{values[0]:.4f}  first", f"{values[1]:.4f}  second"]
    command("predict", "--file=new.csv", "--output=out.jsonl")
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert lines[1] == {"sequence": "second", "value": pytest.approx(values[1])}
    assert len(command("predict").out.splitlines()) == 4
    # What the file at hand has for mean and deviation is of no account.
    Path("prices.csv").write_text("\n".join(["id,x,label", *(f"{i},{5000 if i % 2 else 39000},0" for i in range(20))]))
    found = {float(line.split()[0]) for line in command("predict").out.splitlines()}
    assert found <= {round(load(run).predict_series([np.array([[x]])])[0].value, 4) for x in (5000.0, 39_000.0)}


def test_a_class_at_each_step_is_learnt(command: Command) -> None:
    rows = [f"{i},{t},{'' if t == 1 else 'ud'[(i + t) % 2]}" for i in range(20) for t in range(3)]
    Path("steps.csv").write_text("\n".join(["id,x,label", *rows]))
    words = ("--data=SeriesFiles", "--data.path=steps.csv", "--data.group=id", "--data.per_step=true")
    assert command("fit", "--model=SequenceTagger", *words, *SMALL[::2]).code == 0
    assert "test_accuracy" in measured(command("test"))
    assert command("baseline", *words).code == 0
    one_mistake(command("fit", *words), "SequenceTagger learns it")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data=TextFiles",), "data: TextFiles needs path"),
        (("--data=TextFiles", "--data.path=nothing.csv"), "nothing.csv does not exist"),
        (("--data=TextFiles", "--data.path=prices.csv"), "prices.csv has no column 'text'; it has id, x, label"),
        ((*TEXTS, "--data.lable=queue"), "did you mean 'label'?"),
        ((*SERIES[:2],), "prices.csv is one table: group has to name the column"),
        ((*SERIES, "--data.features=[y]"), "prices.csv has no column 'y'"),
    ],
)
def test_a_mistake_is_told_in_a_line_and_leaves_no_run(words: tuple[str, ...], said: str, command: Command) -> None:
    one_mistake(command("fit", *words), said)
    assert not Path("runs").exists()
