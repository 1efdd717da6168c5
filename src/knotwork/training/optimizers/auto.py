"""The choice of an optimiser where none is specified."""

from dataclasses import dataclass, field

from torch import nn

from knotwork.data import Dataset, Stream, as_dataset
from knotwork.kernels.settings import KERNELS
from knotwork.model import FreeParameters, KANNetwork
from knotwork.training.objective import Objective
from knotwork.training.optimizers.adam import Adam
from knotwork.training.optimizers.lm import LevenbergMarquardt
from knotwork.training.optimizers.optimizer import Optimizer
from knotwork.training.row_samples import largest_sample
from knotwork.training.settings import TRAINING
from knotwork.training.standardization import device_of


@dataclass(frozen=True)
class Auto:
    """Second-order steps for a KAN where rows and parameters are few enough, else Adam."""

    second_order: LevenbergMarquardt = field(default_factory=LevenbergMarquardt)

    def choose(self, model: nn.Module, data: Dataset | Stream, objective: Objective) -> tuple[Optimizer, str]:
        """The optimiser, and why it was chosen."""
        if isinstance(data, Stream):
            return Adam(), "the rows come in batches"
        if not isinstance(model, KANNetwork):
            return Adam(), "this is not a KAN"
        if device_of(model).type == "mps":
            return Adam(), "second-order steps need float64, which Apple's GPUs do not have"
        if objective.likelihood is None:
            return Adam(), "the loss is a function that was passed"
        residuals, size = as_dataset(data).y_train.numel(), FreeParameters(model).size
        edges = sum(int(layer.active().sum()) for layer in model.layers)
        in_a_row = edges * (model.spec.k + 2)  # largest number of parameters that one row depends on
        curved = min(residuals, largest_sample(size) * as_dataset(data).n_outputs)
        products = curved * min(size**2, KERNELS.sparse_rows_factor * in_a_row**2)
        few = products <= TRAINING.most_products and size <= TRAINING.most_parameters
        how_many = "few enough" if few else "too many"
        why = f"{residuals} residuals and {size} parameters are {how_many} for second-order steps"
        return (self.second_order if few else Adam()), why
