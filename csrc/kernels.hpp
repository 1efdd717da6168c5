// What the compiled kernels offer, for arrays of float and of double. Every instruction set has its own table of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace knotwork {

using Index = std::ptrdiff_t;

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

// Where the samples of one call lie in their grids. It depends on samples and knots alone, so that every product and
// derivative at these samples can use it again. Samples are cut into blocks; see layer.hpp.
template <class T>
struct Plan {
    Index batch, block, blocks, buckets;
    T* samples;             // [in][batch], sorted by interval within each block
    std::int32_t* order;    // [in][batch], row of each in its block
    std::uint16_t* starts;  // [blocks][in][buckets + 1]

    // Memory is one piece, `bytes` long; `in` columns.
    static Plan shape(const Layer<T>& layer, Index batch) {
        const Index intervals = layer.fade ? layer.grid + 2 * layer.k : layer.grid;
        // Enough samples an interval to pay for fetching its rows; few enough that a tile of outputs stays in L1 cache.
        const Index largest = intervals <= 10 ? 128 : intervals <= 128 ? (16 * intervals + 127) / 128 * 128 : 2048;
        const Index blocks = batch > largest ? (batch + largest - 1) / largest : 1;
        const Index block = ((batch + blocks - 1) / blocks + 15) / 16 * 16;
        return {batch, block, blocks, intervals + 3, nullptr, nullptr, nullptr};
    }
    static constexpr Index padding = 64;  // elements that whole vectors may touch behind the last
    Index bytes(Index in) const {
        return Index(sizeof(T) + 4) * (in * batch + padding) + 2 * blocks * in * (buckets + 1);
    }
    void place(void* memory, Index in) {
        samples = static_cast<T*>(memory);
        order = reinterpret_cast<std::int32_t*>(samples + in * batch + padding);
        starts = reinterpret_cast<std::uint16_t*>(order + in * batch + padding);
    }
};

// What a backward call writes; null is not wanted. by_x and by_scale hold d/dx (one derivative more) and the plain
// product, [batch][in]; by_coefficients and by_base are shaped like the layer's.
template <class T>
struct Gradients {
    T *by_x, *by_scale, *by_coefficients, *by_base;
};

template <class T>
struct Kernels {
    // y[n, o] = Σ_i scale[n, i] φ_io^(derivative)(x[n, i]); `scale` may be null. Fills the plan if x is not null.
    void (*forward)(const Layer<T>&, Plan<T>&, const T* x, const T* scale, int derivative, T* y, int threads);
    // Contractions of gradient [batch][out] with the derivatives of order `derivative`, at the samples of a plan.
    void (*backward)(const Layer<T>&, const Plan<T>&, const T* scale, int derivative, const T* gradient, Gradients<T>,
                     int threads);
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
