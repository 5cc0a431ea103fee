"""A study's settings: defaults, identity, overrides, and one clear line for every mistake."""

import copy
import io
import os
import sys
from pathlib import Path

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.models.recipe import Recipe
from fullspectrum.search.config.help import describe_settings
from fullspectrum.search.config.searchable import Choices, Range, Section
from fullspectrum.search.config.study import ConfigError, Study
from fullspectrum.search.config.studyfile import (
    bundled,
    is_stream,
    keep_study,
    load_study,
    names_file,
    parse,
    with_overrides,
)
from fullspectrum.search.files import Home
from fullspectrum.search.scores.registry import SCORES

REQUIRED = {"model": "digits_cnn", "data": "digits", "sparsity": 0.98}


def study(*overrides: str) -> Study:
    return parse(with_overrides(copy.deepcopy(REQUIRED), overrides))


def mistake(*overrides: str) -> str:
    """The message of the error that the overrides raise; always one line."""
    with pytest.raises(ConfigError) as caught:
        study(*overrides)
    message = str(caught.value)
    assert message and "\n" not in message
    return message


def test_defaults_are_those_of_the_design():
    plain = study()
    assert (plain.objective, plain.reference, plain.aggregate, plain.seed) == ("l2", "origin", "sum", 0)
    assert plain.search.theta_range == 0.5
    assert plain.search.min_kept_per_output == 1
    assert plain.search.sampler == "tpe"
    assert (plain.gate.quantile, plain.gate.control) == (0.5, 0.1)
    assert plain.warmup.iterations == 500
    assert plain.final.top_k == 3
    assert (plain.tracking.mlflow, plain.tracking.storage) == (None, None)


def test_id_is_pinned_so_that_old_studies_stay_reachable():
    assert Study(**REQUIRED).id == "0bc23023cf83"
    assert study("search.trials=50", "training.learning_rate={low=0.01,high=0.3,log=true}").id == "cafb869c17f2"


SPELLED_OUT = [
    "seed=0",
    "objective=l2",
    "search.trials=100",
    "search.sources=['random', 'magnitude', 'snip']",
    "search.temperature={low=0.05, high=2.0, log=true}",
    "gate.quantile=0.5",
    "final.top_k=3",
    "training.learning_rate=0.1",
    "resources={cpus=1, gpus=0}",
]


@pytest.mark.parametrize("default", SPELLED_OUT)
def test_spelling_a_default_out_keeps_the_id(default):
    assert study(default).id == study().id
    assert study(default).settings() == REQUIRED


NON_DEFAULTS = [
    "model=resnet20",
    "data=cifar10",
    "sparsity=0.97",
    "sparsity=[0.98]",
    "objective=imdb",
    "objective=['l2', 'imdb']",
    "objective=['imdb', 'l2']",
    "objective=['l2', 'accuracy']",
    "reference=random",
    "aggregate=mean_vector",
    "variant=authors",
    "seed=1",
    "search.trials=99",
    "search.sources=['magnitude', 'random', 'snip']",
    "search.temperature=0",
    "search.temperature={low=0.05, high=2.0}",
    "search.allocation=er",
    "search.draw=per_layer",
    "search.theta=stage",
    "gate.control=0",
    "warmup.early_stopping=false",
    "final.top_k=all",
    "training.batch_size=64",
    "training.batch_size={choices=[128]}",
]

#: What only says where and how a study runs.
RUNNING = [
    "resources.gpus=0.5",
    "faults.retries=5",
    "faults.max_failures=3",
    "record.coordinate_every=50",
    "tracking.mlflow=http://127.0.0.1:5000",
    "tracking.storage=postgresql+psycopg://studies.internal/all",
]


