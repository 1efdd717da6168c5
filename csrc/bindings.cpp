// The Python module knotwork.kernels._compiled. Arrays come as addresses (int) of contiguous CPU memory, because
// exchanging tensors through DLPack costs more than the arithmetic of a small network: kernels/compiled.py, the only
// caller, checks shapes, types and devices before.
#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <string>
#include <vector>

#include "basis.hpp"
#include "kernels.hpp"

namespace nb = nanobind;
using namespace knotwork;

template <class T>
T* array(std::uintptr_t address) {
    return reinterpret_cast<T*>(address);
}

template <class T, int K = 0>
void basis_of_order(int k, Shape shape, int derivative, bool fade, const T* x, const T* knots, T* out, T* slopes) {
    if (k == K) return basis<T, K>(shape, derivative, fade, x, knots, out, slopes);
    if constexpr (K < highest_order) basis_of_order<T, K + 1>(k, shape, derivative, fade, x, knots, out, slopes);
}

template <class T>
void call_basis(Index batch, Index in, Index n_knots, int k, int derivative, bool fade, std::uintptr_t x,
                std::uintptr_t knots, std::uintptr_t out, std::uintptr_t slopes) {
    nb::gil_scoped_release free;
    basis_of_order<T>(k, {batch, in, n_knots}, derivative, fade, array<const T>(x), array<const T>(knots),
                      array<T>(out), array<T>(slopes));
}

template <class T>
bool call_inside_grid(Index batch, Index in, Index n_knots, int k, std::uintptr_t x, std::uintptr_t knots) {
    nb::gil_scoped_release free;
    return inside_grid<T>({batch, in, n_knots}, k, array<const T>(x), array<const T>(knots));
}

// The best kernels that this machine can run, or those that `choose` named.
template <class T>
const Kernels<T>* chosen = nullptr;

bool choose(const std::string& name) {
#ifdef KNOTWORK_X86
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (avx512 && (name == "avx512" || name == "best")) {
        chosen<float> = &kernels_avx512<float>();
        chosen<double> = &kernels_avx512<double>();
        return true;
    }
    if (avx2 && (name == "avx2" || name == "best")) {
        chosen<float> = &kernels_avx2<float>();
        chosen<double> = &kernels_avx2<double>();
        return true;
    }
#endif
    if (name != "baseline" && name != "best") return false;
    chosen<float> = &kernels_baseline<float>();
    chosen<double> = &kernels_baseline<double>();
    return true;
}

template <class T>
Layer<T> layer_of(Index in, Index out, Index grid, int k, bool fade, int base, std::uintptr_t coefficients,
                  std::uintptr_t base_weights, std::uintptr_t knots) {
    return {in, out, grid, k, fade, Base(base), array<const T>(coefficients), array<const T>(base_weights), array<const T>(knots)};
}

template <class T>
Index plan_bytes(Index batch, Index in) {
    return Plan<T>(batch).bytes(in);
}

template <class T>
void call_forward(Index batch, Index in, Index out, Index grid, int k, bool fade, int base, std::uintptr_t coefficients,
                  std::uintptr_t base_weights, std::uintptr_t knots, std::uintptr_t plan_memory, std::uintptr_t x,
                  std::uintptr_t scale, int derivative, std::uintptr_t y, int threads) {
    nb::gil_scoped_release free;
    const Layer<T> layer = layer_of<T>(in, out, grid, k, fade, base, coefficients, base_weights, knots);
    Plan<T> plan(batch);
    if (plan_memory) plan.place(array<void>(plan_memory), in);
    chosen<T>->forward(layer, plan, array<const T>(x), array<const T>(scale), derivative, array<T>(y), threads);
}

template <class T>
void call_backward(Index batch, Index in, Index out, Index grid, int k, bool fade, int base, std::uintptr_t coefficients,
                   std::uintptr_t base_weights, std::uintptr_t knots, std::uintptr_t plan_memory, std::uintptr_t scale,
                   int derivative, std::uintptr_t gradient, std::uintptr_t by_x, std::uintptr_t by_scale,
                   std::uintptr_t by_coefficients, std::uintptr_t by_base, int threads) {
    nb::gil_scoped_release free;
    const Layer<T> layer = layer_of<T>(in, out, grid, k, fade, base, coefficients, base_weights, knots);
    Plan<T> plan(batch);
    plan.place(array<void>(plan_memory), in);
    chosen<T>->backward(layer, plan, array<const T>(scale), derivative, array<const T>(gradient),
                        {array<T>(by_x), array<T>(by_scale), array<T>(by_coefficients), array<T>(by_base)}, threads);
}

template <class T>
void call_series(Index batch, Index in, Index out, Index grid, int k, bool fade, int base, std::uintptr_t coefficients,
                 std::uintptr_t base_weights, std::uintptr_t knots, std::uintptr_t x, const std::vector<std::int32_t>& derivatives,
                 std::uintptr_t scales, std::uintptr_t y) {
    nb::gil_scoped_release free;
    const Layer<T> layer = layer_of<T>(in, out, grid, k, fade, base, coefficients, base_weights, knots);
    chosen<T>->series(layer, batch, array<const T>(x), {Index(derivatives.size()), derivatives.data(), array<const T>(scales)}, array<T>(y));
}

