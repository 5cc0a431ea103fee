"""Every name under which something is reported, recorded or kept: no other module spells one."""

import re


class Metric:
    """MLflow metrics, and the keys of what a trial reports."""

    OBJECTIVE = "spectral/objective"
    DEFINED_LAYERS = "spectral/defined_layers"
    LAYER_DENSITY = "spectral/layer_density"
    Z_DISTANCE = "spectral/z_l2"
    SPARSITY = "sparsity/global"
    EFFECTIVE_SPARSITY = "sparsity/effective"
    DEAD_CHANNELS = "guard/dead_channels"
    EMPTY_CHANNELS = "guard/empty_channels"
    SHORTCUT_COVERAGE = "guard/shortcut_coverage"
    ACCURACY = "accuracy/val"
    """Validation accuracy in the course of the warm-up."""
    ACCURACY_WARMUP = "accuracy/warmup"
    """Last validation accuracy of the warm-up."""
    ACCURACY_VAL_FINAL = "accuracy/val_final"
    """Validation accuracy of the full training."""
    ACCURACY_FINAL = "accuracy/final"
    """Test accuracy after the full training."""
    ITERATIONS = "training/iterations"
    LOSS = "training/loss"
    COST = "cost/iterations"
    """All optimizer steps that a result needed, from the initial weights on, whoever ran them."""
    COST_SEARCH = "cost/search"
    """All optimizer steps that a study ran."""
    AUDIT_TRAININGS = "audit/trainings"
    """Masks whose accuracies the audit compares."""
    GATE_BENEFIT = "audit/gate_benefit"
    """Mean accuracy of the masks that passed the gate less that of its control group."""
    GATE_BENEFIT_ERROR = "audit/gate_benefit_error"

    #: What begins the name of a metric that a trial reports of its best candidate.
    SPECTRAL, SCORES, SPARSITIES, GUARDS, COSTS = "spectral/", "score/", "sparsity/", "guard/", "cost/"
    #: The same of what trainings came to.
    ACCURACIES = "accuracy/"

    _WITHOUT_SPECTRUM = ("log_density", "live_channels", "kept_magnitude", "learned")

    @classmethod
    def score(cls, name: str) -> str:
        """Return the metric of the score called `name`."""
        return f"{cls.SCORES if name in cls._WITHOUT_SPECTRUM else cls.SPECTRAL}{name}"

    @classmethod
    def cost(cls, name: str) -> str:
        """Return the metric of what a network costs under a mask, by a field of `models.cost.LayerCost`."""
        return f"{cls.COSTS}{name}"

    @staticmethod
    def coordinate(name: str) -> str:
        """Return the metric of a value of the coordinate in the course of a full training."""
        return f"coordinate/{name}"

    @staticmethod
    def rho(score: str) -> str:
        """Return the metric of the rank correlation of a score with accuracy."""
        return f"audit/rho_{score}"

    @staticmethod
    def rho_given(score: str, control: str) -> str:
        """Return the metric of the partial rank correlation of a score with accuracy, given the score `control`."""
        return f"audit/rho_{score}_given_{control}"

    @staticmethod
    def rho_within_sources(score: str) -> str:
        """Return the metric of the rank correlation of a score with accuracy within the masks of one source."""
        return f"audit/rho_{score}_within_sources"

    @staticmethod
    def gain(score: str) -> str:
        """Return the metric of the accuracy that a score would have won as the gate."""
        return f"audit/gain_{score}"

    @staticmethod
    def difference(baseline: str) -> str:
        """Return the metric of the accuracy of a checked mask less that of a baseline."""
        return f"check/{baseline}"


class Seconds:
    """Keys under which the ledger keeps how long a part of a trial took in its worker, in seconds."""

    SOURCE = "seconds/source"
    """The scores of its source, which other trials may share; or waiting for whoever computes them."""
    SCORING = "seconds/scoring"
    """Drawing, guarding and scoring its candidates."""
    TRAINING = "seconds/training"
    VALIDATION = "seconds/validation"


class Tag:
    """MLflow tags."""

    KEY = "fullspectrum.key"
    KIND = "fullspectrum.kind"
    STUDY = "fullspectrum.study"
    ATTEMPT = "fullspectrum.attempt"
    GATE = "fullspectrum.gate"
    MASK_DIGEST = "fullspectrum.mask_digest"
    OUTCOME = "fullspectrum.outcome"
    FINAL_OUTCOME = "fullspectrum.final_outcome"
    REASON = "fullspectrum.reason"
    OF = "fullspectrum.of"
    PARETO = "fullspectrum.pareto"
    ADAPTATIONS = "fullspectrum.adaptations"
    PRECISION = "fullspectrum.precision"
    SOURCE = "fullspectrum.source"
    RANK = "fullspectrum.rank"
    """Place on the leaderboard, from 1; of the first hundred."""
    BEST = "fullspectrum.best"
    """Of a search: the label of its best trial."""
    EXPORT = "fullspectrum.export"
    """Of a search: what `fullspectrum export` takes for its best mask."""
    VERDICT = "fullspectrum.verdict"
    """Of a search: whether its score can be trusted."""
    NOTE = "mlflow.note.content"
    RUN_NAME = "mlflow.runName"
    USER = "mlflow.user"
    PROGRAM = "mlflow.source.name"
    PROGRAM_KIND = "mlflow.source.type"
    PARENT = "mlflow.parentRunId"
    TABLES = "mlflow.loggedArtifacts"
    EXPERIMENT_KIND = "mlflow.experimentKind"
    DATA_USE = "mlflow.data.context"

    @staticmethod
    def view(key: str) -> str:
        """Return the tag of an experiment that holds a saved view of its runs, which an address names by `key`."""
        return f"mlflow.sharedViewState.{key}"