def test_every_other_setting_gives_another_id():
    ids = [study(override).id for override in [*SPELLED_OUT[:1], *NON_DEFAULTS]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("override", RUNNING)
def test_where_and_how_a_study_runs_is_no_part_of_its_id(override):
    assert study(override).id == study().id
    assert study(override) != study()
    assert parse(study(override).settings()) == study(override)
    assert study(override, "seed=1").id == study("seed=1").id


def test_id_does_not_depend_on_the_order_of_the_settings():
    one, other = ["seed=1", "search.trials=9", "search.batches=2"], ["search.batches=2", "search.trials=9", "seed=1"]
    assert study(*one).id == study(*other).id


def test_settings_give_the_same_study_again():
    # A list is several studies, and the distance's own settings do not go with another objective.
    apart = ("sparsity=[", "objective=", "aggregate=")
    given = study(*(override for override in [*NON_DEFAULTS, *RUNNING] if not override.startswith(apart)))
    assert parse(given.settings()) == given
    assert parse(given.settings()).id == given.id


@pytest.mark.parametrize("name", bundled())
def test_every_bundled_study_loads(name):
    assert isinstance(load_study(name).sparsity, float)


def test_bundled_studies_are_those_of_the_design():
    assert {"digits", "cifar10-resnet20"} <= set(bundled())


def test_a_study_file_is_read_and_overridden(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('model = "digits_cnn"\ndata = "digits"\nsparsity = 0.9\n[search]\ntrials = 7\nbatches = 2\n')
    loaded = load_study(str(file), ["search.trials=8", "sparsity=0.98"])
    assert (loaded.search.trials, loaded.search.batches, loaded.sparsity) == (8, 2, 0.98)


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("search.trials=50", lambda s: s.search.trials, 50),
        ("gate.quantile=0.25", lambda s: s.gate.quantile, 0.25),
        ("gate.quantile=1", lambda s: s.gate.quantile, 1.0),
        ("training.weight_decay=5e-4", lambda s: s.training.weight_decay, 5e-4),
        ("warmup.early_stopping=false", lambda s: s.warmup.early_stopping, False),
        ("model=torchvision:resnet18", lambda s: s.model, "torchvision:resnet18"),
        ('model="resnet20"', lambda s: s.model, "resnet20"),
        ("tracking.mlflow=http://127.0.0.1:5000/a=b", lambda s: s.tracking.mlflow, "http://127.0.0.1:5000/a=b"),
        (" search.trials = 5 ", lambda s: s.search.trials, 5),
        ("search.sources=['snip']", lambda s: s.search.sources, ["snip"]),
        ("sparsity=[0.5, 0.9]", lambda s: s.sparsity, [0.5, 0.9]),
        ("gate={quantile=0.2}", lambda s: s.gate.quantile, 0.2),
        ("training.momentum={low=0.5, high=0.9}", lambda s: s.training.momentum, Range(low=0.5, high=0.9)),
        ("training.batch_size={choices=[32, 64]}", lambda s: s.training.batch_size, Choices(choices=[32, 64])),
        ("final.top_k=all", lambda s: s.final.top_k, "all"),
    ],
)
def test_an_override_is_a_toml_value_or_a_bare_word(override, read, value):
    assert read(study(override)) == value
    assert type(read(study(override))) is type(value)


def test_overrides_reach_into_a_searched_setting():
    overrides = ["training.learning_rate.low=0.1", "training.learning_rate.high=0.2"]
    assert study(*overrides).training.learning_rate == Range(low=0.1, high=0.2)


def test_the_last_override_of_a_key_holds():
    assert study("seed=1", "seed=2").seed == 2