template <class T>
void call_series_backward(Index batch, Index in, Index out, Index grid, int k, bool fade, int base, std::uintptr_t coefficients,
                          std::uintptr_t base_weights, std::uintptr_t knots, std::uintptr_t x,
                          const std::vector<std::int32_t>& derivatives, std::uintptr_t scales, std::uintptr_t gradient,
                          std::uintptr_t by_x, std::uintptr_t by_scales, std::uintptr_t by_coefficients, std::uintptr_t by_base) {
    nb::gil_scoped_release free;
    const Layer<T> layer = layer_of<T>(in, out, grid, k, fade, base, coefficients, base_weights, knots);
    chosen<T>->series_backward(layer, batch, array<const T>(x),
                               {Index(derivatives.size()), derivatives.data(), array<const T>(scales)}, array<const T>(gradient),
                               array<T>(by_x), array<T>(by_scales), array<T>(by_coefficients), array<T>(by_base));
}

// One row of numbers a layer: in, out, grid, k, fade, base, the addresses of its arrays, sums and products behind it.
template <class T>
struct Given {
    std::vector<Layer<T>> layers;
    std::vector<Nodes> nodes;
    Network<T> network;

    Given(const std::vector<std::vector<std::uintptr_t>>& rows, Index arity) {
        for (const auto& r : rows) {
            layers.push_back(layer_of<T>(Index(r[0]), Index(r[1]), Index(r[2]), int(r[3]), r[4] != 0, int(r[5]), r[6], r[7], r[8]));
            nodes.push_back({Index(r[9]), Index(r[10])});
        }
        network = {Index(layers.size()), arity, layers.data(), nodes.data()};
    }
};

using Rows = std::vector<std::vector<std::uintptr_t>>;

template <class T>
void call_outputs(const Rows& layers, Index arity, Index batch, std::uintptr_t x, std::uintptr_t found, std::uintptr_t sums,
                  int threads) {
    nb::gil_scoped_release free;
    chosen<T>->outputs(Given<T>(layers, arity).network, batch, array<const T>(x), array<T>(found), array<T>(sums), threads);
}

template <class T>
double call_loss(const Rows& layers, Index arity, Index batch, std::uintptr_t x, std::uintptr_t y, std::uintptr_t gradient, int threads) {
    nb::gil_scoped_release free;
    return chosen<T>->loss(Given<T>(layers, arity).network, batch, array<const T>(x), array<const T>(y), array<T>(gradient), threads);
}

template <class T>
void call_jacobian(const Rows& layers, Index arity, Index batch, std::uintptr_t x, std::uintptr_t outputs, std::uintptr_t derivatives) {
    nb::gil_scoped_release free;
    chosen<T>->jacobian(Given<T>(layers, arity).network, batch, array<const T>(x), array<T>(outputs), array<T>(derivatives));
}

template <class T>
void call_normal_equations(const Rows& layers, Index arity, Index batch, std::uintptr_t x, Index count,
                           std::uintptr_t directions, std::uintptr_t residuals, std::uintptr_t matrix, std::uintptr_t vector,
                           int threads) {
    nb::gil_scoped_release free;
    chosen<T>->normal_equations(Given<T>(layers, arity).network, batch, array<const T>(x), count, array<const T>(directions),
                                array<const T>(residuals), array<T>(matrix), array<T>(vector), threads);
}

NB_MODULE(_compiled, m) {
    choose("best");
    m.attr("HIGHEST_DERIVATIVE") = highest_derivative;
    m.def("choose", [](const char* name) { return choose(name); });
    m.def("instruction_set", [] { return chosen<double>->name; });
    m.def("peak_float32", [] { return chosen<float>->peak(); });
    m.def("peak_float64", [] { return chosen<double>->peak(); });
    m.def("plan_bytes_float32", plan_bytes<float>);
    m.def("plan_bytes_float64", plan_bytes<double>);
    m.def("forward_float32", call_forward<float>);
    m.def("forward_float64", call_forward<double>);
    m.def("backward_float32", call_backward<float>);
    m.def("backward_float64", call_backward<double>);
    m.def("series_float32", call_series<float>);
    m.def("series_float64", call_series<double>);
    m.def("series_backward_float32", call_series_backward<float>);
    m.def("series_backward_float64", call_series_backward<double>);
    m.def("outputs_float32", call_outputs<float>);
    m.def("outputs_float64", call_outputs<double>);
    m.def("loss_float32", call_loss<float>);
    m.def("loss_float64", call_loss<double>);
    m.def("jacobian_float32", call_jacobian<float>);
    m.def("jacobian_float64", call_jacobian<double>);
    m.def("normal_equations_float32", call_normal_equations<float>);
    m.def("normal_equations_float64", call_normal_equations<double>);
    m.attr("HIGHEST_ORDER") = highest_order;
    m.def("basis_float32", call_basis<float>);
    m.def("basis_float64", call_basis<double>);
    m.def("inside_grid_float32", call_inside_grid<float>);
    m.def("inside_grid_float64", call_inside_grid<double>);
}