class Kind:
    """Values of the tag `fullspectrum.kind`."""

    STUDY, TRIAL, BASELINE, CHECK, MASK = "study", "trial", "baseline", "check", "mask"


class Param:
    """MLflow parameters."""

    SOURCE = "source"
    TEMPERATURE = "temperature"
    SEED = "seed"
    BATCH_SEED = "batch_seed"
    ALLOCATION = "allocation"
    MODEL = "model"
    DATA = "data"
    SPARSITY = "sparsity"
    OBJECTIVE = "objective"
    VARIANT = "variant"
    EPOCHS = "epochs"
    REPEAT = "repeat"
    INIT_SEED = "init_seed"
    PRETRAINING = "pretraining.iterations"
    ROUNDS = "rounds"
    ROUND_ITERATIONS = "round_iterations"
    WEIGHTS_DIGEST = "weights_digest"
    GROUP = "group"
    GROUP_REASON = "group_reason"

    @staticmethod
    def theta(group: str) -> str:
        """Return the parameter of the theta of a group of layers; letters that MLflow refuses are their code points.

        As a slash in the name of a layer: MLflow takes one, but no two in a row.
        """
        return "theta." + re.sub(r"[^\w.\- ]", lambda letter: f"-{ord(letter[0]):x}-", group)

    @staticmethod
    def setting(section: str, name: str) -> str:
        """Return the parameter of the setting `name` of [section]."""
        return f"{section}.{name}"


class Artifact:
    """Files of the record, and of a study's folder."""

    MASK = "mask.safetensors"
    END_MASK = "end_mask.safetensors"
    END_WEIGHTS = "end_weights.safetensors"
    CANDIDATES = "candidates.json"
    COORDINATE = "coordinate.json"
    COORDINATE_PICTURE = "coordinate.png"
    TRAJECTORY = "coordinate_over_time.png"
    INITIAL_WEIGHTS = "init.safetensors"
    STUDY = "study.json"
    ENVIRONMENT = "environment.json"
    NETWORK = "network.json"
    LEADERBOARD = "leaderboard.json"
    PARETO = "pareto.json"
    ACCURACY_PLOT = "accuracies.png"
    SCORE_PLOT = "scores.png"
    AUDIT = "audit.json"
    AUDIT_PICTURE = "audit.png"
    COST_PLOT = "cost.png"
    HISTORY_PLOT = "history.png"
    CURVE_PLOT = "curves.png"
    SPARSITY_PLOT = "sparsities.png"
    IMPORTANCE_PLOT = "importances.png"
    SLICE_PLOT = "slices.png"
    FAMILY_PLOT = "studies.png"
    REPORT = "report.html"
    LEADERBOARD_CSV = "leaderboard.csv"
    ERROR = "error.txt"
    CHECK = "check.json"
    WEIGHTS = "weights.safetensors"
    """Weights that a mask starts from, where they stand beside it."""
    RECIPE = "recipe.json"
    LOADING = "load.py"
    MODEL = "model"

    #: The folder of the best mask, its weights, its recipe and how they are loaded.
    BEST = "best"

    @staticmethod
    def pretrained_weights(iterations: int) -> str:
        """Return the file of the weights after so many dense iterations; of none, that of the initial weights."""
        return f"pretrained-{iterations}.safetensors" if iterations else Artifact.INITIAL_WEIGHTS


class Attribute:
    """Keys of a trial's user attributes in Optuna's studies."""

    NUMBER = "number"
    ATTEMPT = "attempt"
    SEED = "seed"
    DISTRIBUTION = "distribution"
    RANKING = "ranking"
    GROUP_REASON = "group_reason"
    TRAINING = "training"
    SCORED = "scored"
    END = "end"
    RESULT = "result"
    OUTCOME = "outcome"
    LOST = "lost"
    REACHED = "reached"
    LABEL = "label"
    ACCURACY_FINAL = "accuracy/final"

    #: What begins the key of a measurement; its iteration follows.
    MEASURED = "measured/"
    #: What begins the key of a block of MLflow run ids, an attribute of the study.
    RUNS = "mlflow/"