MISTAKES = [
    ("search.trails=5", ["'search.trails'", 'did you mean "trials"?', "max_concurrent"]),
    ("serach.trials=5", ["'serach'", 'did you mean "search"?', "tracking"]),
    ("training.learning_rate={low=0.1, high=0.2, logs=true}", ["'training.learning_rate.logs'", '"log"', "high"]),
    ("search.trials=many", ["search.trials = 'many'", "integer", "number of trials"]),
    ("search.trials=2.5", ["search.trials = 2.5", "integer"]),
    ("search.trials=true", ["search.trials = True", "integer"]),
    ("search.trials=0", ["search.trials = 0", "greater than or equal to 1"]),
    ("search=5", ["search = 5", "what is proposed"]),
    ("model=3", ["model = 3", "string", "module:function"]),
    ("sparsity=1.0", ["sparsity = 1.0", "less than 1", "[0, 1)"]),
    ("sparsity=-0.1", ["sparsity = -0.1", "greater than or equal to 0", "[0, 1)"]),
    ("sparsity=nan", ["sparsity = nan", "finite"]),
    ("sparsity=most", ["sparsity = 'most'", "number", "[0, 1)"]),
    ("sparsity=[0.5, 1.5]", ["sparsity = 1.5", "less than 1", "[0, 1)"]),
    ("sparsity=[]", ["sparsity = []", "at least 1 item"]),
    ("search.sources=[]", ["search.sources = []", "at least 1 item", "random, magnitude, snip"]),
    (
        "search.sources=['sinp']",
        ['search.sources: unknown source "sinp"', 'did you mean "snip"?', "random, magnitude, snip"],
    ),
    ("search.sources=['random', 'random']", ["search", "named twice"]),
    ("seed=-1", ["seed = -1", "greater than or equal to 0"]),
    ("objective=l1", ['objective: unknown objective "l1"', "l2, imdb", "layer_density", "module:Class"]),
    ("objective=imbd", ['objective: unknown objective "imbd"', 'did you mean "imdb"?']),
    ("search.draw=per-layer", ["search.draw = 'per-layer'", 'did you mean "per_layer"?']),
    ("variant=author", ["variant = 'author'", "'paper' or 'authors'"]),
    ("reference=start", ['reference = "start"', "pretraining.iterations = 0; set it above 0"]),
    ("objective={}", ["objective = {}"]),
    ("objective=['l2', 'accuarcy']", ['objective: unknown objective "accuarcy"', 'did you mean "accuracy"?']),
    ("objective=[]", ["objective = []", "2 or 3 different scores"]),
    ("objective=['l2']", ['objective = ["l2"]', "2 or 3 different scores", 'as in "l2"']),
    ("objective=['l2', 'l2']", ['objective = ["l2", "l2"]', "2 or 3 different scores"]),
    ("objective=['l2', 'imdb', 'imsg', 'accuracy']", ['"imsg", "accuracy"]', "2 or 3 different scores"]),
    ("objective=accuracy", ['objective = "accuracy"', "before anything trains", '["l2", "accuracy"]']),
    ("objective=['accuracy']", ['objective = "accuracy"', "before anything trains", '["l2", "accuracy"]']),
    ("objective=['accuracy', 'l2']", ['objective = ["accuracy", "l2"]', "before anything trains", "first"]),
    ("search.sampler=cma", ['search.sampler: unknown sampler "cma"', 'did you mean "cmaes"?']),
    ("gate.quantile=0", ["gate.quantile = 0", "greater than 0", "1.0 switches the gate off"]),
    ("gate.control=1.1", ["gate.control = 1.1", "less than or equal to 1"]),
    ("final.top_k=-1", ["final.top_k = -1", "greater than or equal to 0", '"all"']),
    ("final.top_k=some", ["final.top_k = 'some'", '"all"']),
    ("training.learning_rate=0", ["training.learning_rate = 0", "greater than 0", "> 0"]),
    ("training.learning_rate=inf", ["training.learning_rate = inf", "finite"]),
    ("training.optimizer=sgdd", ["training.optimizer = 'sgdd'", "'sgd' or 'adamw'"]),
    ("training.momentum={low=0.9, high=0.5}", ["training.momentum", "low = 0.9, high = 0.5", "low must be less"]),
    ("training.momentum={low=0.5, high=0.5}", ["training.momentum", "low = 0.5, high = 0.5", "low must be less"]),
    ("training.learning_rate={low=0, high=1, log=true}", ["training.learning_rate", "low greater than 0", "got 0"]),
    ("training.learning_rate={high=1}", ["'training.learning_rate.low'", "missing"]),
    ("training.learning_rate={low=-1, high=1}", ["learning_rate = -1.0", "greater than 0"]),
    ("training.momentum={low=0.5, high=1.0}", ["momentum = 1.0", "less than 1"]),
    ("training.learning_rate={low=0.1, high=inf}", ["training.learning_rate.high = inf", "finite"]),
    ("training.learning_rate={choices=[]}", ["training.learning_rate", "at least 1 item"]),
    ("training.learning_rate={choices=[0.1, 0.0]}", ["learning_rate = 0.0", "greater than 0"]),
    ("training.optimizer={choices=['sgd', 'adm']}", ["optimizer = 'adm'", "'sgd' or 'adamw'"]),
    ("training.batch_size={choices=[32, 64.5]}", ["batch_size = 64.5", "integer"]),
    ("training.batch_size={low=16, high=64}", ["batch_size", "{ choices = [...] }", "not by a range"]),
    ("training.optimizer={low=1, high=2}", ["optimizer", "{ choices = [...] }", "not by a range"]),
    ("search.temperature=-1", ["search.temperature = -1", "greater than or equal to 0"]),
    ("search.temperature=inf", ["search.temperature = inf", "finite"]),
    ("search.temperature={low=-1, high=1}", ["temperature = -1.0", "greater than or equal to 0"]),
    ("search.temperature={choices=['hot']}", ["temperature = 'hot'", "number"]),
    ("search.trials", ["--set search.trials", "KEY=VALUE", "--set search.trials=50"]),
    ("=5", ["--set =5", "KEY=VALUE"]),
    ("model.depth=20", ["--set model.depth=20", "model is a value, not a table"]),
]


