"""Study files and overrides that a user may write."""

#: What a sound study says; the odd one is put in front, behind, or in the place of a line.
SOUND = """\
model = "strange_networks:plain"
data = "strange_data:stripes"
sparsity = 0.5

[search]
trials = 2
samples_per_trial = 2
images_per_class = 3

[warmup]
iterations = 4
grace_period = 2
report_every = 2

[final]
top_k = 1
epochs = 1
"""


def _with(line: str, section: str = "") -> bytes:
    return (SOUND.replace(f"[{section}]\n", f"[{section}]\n{line}\n") if section else f"{line}\n{SOUND}").encode()


def _sparsity(value: str) -> bytes:
    return SOUND.replace("0.5", value).encode()


#: Study files by what is odd in them.
FILES: dict[str, bytes] = {
    "sound": SOUND.encode(),
    "empty": b"",
    "only a comment": b"# nothing\n",
    "byte order mark": b"\xef\xbb\xbf" + SOUND.encode(),
    "utf-16": SOUND.encode("utf-16"),
    "latin-1": b"# gr\xf6\xdfe\n" + SOUND.encode(),
    "carriage returns": SOUND.replace("\n", "\r\n").encode(),
    "old Mac": SOUND.replace("\n", "\r").encode(),
    "a null byte": SOUND.encode() + b"\x00",
    "binary": bytes(range(256)),
    "no TOML": b"model: digits_cnn\ndata: digits\n",
    "JSON": b'{"model": "digits_cnn"}',
    "unclosed string": b'model = "digits_cnn\n',
    "a key twice": _with("seed = 1\nseed = 2"),
    "a table twice": SOUND.encode() + b"\n[search]\ntrials = 3\n",
    "an unknown key": _with("sparcity = 0.5"),
    "an unknown table": SOUND.encode() + b"\n[wramup]\niterations = 1\n",
    "an unknown key in a table": _with("trails = 3", "search"),
    "an odd key": _with('"größe\\n[bold]" = 1'),
    "an empty key": _with('"" = 1'),
    "dotted keys": _with("gate.quantile = 1.0"),
    "an array of tables": SOUND.replace("[search]", "[[search]]").encode(),
    "a table for a value": _with("seed = { low = 1, high = 2 }"),
    "a value for a table": _with("gate = 3"),
    "a date": _sparsity("2024-05-01"),
    "a time": _with("seed = 07:32:00"),
    "nan": _sparsity("nan"),
    "inf": _sparsity("inf"),
    "minus zero": _sparsity("-0.0"),
    "minus one": _sparsity("-1"),
    "one": _sparsity("1.0"),
    "almost one": _sparsity("0.9999999999999999"),
    "denormal": _sparsity("5e-324"),
    "a huge integer": _with("seed = 99999999999999999999999999"),
    "a seed of 63 bits": _with("seed = 9223372036854775807"),
    "a huge number of digits": _with("seed = " + "9" * 5000),
    "deep nesting": _with("seed = " + "[" * 3000 + "]" * 3000),
    "a boolean": _sparsity("true"),
    "a string": _sparsity('"0.5"'),
    "no sparsities": _sparsity("[]"),
    "sparsities": _sparsity("[0.5, 0.7]"),
    "a sparsity twice": _sparsity("[0.5, 0.5]"),
    "mixed sparsities": _sparsity('[0.5, "a"]'),
    "nested sparsities": _sparsity("[[0.5]]"),
    "no model": SOUND.replace("model", "modell").encode(),
    "an empty model": SOUND.replace("strange_networks:plain", "").encode(),
    "a model of one colon": SOUND.replace("strange_networks:plain", ":").encode(),
    "a model of three parts": SOUND.replace("strange_networks:plain", "a:b:c").encode(),
    "a model by its path": SOUND.replace("strange_networks:plain", "./nets/n.py:f").encode(),
    "a relative module": SOUND.replace("strange_networks:plain", ".nets:f").encode(),
    "dots alone": SOUND.replace("strange_networks:plain", "...:f").encode(),
    "an odd module": SOUND.replace("strange_networks:plain", "größe [bold]:\\u0000f").encode(),
    "a module with an error": SOUND.replace("strange_networks:plain", "broken:f").encode(),
    "a module that exits": SOUND.replace("strange_networks:plain", "script:f").encode(),
    "an attribute of an attribute": SOUND.replace("networks:plain", "networks:Small.forward").encode(),
    "no data": SOUND.replace("strange_data:stripes", "imagefolder:").encode(),
    "a null character": SOUND.replace("strange_data:stripes", "imagefolder:\\u0000").encode(),
    "sources of nothing": _with("sources = []", "search"),
    "an unknown source": _with('sources = ["snipp"]', "search"),
    "a source file": _with('sources = ["file:absent.safetensors"]', "search"),
    "ascent from nothing": _with('sources = ["ascent:"]', "search"),
    "ascent from ascent": _with('sources = ["ascent:ascent:snip"]', "search"),
    "a source of one's own": _with('sources = ["strange_data:nothing"]', "search"),
    "an allocation of one's own": _with('allocation = "strange_data:nothing"', "search"),
    "a sampler of one's own": _with('sampler = "strange_data:nothing"', "search"),
    "a score of one's own": _with('objective = "strange_data:nothing"'),
    "a mask rule of one's own": SOUND.encode() + b'\n[training]\nmask = "strange_data:nothing"\n',
    "layers kept dense": _with('keep_dense = ["nosuch", "*", "[", ""]', "search"),
    "a huge number of trials": SOUND.replace("trials = 2", "trials = 100000000000000000000").encode(),
    "more floors than weights": _with("min_kept_per_output = 1e300", "search"),
    "images that are not there": SOUND.replace("images_per_class = 3", "images_per_class = 300").encode(),
    "a huge batch": SOUND.encode() + b"\n[training]\nbatch_size = 1000000000000\n",
    "a batch of one": SOUND.encode() + b"\n[training]\nbatch_size = 1\n",
    "a range turned around": SOUND.encode() + b"\n[training]\nlearning_rate = { low = 1.0, high = 0.1 }\n",
    "a range of choices": SOUND.encode() + b"\n[training]\nlearning_rate = { low = 0.1, choices = [1] }\n",
    "no choices": SOUND.encode() + b"\n[training]\nlearning_rate = { choices = [] }\n",
    "choices of lists": SOUND.encode() + b"\n[training]\nlearning_rate = { choices = [[1]] }\n",
    "an odd database": SOUND.encode() + b'\n[tracking]\nstorage = "nosuch://a b"\n',
    "no driver for a database": SOUND.encode() + b'\n[tracking]\nstorage = "mysql+nosuch://host/a"\n',
    "a database that is a folder": SOUND.encode() + b'\n[tracking]\nstorage = "sqlite:////tmp"\n',
    "an empty database": SOUND.encode() + b'\n[tracking]\nstorage = ""\n',
    "a port that is none": SOUND.encode() + b'\n[tracking]\nmlflow = "http://host:port/x"\n',
    "a server that is none": SOUND.encode() + b'\n[tracking]\nmlflow = "nosuch server"\n',
    "more cores than there are": SOUND.encode() + b"\n[resources]\ncpus = 100000000000\n",
    "a shortcut limit": SOUND.encode() + b"\n[guard]\nmin_shortcut_coverage = 1.0\n",
}

