// Whole calls: the contractions of layer.hpp over all samples, inputs and tiles of outputs. Included like layer.hpp.

// Memory that a thread keeps from call to call, handed out piece by piece.
class Scratch {
    std::vector<std::unique_ptr<char, void (*)(void*)>> pieces;
    std::vector<Index> sizes;
    std::size_t next = 0;

  public:
    void restart() { next = 0; }
    template <class T>
    T* take(Index n) {
        const Index bytes = round_up(n * Index(sizeof(T)) + 2 * vector_bytes, 4096);
        if (next == pieces.size()) {
            pieces.emplace_back(nullptr, std::free);
            sizes.push_back(0);
        }
        if (sizes[next] < bytes) {
            // An odd number of lines beyond the page keeps arrays of one size out of each other's cache sets.
            pieces[next].reset();
            pieces[next].reset(static_cast<char*>(std::aligned_alloc(4096, std::size_t(bytes))));
            if (!pieces[next]) throw std::bad_alloc();
            sizes[next] = bytes;
        }
        return reinterpret_cast<T*>(pieces[next++].get());
    }
};

// One a thread for the work that `run_together` shares out, and one for what is made before.
template <int purpose = 0>
Scratch& scratch() {
    thread_local Scratch mine;
    mine.restart();
    return mine;
}

// Tiles of outputs: `vectors` each, the last ones narrower.
struct Tiles {
    struct Tile {
        Index first, width;
        int vectors;
    };
    std::vector<Tile> tiles;
    Index row = 0;  // padded outputs

    Tiles(Index out, int lanes) {
        for (Index first = 0; first < out;) {
            const Index left = out - first;
            int vectors = widest;
            while (vectors > 1 && left <= Index(vectors / 2) * lanes) vectors /= 2;
            tiles.push_back({first, std::min<Index>(left, vectors * lanes), vectors});
            first += vectors * lanes;
            row += vectors * lanes;
        }
    }
};

template <class T>
using Sum = void (*)(const Walk<T>&, T*);
template <class T>
using Pull = void (*)(const Walk<T>&, const T*, T*);
template <class T>
using Collect = void (*)(const Walk<T>*, const T* const*, Index, T*, T*);

template <class T, int R = 1>
Sum<T> sum_for(int rows, int vectors) {
    if (rows == R) {
        if constexpr (widest >= 4)
            if (vectors == 4) return sum<T, R, 4>;
        return vectors == 2 ? sum<T, R, 2> : sum<T, R, 1>;
    }
    if constexpr (R < highest_order + 2) return sum_for<T, R + 1>(rows, vectors);
    return nullptr;
}

template <class T, bool Differences, int R = 1>
Pull<T> pull_for(int rows, int vectors) {
    if (rows == R) {
        if constexpr (widest >= 4)
            if (vectors == 4) return pull<T, R, 4, Differences>;
        return vectors == 2 ? pull<T, R, 2, Differences> : pull<T, R, 1, Differences>;
    }
    if constexpr (R < highest_order + 2) return pull_for<T, Differences, R + 1>(rows, vectors);
    return nullptr;
}

template <class T, int R = 1>
Collect<T> collect_for(int rows, int vectors) {
    if (rows == R) {
        if constexpr (widest >= 4)
            if (vectors == 4) return collect<T, R, 4>;
        return vectors == 2 ? collect<T, R, 2> : collect<T, R, 1>;
    }
    if constexpr (R < highest_order + 2) return collect_for<T, R + 1>(rows, vectors);
    return nullptr;
}

// to[c][r] = from[r][c]; rows of `from` lie `stride` apart, those of `to` `ld`.
template <class T>
void transpose(const T* from, Index rows, Index columns, Index stride, T* to, Index ld) {
    constexpr Index n = lanes<T>;
    const Index whole_rows = rows / n * n, whole_columns = columns / n * n;
    for (Index r = 0; r < whole_rows; r += n)
        for (Index c = 0; c < whole_columns; c += n) transpose_square(from + r * stride + c, stride, to + c * ld + r, ld);
    for (Index r = 0; r < rows; ++r)
        for (Index c = r < whole_rows ? whole_columns : 0; c < columns; ++c) to[c * ld + r] = from[r * stride + c];
}