@pytest.mark.parametrize(("override", "parts"), MISTAKES, ids=[override for override, _ in MISTAKES])
def test_a_mistake_is_told_in_one_line_with_the_value_and_what_was_expected(override, parts):
    message = mistake(override)
    for part in parts:
        assert part in message


@pytest.mark.parametrize("setting", ["reference=random", "aggregate=mean_vector"])
def test_the_distances_own_settings_do_not_go_with_another_objective(setting):
    name, value = setting.split("=")
    assert mistake("objective=imdb", setting) == (
        f'{name} = "{value}" is a setting of the distance, but objective = "imdb"; '
        f'leave {name} out, or set objective = "l2"'
    )
    assert study("objective=imdb", "reference=origin", "aggregate=sum") == study("objective=imdb")


def test_the_start_is_a_reference_where_every_trial_is_pretrained():
    for iterations in ("500", "{choices=[500, 2000]}"):
        assert study("reference=start", f"pretraining.iterations={iterations}").reference == "start"
    for iterations, given in (("0", "= 0"), ("{choices=[0, 500]}", "may be 0")):
        with pytest.raises(InputError, match=f"has moved a mask, but pretraining.iterations {given}; set it above 0"):
            study("reference=start", f"pretraining.iterations={iterations}")


def test_a_mask_cannot_climb_from_where_it_started():
    settings = ("reference=start", "pretraining.iterations=10", "search.sources=['snip','ascent:snip']")
    assert "which source ascent:snip cannot climb" in mistake(*settings)


def test_a_choice_that_is_named_twice_is_refused():
    assert "a value is named twice" in mistake("pretraining.iterations={choices=[100, 100]}")


def test_every_objective_goes_with_either_variant():
    for objective in SCORES:
        assert study("variant=authors", f"objective={objective}").variant == "authors"


def test_the_first_objective_is_the_score_that_chooses():
    assert (study().objectives, study().score) == (("l2",), "l2")
    several = study("objective=['imdb', 'accuracy', 'l2']")
    assert (several.objectives, several.score) == (("imdb", "accuracy", "l2"), "imdb")
    assert parse(several.settings()) == several


def test_the_distance_may_be_any_of_the_objectives():
    assert study("objective=['imdb', 'l2']", "reference=random").reference == "random"
    assert 'objective = ["imdb", "accuracy"]' in mistake("objective=['imdb', 'accuracy']", "reference=random")
    assert study("objective=['imdb', 'l2']", "aggregate=mean_vector", "search.draw=per_layer").score == "imdb"


def test_cmaes_takes_one_objective():
    assert study("search.sampler=cmaes", "objective=imdb").search.sampler == "cmaes"
    assert mistake("search.sampler=cmaes", "objective=['l2', 'imdb']") == (
        'search.sampler = "cmaes" takes one objective, but objective = ["l2", "imdb"]; set it to "nsga2" or "tpe"'
    )


def test_accuracy_is_no_objective_of_a_study_that_trains_nothing():
    assert mistake("warmup.iterations=0", "objective=['l2', 'accuracy']") == (
        'objective = ["l2", "accuracy"]: accuracy is measured in the warm-up, but warmup.iterations = 0; set it above 0'
    )
    assert study("warmup.iterations=0", "objective=['l2', 'imdb']").objectives == ("l2", "imdb")


def test_what_layers_do_not_add_up_to_cannot_be_composed_layer_by_layer():
    message = mistake("search.draw=per_layer", "aggregate=mean_vector")
    assert 'search.draw = "per_layer"' in message
    assert 'aggregate = "sum"' in message
    for objective in SCORES:
        assert study("search.draw=per_layer", f"objective={objective}").objective == objective
    assert study("search.draw=per_layer", "reference=random").search.draw == "per_layer"


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_missing_setting_is_named_and_explained(missing):
    settings = {key: value for key, value in REQUIRED.items() if key != missing}
    with pytest.raises(ConfigError) as caught:
        parse(settings)
    message = str(caught.value)
    assert message == f"the setting '{missing}' is missing: {Study.model_fields[missing].description}"


