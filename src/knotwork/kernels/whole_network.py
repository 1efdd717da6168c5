"""A whole network of splines in one C++ call: `reference.Network`, compiled."""

from collections.abc import Sequence

import torch
from torch import Tensor

from knotwork.kernels.calls import BASE_NUMBERS, FUNCTIONS
from knotwork.kernels.reference import LayerArrays
from knotwork.kernels.settings import KERNELS


class CompiledNetwork:
    """`reference.Network` over C++."""

    def __init__(self, layers: Sequence[LayerArrays], arity: int) -> None:
        self.arity, self._functions = arity, FUNCTIONS[layers[0].coefficients.dtype]
        self._kept = [  # the C++ has only their addresses
            (la.coefficients.contiguous(), la.base_weights.contiguous(), la.knots.contiguous()) for la in layers
        ]
        self._rows = [
            [
                *c.shape[::2],
                t.shape[1] - 2 * la.k - 1,
                la.k,
                la.extrapolation == "zero",
                BASE_NUMBERS[la.base],
                c.data_ptr(),
                b.data_ptr(),
                t.data_ptr(),
                la.sums,
                la.products,
            ]
            for la, (c, b, t) in zip(layers, self._kept, strict=True)
        ]
        self.size = sum(c.numel() + b.numel() for c, b, _ in self._kept)
        self._entries_of_a_row = sum(b.numel() * (la.k + 2) for la, (_, b, _) in zip(layers, self._kept, strict=True))
        self._outputs = layers[-1].sums + layers[-1].products
        self._widths = [b.shape[1] for _, b, _ in self._kept]

    def values(self, x: Tensor) -> Tensor:
        x = x.contiguous()
        found = x.new_empty(len(x), self._outputs)
        threads = torch.get_num_threads()
        self._functions.outputs(self._rows, self.arity, len(x), x.data_ptr(), found.data_ptr(), 0, threads)
        return found

    def sums(self, x: Tensor) -> list[Tensor]:
        x = x.contiguous()
        found = x.new_empty(len(x) * sum(self._widths))
        threads = torch.get_num_threads()
        self._functions.outputs(self._rows, self.arity, len(x), x.data_ptr(), 0, found.data_ptr(), threads)
        return [part.view(len(x), -1) for part in found.split([len(x) * width for width in self._widths])]

    def loss(self, x: Tensor, y: Tensor, gradient: bool = True) -> tuple[float, Tensor]:
        x, y = x.contiguous(), y.contiguous()
        found = x.new_empty(self.size if gradient else 0)
        address = found.data_ptr() if gradient else 0
        value = self._functions.loss(
            self._rows, self.arity, len(x), x.data_ptr(), y.data_ptr(), address, torch.get_num_threads()
        )
        return value, found

    def jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.contiguous()
        outputs = x.new_empty(len(x), self._outputs)
        derivatives = x.new_empty(len(x), self._outputs, self.size)
        self._functions.jacobian(
            self._rows, self.arity, len(x), x.data_ptr(), outputs.data_ptr(), derivatives.data_ptr()
        )
        return outputs, derivatives

    def normal_equations(self, x: Tensor, residuals: Tensor, directions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, residuals = x.contiguous(), residuals.contiguous()
        directions = None if directions is None else directions.contiguous()
        if self.size**2 < KERNELS.sparse_rows_factor * self._entries_of_a_row**2:
            return self._dense_normal_equations(x, residuals, directions)
        matrix, vector = x.new_empty(self.size, self.size), x.new_empty(self.size)
        self._functions.normal_equations(
            self._rows,
            self.arity,
            len(x),
            x.data_ptr(),
            residuals.shape[1],
            0 if directions is None else directions.data_ptr(),
            residuals.data_ptr(),
            matrix.data_ptr(),
            vector.data_ptr(),
            torch.get_num_threads(),
        )
        return matrix, vector

    def _dense_normal_equations(self, x: Tensor, residuals: Tensor, directions: Tensor | None) -> tuple[Tensor, Tensor]:
        """The same from dense rows of the Jacobian, a block of samples at a time."""
        matrix, vector = x.new_zeros(self.size, self.size), x.new_zeros(self.size)
        rows = max(1, KERNELS.dense_entries // (self.size * self._outputs))
        for at in range(0, len(x), rows):
            derivatives = self.jacobian(x[at : at + rows])[1]
            if directions is not None:
                derivatives = directions[at : at + rows] @ derivatives
            derivatives = derivatives.flatten(0, 1)
            matrix.addmm_(derivatives.T, derivatives)
            vector.addmv_(derivatives.T, residuals[at : at + rows].flatten())
        return matrix, vector
