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

// Column c of rows [n][in] for `many` columns from `first`: to[c][n], rows of `to` being `ld` apart.
template <class T>
void columns(const T* x, Index n, Index in, Index first, Index many, T* to, Index ld) {
    for (Index p = 0; p < n; ++p)
        for (Index c = 0; c < many; ++c) to[c * ld + p] = x[p * in + first + c];
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
                Index block, const T* weights, Index ld) {
    const Index functions = layer.grid + layer.k;
    return {column,
            layer.k,
            functions,
            layer.out,
            tile.width,
            layer.coefficients + i * functions * layer.out + tile.first,
            layer.base_weights + i * layer.out + tile.first,
            plan.starts + (block * layer.in + i) * (plan.buckets + 1),
            plan.order + i * plan.batch + block * plan.block,
            weights,
            ld};
}

template <class T>
void forward_part(const Layer<T>& layer, Plan<T>& plan, const T* x, const T* scale, int derivative, Index first_block,
                  Index last_block, Index first_input, Index last_input, T* y, bool add) {
    Scratch& memory = scratch();
    const Tiles tiles(layer.out, lanes<T>);
    const Index ld = plan.block + lanes<T>, rows = layer.k + 2;
    const Index stride = round_up(layer.grid + 2 * layer.k + 1, lanes<T>);
    T* const outputs = memory.take<T>(plan.block * tiles.row);
    T* const samples = memory.take<T>(column_chunk * ld);
    std::int32_t* const bucket = memory.take<std::int32_t>(ld);
    T* const reciprocals = memory.take<T>(column_chunk * std::max(1, layer.k) * stride);
    T* const weights = memory.take<T>(column_chunk * rows * ld);
    Column<T> column[column_chunk];
    for (Index block = first_block; block < last_block; ++block) {
        const Index start = block * plan.block, n = std::min(plan.block, plan.batch - start);
        std::fill_n(outputs, n * tiles.row, T(0));
        for (Index chunk = first_input; chunk < last_input; chunk += column_chunk) {
            const Index many = std::min(column_chunk, last_input - chunk);
            if (x) columns(x + start * layer.in, n, layer.in, chunk, many, samples, ld);
            for (Index c = 0; c < many; ++c) {
                const Index i = chunk + c;
                column[c] = make_column(layer, i, reciprocals + c * std::max(1, layer.k) * stride);
                T* const sorted = plan.samples + i * plan.batch + start;
                std::int32_t* const order = plan.order + i * plan.batch + start;
                std::uint16_t* const starts = plan.starts + (block * layer.in + i) * (plan.buckets + 1);
                if (x) {
                    const bool inside = find_buckets(column[c], samples + c * ld, n, bucket);
                    sort_block(plan.buckets, inside, samples + c * ld, bucket, n, sorted, order, starts);
                }
                T* const mine = weights + c * rows * ld;
                weigh(layer, column[c], derivative, false, starts, sorted, n, mine, ld);
                if (scale) multiply_weights(mine, rows, ld, order, n, scale + start * layer.in + i, layer.in);
            }
            T* at = outputs;
            for (const Tiles::Tile& tile : tiles.tiles) {
                const Sum<T> add_up = sum_for<T>(int(rows), tile.vectors);
                for (Index c = 0; c < many; ++c)
                    add_up(walk_of(layer, &column[c], chunk + c, tile, plan, block, weights + c * rows * ld, ld), at);
                at += n * tile.vectors * lanes<T>;
            }
        }
        const T* at = outputs;
        for (const Tiles::Tile& tile : tiles.tiles) {
            const Index row = tile.vectors * lanes<T>;
            for (Index p = 0; p < n; ++p) {
                T* const to = y + (start + p) * layer.out + tile.first;
                for (Index o = 0; o < tile.width; ++o) to[o] = add ? to[o] + at[p * row + o] : at[p * row + o];
            }
            at += n * row;
        }
    }
}

