// Vectors of the widest registers that the compiler is told to use, through the vector extensions of GCC and Clang: one
// source for AVX-512, AVX2, SSE2 and NEON. Included once an instruction set, inside a namespace of its own.
#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class T>
constexpr int lanes = vector_bytes / int(sizeof(T));

template <class T>
struct VectorOf {
    using Integer = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
    typedef T type __attribute__((vector_size(vector_bytes)));
    typedef Integer integers __attribute__((vector_size(vector_bytes)));
    typedef std::int32_t narrow __attribute__((vector_size(vector_bytes / sizeof(T) * 4)));
};

template <class T>
using Vec = typename VectorOf<T>::type;
template <class T>
using IntVec = typename VectorOf<T>::integers;

template <class T>
inline Vec<T> load(const T* at) {
    Vec<T> v;
    __builtin_memcpy(&v, at, sizeof v);
    return v;
}

template <class T>
inline void store(T* at, Vec<T> v) {
    __builtin_memcpy(at, &v, sizeof v);
}

// The first n values at `at`, zeros behind them.
template <class T>
inline Vec<T> load_some(const T* at, Index n) {
    if (n <= 0) return Vec<T>{};
    if (n >= lanes<T>) return load(at);
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), at);
    else return (Vec<T>)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), at);
#endif
    alignas(vector_bytes) T all[lanes<T>] = {};
    for (Index w = 0; w < n; ++w) all[w] = at[w];
    return load(all);
}

template <class T>
inline Vec<T> every(T value) {
    return value - Vec<T>{};
}

template <class T>
inline bool any(IntVec<T> mask) {
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#else
    std::int64_t words[vector_bytes / 8], all = 0;
    __builtin_memcpy(words, &mask, sizeof mask);
    for (std::int64_t word : words) all |= word;
    return all != 0;
#endif
}

// Sums of neighbours: (a0 + a1, a2 + a3, ..., b0 + b1, ...).
template <class T, std::size_t... w>
inline Vec<T> pair_sums(Vec<T> a, Vec<T> b, std::index_sequence<w...>) {
    return __builtin_shufflevector(a, b, int(2 * w)...) + __builtin_shufflevector(a, b, int(2 * w + 1)...);
}

// The sum over the lanes of each of as many vectors as there are lanes.
template <class T, int count = lanes<T>>
inline Vec<T> lane_sums(const T* rows) {
    if constexpr (count == 1) {
        return load(rows);
    } else {
        constexpr int half = count / 2;
        return pair_sums<T>(lane_sums<T, half>(rows), lane_sums<T, half>(rows + half * lanes<T>),
                            std::make_index_sequence<lanes<T>>{});
    }
}

// e^x to a few units in the last place: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2] (Cody and Waite's reduction).
// Below the range of T it is the smallest normal number's neighbourhood, above it is huge: enough for a sigmoid.
template <class T>
inline Vec<T> exponential(Vec<T> x) {
    using I = IntVec<T>;
    constexpr bool single = sizeof(T) == 4;
    const T limit = single ? T(87) : T(708);
    x = x < -limit ? every<T>(-limit) : x;  // a NaN stays a NaN
    x = x > limit ? every<T>(limit) : x;
    // Adding 1.5 * 2^mantissa rounds to a whole number and leaves it in the low bits.
    const T shift = single ? T(12582912.0) : T(6755399441055744.0);
    const Vec<T> shifted = x * T(1.4426950408889634074) + shift;
    const Vec<T> whole = shifted - shift;
    const T high = single ? T(0.693359375) : T(0.693147180369123816490);
    const T low = single ? T(-2.12194440054690583e-4) : T(1.90821492927058770002e-10);
    const Vec<T> r = (x - whole * high) - whole * low;
    constexpr int degree = single ? 7 : 13;
    Vec<T> sum = every<T>(T(1));
    for (int n = degree; n > 0; --n) sum = T(1) + sum * r * (T(1) / T(n));
    I bits;
    __builtin_memcpy(&bits, &shifted, sizeof bits);
    bits = bits << (single ? 23 : 52);  // the exponent's field: 2^whole as an integer added to the bits of `sum`
    I result;
    __builtin_memcpy(&result, &sum, sizeof result);
    result += bits;
    Vec<T> out;
    __builtin_memcpy(&out, &result, sizeof out);
    return x == x ? out : x;
}