def test_a_mistake_is_the_users():
    assert issubclass(ConfigError, InputError)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"model = resnet20", ["not valid TOML", "line 1"]),
        (b"\xff\xfe\x00", ["cannot read", "text"]),
        (b'model = "r\xf6"', ["cannot read", "save it as UTF-8"]),
        (b"", ["the setting 'model' is missing"]),
        (b"seed = " + 5000 * b"9", ["not valid TOML", "5000 digits"]),
        (b"seed = " + 5000 * b"[", ["not valid TOML", "recursion"]),
    ],
)
def test_a_study_file_that_cannot_be_read_is_named(tmp_path, content, parts):
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_study(str(file))
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ([str(file)] if content else []) + parts)


def test_a_folder_is_no_study_file(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot read the study file .*folder.toml': Is a directory"):
        load_study(str(tmp_path / "folder.toml"))


MINE = b'model = "digits_cnn"\ndata = "digits"\nsparsity = 0.9\n'


@pytest.mark.parametrize("name", ["mine.toml", "mine.TOML"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_study_file_may_have_a_byte_order_mark_and_a_loud_name(tmp_path, name, mark):
    (tmp_path / name).write_bytes(mark + MINE)
    assert load_study(str(tmp_path / name)).sparsity == 0.9


def give_on_stdin(monkeypatch, content: bytes) -> str:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    return "-"


def give_in_a_pipe(monkeypatch, content: bytes) -> str:
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    return f"/dev/fd/{reader}"


@pytest.mark.parametrize("give", [give_on_stdin, give_in_a_pipe])
def test_a_study_that_can_be_read_once_is_kept_for_those_who_read_it_again(tmp_path, monkeypatch, give):
    name = give(monkeypatch, MINE)
    assert names_file(name) and is_stream(name)
    kept = keep_study(name, ["seed=4"], Home(tmp_path / "runs"))
    assert load_study(kept, ["seed=4"]) == study("sparsity=0.9", "seed=4")
    # It may hold a password.
    assert Path(kept).stat().st_mode & 0o077 == 0
    assert not is_stream(kept)
    # The same again is the same file.
    assert keep_study(give(monkeypatch, MINE), [], Home(tmp_path / "runs")) == kept


def test_a_wrong_study_on_stdin_is_not_kept(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="the setting 'model' is missing"):
        keep_study(give_on_stdin(monkeypatch, b"sparsity = 0.9"), [], Home(tmp_path / "runs"))
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match="stdin, which is closed"):
        keep_study("-", [], Home(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("value", ["1\nmodel='resnet20'", 5000 * "9", 5000 * "["], ids=["lines", "digits", "deep"])
def test_an_override_is_one_value_however_odd(value):
    assert mistake(f"seed={value}").startswith(f"seed = {value!r}: ")


def test_a_study_that_does_not_exist_gets_the_nearest_name(tmp_path):
    with pytest.raises(ConfigError, match="unknown study 'digit', did you mean \"digits\"[?]; give a .toml file or .*"):
        load_study("digit")
    with pytest.raises(ConfigError, match="no study file .*nowhere.toml'; the bundled studies are .*digits"):
        load_study(str(Path(tmp_path) / "nowhere.toml"))


def test_settings_cannot_be_changed_after_they_are_checked():
    with pytest.raises(ValueError, match="frozen"):
        study().seed = 3


def test_each_sparsity_and_each_replicate_is_the_study_that_it_would_be_alone():
    family = study("sparsity=[0.9, 0, 0.98]", "seed=4", "replicates=2").members()
    assert [(one.sparsity, one.seed) for one in family] == [(x, seed) for x in (0.9, 0, 0.98) for seed in (4, 5)]
    assert [one.id for one in family] == [study(f"sparsity={one.sparsity}", f"seed={one.seed}").id for one in family]
    assert all(one.members() == [one] for one in family)


def test_a_study_of_one_sparsity_and_one_replicate_is_its_only_member():
    single = study()
    assert single.members() == [single]


def test_replicates_whose_seeds_are_too_large_are_refused():
    with pytest.raises(ConfigError, match=r"replicates = 2 with seed = 9223372036854775807: seeds end at"):
        study("replicates=2", f"seed={2**63 - 1}")
    assert [one.seed for one in study("replicates=2", f"seed={2**63 - 2}").members()] == [2**63 - 2, 2**63 - 1]


SEARCHED = [
    "training.learning_rate={low=0.01, high=1.0, log=true}",
    "training.momentum={low=0.5, high=0.9}",
    "training.batch_size={choices=[64, 32]}",
]


def test_searched_settings_are_those_given_as_tables():
    assert set(study(*SEARCHED).training.searched()) == {"learning_rate", "momentum", "batch_size"}
    assert study().training.searched() == {}
    assert set(study().search.searched()) == {"temperature"}


def test_the_recipe_is_the_fixed_settings_and_the_proposed_ones():
    proposed = {"learning_rate": 0.2, "momentum": 0.6, "batch_size": 32}
    recipe = study(*SEARCHED, "training.weight_decay=0.001").training.recipe(proposed)
    assert recipe == Recipe(learning_rate=0.2, momentum=0.6, batch_size=32, weight_decay=0.001)
    assert study().training.recipe() == Recipe()


def _fields(section: type[Section], prefix: str = "") -> list[str]:
    names = []
    for name, field in section.model_fields.items():
        nested = isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        names += _fields(field.annotation, f"{name}.") if nested else [prefix + name]
    return names


def test_the_help_lists_every_setting_once_with_its_default():
    lines = [line for line in describe_settings() if line.startswith("  ")]
    assert [line.strip().split(":")[0] for line in lines] == _fields(Study)
    assert all(line.count("default ") == 1 or line.endswith("required)") for line in lines)
    assert any(
        line.endswith('(uniform | er | erk | igq | lamp | global | module:function; default "erk")') for line in lines
    )
    assert [line.split(":")[0].strip() for line in lines if line.endswith("required)")] == ["model", "data", "sparsity"]
    by_name = {line.strip().split(":")[0]: line for line in lines}
    assert "(default { low = 0.05, high = 2.0, log = true })" in by_name["search.temperature"]
    assert "(default none)" in by_name["tracking.mlflow"]
    assert "(default 100)" in by_name["search.trials"]
    assert by_name["objective"].endswith(' | learned | module:Class; default "l2")')
    assert all(f" {name} |" in by_name["objective"].replace("(", " ") for name in SCORES)


def test_losses_of_different_rules_and_smoothing_are_not_compared():
    assert "training.mask" in mistake("warmup.metric=training_loss", "training.mask={choices=['fixed','gradual']}")
    searched = "training.label_smoothing={low=0.0,high=0.2}"
    assert "label_smoothing" in mistake("warmup.metric=training_loss", searched)
    assert study("warmup.metric=training_loss", "training.label_smoothing=0.1").warmup.metric == "training_loss"
    assert study(searched).warmup.metric == "accuracy"


def test_the_learned_score_is_composed_per_layer_only_where_all_that_it_combines_adds_up():
    per_layer = ("search.draw=per_layer", "objective=['learned','l2']")
    assert study(*per_layer).score == "learned"
    assert "aggregate" in mistake(*per_layer, "aggregate=mean_vector")


PATTERN = ("search.pattern=2:4", "sparsity=0.5")


@pytest.mark.parametrize(("pattern", "sparsity"), [("2:4", 0.5), ("1:4", 0.75), ("1:3", 0.667), ("2:3", 0.3333)])
def test_a_pattern_goes_with_the_sparsity_that_it_has(pattern, sparsity):
    chosen = study(f"search.pattern={pattern}", f"sparsity={sparsity}")
    assert (chosen.search.pattern, chosen.search.steered) == (pattern, "none")
    assert (study().search.pattern, study().search.steered) == (None, "layer")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["search.pattern=2:4"], "removes 2 of every 4 weights; set sparsity = 0.5, or another pattern"),
        (["search.pattern=1:3", "sparsity=0.66"], "set sparsity = 0.6667"),
        (["search.pattern=2:4", "sparsity=[0.5, 0.75]"], "sparsity = 0.75"),
        (["search.pattern=4:2", "sparsity=0.5"], '"4:2" is no pattern N:M'),
        (["search.pattern=half"], '"half" is no pattern N:M'),
        ([*PATTERN, "guard.repair=true"], "guard.repair = true moves weights from group to group"),
        ([*PATTERN, "training.mask=rigl"], 'set training.mask = "fixed"'),
        ([*PATTERN, "training.mask={ choices = ['fixed', 'set'] }"], 'training.mask = "set" changes a mask'),
        ([*PATTERN, "search.allocation={ choices = ['erk', 'er'] }"], "allocations cannot be searched"),
    ],
)
def test_what_would_break_a_pattern_is_refused_in_one_line(overrides, told):
    assert told in mistake(*overrides)