template <class T>
void forward(const Layer<T>& layer, Plan<T>& plan, const T* x, const T* scale, int derivative, T* y, int threads) {
    (void)threads;
    forward_part(layer, plan, x, scale, derivative, 0, plan.blocks, 0, layer.in, y, false);
}

// Gradients of the inputs from `first_input` on; `gradient` is packed tile by tile, [tile][batch][row].
template <class T>
void backward_part(const Layer<T>& layer, const Plan<T>& plan, const T* scale, int derivative, const T* gradient,
                   const Tiles& tiles, const Gradients<T>& to, Index first_input, Index last_input) {
    Scratch& memory = scratch();
    const Index k = layer.k, functions = layer.grid + k;
    const Index per_span = std::max<Index>(1, span / plan.block), ld = per_span * (plan.block + lanes<T>);
    const Index stride = round_up(layer.grid + 2 * k + 1, lanes<T>);
    const bool by_parameters = to.by_coefficients || to.by_base;
    const Index plain_rows = to.by_scale || by_parameters ? k + 2 : 0, share_rows = to.by_x ? k + 1 : 0;
    const Index padded = functions + 2 * k + 1;  // rows of the coefficients' gradient, then the base's
    T* const reciprocals = memory.take<T>(column_chunk * std::max<Index>(1, k) * stride);
    T* const plain = memory.take<T>(column_chunk * plain_rows * ld);
    T* const shares = memory.take<T>(column_chunk * share_rows * ld);
    T* const sums = memory.take<T>(2 * column_chunk * ld);
    T* const rows = by_parameters ? memory.take<T>(padded * widest * lanes<T>) : nullptr;
    std::vector<Walk<T>> walks(per_span);
    std::vector<const T*> gradients(per_span);
    Column<T> column[column_chunk];
    for (Index chunk = first_input; chunk < last_input; chunk += column_chunk) {
        const Index many = std::min(column_chunk, last_input - chunk);
        for (Index c = 0; c < many; ++c)
            column[c] = make_column(layer, chunk + c, reciprocals + c * std::max<Index>(1, k) * stride);
        for (Index first = 0; first < plan.blocks; first += per_span) {
            const Index blocks = std::min(per_span, plan.blocks - first);
            for (Index c = 0; c < many; ++c)
                for (Index b = 0; b < blocks; ++b) {
                    const Index i = chunk + c, block = first + b, start = block * plan.block;
                    const Index n = std::min(plan.block, plan.batch - start), at = b * (plan.block + lanes<T>);
                    const std::uint16_t* const starts = plan.starts + (block * layer.in + i) * (plan.buckets + 1);
                    const T* const samples = plan.samples + i * plan.batch + start;
                    if (plain_rows) weigh(layer, column[c], derivative, false, starts, samples, n, plain + c * plain_rows * ld + at, ld);
                    if (share_rows) weigh(layer, column[c], derivative + 1, true, starts, samples, n, shares + c * share_rows * ld + at, ld);
                }
            if (to.by_x || to.by_scale) {
                std::fill_n(sums, 2 * column_chunk * ld, T(0));
                const T* at = gradient;
                for (const Tiles::Tile& tile : tiles.tiles) {
                    const Index row = tile.vectors * lanes<T>;
                    for (Index c = 0; c < many; ++c)
                        for (Index b = 0; b < blocks; ++b) {
                            const Index from = b * (plan.block + lanes<T>);
                            const T* const g = at + (first + b) * plan.block * row;
                            if (to.by_x)
                                pull_for<T, true>(int(share_rows), tile.vectors)(
                                    walk_of(layer, &column[c], chunk + c, tile, plan, first + b, shares + c * share_rows * ld + from, ld),
                                    g, sums + c * ld + from);
                            if (to.by_scale)
                                pull_for<T, false>(int(plain_rows), tile.vectors)(
                                    walk_of(layer, &column[c], chunk + c, tile, plan, first + b, plain + c * plain_rows * ld + from, ld),
                                    g, sums + (column_chunk + c) * ld + from);
                        }
                    at += plan.batch * row;
                }
                for (Index c = 0; c < many; ++c)
                    for (Index b = 0; b < blocks; ++b) {
                        const Index i = chunk + c, start = (first + b) * plan.block, n = std::min(plan.block, plan.batch - start);
                        const std::int32_t* const order = plan.order + i * plan.batch + start;
                        const T* const from = sums + c * ld + b * (plan.block + lanes<T>);
                        if (to.by_x)
                            for (Index p = 0; p < n; ++p) to.by_x[(start + order[p]) * layer.in + i] = from[p];
                        if (to.by_scale)
                            for (Index p = 0; p < n; ++p) to.by_scale[(start + order[p]) * layer.in + i] = from[column_chunk * ld + p];
                    }
            }
            if (!by_parameters) continue;
            if (scale)
                for (Index c = 0; c < many; ++c)
                    for (Index b = 0; b < blocks; ++b) {
                        const Index i = chunk + c, start = (first + b) * plan.block, n = std::min(plan.block, plan.batch - start);
                        multiply_weights(plain + c * plain_rows * ld + b * (plan.block + lanes<T>), plain_rows, ld,
                                         plan.order + i * plan.batch + start, n, scale + start * layer.in + i, layer.in);
                    }
            const T* at = gradient;
            for (const Tiles::Tile& tile : tiles.tiles) {
                const Index row = tile.vectors * lanes<T>;
                for (Index c = 0; c < many; ++c) {
                    const Index i = chunk + c;
                    for (Index b = 0; b < blocks; ++b) {
                        walks[b] = walk_of(layer, &column[c], i, tile, plan, first + b,
                                           plain + c * plain_rows * ld + b * (plan.block + lanes<T>), ld);
                        gradients[b] = at + (first + b) * plan.block * row;
                    }
                    std::fill_n(rows, padded * row, T(0));
                    collect_for<T>(int(plain_rows), tile.vectors)(walks.data(), gradients.data(), blocks, rows, rows + (padded - 1) * row);
                    for (Index j = 0; to.by_coefficients && j < functions; ++j) {
                        T* const out = to.by_coefficients + (i * functions + j) * layer.out + tile.first;
                        const T* const from = rows + (k + j) * row;
                        for (Index o = 0; o < tile.width; ++o) out[o] = first ? out[o] + from[o] : from[o];
                    }
                    if (to.by_base) {
                        T* const out = to.by_base + i * layer.out + tile.first;
                        const T* const from = rows + (padded - 1) * row;
                        for (Index o = 0; o < tile.width; ++o) out[o] = first ? out[o] + from[o] : from[o];
                    }
                }
                at += plan.batch * row;
            }
        }
    }
}

template <class T>
void backward(const Layer<T>& layer, const Plan<T>& plan, const T* scale, int derivative, const T* gradient,
              Gradients<T> to, int threads) {
    (void)threads;
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
    backward_part(layer, plan, scale, derivative, gradient, tiles, to, 0, layer.in);
}

template <class T>
double peak() {
    using V = Vec<T>;
    constexpr int many = vector_bytes == 64 ? 24 : 12;
    V sums[many];
    for (int n = 0; n < many; ++n) sums[n] = every(T(n));
    const auto began = std::chrono::steady_clock::now();
    constexpr int rounds = 1 << 16;
    V factor = every(T(0.5)), term = every(T(0.25));
    for (int round = 0; round < rounds; ++round) {
        for (int n = 0; n < many; ++n) sums[n] = sums[n] * factor + term;
        __asm__ volatile("" ::: "memory");
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    V total = {};
    for (int n = 0; n < many; ++n) total += sums[n];
    volatile T kept = total[0];
    (void)kept;
    return 2.0 * rounds * many * lanes<T> / took.count() / 1e9;
}