template <class T>
void multiply_weights(T* weights, Index rows, Index ld, const std::int32_t* order, Index n, const T* scale, Index in) {
    for (Index p = 0; p < n; ++p) {
        const T factor = scale[order[p] * in];
        for (Index r = 0; r < rows; ++r) weights[r * ld + p] *= factor;
    }
}

template <class T>
Walk<T> walk_of(const Layer<T>& layer, const Column<T>* column, Index i, const Tiles::Tile& tile, const Plan<T>& plan,
                Index block, const T* weights) {
    const Index functions = layer.grid + layer.k;
    return {column,
            layer.k,
            functions,
            layer.out,
            tile.width,
            layer.coefficients + i * functions * layer.out + tile.first,
            layer.base_weights + i * layer.out + tile.first,
            plan.starts + (block * layer.in + i) * (plan.buckets + 1),
            plan.order + plan.at(i, block),
            weights,
            plan.row};
}

// Knots of some inputs, made ready.
template <class T>
std::vector<Column<T>> make_columns(Scratch& memory, const Layer<T>& layer, Index first, Index last) {
    const Index stride = std::max(1, layer.k) * round_up(layer.grid + 2 * layer.k + 1, lanes<T>);
    T* const reciprocals = memory.take<T>((last - first) * stride);
    std::vector<Column<T>> columns;
    for (Index i = first; i < last; ++i) columns.push_back(make_column(layer, i, reciprocals + (i - first) * stride));
    return columns;
}

// Few rows of coefficients that lie far apart come too late if nobody asks for them before.
template <class T>
void prefetch(const Walk<T>& walk) {
    if (walk.functions > 32) return;
    for (Index j = 0; j < walk.functions; ++j)
        for (Index o = 0; o < walk.width; o += 64 / Index(sizeof(T))) __builtin_prefetch(walk.coefficients + j * walk.out + o);
}

// Adds the sums over some inputs, of some blocks, to y.
template <class T>
void forward_part(const Layer<T>& layer, Plan<T>& plan, const T* x, const T* scale, int derivative, Index first_block,
                  Index last_block, Index first_input, Index last_input, T* y) {
    Scratch& memory = scratch();
    const Tiles tiles(layer.out, lanes<T>);
    const Index ld = plan.row;
    const What what = plan.kept ? What::both : What::functions;
    const Index size = rows_of(what, layer.k) * ld;
    T* const outputs = memory.take<T>(plan.block * tiles.row);
    T* const samples = memory.take<T>(column_chunk * ld);
    std::int32_t* const bucket = memory.take<std::int32_t>(ld);
    T* const weights = plan.kept ? nullptr : memory.take<T>(column_chunk * size);
    const std::vector<Column<T>> columns = make_columns(memory, layer, first_input, last_input);
    for (Index block = first_block; block < last_block; ++block) {
        const Index start = block * plan.block, n = std::min(plan.block, plan.batch - start);
        std::fill_n(outputs, n * tiles.row, T(0));
        for (Index chunk = first_input; chunk < last_input; chunk += column_chunk) {
            const Index many = std::min(column_chunk, last_input - chunk);
            const auto weights_of = [&](Index c) {
                return plan.kept ? plan.kept + plan.at(chunk + c, block) * rows_of(what, layer.k) : weights + c * size;
            };
            const Column<T>* const column_of = columns.data() + (chunk - first_input);
            if (x) transpose(x + start * layer.in + chunk, n, many, layer.in, samples, ld);
            for (Index c = 0; c < many; ++c) {
                const Index i = chunk + c;
                const Column<T>& column = column_of[c];
                T* const sorted = plan.samples + plan.at(i, block);
                std::int32_t* const order = plan.order + plan.at(i, block);
                std::uint16_t* const starts = plan.starts + (block * layer.in + i) * (plan.buckets + 1);
                if (x) {
                    const Beside beside = find_buckets(column, samples + c * ld, n, bucket);
                    sort_block(plan.buckets, beside, samples + c * ld, bucket, n, sorted, order, starts);
                }
                weigh(layer, column, derivative, what, starts, sorted, n, weights_of(c), ld);
                if (scale)
                    multiply_weights(weights_of(c), layer.k + 2, ld, order, n, scale + start * layer.in + i, layer.in);
            }
            T* at = outputs;
            for (const Tiles::Tile& tile : tiles.tiles) {
                const Sum<T> add_up = sum_for<T>(layer.k + 2, tile.vectors);
                for (Index c = 0; c < many; ++c) {
                    if (c + 1 < many) prefetch(walk_of(layer, column_of, chunk + c + 1, tile, plan, block, weights));
                    add_up(walk_of(layer, column_of + c, chunk + c, tile, plan, block, weights_of(c)), at);
                }
                at += n * tile.vectors * lanes<T>;
            }
        }
        const T* at = outputs;
        for (const Tiles::Tile& tile : tiles.tiles)
            for (Index p = 0; p < n; ++p, at += tile.vectors * lanes<T>) {
                T* const to = y + (start + p) * layer.out + tile.first;
                if (first_input == 0) std::copy_n(at, tile.width, to);
                else for (Index o = 0; o < tile.width; ++o) to[o] += at[o];
            }
    }
}

