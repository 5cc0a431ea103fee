"""The registry of file formats; a new one is a file of its own and a line here. Nothing of one is imported here."""

from ..registry import Registry

#: Each is a `Format`. A file of torch.save is taken for the first that recognises it.
FORMATS = Registry(
    "format",
    __package__,
    {
        "fullspectrum": ".fullspectrum:Fullspectrum",
        "torch-prune": ".torch_prune:TorchPrune",
        "synaptic-flow": ".synaptic_flow:SynapticFlow",
        "modelopt": ".modelopt:ModelOpt",
        "csr": ".csr:CSR",
        "onnx": ".onnx:ONNX",
        "open-lth": ".open_lth:OpenLTH",
        "ramanujan": ".ramanujan:Ramanujan",
        "itop": ".itop:ITOP",
        "rigl-torch": ".rigl_torch:RigLTorch",
        "nni": ".nni:NNI",
        "state-dict": ".state_dict:StateDict",
    },
    users="module:Class",
)