#: Overrides of a sound study.
OVERRIDES = (
    "",
    "=",
    "=1",
    "seed",
    "seed=",
    "seed= 3 ",
    "seed=3\nsparsity=0.2",
    "seed=three",
    "seed=1e400",
    "seed=-1",
    "seed=0x10",
    "seed=1_000",
    "seed=[1",
    'seed="',
    "seed.x=1",
    "seed=" + "9" * 5000,
    "search=1",
    "search={}",
    "search={trials=1}",
    "search.=1",
    ".search=1",
    "search..trials=1",
    "search.trials.x=1",
    "search.trials=nan",
    "search.trials=2024-01-01",
    "[search]",
    "größe=1",
    "model=",
    "model=lenet-300-100",
    "model=[]",
    "data=imagefolder:/",
    "sparsity=[0.5, 0.5]",
    "sparsity=[0.4,0.6]",
    "sparsity=0,5",
    "sparsity=50%",
    "gate=",
    "gate.quantile={low=0.1,high=1}",
    "training.learning_rate={low=0,high=1,log=true}",
    "training.learning_rate=inf",
    "training.milestones=[]",
    "resources.cpus=0",
    "resources.gpus=0.3",
    "faults.checkpoint_seconds=1e308",
    "tracking.mlflow=",
    "tracking.storage=sqlite://",
    "__class__=1",
)