constexpr Index worth_sharing = 1 << 18;  // products of a sample with an edge from which a second thread helps

template <class T>
void forward(const Layer<T>& layer, Plan<T>& plan, const T* x, const T* scale, int derivative, T* y, int threads) {
    const Index parts = plan.batch * layer.in * layer.out < worth_sharing ? 1 : threads;
    if (parts <= 1 || (plan.blocks < parts && layer.in < parts))
        return forward_part(layer, plan, x, scale, derivative, 0, plan.blocks, 0, layer.in, y);
    if (plan.blocks >= parts && (plan.blocks % parts == 0 || plan.blocks >= 4 * parts))
        return run_together(int(parts), [&](int n) {
            forward_part(layer, plan, x, scale, derivative, plan.blocks * n / parts, plan.blocks * (n + 1) / parts, 0, layer.in, y);
        });
    // Few samples: each thread takes some of the inputs and sums into memory of its own.
    const Index size = plan.batch * layer.out;
    T* const sums = scratch<1>().template take<T>((parts - 1) * size);
    std::fill_n(sums, (parts - 1) * size, T(0));
    run_together(int(parts), [&](int n) {
        forward_part(layer, plan, x, scale, derivative, 0, plan.blocks, layer.in * n / parts, layer.in * (n + 1) / parts,
                     n ? sums + (n - 1) * size : y);
    });
    for (Index n = 0; n < parts - 1; ++n)
        for (Index p = 0; p < size; ++p) y[p] += sums[n * size + p];
}

