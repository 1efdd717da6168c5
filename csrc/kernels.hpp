// What the compiled kernels offer, for arrays of float and of double. Every instruction set has its own table of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace knotwork {

using Index = std::ptrdiff_t;

constexpr int highest_order = 7;        // of splines
constexpr int highest_derivative = 14;  // of a base function; those of a spline are zero beyond its order

enum class Base : int { zero, identity, silu, sine };

// The arrays of one KAN layer, contiguous: coefficients [in][grid + k][out], base weights [in][out], knots
// [in][grid + 2k + 1]. With `fade` the splines fade to zero on the extended knots, else they go on as straight lines.
template <class T>
struct Layer {
    Index in, out, grid;
    int k;
    bool fade;
    Base base;
    const T *coefficients, *base_weights, *knots;
};

// The samples of one call and where they lie in their grids. It depends on samples and knots alone, so that every product
// and derivative at these samples can use it again.
template <class T>
struct Plan {
    static constexpr Index beyond = 64 / Index(sizeof(T));  // the longest vector: what may be written behind a row
    Index batch, row;                     // samples, and they with what lies beyond
    T* samples = nullptr;                 // [in][row]; null: not to be used again
    std::uint16_t* intervals = nullptr;   // [in][row], that of each sample
    T* kept = nullptr;                    // if set: functions, base, shares and the base's slope, [in][2k + 3][row], for backward calls

    explicit Plan(Index batch) : batch(batch), row((batch + 15) / 16 * 16 + beyond) {}
    Index bytes(Index in) const { return Index(sizeof(T) + 2) * in * row; }
    Index kept_size(const Layer<T>& layer) const { return layer.in * row * (2 * layer.k + 3); }
    void place(void* memory, Index in) {
        samples = static_cast<T*>(memory);
        intervals = reinterpret_cast<std::uint16_t*>(samples + in * row);
    }
    Index at(Index input) const { return input * row; }
};

// What a backward call writes; null is not wanted. by_x and by_scale hold d/dx (one derivative more) and the plain
// product, [batch][in]; by_coefficients and by_base are shaped like the layer's.
template <class T>
struct Gradients {
    T *by_x, *by_scale, *by_coefficients, *by_base;
};

// The nodes behind a layer: its first sums as they are, then products of `arity` sums each.
struct Nodes {
    Index sums, products;
};

// A whole network of splines. Its parameters in one row: layer by layer the coefficients, then the base weights.
template <class T>
struct Network {
    Index depth, arity;
    const Layer<T>* layers;
    const Nodes* nodes;  // behind each layer

    Index outputs(Index l) const { return nodes[l].sums + nodes[l].products; }
    Index size(Index l) const { return layers[l].in * (layers[l].grid + layers[l].k + 1) * layers[l].out; }
    Index parameters() const {
        Index total = 0;
        for (Index l = 0; l < depth; ++l) total += size(l);
        return total;
    }
};

// Which derivatives at the same samples are summed: row 0 is the plain sum, row q that of derivatives[q], scaled by
// scales[q - 1], which is [batch][in].
template <class T>
struct Series {
    Index count;
    const std::int32_t* derivatives;
    const T* scales;

    int highest() const {
        int most = 0;
        for (Index q = 0; q < count; ++q) most = derivatives[q] > most ? derivatives[q] : most;
        return most;
    }
};

template <class T>
struct Kernels {
    // y[n, o] = Σ_i scale[n, i] φ_io^(derivative)(x[n, i]); `scale` may be null. Fills the plan's
    // memory, if it has any; without x it is filled already.
    void (*forward)(const Layer<T>&, const Plan<T>&, const T* x, const T* scale, int derivative, T* y, int threads);
    // Contractions of gradient [batch][out] with the derivatives of order `derivative`, at the samples of a plan.
    void (*backward)(const Layer<T>&, const Plan<T>&, const T* scale, int derivative, const T* gradient, Gradients<T>,
                     int threads);
    // y[q, n, o] = Σ_i scales[q - 1, n, i] φ_io^(derivatives[q])(x[n, i]), and the gradients of these sums for `gradient`,
    // shaped like y, by what is not null.
    void (*series)(const Layer<T>&, Index batch, const T* x, const Series<T>&, T* y);
    void (*series_backward)(const Layer<T>&, Index batch, const T* x, const Series<T>&, const T* gradient, T* by_x, T* by_scales,
                            T* by_coefficients, T* by_base);
    // Outputs [batch][out] of a network, or if `sums` is not null those of all its layers, [batch][out] one after another.
    void (*outputs)(const Network<T>&, Index batch, const T* x, T* outputs, T* sums, int threads);
    // The mean squared error of a network and its gradient (null: not wanted) by all parameters.
    double (*loss)(const Network<T>&, Index batch, const T* x, const T* y, T* gradient, int threads);
    // Outputs [batch][out] and their derivatives [batch][out][parameters].
    void (*jacobian)(const Network<T>&, Index batch, const T* x, T* outputs, T* derivatives);
    // JᵀJ (row-major, both triangles) and Jᵀr for `rows` residuals r [batch][rows] a sample, whose derivatives by the
    // outputs are directions [batch][rows][out]; null: one an output, of derivative one.
    void (*normal_equations)(const Network<T>&, Index batch, const T* x, Index rows, const T* directions,
                             const T* residuals, T* matrix, T* vector, int threads);
    double (*peak)();  // GFLOP/s of multiply-adds in registers
    const char* name;
};

template <class T>
const Kernels<T>& kernels_baseline();
template <class T>
const Kernels<T>& kernels_avx2();
template <class T>
const Kernels<T>& kernels_avx512();

}  // namespace knotwork
