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
    typedef std::uint16_t narrow __attribute__((vector_size(vector_bytes / sizeof(T) * 2)));
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

// The first n lanes.
template <class T>
inline void store_some(T* at, Vec<T> v, Index n) {
    if (n <= 0) return;
    if (n >= lanes<T>) return store(at, v);
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return _mm512_mask_storeu_ps(at, __mmask16((1u << n) - 1), (__m512)v);
    else return _mm512_mask_storeu_pd(at, __mmask8((1u << n) - 1), (__m512d)v);
#endif
    alignas(vector_bytes) T all[lanes<T>];
    store(all, v);
    for (Index w = 0; w < n; ++w) at[w] = all[w];
}

template <class T>
inline Vec<T> every(T value) {
    return value - Vec<T>{};
}

// Whether some lane lies between two numbers.
template <class T>
inline bool any_between(T above, Vec<T> v, T below) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        const __mmask16 some = _mm512_cmp_ps_mask((__m512)v, _mm512_set1_ps(above), _CMP_GT_OQ);
        return _mm512_mask_cmp_ps_mask(some, (__m512)v, _mm512_set1_ps(below), _CMP_LT_OQ) != 0;
    } else {
        const __mmask8 some = _mm512_cmp_pd_mask((__m512d)v, _mm512_set1_pd(above), _CMP_GT_OQ);
        return _mm512_mask_cmp_pd_mask(some, (__m512d)v, _mm512_set1_pd(below), _CMP_LT_OQ) != 0;
    }
#else
    const IntVec<T> mask = (v > above) & (v < below);
    std::int64_t words[vector_bytes / 8], all = 0;
    __builtin_memcpy(words, &mask, sizeof mask);
    for (std::int64_t word : words) all |= word;
    return all != 0;
#endif
}

// In lanes whose number has the bit `apart`, b plus b from the lane without it; in the others, a plus a from the lane with it.
template <int apart, class T, std::size_t... w>
inline Vec<T> folded(Vec<T> a, Vec<T> b, std::index_sequence<w...>) {
    constexpr int n = lanes<T>;
    return __builtin_shufflevector(a, b, (int(w) & apart ? n + int(w) : int(w))...) +
           __builtin_shufflevector(a, b, (int(w) & apart ? n + (int(w) ^ apart) : int(w) ^ apart)...);
}

template <class T, std::size_t... w>
inline void zip(Vec<T> a, Vec<T> b, Vec<T>* to, std::index_sequence<w...>) {
    constexpr int n = lanes<T>;
    to[0] = __builtin_shufflevector(a, b, int(w / 2 + (w % 2) * n)...);
    to[1] = __builtin_shufflevector(a, b, int(n / 2 + w / 2 + (w % 2) * n)...);
}

// A square of numbers on its side: rows of `from` lie `stride` apart, those of `to` `ld`. Of a square that is not `whole`
// there are only some rows and columns.
template <bool whole, class T>
inline void transpose_square(const T* from, Index stride, T* to, Index ld, Index some_rows = 0, Index columns = 0) {
    constexpr int n = lanes<T>;
    Vec<T> rows[n], next[n];
    for (int r = 0; r < n; ++r)
        rows[r] = whole ? load(from + r * stride) : r < some_rows ? load_some(from + r * stride, columns) : Vec<T>{};
#pragma GCC unroll 4
    for (int step = n; step > 1; step /= 2) {
#pragma GCC unroll 16
        for (int r = 0; r < n / 2; ++r) zip<T>(rows[r], rows[r + n / 2], next + 2 * r, std::make_index_sequence<n>{});
#pragma GCC unroll 16
        for (int r = 0; r < n; ++r) rows[r] = next[r];
    }
    for (int c = 0; c < n; ++c)
        if (whole) store(to + c * ld, rows[c]);
        else if (c < columns) store_some(to + c * ld, rows[c], some_rows);
}

// The sum over the lanes of each of as many vectors as there are lanes.
template <class T, int apart = 1>
inline Vec<T> lane_sums(const T* rows) {
    if constexpr (apart == lanes<T>) {
        return load(rows);
    } else {
        return folded<apart, T>(lane_sums<T, 2 * apart>(rows), lane_sums<T, 2 * apart>(rows + apart * lanes<T>),
                                std::make_index_sequence<lanes<T>>{});
    }
}

// The larger and the smaller of a number and each lane; a NaN stays a NaN.
template <class T>
inline Vec<T> at_least(T least, Vec<T> v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_max_ps(_mm512_set1_ps(least), (__m512)v);
    else return (Vec<T>)_mm512_max_pd(_mm512_set1_pd(least), (__m512d)v);
#else
    return v < least ? every(least) : v;
#endif
}

template <class T>
inline Vec<T> at_most(T most, Vec<T> v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_min_ps(_mm512_set1_ps(most), (__m512)v);
    else return (Vec<T>)_mm512_min_pd(_mm512_set1_pd(most), (__m512d)v);
#else
    return v > most ? every(most) : v;
#endif
}

template <class T>
constexpr T exponential_limit = sizeof(T) == 4 ? T(87) : T(708);

// e^x to a few units in the last place: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2] (Cody and Waite's reduction).
// Beyond the limits, where it would soon be no normal number, it stays what it is there; of a NaN it is any number.
template <class T>
inline Vec<T> exponential(Vec<T> x) {
    using I = IntVec<T>;
    constexpr bool single = sizeof(T) == 4;
    const Vec<T> bounded = at_most<T>(exponential_limit<T>, at_least<T>(-exponential_limit<T>, x));
    // Adding 1.5 * 2^mantissa rounds to a whole number and leaves it in the low bits.
    const T shift = single ? T(12582912.0) : T(6755399441055744.0);
    const Vec<T> shifted = bounded * T(1.4426950408889634074) + shift;
    const Vec<T> whole = shifted - shift;
    const T high = single ? T(0.693359375) : T(0.693147180369123816490);
    const T low = single ? T(-2.12194440054690583e-4) : T(1.90821492927058770002e-10);
    const Vec<T> r = (bounded - whole * high) - whole * low;
    // Single precision: of all polynomials of degree 5 that are 1 at 0 the one whose largest relative error, 9e-8, is least.
    constexpr double least[] = {1, 0.9999997071888409, 0.49999149529166975, 0.1666763619576975, 0.041897929506899655, 0.008290314746589825};
    constexpr double taylor[] = {1,          1,           1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
                                 1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    constexpr int degree = single ? 5 : 13;
    Vec<T> sum = every(T(single ? least[degree] : taylor[degree]));
#pragma GCC unroll 16
    for (int n = degree - 1; n >= 0; --n) sum = sum * r + T(single ? least[n] : taylor[n]);
    I bits, result;
    __builtin_memcpy(&bits, &shifted, sizeof bits);
    __builtin_memcpy(&result, &sum, sizeof result);
    result += bits << (single ? 23 : 52);  // 2^whole as an integer added to the exponent's field
    Vec<T> out;
    __builtin_memcpy(&out, &result, sizeof out);
    return out;
}

// 1 / x to a few units in the last place, for x of ordinary size.
template <class T>
inline Vec<T> reciprocal(Vec<T> x) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        const Vec<T> guess = (Vec<T>)_mm512_rcp14_ps((__m512)x);
        return guess + guess * (T(1) - x * guess);
    } else {
        Vec<T> guess = (Vec<T>)_mm512_rcp14_pd((__m512d)x);
        guess = guess + guess * (T(1) - x * guess);
        return guess + guess * (T(1) - x * guess);
    }
#else
    return T(1) / x;
#endif
}