// Gradients that belong to some inputs; `gradient` is packed tile by tile, [tile][batch][row].
template <class T>
void backward_part(const Layer<T>& layer, const Plan<T>& plan, const T* scale, int derivative, const T* gradient,
                   const Tiles& tiles, const Gradients<T>& to, Index first_input, Index last_input) {
    Scratch& memory = scratch();
    const int k = layer.k;
    const Index functions = layer.grid + k, ld = plan.row;
    const Index per_span = std::clamp<Index>(span / plan.block, 1, plan.blocks);
    const bool by_parameters = to.by_coefficients || to.by_base;
    const bool plain = to.by_scale || by_parameters, kept = plan.kept && !scale;
    const What what = kept || (plain && to.by_x && derivative == 0) ? What::both : plain ? What::functions : What::shares;
    const bool twice = plain && to.by_x && what != What::both;  // functions and shares apart
    const Index size = (twice ? 2 * k + 3 : rows_of(what, k)) * ld;
    const Index shares_at = plain || what == What::both ? (k + 2) * ld : 0;
    const Index padded = functions + 2 * k + 1;  // rows of the coefficients' gradient, then the base's
    T* const weights = kept ? nullptr : memory.take<T>(column_chunk * per_span * size);
    T* const sums = memory.take<T>(2 * column_chunk * per_span * ld);
    T* const unsorted = memory.take<T>(column_chunk * ld);
    T* const rows = memory.take<T>(padded * widest * lanes<T>);
    const std::vector<Column<T>> columns = make_columns(memory, layer, first_input, last_input);
    std::vector<Walk<T>> walks(per_span);
    std::vector<const T*> gradients(per_span);
    for (Index chunk = first_input; chunk < last_input; chunk += column_chunk) {
        const Index many = std::min(column_chunk, last_input - chunk);
        const Column<T>* const column_of = columns.data() + (chunk - first_input);
        for (Index first = 0; first < plan.blocks; first += per_span) {
            const Index blocks = std::min(per_span, plan.blocks - first);
            const auto weights_of = [&](Index c, Index b) -> const T* {
                return kept ? plan.kept + plan.at(chunk + c, first + b) * rows_of(what, k) : weights + (c * per_span + b) * size;
            };
            const auto each = [&](auto&& act) {  // of the chunk's inputs, of the span's blocks
                for (Index c = 0; c < many; ++c)
                    for (Index b = 0; b < blocks; ++b) {
                        const Index start = (first + b) * plan.block;
                        act(c, b, start, std::min(plan.block, plan.batch - start), plan.order + plan.at(chunk + c, first + b));
                    }
            };
            if (!kept)
                each([&](Index c, Index b, Index, Index n, const std::int32_t*) {
                    const std::uint16_t* const starts = plan.starts + ((first + b) * layer.in + chunk + c) * (plan.buckets + 1);
                    const T* const samples = plan.samples + plan.at(chunk + c, first + b);
                    T* const mine = weights + (c * per_span + b) * size;
                    weigh(layer, column_of[c], derivative + (what == What::shares), what, starts, samples, n, mine, ld);
                    if (twice) weigh(layer, column_of[c], derivative + 1, What::shares, starts, samples, n, mine + shares_at, ld);
                });
            if (to.by_x || to.by_scale) {
                std::fill_n(sums, 2 * column_chunk * per_span * ld, T(0));
                T* const other = sums + column_chunk * per_span * ld;
                const T* at = gradient;
                for (const Tiles::Tile& tile : tiles.tiles) {
                    const Index row = tile.vectors * lanes<T>;
                    each([&](Index c, Index b, Index start, Index, const std::int32_t*) {
                        const Index place = (c * per_span + b) * ld;
                        Walk<T> walk = walk_of(layer, column_of + c, chunk + c, tile, plan, first + b, weights_of(c, b));
                        if (b == 0 && c + 1 < many) prefetch(walk_of(layer, column_of, chunk + c + 1, tile, plan, first, weights));
                        if (to.by_scale) pull_for<T, false>(k + 2, tile.vectors)(walk, at + start * row, other + place);
                        walk.weights += shares_at;
                        if (to.by_x) pull_for<T, true>(k + 1, tile.vectors)(walk, at + start * row, sums + place);
                    });
                    at += plan.batch * row;
                }
                const auto put_back = [&](const T* sorted, T* to_rows) {
                    for (Index b = 0; b < blocks; ++b) {
                        const Index start = (first + b) * plan.block, n = std::min(plan.block, plan.batch - start);
                        for (Index c = 0; c < many; ++c) {
                            const std::int32_t* const order = plan.order + plan.at(chunk + c, first + b);
                            const T* const from = sorted + (c * per_span + b) * ld;
                            for (Index p = 0; p < n; ++p) unsorted[c * ld + order[p]] = from[p];
                        }
                        transpose(unsorted, many, n, ld, to_rows + start * layer.in + chunk, layer.in);
                    }
                };
                if (to.by_x) put_back(sums, to.by_x);
                if (to.by_scale) put_back(other, to.by_scale);
            }
            if (!by_parameters) continue;
            if (scale)
                each([&](Index c, Index b, Index start, Index n, const std::int32_t* order) {
                    multiply_weights(weights + (c * per_span + b) * size, k + 2, ld, order, n,
                                     scale + start * layer.in + chunk + c, layer.in);
                });
            const T* at = gradient;
            for (const Tiles::Tile& tile : tiles.tiles) {
                const Index row = tile.vectors * lanes<T>;
                for (Index c = 0; c < many; ++c) {
                    const Index i = chunk + c;
                    for (Index b = 0; b < blocks; ++b) {
                        walks[b] = walk_of(layer, column_of + c, i, tile, plan, first + b, weights_of(c, b));
                        gradients[b] = at + (first + b) * plan.block * row;
                    }
                    std::fill_n(rows, padded * row, T(0));
                    T* const base = rows + (padded - 1) * row;
                    collect_for<T>(k + 2, tile.vectors)(walks.data(), gradients.data(), blocks, rows, base);
                    const auto put = [&](const T* from, T* out) {
                        if (first == 0) std::copy_n(from, tile.width, out);
                        else for (Index o = 0; o < tile.width; ++o) out[o] += from[o];
                    };
                    if (to.by_coefficients)
                        for (Index j = 0; j < functions; ++j)
                            put(rows + (k + j) * row, to.by_coefficients + (i * functions + j) * layer.out + tile.first);
                    if (to.by_base) put(base, to.by_base + i * layer.out + tile.first);
                }
                at += plan.batch * row;
            }
        }
    }
}

template <class T>
void backward(const Layer<T>& layer, const Plan<T>& plan, const T* scale, int derivative, const T* gradient,
              Gradients<T> to, int threads) {
    const Tiles tiles(layer.out, lanes<T>);
    if (tiles.tiles.size() != 1 || tiles.row != layer.out || reinterpret_cast<std::uintptr_t>(gradient) % vector_bytes) {
        T* const packed = scratch<1>().template take<T>(plan.batch * tiles.row);
        T* at = packed;
        for (const Tiles::Tile& tile : tiles.tiles) {
            const Index row = tile.vectors * lanes<T>;
            for (Index p = 0; p < plan.batch; ++p, at += row) {
                std::copy_n(gradient + p * layer.out + tile.first, tile.width, at);
                std::fill(at + tile.width, at + row, T(0));
            }
        }
        gradient = packed;
    }
    const Index parts = plan.batch * layer.in * layer.out < worth_sharing ? 1 : std::min<Index>(threads, layer.in);
    run_together(int(std::max<Index>(1, parts)), [&](int n) {
        backward_part(layer, plan, scale, derivative, gradient, tiles, to, layer.in * n / parts, layer.in * (n + 1) / parts);
    });
}

template <class T>
double peak() {
    using V = Vec<T>;
    constexpr int many = vector_bytes == 64 ? 24 : 12;
    V sums[many];
    for (int n = 0; n < many; ++n) sums[n] = every(T(n));
    const volatile T given[] = {T(0.5), T(0.25)};  // unknown to the compiler
    const V factor = every(T(given[0])), term = every(T(given[1]));
    constexpr int rounds = 1 << 16;
    const auto began = std::chrono::steady_clock::now();
    for (int round = 0; round < rounds; ++round)
#pragma GCC unroll 24
        for (int n = 0; n < many; ++n) sums[n] = sums[n] * factor + term;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    V total = {};
    for (int n = 0; n < many; ++n) total += sums[n];
    volatile T kept = total[0];
    (void)kept;
    return 2.0 * rounds * many * lanes<T> / took.count() / 1e9;
}
